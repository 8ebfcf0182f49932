"""Training the receiver through the real encoder."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from irn_video.pipeline.network.constants import LUMA, PACKED, sampled_channels
from irn_video.pipeline.network.packed import fine_luma
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.mixing import mixed_batches
from irn_video.pipeline.training.samples import CodedGroups, Samples, concatenate, in_cells, plane_errors
from irn_video.pipeline.training.task import Loss, Task
from torch import Tensor, nn

if TYPE_CHECKING:
    from irn_video.pipeline.training.sequences import SequenceSource

# Chroma counts for more than in PSNR-YUV (6 : 1 : 1): with those weights its BD-rate stayed 3 points behind luma.
PLANE_WEIGHTS = (0.65, 0.175, 0.175)
_STD_LOSS_WEIGHT = 1e-3


@dataclass(frozen=True)
class CodecTask(Task[Samples]):
    """Codec-aware networks: LR pictures coded by x264, error of the restored wavelet coefficients.

    Squared errors are weighted by one over those of the plain wavelet reconstruction of the whole picture, which makes
    the gradient that of the mean PSNR over pictures. The latent's standard deviation learns by Gaussian likelihood
    from the errors of its mean, without a gradient to the features. The sender's wavelet is fixed.

    With a teacher, a larger network, errors against what it predicts count too. It tells what can be known of the
    source, without the noise of what cannot, so that a small network needs fewer steps.
    """

    config: TrainConfig
    source: SequenceSource
    quality = "luma dB over the plain wavelet"

    def batches(self, shard: int, step: int) -> Generator[Samples, None, None]:
        """Batches of decoded LR and clean HR crops."""
        config, seed = self.config, f"{self.config.seed}/{shard}"
        network = config.network.build()
        teacher = _teacher(config.teacher, network) if config.teacher else None

        def groups_from(first: int) -> CodedGroups:
            return CodedGroups(self.source, config.codec, network, config.crop, seed, first, teacher)

        return mixed_batches(groups_from, concatenate, size=config.batch // config.shards, step=step, seed=seed)

    def loss(self, network: InvertibleRescaler, batch: Samples, rng: torch.Generator) -> Loss:
        """Weighted error of LR and latent as predicted from the decoded LR."""
        lr, target = batch.lr.float() / 255, batch.target.float()
        prediction = network.predict(lr, batch.qp)
        weight = batch.weight * torch.tensor(PLANE_WEIGHTS, device=lr.device)
        predicted = in_cells(prediction.lr, prediction.mean).float()
        errors = plane_errors(predicted, target) * weight
        aimed = errors
        if self.config.contrast:
            aimed = plane_errors(predicted, stronger(target, batch.lr.shape[-1], self.config.contrast)) * weight
        plain = plane_errors(in_cells(lr, torch.zeros_like(prediction.mean)), target) * weight
        latent = target[:, target.shape[1] - prediction.mean.shape[1] :]
        total = aimed.sum() / len(batch)
        if self.config.teacher:
            taught = (plane_errors(predicted, batch.taught.float()) * weight).sum() / len(batch)
            total = torch.lerp(total, taught, self.config.teaching)
        if latent.shape[1]:
            drawn = list(sampled_channels(network.scale))
            variance, mean = prediction.std.float().square(), prediction.mean.detach().float()
            spread = nn.functional.gaussian_nll_loss(mean[:, drawn], latent[:, drawn], variance[:, drawn], eps=1e-8)
            total = total + _STD_LOSS_WEIGHT * spread
        return Loss(total, errors.detach()[:, 0].sum(), plain[:, 0].sum())

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """The sender."""
        assert isinstance(network, CodecAwareRescaler)
        return [part for part in network.children() if part is not network.restorer]

    def describe(self) -> tuple[str, str]:
        """For the card."""
        codec, teacher = self.config.codec, self.config.teacher
        return (
            f"through x264 ({', '.join(sorted(set(codec.presets)))}) at CRF {codec.crf_min:g} to {codec.crf_max:g}, "
            "sender fixed"
            + (f", {self.config.teaching:g} of the loss against {Path(teacher).stem}" if teacher else ""),
            f"{len(self.source.photos)} photographs in synthetic motion and {len(self.source.clips)} clips",
        )


def stronger(target: Tensor, width: int, contrast: float) -> Tensor:
    """A target whose LR picture, of this width, has so much more contrast in its fine luma; see `TrainConfig`."""
    cell = width // target.shape[-1]
    sizes = (PACKED * cell**2, target.shape[1] - PACKED * cell**2)
    lr, latent = target.split(sizes, 1)
    lr = F.pixel_shuffle(lr, cell)
    more = torch.cat((lr[:, :LUMA] + contrast * fine_luma(lr), lr[:, LUMA:]), 1)
    return in_cells(more, latent)


def _teacher(name: str, network: InvertibleRescaler) -> InvertibleRescaler:
    """The network that teaches `network`.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `load_model`.
        TrainingFailed: its predictions are not of the same wavelet's coefficients.
    """
    from irn_video.pipeline.zoo import load_model  # which a machine that has PyTorch alone cannot

    teacher = load_model(name).network
    senders = [
        {key: value for key, value in part.state_dict().items() if key.startswith("wavelet.")}
        for part in (teacher, network)
    ]
    same = isinstance(teacher, CodecAwareRescaler) and teacher.scale == network.scale
    if not same or any(not torch.equal(value, senders[1][key]) for key, value in senders[0].items()):
        raise TrainingFailed(f"{name} cannot teach a network with another sender", hint="name another teacher")
    return teacher
