"""The wavelets of packed 4:2:0 pictures, alike on luma and chroma."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.constants import LUMA, PACKED
from irn_video.pipeline.network.lifting import LiftedSplit
from irn_video.pipeline.network.thirds import ThirdsSplit
from torch import Tensor

_AROUND = 9  # samples across: what differs from their mean is fine
_KINDS = 5
"""Details of 3×3 samples."""


class Halves(LiftedSplit):
    """By 2 along each axis, once or several times.

    Args:
        levels: how often.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def analyse(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 6, h, w) → averages and details: of the finest level first, of luma (·4), then chroma (·2)."""
        lr, latent = hr, []
        for level in reversed(range(self.levels)):
            lr, details = self._analyse_packed(lr)
            latent.append(F.pixel_unshuffle(details, 2**level))
        return lr, torch.cat(latent, 1)

    def averages(self, hr: Tensor) -> Tensor:
        """Those of `analyse` alone, in half the time."""
        for _ in range(self.levels):
            luma, chroma = self._average(*hr[:, :LUMA].split(1, 1)), self._average(*_phases(hr[:, LUMA:]))
            hr = torch.cat((*_phases(luma), chroma), 1)
        return hr

    def synthesise(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Undo `analyse`."""
        hr, sizes = lr, [3 * PACKED * 4**level for level in reversed(range(self.levels))]
        for level, details in enumerate(reversed(latent.split(sizes, 1))):
            hr = self._synthesise_packed(hr, F.pixel_shuffle(details, 2**level))
        return hr

    def _analyse_packed(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 6, 2h, 2w) → averages (N, 6, h, w), details (N, 18, h, w)."""
        luma, details = self._analyse(*hr[:, :LUMA].split(1, 1))  # (N, 1, 2h, 2w), 3 × (N, 1, 2h, 2w)
        phases = _phases(hr[:, LUMA:])  # 4 × (N, 2, h, w)
        chroma, chroma_details = self._analyse(*phases)
        luma_details = F.pixel_unshuffle(torch.cat(details, 1), 2)  # (N, 12, h, w)
        return torch.cat((*_phases(luma), chroma), 1), torch.cat((luma_details, *chroma_details), 1)

    def _synthesise_packed(self, low: Tensor, latent: Tensor) -> Tensor:
        """Undo `_analyse_packed`."""
        luma = _joined_luma(low)
        details = (_join_phases(*band.split(1, 1)) for band in latent[:, : 3 * LUMA].split(LUMA, 1))
        chroma_details = latent[:, 3 * LUMA :].split(2, 1)
        cells = self._synthesise(luma, *details)  # 4 × (N, 1, 2h, 2w)
        phases = self._synthesise(low[:, LUMA:], *chroma_details)  # 4 × (N, 2, h, w)
        return torch.cat((*cells, _join_phases(*phases)), 1)

    def _analyse(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Phases (top left, top right, bottom left, bottom right) → average, (horizontal, vertical, diagonal)."""
        (top, top_h), (bottom, bottom_h) = self.split(a, b, -1), self.split(c, d, -1)
        low, vertical = self.split(top, bottom, -2)
        horizontal, diagonal = self.split(top_h, bottom_h, -2)
        return low, (horizontal, vertical, diagonal)

    def _average(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        """The average of `_analyse`."""
        top, bottom = self.average(a, b, -1), self.average(c, d, -1)
        return self.average(top, bottom, -2)

    def _synthesise(self, low: Tensor, horizontal: Tensor, vertical: Tensor, diagonal: Tensor) -> tuple[Tensor, ...]:
        top, bottom = self.join(low, vertical, -2)
        top_h, bottom_h = self.join(horizontal, diagonal, -2)
        return *self.join(top, top_h, -1), *self.join(bottom, bottom_h, -1)


class Thirds(ThirdsSplit):
    """By 3/2 along each axis."""

    def analyse(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 6, 3h, 3w) → averages (N, 6, 2h, 2w), details (N, 30, h, w): of luma (·4), then chroma (·2)."""
        luma, luma_details = self._analyse(_joined_luma(hr))
        chroma, chroma_details = self._analyse(hr[:, LUMA:])
        details = torch.cat((F.pixel_unshuffle(luma_details, 2), chroma_details), 1)
        return torch.cat((*_phases(luma), chroma), 1), details

    def averages(self, hr: Tensor) -> Tensor:
        """Those of `analyse` alone."""
        luma, chroma = (self.split(self.split(plane, -1)[0], -2)[0] for plane in (_joined_luma(hr), hr[:, LUMA:]))
        return torch.cat((*_phases(luma), chroma), 1)

    def synthesise(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Undo `analyse`."""
        luma_details, chroma_details = latent.split((_KINDS * LUMA, _KINDS * 2), 1)
        luma = self._synthesise(_joined_luma(lr), F.pixel_shuffle(luma_details, 2))
        return torch.cat((*_phases(luma), self._synthesise(lr[:, LUMA:], chroma_details)), 1)

    def _analyse(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, 3h, 3w) → averages (N, C, 2h, 2w), details (N, 5·C, h, w): vertical two, horizontal two, diagonal."""
        columns, horizontal = self.split(planes, -1)
        low, vertical = self.split(columns, -2)
        horizontal, diagonal = self.split(horizontal, -2)
        kinds = (vertical[..., ::2], vertical[..., 1::2], horizontal[..., ::2, :], horizontal[..., 1::2, :], diagonal)
        return low, torch.cat(kinds, 1)

    def _synthesise(self, low: Tensor, details: Tensor) -> Tensor:
        """Undo `_analyse`."""
        left, right, top, bottom, diagonal = details.chunk(_KINDS, 1)
        columns = self.join(low, torch.stack((left, right), -1).flatten(-2), -2)
        horizontal = self.join(torch.stack((top, bottom), -2).flatten(-3, -2), diagonal, -2)
        return self.join(columns, horizontal, -1)


def pack(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Planes (N, 1, H, W), (N, 1, H/2, W/2) twice → packed picture (N, 6, H/2, W/2)."""
    return torch.cat((*_phases(y), u, v), 1)


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Undo `pack`."""
    return _joined_luma(packed), packed[:, LUMA : LUMA + 1], packed[:, LUMA + 1 :]


def fine_luma(packed: Tensor) -> Tensor:
    """What of the luma of packed 4:2:0, (N, 6, h, w), differs from its surroundings, (N, 4, h, w)."""
    luma = _joined_luma(packed)
    around = F.avg_pool2d(luma, _AROUND, 1, _AROUND // 2, count_include_pad=False)
    return F.pixel_unshuffle(luma - around, 2)


def error_weights(channels: int) -> Tensor:
    """How much the mean squared error of each channel of LR and latent counts for that of Y, U and V, (channels, 3).

    The wavelets are nearly orthonormal, so the error of a plane is the sum of the errors of its subbands (Parseval).

    Args:
        channels: PACKED·p² for a scale of p/q, with q² samples of the LR picture in a place.
    """
    if channels == PACKED * 3**2:
        return _error_weights_of_thirds()
    parts, places = [_weights(1)], channels // PACKED
    while places > 1:  # the finest details come first, with a fourth as many samples a cell at each further level
        places //= 4
        parts.append(_weights(3).repeat_interleave(places, 0) / places)
    return torch.cat(parts)


def _error_weights_of_thirds() -> Tensor:
    """At scale 3/2: averages in 2×2 places; of the details two are vertical, two horizontal, one diagonal."""
    kinds = torch.tensor((0.5, 0.5, 0.5, 0.5, 1.0))
    details = _weights(len(kinds)) * torch.cat((kinds.repeat_interleave(LUMA), kinds.repeat_interleave(2)))[:, None]
    return torch.cat((_weights(1).repeat_interleave(4, 0) / 4, details))


def _weights(kinds: int) -> Tensor:
    """For bands of one sample in each place: four phases of luma, Cb, Cr."""
    luma, cb, cr = (1 / LUMA, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    return torch.tensor([*[luma] * LUMA * kinds, *[cb, cr] * kinds])


def _joined_luma(packed: Tensor) -> Tensor:
    return _join_phases(*packed[:, :LUMA].split(1, 1))


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
