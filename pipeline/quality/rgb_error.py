"""How far two Y′CbCr pictures are apart in R′G′B′, without the R′G′B′.

R = Y + Cr, B = Y + Cb and G = Y − a·Cb − b·Cr of a difference, with scaled chroma, so six inner products on the luma
grid are all it takes. None of them has to be formed there, since chroma comes to it by linear interpolation:

- (α·u + β·v)² = α·u² + β·v² − αβ·(u − v)² where α + β = 1, so sums of squares need only the squares of chroma samples
  and of their differences;
- an inner product of luma with interpolated chroma is one of chroma with luma gathered by the transposed interpolation.

All are sums of integers, exact but for the rounding of float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from irn_video.codecs.picture import Picture
from irn_video.pipeline.planes import Samples, chroma_places, code_range, interpolation_weights, luma_weights
from irn_video.pipeline.quality.squares import sum_of_squares
from numpy.typing import NDArray

_Array = NDArray[Any]
"""Integers, as int16 or float32: whatever is fast and wide enough."""
_GATHERED = 4  # times as much: weights of linear interpolation are quarters


@dataclass(frozen=True)
class _Spread:
    """Squares after interpolation along an axis: inner·Σu² + first·u₀² + last·uₙ² − mixed·Σ(uₖ − uₖ₊₁)²."""

    inner: float = 1.0
    first: float = 0.0
    last: float = 0.0
    mixed: float = 0.0

    @classmethod
    def to(cls, size: int, place: float | None) -> _Spread:
        """To so many luma samples; see `chroma_places`."""
        if place is None:
            return cls()
        even, odd = interpolation_weights(place)
        mixed = even * (1 - even) + odd * (1 - odd)
        return cls(2, odd - even, even - odd - size % 2, mixed)


def rgb_mean_square(one: Picture, other: Picture) -> float:
    """Mean square of the difference over R′, G′ and B′ in [0, 1], neither rounded nor clipped.

    Args:
        one: Y′CbCr.
        other: of the same size, layout and depth; its colour is that of both.
    """
    samples = Samples.of(other)
    kind: Any = np.int16 if other.bit_depth == 8 else np.float32
    luma, *chroma = (np.subtract(p, q, dtype=kind) for p, q in zip(one.planes, other.planes, strict=True))
    vertical, horizontal = chroma_places(samples)
    rows, columns = _Spread.to(other.height, vertical), _Spread.to(other.width, horizontal)
    bb, rr, both = (_squares(p, rows, columns) for p in (*chroma, chroma[0] + chroma[1]))
    gathered = _gathered(_gathered(luma, vertical).T, horizontal).T.astype(np.float64)
    yb, yr = (float(np.einsum("yx,yx", gathered, p.astype(np.float64))) / _GATHERED**2 for p in chroma)

    _, luma_span, chroma_span = code_range(samples.color)
    kr, kb = luma_weights(samples.color, other.height)
    y, b, r = 1 / luma_span, 2 * (1 - kb) / chroma_span, 2 * (1 - kr) / chroma_span
    # What G takes of Cb and Cr.
    gb, gr = -b * kb / (1 - kr - kb), -r * kr / (1 - kr - kb)
    alone = 3 * y * y * sum_of_squares(luma) + (b * b + gb * gb) * bb + (r * r + gr * gr) * rr
    mixed = 2 * y * ((b + gb) * yb + (r + gr) * yr) + gb * gr * (both - bb - rr)
    return max(0.0, alone + mixed) / (3 * luma.size * (255 * (1 << (other.bit_depth - 8))) ** 2)


def _squares(plane: _Array, rows: _Spread, columns: _Spread) -> float:
    """Sum of squares of a chroma plane (h, w) on the luma grid."""

    def along(part: _Array) -> float:
        ends = columns.first * sum_of_squares(part[:, :1]) + columns.last * sum_of_squares(part[:, -1:])
        total = columns.inner * sum_of_squares(part) + ends
        return total - columns.mixed * sum_of_squares(part[:, 1:] - part[:, :-1]) if columns.mixed else total

    ends = rows.first * along(plane[:1]) + rows.last * along(plane[-1:])
    total = rows.inner * along(plane) + ends
    return total - rows.mixed * along(plane[1:] - plane[:-1]) if rows.mixed else total


def _gathered(plane: _Array, place: float | None) -> _Array:
    """Rows of luma added to the rows of chroma that are interpolated to them, by their weights times 4."""
    if place is None:
        return plane * _GATHERED
    even, odd = plane[0::2], plane[1::2]
    at_even, at_odd = (round(_GATHERED * weight) for weight in interpolation_weights(place))
    rest_even, rest_odd = _GATHERED - at_even, _GATHERED - at_odd
    gathered: _Array = even * at_even
    gathered[: len(odd)] += odd * at_odd
    if rest_even:
        gathered[:1] += even[:1] * rest_even
        gathered[:-1] += even[1:] * rest_even
    if rest_odd:
        gathered[1:] += odd[: len(even) - 1] * rest_odd
        gathered[len(even) - 1 : len(odd)] += odd[len(even) - 1 :] * rest_odd
    return gathered
