"""Rescalers made for H.264 4:2:0: a learned wavelet down, a conditional latent up.

    sender     HR planes ── f (lifted wavelet) ──> LR | latent z                            z is dropped
    receiver   decoded LR, quantiser ── features ──> restored LR, latent mean μ and std σ
               z = μ + temperature · σ · N(0, 1)  ── f⁻¹ (reverse pass) ──> HR planes

H.264 erases the small changes in which the paper's networks hide detail, so here the detail is predicted from what
arrives (a latent distribution conditioned on the LR picture, as in SelfC, ICCV 2021), given the quantiser.

At scale 1 the picture is sent as it is, there is no latent, and the receiver only takes the coding error away; at
scale 3/2 the wavelet splits three samples into two and a detail; at scale 4 that of scale 2 is applied twice.

All tensors are packed 4:2:0 pictures, (N, 6, H/2, W/2): the four luma phases of each 2×2 cell, then Cb and Cr, so
luma and chroma share one grid and the features serve both.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from irn_video.codecs.scales import step_of
from irn_video.pipeline.network.cells import CellTransform
from irn_video.pipeline.network.constants import (
    DETAIL,
    LOG_STD_RANGE,
    PACKED,
    QP_CENTRE,
    QP_SPREAD,
    fold_of,
    latent_channels_of,
    sampled_channels,
)
from irn_video.pipeline.network.coring import Coring
from irn_video.pipeline.network.packed import Halves, Thirds, pack, unpack
from irn_video.pipeline.network.rescaler import InvertibleRescaler, Prediction
from torch import Tensor, nn


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
    """What the receiver sees → corrections of the LR picture and means of the latent, and the latent's log-std.

        cells ─┬─ first ── body (residual) ── last ──┬──> corrections, means
               └──────────── shortcut ───────────────┘     (the linear part, a Wiener filter that knows the quantiser)

    Args:
        seen: channels of what it sees.
        corrected: channels of corrections and means together.
        latent: channels of the latent, perhaps 0.
        width: channels of the features.
        depth: convolutions between the first and the last.
    """

    def __init__(self, seen: int, corrected: int, latent: int, width: int, depth: int) -> None:
        super().__init__()
        condition = 16
        self.embedding = nn.Sequential(nn.Linear(1, condition), nn.SiLU(), nn.Linear(condition, condition), nn.SiLU())
        self.first = ModulatedConv(seen, width, condition)
        self.body = nn.ModuleList(ModulatedConv(width, width, condition) for _ in range(depth))
        self.shortcut = ModulatedConv(seen, corrected, condition)
        nn.init.zeros_(self.shortcut.conv.weight)
        self.last = nn.Conv2d(width, corrected, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.spread = nn.Conv2d(width, latent, 1) if latent else None
        self.begin_spread()

    def forward(self, cells: Tensor, qp: Tensor) -> tuple[Tensor, Tensor]:
        """What it sees (N, seen, h, w), qp (1 or N,) → corrections (N, corrected, h, w), log-std (N, latent, h, w)."""
        x, condition = self.features(cells, qp)
        log_std = x[:, :0] if self.spread is None else self.spread(x.detach())
        return (self.last(x) + self.shortcut(cells, condition)) * DETAIL, log_std

    def begin_spread(self) -> None:
        """The same spread everywhere."""
        if self.spread is not None:
            nn.init.zeros_(self.spread.weight)
            nn.init.constant_(self.spread.bias, -4.0)  # type: ignore[arg-type]

    def features(self, cells: Tensor, qp: Tensor) -> tuple[Tensor, Tensor]:
        """What the last layer sees, (N, width, h, w), and the condition that modulates the others."""
        condition = self.embedding(((qp - QP_CENTRE) / QP_SPREAD)[:, None].to(cells.dtype))
        x = F.relu_(self.first(cells, condition))
        for layer in self.body:
            step = F.relu_(layer(x, condition))
            x = x + step if torch.is_grad_enabled() else x.add_(step)
        return x, condition


class CodecAwareRescaler(InvertibleRescaler):
    """Rescaler of packed 4:2:0 pictures; `width` and `depth` set the cost of the receiver.

    hr (N, 6, H/2, W/2) of an H×W picture; lr (N, 6, H/2/scale, W/2/scale); H and W multiples of 2·scale, of 6 at
    scale 3/2, where the latent is (N, 30, H/6, W/6).

    Args:
        width: see `Restorer`.
        depth: likewise.
        scale: 1, 1.5, 2 or 4.
        coring: strength of the sender's `Coring`, 0 for none.
    """

    channels = PACKED
    silent: Tensor

    def __init__(self, width: int = 48, depth: int = 3, scale: float = 2, coring: float = 0.0) -> None:
        super().__init__()
        self.scale, self.multiple = scale, step_of(scale)
        self.wavelet: Halves | Thirds | None = None
        if scale > 1:
            self.wavelet = Thirds() if scale == 1.5 else Halves(int(math.log2(scale)))
        self.coring = Coring(coring) if coring else None
        self.fold = fold_of(scale)
        self.cells = CellTransform(self.fold)
        self.latent_channels = latent_channels_of(scale)
        silent = torch.full((1, self.latent_channels, 1, 1), -math.inf)
        silent[:, list(sampled_channels(scale))] = 0
        self.register_buffer("silent", silent, persistent=False)
        corrected = PACKED * self.fold**2 + self.latent_channels
        self.restorer = Restorer(self.cells.channels, corrected, self.latent_channels, width, depth)

    def downscale(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Wavelet analysis of each plane."""
        return (hr, hr[:, :0]) if self.wavelet is None else self.wavelet.analyse(hr)

    def lowpass(self, hr: Tensor) -> Tensor:
        """The LR picture of `downscale` alone, in half the time."""
        return hr if self.wavelet is None else self.wavelet.averages(hr)

    def prefilter(self, lr: Tensor, qp: Tensor | float | None = None) -> Tensor:
        """Coring of each plane; nothing where the quantiser is not known."""
        if self.coring is None or qp is None:
            return lr
        return pack(*(self.coring(plane, qp) for plane in unpack(lr)))

    def upscale(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Wavelet synthesis, the exact inverse of `downscale`."""
        return lr if self.wavelet is None else self.wavelet.synthesise(lr, latent)

    def predict(self, lr: Tensor, qp: Tensor | float | None = None) -> Prediction:
        """Restore the LR picture and predict the latent; without a quantiser, as if coded nearly losslessly."""
        quantiser = torch.as_tensor(0.0 if qp is None else qp, device=lr.device, dtype=torch.float32).reshape(-1)
        height, width = lr.shape[2:]
        whole = F.pad(lr, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        seen = self.cells(whole).contiguous(memory_format=torch.channels_last)
        correction, log_std = self.restorer(seen, quantiser)
        restored, mean = correction.to(lr.dtype).split((PACKED * self.fold**2, self.latent_channels), 1)
        restored = lr + F.pixel_shuffle(restored, self.fold)[..., :height, :width]
        if self.wavelet is None:
            return Prediction(restored, lr[:, :0], lr[:, :0])
        return Prediction(restored, mean, _held(log_std) + self.silent)


def _held(log_std: Tensor) -> Tensor:
    """Within its range; with a gradient beyond it too, or what is too large would never come back."""
    held = log_std.clamp(*LOG_STD_RANGE)
    return log_std + (held - log_std).detach() if torch.is_grad_enabled() else held
