"""How far two Y′CbCr pictures are apart in R′G′B′, without the R′G′B′.

R = Y + Cr, B = Y + Cb and G = Y − a·Cb − b·Cr of a difference, with scaled chroma, so six inner products on the luma grid
are all it takes. Chroma is interpolated to that grid, linearly and along each axis alone. What is spread so that a sample
is α·u + β·v with α + β = 1 has the square α·u² + β·v² − αβ·(u − v)², so sums of squares need only the chroma samples
themselves and their differences; and an inner product with luma is one of chroma with luma gathered by the transposed
interpolation. All sums are exact, but for the rounding of float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irn_video.codecs.picture import Picture
from irn_video.pipeline.planes import Samples, chroma_places, code_range, interpolation_weights, luma_weights
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

_Array = NDArray[np.float32]


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
    luma, *chroma = (np.subtract(p, q, dtype=np.float32) for p, q in zip(one.planes, other.planes, strict=True))
    vertical, horizontal = chroma_places(samples)
    rows, columns = _Spread.to(other.height, vertical), _Spread.to(other.width, horizontal)
    bb, rr, both = (_squares(p, rows, columns) for p in (*chroma, chroma[0] + chroma[1]))
    gathered = _gathered(_gathered(luma, vertical).T, horizontal).T.astype(np.float64)
    yb, yr = (float(np.vdot(gathered, p.astype(np.float64))) for p in chroma)

    _, luma_span, chroma_span = code_range(samples.color)
    kr, kb = luma_weights(samples.color, other.height)
    y, b, r = 1 / luma_span, 2 * (1 - kb) / chroma_span, 2 * (1 - kr) / chroma_span
    # What G takes of Cb and Cr.
    gb, gr = -b * kb / (1 - kr - kb), -r * kr / (1 - kr - kb)
    total = 3 * y * y * square(luma) + (b * b + gb * gb) * bb + (r * r + gr * gr) * rr + gb * gr * (both - bb - rr)
    total += 2 * y * ((b + gb) * yb + (r + gr) * yr)
    return max(0.0, total) / (3 * luma.size * (255 * (1 << (other.bit_depth - 8))) ** 2)


def square(plane: NDArray[np.generic], other: NDArray[np.generic] | None = None) -> float:
    """Sum of squares of a plane of uint8, uint16 or float32, or of its difference to another, in float64."""
    if not plane.size:
        return 0.0
    norm = cv2().NORM_L2SQR
    return float(cv2().norm(plane, norm) if other is None else cv2().norm(plane, other, norm))


def _squares(plane: _Array, rows: _Spread, columns: _Spread) -> float:
    """Sum of squares of a chroma plane (h, w) on the luma grid."""

    def along(part: _Array) -> float:
        ends = columns.first * square(part[:, :1]) + columns.last * square(part[:, -1:])
        return columns.inner * square(part) + ends - columns.mixed * square(part[:, 1:], part[:, :-1])

    ends = rows.first * along(plane[:1]) + rows.last * along(plane[-1:])
    return rows.inner * along(plane) + ends - rows.mixed * along(plane[1:] - plane[:-1])


def _gathered(plane: _Array, place: float | None) -> _Array:
    """Rows of luma, each added to those of chroma that it was interpolated from, as much as it took of them."""
    if place is None:
        return plane
    even, odd = plane[0::2], plane[1::2]
    at_even, at_odd = interpolation_weights(place)
    gathered = even * at_even
    gathered[: len(odd)] += odd * at_odd
    if at_even < 1:
        gathered[:1] += even[:1] * (1 - at_even)
        gathered[:-1] += even[1:] * (1 - at_even)
    if at_odd < 1:
        gathered[1:] += odd[: len(even) - 1] * (1 - at_odd)
        gathered[len(even) - 1 : len(odd)] += odd[len(even) - 1 :] * (1 - at_odd)
    return gathered
