"""Rescalers made for H.264 4:2:0: a learned wavelet down, a conditional latent up.

    sender     HR planes ── f (lifted wavelet) ──> LR | latent z                            z is dropped
    receiver   decoded LR, quantiser ── features ──> restored LR, latent mean μ and std σ
               z = μ + temperature · σ · N(0, 1)  ── f⁻¹ (reverse pass) ──> HR planes

H.264 erases the small changes in which the paper's networks hide detail, so here the detail is predicted from what
arrives (a latent distribution conditioned on the LR picture, as in SelfC, ICCV 2021), given the quantiser.

At scale 1 the picture is sent as it is, there is no latent, and the receiver only takes the coding error away; at
scale 4 the wavelet is applied twice.

All tensors are packed 4:2:0 pictures, (N, 6, H/2, W/2): the four luma phases of each 2×2 cell, then Cb and Cr, so
luma and chroma share one grid and the features serve both.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.cells import CellTransform
from irn_video.pipeline.network.constants import (
    DETAIL,
    LOG_STD_RANGE,
    LUMA,
    PACKED,
    QP_CENTRE,
    QP_SPREAD,
    fold_of,
)
from irn_video.pipeline.network.coring import Coring
from irn_video.pipeline.network.lifting import LiftedSplit
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
        if self.spread is not None:
            nn.init.zeros_(self.spread.weight)
            nn.init.constant_(self.spread.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, cells: Tensor, qp: Tensor) -> tuple[Tensor, Tensor]:
        """What it sees (N, seen, h, w), qp (1 or N,) → corrections (N, corrected, h, w), log-std (N, latent, h, w)."""
        x, condition = self.features(cells, qp)
        log_std = x[:, :0] if self.spread is None else self.spread(x.detach())
        return (self.last(x) + self.shortcut(cells, condition)) * DETAIL, log_std

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

    hr (N, 6, H/2, W/2) of an H×W picture; lr (N, 6, H/2/scale, W/2/scale); H and W multiples of 2·scale.

    Args:
        width: see `Restorer`.
        depth: likewise.
        scale: 1, 2 or 4.
        coring: strength of the sender's `Coring`, 0 for none.
    """

    channels = PACKED

    def __init__(self, width: int = 48, depth: int = 3, scale: int = 2, coring: float = 0.0) -> None:
        super().__init__()
        self.scale = self.multiple = scale
        self.levels = int(math.log2(scale))
        if self.levels:
            self.wavelet = LiftedSplit()
        self.coring = Coring(coring) if coring else None
        self.fold = fold_of(scale)
        self.cells = CellTransform(self.fold)
        corrected, self.latent_channels = PACKED * self.fold**2 * scale**2, PACKED * (scale**2 - 1)
        self.restorer = Restorer(self.cells.channels, corrected, self.latent_channels, width, depth)

    def downscale(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Wavelet analysis of each plane; latent: details of the finest level first, of luma (·4), then chroma (·2)."""
        lr, latent = hr, []
        for level in reversed(range(self.levels)):
            lr, details = self._analyse_packed(lr)
            latent.append(F.pixel_unshuffle(details, 2**level))
        return lr, torch.cat([*latent, lr[:, :0]], 1)

    def lowpass(self, hr: Tensor) -> Tensor:
        """The LR picture of `downscale` alone, in half the time."""
        for _ in range(self.levels):
            luma, chroma = self._average(*hr[:, :LUMA].split(1, 1)), self._average(*_phases(hr[:, LUMA:]))
            hr = torch.cat((*_phases(luma), chroma), 1)
        return hr

    def prefilter(self, lr: Tensor, qp: Tensor | float | None = None) -> Tensor:
        """Coring of each plane; nothing where the quantiser is not known."""
        if self.coring is None or qp is None:
            return lr
        return pack(*(self.coring(plane, qp) for plane in unpack(lr)))

    def upscale(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Wavelet synthesis, the exact inverse of `downscale`."""
        hr, sizes = lr, [3 * PACKED * 4**level for level in reversed(range(self.levels))]
        parts = latent.split(sizes, 1) if sizes else ()
        for level, details in enumerate(reversed(parts)):
            hr = self._synthesise_packed(hr, F.pixel_shuffle(details, 2**level))
        return hr

    def predict(self, lr: Tensor, qp: Tensor | float | None = None) -> Prediction:
        """Restore the LR picture and predict the latent; without a quantiser, as if coded nearly losslessly."""
        quantiser = torch.as_tensor(0.0 if qp is None else qp, device=lr.device, dtype=torch.float32).reshape(-1)
        height, width = lr.shape[2:]
        whole = F.pad(lr, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        seen = self.cells(whole).contiguous(memory_format=torch.channels_last)
        correction, log_std = self.restorer(seen, quantiser)
        correction = F.pixel_shuffle(correction.to(lr.dtype), self.fold)[..., :height, :width]
        log_std = log_std.clamp(*LOG_STD_RANGE) if self.levels else correction[:, PACKED:]  # no latent at scale 1
        return Prediction(lr + correction[:, :PACKED], correction[:, PACKED:], log_std)

    def _analyse_packed(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 6, 2h, 2w) → averages (N, 6, h, w), details (N, 18, h, w)."""
        luma, details = self._analyse(*hr[:, :LUMA].split(1, 1))  # (N, 1, 2h, 2w), 3 × (N, 1, 2h, 2w)
        phases = _phases(hr[:, LUMA:])  # 4 × (N, 2, h, w)
        chroma, chroma_details = self._analyse(*phases)
        luma_details = F.pixel_unshuffle(torch.cat(details, 1), 2)  # (N, 12, h, w)
        return torch.cat((*_phases(luma), chroma), 1), torch.cat((luma_details, *chroma_details), 1)

    def _synthesise_packed(self, low: Tensor, latent: Tensor) -> Tensor:
        """Undo `_analyse_packed`."""
        luma = _join_phases(*low[:, :LUMA].split(1, 1))
        details = (_join_phases(*band.split(1, 1)) for band in latent[:, : 3 * LUMA].split(LUMA, 1))
        chroma_details = latent[:, 3 * LUMA :].split(2, 1)
        cells = self._synthesise(luma, *details)  # 4 × (N, 1, 2h, 2w)
        phases = self._synthesise(low[:, LUMA:], *chroma_details)  # 4 × (N, 2, h, w)
        return torch.cat((*cells, _join_phases(*phases)), 1)

    def _analyse(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Phases (top left, top right, bottom left, bottom right) → average, (horizontal, vertical, diagonal)."""
        (top, top_h), (bottom, bottom_h) = self.wavelet.split(a, b, -1), self.wavelet.split(c, d, -1)
        low, vertical = self.wavelet.split(top, bottom, -2)
        horizontal, diagonal = self.wavelet.split(top_h, bottom_h, -2)
        return low, (horizontal, vertical, diagonal)

    def _average(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        """The average of `_analyse`."""
        top, bottom = self.wavelet.average(a, b, -1), self.wavelet.average(c, d, -1)
        return self.wavelet.average(top, bottom, -2)

    def _synthesise(self, low: Tensor, horizontal: Tensor, vertical: Tensor, diagonal: Tensor) -> tuple[Tensor, ...]:
        top, bottom = self.wavelet.join(low, vertical, -2)
        top_h, bottom_h = self.wavelet.join(horizontal, diagonal, -2)
        return *self.wavelet.join(top, top_h, -1), *self.wavelet.join(bottom, bottom_h, -1)


def pack(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Planes (N, 1, H, W), (N, 1, H/2, W/2) twice → packed picture (N, 6, H/2, W/2)."""
    return torch.cat((*_phases(y), u, v), 1)


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Undo `pack`."""
    return _join_phases(*packed[:, :LUMA].split(1, 1)), packed[:, LUMA : LUMA + 1], packed[:, LUMA + 1 :]


def _phases(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]


def _join_phases(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Undo `_phases`."""
    if torch.is_grad_enabled():
        return F.pixel_shuffle(torch.stack((a, b, c, d), 2).flatten(1, 2), 2)
    whole = a.new_empty((*a.shape[:-2], 2 * a.shape[-2], 2 * a.shape[-1]))
    for phase, place in zip((a, b, c, d), _phases(whole), strict=True):
        place.copy_(phase)  # in place: half the time
    return whole
