"""Rescalers made for H.264 4:2:0: a learned wavelet down, a conditional latent up.

    sender     HR planes ── f (lifted wavelet) ──> LR | latent z                            z is dropped
    receiver   decoded LR, quantiser ── features ──> restored LR, latent mean μ and std σ
               z = μ + temperature · σ · N(0, 1)  ── f⁻¹ (reverse pass) ──> HR planes

H.264 erases the small changes in which the paper's networks hide detail, so here the detail is predicted from what
arrives (a latent distribution conditioned on the LR picture, as in SelfC, ICCV 2021), given the quantiser.

All tensors are packed 4:2:0 pictures, (N, 6, H/2, W/2): the four luma phases of each 2×2 cell, then Cb and Cr, so
luma and chroma share one grid and the features serve both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.lifting import LiftedSplit
from irn_video.pipeline.network.rescaler import InvertibleRescaler, Prediction
from torch import Tensor, nn

PACKED = 6
_LUMA = 4
# Centre and spread of the quantisers seen in training, to bring the input of the modulation near unit range.
_QP_CENTRE, _QP_SPREAD = 26.0, 12.0
# Brings the samples near unit variance.
_CONTRAST = 4.0
# Natural size of wavelet details; without it the steps of the optimiser are far larger than what is to be learned.
_DETAIL = 0.02
# The upper end is what details hardly exceed (0.03, or 8 levels of 255): an unbounded exponential shoots off at the
# strongest edges, and half a per cent of outliers would cost more PSNR than all other samples together.
_LOG_STD_RANGE = (-9.0, -3.5)


class ModulatedConv(nn.Module):
    """A 3×3 convolution whose gain and bias per channel depend on the condition (FiLM, Perez et al. 2018).

    One condition for the whole batch is folded into the weights, so it costs nothing per pixel.
    """

    def __init__(self, channels_in: int, channels_out: int, condition: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * channels_out)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, in, h, w), condition (1 or N, condition) → (N, out, h, w)."""
        gain, shift = self.modulation(condition).chunk(2, 1)
        bias = self.conv.bias
        assert bias is not None
        if len(condition) == 1:
            weight = self.conv.weight * (1 + gain[0, :, None, None, None])
            return F.conv2d(x, weight, bias * (1 + gain[0]) + shift[0], padding=1)
        y: Tensor = self.conv(x)
        return torch.addcmul(shift[:, :, None, None].to(y.dtype), y, (1 + gain[:, :, None, None]).to(y.dtype))


class Restorer(nn.Module):
    """What the receiver sees → correction of the LR picture, mean and log-std of the latent.

    Args:
        width: channels of the features.
        depth: convolutions between the first and the last.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        condition = 16
        self.embedding = nn.Sequential(nn.Linear(1, condition), nn.SiLU(), nn.Linear(condition, condition), nn.SiLU())
        self.first = ModulatedConv(PACKED, width, condition)
        self.body = nn.ModuleList(ModulatedConv(width, width, condition) for _ in range(depth))
        self.last = nn.Conv2d(width, 4 * PACKED, 3, padding=1)
        self.spread = nn.Conv2d(width, 3 * PACKED, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, lr: Tensor, qp: Tensor) -> tuple[Tensor, Tensor]:
        """LR (N, 6, h, w), qp (1 or N,) → corrections (N, 24, h, w): LR then latent mean; log-std (N, 18, h, w)."""
        condition = self.embedding(((qp - _QP_CENTRE) / _QP_SPREAD)[:, None].to(lr.dtype))
        x = F.relu_(self.first((lr - 0.5) * _CONTRAST, condition))
        for layer in self.body:
            step = F.relu_(layer(x, condition))
            x = x + step if torch.is_grad_enabled() else x.add_(step)
        return self.last(x) * _DETAIL, self.spread(x.detach())


class CodecAwareRescaler(InvertibleRescaler):
    """Scale-2 rescaler on packed 4:2:0 pictures; `width` and `depth` set the cost of the receiver.

    hr (N, 6, H/2, W/2) of an H×W picture; lr (N, 6, H/4, W/4) of the H/2×W/2 picture; H and W multiples of 4.
    """

    channels = PACKED
    scale = 2
    multiple = 2

    def __init__(self, width: int = 48, depth: int = 3) -> None:
        super().__init__()
        self.wavelet = LiftedSplit()
        self.restorer = Restorer(width, depth)

    def downscale(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Wavelet analysis of each plane; latent channels are the details of luma (3·4), then of chroma (3·2)."""
        luma, details = self._analyse(*hr[:, :_LUMA].split(1, 1))  # (N, 1, h, w), 3 × (N, 1, h, w)
        phases = _phases(hr[:, _LUMA:])  # 4 × (N, 2, h/2, w/2)
        chroma, chroma_details = self._analyse(*phases)
        luma_details = F.pixel_unshuffle(torch.cat(details, 1), 2)  # (N, 12, h/2, w/2)
        return torch.cat((F.pixel_unshuffle(luma, 2), chroma), 1), torch.cat((luma_details, *chroma_details), 1)

    def upscale(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Wavelet synthesis, the exact inverse of `downscale`."""
        luma = F.pixel_shuffle(lr[:, :_LUMA], 2)
        details = F.pixel_shuffle(latent[:, : 3 * _LUMA], 2).split(1, 1)
        chroma_details = latent[:, 3 * _LUMA :].split(2, 1)
        cells = self._synthesise(luma, *details)  # 4 × (N, 1, h, w)
        phases = self._synthesise(lr[:, _LUMA:], *chroma_details)  # 4 × (N, 2, h/2, w/2)
        return torch.cat((*cells, _join_phases(*phases)), 1)

    def predict(self, lr: Tensor, qp: Tensor | float | None = None) -> Prediction:
        """Restore the LR picture and predict the latent; without a quantiser, as if coded nearly losslessly."""
        quantiser = torch.as_tensor(0.0 if qp is None else qp, device=lr.device, dtype=torch.float32).reshape(-1)
        correction, log_std = self.restorer(lr.contiguous(memory_format=torch.channels_last), quantiser)
        correction = correction.to(lr.dtype)
        return Prediction(lr + correction[:, :PACKED], correction[:, PACKED:], log_std.clamp(*_LOG_STD_RANGE))

    def _analyse(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Phases (top left, top right, bottom left, bottom right) → average, (horizontal, vertical, diagonal)."""
        (top, top_h), (bottom, bottom_h) = self.wavelet.split(a, b, -1), self.wavelet.split(c, d, -1)
        low, vertical = self.wavelet.split(top, bottom, -2)
        horizontal, diagonal = self.wavelet.split(top_h, bottom_h, -2)
        return low, (horizontal, vertical, diagonal)

    def _synthesise(self, low: Tensor, horizontal: Tensor, vertical: Tensor, diagonal: Tensor) -> tuple[Tensor, ...]:
        top, bottom = self.wavelet.join(low, vertical, -2)
        top_h, bottom_h = self.wavelet.join(horizontal, diagonal, -2)
        return *self.wavelet.join(top, top_h, -1), *self.wavelet.join(bottom, bottom_h, -1)


def pack(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Planes (N, 1, H, W), (N, 1, H/2, W/2) twice → packed picture (N, 6, H/2, W/2)."""
    return torch.cat((F.pixel_unshuffle(y, 2), u, v), 1)


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Undo `pack`."""
    return F.pixel_shuffle(packed[:, :_LUMA], 2), packed[:, _LUMA : _LUMA + 1], packed[:, _LUMA + 1 :]


def _phases(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]


def _join_phases(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    top = torch.stack((a, b), -1).flatten(-2)
    bottom = torch.stack((c, d), -1).flatten(-2)
    return torch.stack((top, bottom), -2).flatten(-3, -2)
