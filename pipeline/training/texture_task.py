"""Codec-aware networks made to look real: detail that is as strong as the source's, be it known or drawn.

The least squared error makes faint what is not sure. Here the mean's local strength is held to the source's, as far as
the squared error, which stays in the loss, lets it; the spread is what strength is then still missing; and a draw
(temperature 1) is judged by a critic that sees what arrived and its quantiser as well. Luma alone: grain has next to no
colour.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cached_property

import torch
import torch.nn.functional as F
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from irn_video.pipeline.network.constants import DETAIL, LUMA, PACKED, QP_CENTRE, QP_SPREAD
from irn_video.pipeline.training.codec_task import PLANE_WEIGHTS, CodecTask
from irn_video.pipeline.training.critics import SLOPE, difference, relativistic, without_weights_gradient
from irn_video.pipeline.training.samples import Samples, in_cells, plane_errors
from irn_video.pipeline.training.task import Loss, Rates
from torch import Tensor, nn

_BANDS = 3
_WINDOW = 8  # places across in which strength is compared: what differs more locally is for the critic
_COARSER = 1 / 16  # weight of a band twice as coarse: made stronger it costs more PSNR than it is worth
_LEAST_STRENGTH = 0.25 / 255  # so that the root has a gradient where nothing is
_VIEW = 4.0  # LR luma in [0, 1] → [−2, 2] for the critic


class DetailCritic(nn.Module):
    """Tells the details of the source from restored ones, given what arrived, at two scales.

    It sees the luma of the inverse's input on the grid of the finest details, which says as much as the picture.
    Spectral normalisation (Miyato et al. 2018) keeps it from growing too steep.

    Args:
        seen: channels of what it sees, see `seen_by_critic`.
        width: feature channels of the first layer; each of the two steps down doubles them.
    """

    def __init__(self, seen: int, width: int) -> None:
        super().__init__()
        channels = (seen, width, 2 * width, 4 * width)
        strides = (1, 2, 2)
        self.layers = nn.ModuleList(
            _normalised(nn.Conv2d(before, after, 2 + stride, stride=stride, padding=1))
            for (before, after), stride in zip(itertools.pairwise(channels), strides, strict=True)
        )
        self.verdicts = nn.ModuleList(_normalised(nn.Conv2d(count, 1, 3, padding=1)) for count in channels[2:])

    def forward(self, seen: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(N, seen, h, w) → verdicts (N, 1, h/2, w/2) and (N, 1, h/4, w/4), higher for real; features of all layers."""
        features = []
        for layer in self.layers:
            seen = F.leaky_relu(layer(seen), SLOPE)
            features.append(seen)
        judged = zip(self.verdicts, features[-len(self.verdicts) :], strict=True)
        return [verdict(feature) for verdict, feature in judged], features


class TextureTask(CodecTask):
    """The codec task's squared error, the strength of details, and a conditional relativistic critic."""

    @cached_property
    def critic(self) -> DetailCritic:
        """Weights are a function of config.seed."""
        levels = int(self.config.network.scale).bit_length() - 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return DetailCritic(3 + _BANDS * levels, self.config.perceptual.width)

    def loss(self, network: InvertibleRescaler, batch: Samples, rng: torch.Generator) -> Loss:
        """Losses of the network and of the critic, each without a gradient to the other."""
        perceptual = self.config.perceptual
        lr, target = batch.lr.float() / 255, batch.target.float()
        true_lr, true_latent = target.split((PACKED, target.shape[1] - PACKED), 1)
        prediction = network.predict(lr, batch.qp)
        noise = torch.randn(prediction.mean.shape, generator=rng).to(lr.device)
        latent = prediction.mean + (prediction.std * noise).detach()
        errors = plane_errors(in_cells(prediction.lr, prediction.mean), target) * batch.weight
        plain = plane_errors(in_cells(lr, torch.zeros_like(latent)), target) * batch.weight

        mean, drawn, true = (
            luma_bands(*parts)
            for parts in ((prediction.lr, prediction.mean), (prediction.lr, latent), (true_lr, true_latent))
        )
        noisy = luma_bands(torch.zeros_like(lr), prediction.std)
        strengths = [(local_power(ours), local_power(theirs)) for ours, theirs in zip(mean, true, strict=True)]
        filled = [power.detach() + local_power(std) for (power, _), std in zip(strengths, noisy, strict=True)]

        seen = seen_by_critic(lr, prediction.lr, drawn[:-1], batch.qp)
        real = seen_by_critic(lr, true_lr, true[:-1], batch.qp)
        truths, true_features = self.critic(real)
        lies, _ = self.critic(seen.detach())
        judged, features = without_weights_gradient(self.critic, seen)
        parts = {
            "squares": (errors * torch.tensor(PLANE_WEIGHTS, device=lr.device)).sum() / len(batch),
            "strength": (_apart(strengths) * batch.weight[:, 0]).sum() / len(batch),
            "noise": (
                _apart(zip(filled[:-1], [power for _, power in strengths], strict=False)) * batch.weight[:, 0]
            ).sum()
            / len(batch),
            "critic": _mean(truths, lies),
            "adversarial": _mean(judged, [truth.detach() for truth in truths]),
            "features": difference(features, true_features),
        }
        total = parts["squares"] + parts["noise"] + parts["critic"] + perceptual.strength * parts["strength"]
        total = total + perceptual.adversarial * parts["adversarial"] + perceptual.features * parts["features"]
        return Loss(total, errors.detach()[:, 0].sum(), plain[:, 0].sum(), parts)

    def begin(self, network: InvertibleRescaler) -> None:
        """The spread starts anew: that of likelihood is beyond its range at edges, and would take long to come back."""
        assert isinstance(network, CodecAwareRescaler)
        network.restorer.begin_spread()

    def rates(self, network: InvertibleRescaler) -> Rates:
        """The critic has its own."""
        return [*super().rates(network), (list(self.critic.parameters()), self.config.perceptual.rate)]

    def describe(self) -> tuple[str, str]:
        """For the card."""
        how, data = super().describe()
        return f"{how}; drawn at temperature 1, adversarial loss, features of the critic, strength of details", data


def luma_bands(lr: Tensor, latent: Tensor) -> list[Tensor]:
    """Details of luma, finest first, (N, 3, h, w) each, the last those of the LR picture (Haar), 4:2:0 packed.

    Args:
        lr: (N, 6, h, w).
        latent: as scale 2 or 4 has it, see `Halves`.
    """
    bands, level, start = [], latent.shape[1] // (_BANDS * PACKED) // 4, 0
    for step in range(level, -1, -1):
        luma = latent[:, start : start + _BANDS * LUMA * 4**step]
        start += _BANDS * PACKED * 4**step
        bands.append(F.pixel_shuffle(F.pixel_shuffle(luma, 2**step), 2))
    a, b, c, d = lr[:, :LUMA].split(1, 1)
    bands.append(torch.cat((a - b + c - d, a + b - c - d, a - b - c + d), 1) / 2)
    return bands


def local_power(bands: Tensor) -> Tensor:
    """Mean square of details around places four apart, (N, 3, h, w) → (N, 3, h/4, w/4)."""
    return F.avg_pool2d(bands.square(), _WINDOW, _WINDOW // 2, _WINDOW // 4, count_include_pad=False)


def seen_by_critic(arrived: Tensor, lr: Tensor, bands: list[Tensor], qp: Tensor) -> Tensor:
    """LR luma, its difference from what arrived, the quantiser and details of all levels, on the finest one's grid."""
    plane, change = F.pixel_shuffle(lr[:, :LUMA], 2), F.pixel_shuffle((lr - arrived)[:, :LUMA], 2)
    quantiser = ((qp.to(plane) - QP_CENTRE) / QP_SPREAD).view(-1, 1, 1, 1).expand_as(plane)
    parts = [_VIEW * (plane - 0.5), change / DETAIL, quantiser, *(band / DETAIL for band in bands)]
    size = bands[0].shape[2:]
    return torch.cat([part if part.shape[2:] == size else F.interpolate(part, size) for part in parts], 1)


def _normalised(layer: nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return nn.utils.parametrizations.spectral_norm(layer)


def _mean(better: list[Tensor], worse: list[Tensor]) -> Tensor:
    return torch.stack([relativistic(one, other) for one, other in zip(better, worse, strict=True)]).mean()


def _apart(powers: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Squared difference of strengths, summed over bands, finest first, (N,)."""
    return torch.stack(
        [
            (_strength(ours) - _strength(theirs)).square().mean((2, 3)).sum(1) * _COARSER**level
            for level, (ours, theirs) in enumerate(powers)
        ]
    ).sum(0)


def _strength(power: Tensor) -> Tensor:
    return (power + _LEAST_STRENGTH**2).sqrt()
