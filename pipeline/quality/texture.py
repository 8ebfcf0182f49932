"""How much fine detail a restored picture has, of the source's: ratios of wavelet energy, by place.

Luma is split twice by the wavelet 9/7 of Cohen, Daubechies and Feauveau ("Biorthogonal bases of compactly supported
wavelets", Comm. Pure Appl. Math. 45, 1992), that of JPEG 2000, whose bands are nearly orthonormal and leak less into
each other than Haar's. The fine band is what shrinking by 2 takes away, the coarse one what shrinking by 4 takes too.

Where a place is flat, texture or edge is asked of the source alone, by its structure tensor (Bigün and Granlund, ICCV
1987): flat where the gradient is small, edge where it has one direction, texture elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Plane
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

FLAT, TEXTURE, EDGE = range(3)
FINE, COARSE = range(2)
_LEAST_SIDE = 32  # below that hardly a sample is out of the filters' reach of a border
_STEP = 4  # sides are cut to a multiple, for two levels
# On the training clips these two leave skies, walls and roads flat, put leaves, hair and cloth among the textures, and
# railings, outlines and stripes among the edges.
_FLAT_GRADIENT = 1.5  # root mean square, levels of 8 bits a sample
_EDGE_COHERENCE = 0.85  # (λ1 − λ2) / (λ1 + λ2) of the tensor
_LEAST_ENERGY = 0.1 * 3 / 12  # of the details of a place; a tenth of what rounding to 8 bits leaves there
_NEAR = 4.0  # standard deviation of the tensor's window, samples
_LOW = (0.026748757411, -0.016864118443, -0.078223266529, 0.266864118443, 0.602949018236)
_HIGH = (0.091271763114, -0.057543526229, -0.591271763114, 1.11508705)

_Float = NDArray[np.float32]


def _nothing() -> NDArray[np.float64]:
    return np.zeros((3, 2))


@dataclass(frozen=True)
class Energies:
    """Sums of squared details of a clip or a part of it, by place (`FLAT`, `TEXTURE`, `EDGE`) and band.

    Attributes:
        source, restored: (3, 2), in levels of 8 bits squared; columns are `FINE` and `COARSE`.
        places: (3, 2), how many there are, each with three details.
    """

    source: NDArray[np.float64] = field(default_factory=_nothing)
    restored: NDArray[np.float64] = field(default_factory=_nothing)
    places: NDArray[np.float64] = field(default_factory=_nothing)

    def __add__(self, other: Energies) -> Energies:
        return Energies(self.source + other.source, self.restored + other.restored, self.places + other.places)

    def ratio(self, place: int, band: int) -> float | None:
        """Of energies, 1 is the source's own; None where the source has no such place, or next to no detail there."""
        own = float(self.source[place, band])
        enough = own > _LEAST_ENERGY * self.places[place, band]
        return float(self.restored[place, band]) / own if enough else None


def texture(source: Plane, restored: Plane, bit_depth: int = 8) -> Energies:
    """Energies of one frame; those of a clip are their sum.

    Args:
        source, restored: luma (height, width), integers of `bit_depth` bits.
        bit_depth: 8 to 16.

    Returns:
        All zero for frames with a side under 32 samples.

    Raises:
        SourceMismatch: the sizes differ.
    """
    if source.shape != restored.shape:
        raise SourceMismatch(f"luma of {source.shape} and {restored.shape} cannot be compared")
    if min(source.shape) < _LEAST_SIDE:
        return Energies()
    own, other = (_levels(plane, bit_depth) for plane in (source, restored))
    places = places_of(own)
    counts = [np.bincount(where.ravel(), minlength=3) for where in _by_band(places)]
    return Energies(_energies(own, places), _energies(other, places), np.stack(counts, 1).astype(np.float64))


def places_of(luma: _Float) -> NDArray[np.uint8]:
    """`FLAT`, `TEXTURE` or `EDGE` for each 2×2 samples of a luma plane (height, width) in levels of 8 bits."""
    c = cv2()
    across, down = (c.Sobel(luma, c.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))

    def around(product: _Float) -> Any:
        half = c.resize(product, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=c.INTER_AREA)
        return c.GaussianBlur(half, (0, 0), _NEAR / 2)

    xx, yy, xy = around(across * across), around(down * down), around(across * down)
    energy = xx + yy
    coherent = np.hypot(xx - yy, 2 * xy) > _EDGE_COHERENCE * energy
    places = np.where(coherent, EDGE, TEXTURE).astype(np.uint8)
    places[energy < _FLAT_GRADIENT**2] = FLAT
    return places


def _levels(plane: Plane, bit_depth: int) -> _Float:
    height, width = (side // _STEP * _STEP for side in plane.shape)
    return plane[:height, :width].astype(np.float32) / np.float32(1 << (bit_depth - 8))


def _energies(luma: _Float, places: NDArray[np.uint8]) -> NDArray[np.float64]:
    found = []
    for where in _by_band(places):
        luma, details = _split(luma)
        found.append(np.bincount(where.ravel(), details.ravel(), 3))
    return np.stack(found, 1)


def _by_band(places: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return places, places[::2, ::2]


def _split(luma: _Float) -> tuple[_Float, _Float]:
    """One level: averages, and the squares of all three kinds of details; half as high and wide."""
    low, high = (_along(luma, 1, kernel) for kernel in _kernels())
    average, *details = (_along(half, 0, kernel) for half in (low, high) for kernel in _kernels())
    squares: _Float = sum(np.square(detail) for detail in details)  # type: ignore[assignment]
    return average, squares


def _along(plane: _Float, axis: int, kernel: NDArray[np.float32]) -> _Float:
    """Filtered along an axis; every other sample, the even ones of averages and the odd ones of details."""
    one, first = np.ones(1, np.float32), int(kernel.size == 2 * len(_HIGH) - 1)
    across, down = (kernel, one) if axis else (one, kernel)
    filtered = cv2().sepFilter2D(plane, -1, across, down, borderType=cv2().BORDER_REFLECT_101)
    kept: _Float = np.ascontiguousarray(filtered[:, first::2] if axis else filtered[first::2])
    return kept


def _kernels() -> tuple[NDArray[np.float32], ...]:
    """Low-pass with sum √2, high-pass with as much at the highest frequency."""
    gains = (2**0.5, 2**-0.5)
    return tuple(
        np.array((*half, *half[-2::-1]), np.float32) * np.float32(gain)
        for half, gain in zip((_LOW, _HIGH), gains, strict=True)
    )
