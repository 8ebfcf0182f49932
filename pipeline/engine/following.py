"""Where what is seen came from, so that drawn detail goes along with it: texture sticks to things and does not boil.

Each place of a decoded picture has an origin: where it was in the first picture, as far as optical flow can tell. The
noise of a latent is looked up there, so that it moves as the picture does (the advected noise of Perlin and Neyret
2001, "Flow noise", without its turbulence) and lies still where nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from irn_video.codecs.picture import Picture
from irn_video.pipeline.engine.noise import CANVAS
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cv2 import DISOpticalFlow

Array = NDArray[np.float32]
FAINT = 0.1
"""Up to this temperature the noise is not seen, and need not be followed."""
CELL = 2
"""Luma samples of the LR picture in a place, along each axis."""
_AROUND = (9, 9)  # places whose differences are averaged
_NO_BETTER = 0.3  # levels by which motion has to explain a place better than standing still
_OTHER = 10.0  # levels of difference from which on it is something else that is seen
_LEAST_SIDE = 16  # of a picture that optical flow takes


def followed(pictures: Iterable[Picture], temperature: float) -> Iterator[Picture]:
    """Pictures of a stream with their origins, where so much noise is drawn that it shows."""
    return map(Follower(), pictures) if temperature > FAINT else iter(pictures)


class Follower:
    """Gives the pictures of a stream their origins, in the order in which they are shown."""

    def __init__(self) -> None:
        self._flow: DISOpticalFlow = cv2().DISOpticalFlow_create(cv2().DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setUseSpatialPropagation(True)
        self._before: NDArray[np.uint8] | None = None
        self._origins, self._count = np.zeros((0, 0, 2), np.float32), 0

    def __call__(self, picture: Picture) -> Picture:
        """The picture with its origins."""
        luma = _small(picture)
        before, self._before, self._count = self._before, luma, self._count + 1
        new = _places(luma.shape) + self._random.integers(0, CANVAS, 2).astype(np.float32)
        known = before is not None and before.shape == luma.shape and min(luma.shape) >= _LEAST_SIDE
        self._origins = self._followed(before, luma, new) if known and before is not None else new
        return replace(picture, origins=self._origins)

    @property
    def _random(self) -> np.random.Generator:
        """For this picture."""
        return np.random.Generator(np.random.PCG64(self._count))

    def _followed(self, before: NDArray[np.uint8], luma: NDArray[np.uint8], new: Array) -> Array:
        """Origins of a picture given those of the one before; `new` for what is seen for the first time."""
        flow = self._flow.calc(luma, before, np.zeros((*luma.shape, 2), np.float32))  # where each place was
        still = _difference(luma, before)
        x, y = (flow[..., axis] + np.arange(luma.shape[1 - axis], dtype=np.float32)[_along(axis)] for axis in (0, 1))
        moved = _difference(luma, cv2().remap(before, x, y, cv2().INTER_LINEAR, borderMode=cv2().BORDER_REPLICATE))
        stays = still <= moved + _NO_BETTER
        origins = cv2().remap(self._origins, x, y, cv2().INTER_LINEAR, borderMode=cv2().BORDER_REPLICATE)
        inside = (x >= 0) & (y >= 0) & (x <= luma.shape[1] - 1) & (y <= luma.shape[0] - 1)
        same = np.where(stays, still, moved) < _OTHER
        found: Array = np.where(stays[..., None], self._origins, origins)
        return np.where((same & (inside | stays))[..., None], found, new)


def _along(axis: int) -> tuple[slice | None, ...]:
    return (None, slice(None)) if axis == 0 else (slice(None), None)


def _small(picture: Picture) -> NDArray[np.uint8]:
    """Luma at the size of 4:2:0 chroma, 8 bits."""
    luma = picture.planes[0]
    if picture.bit_depth > 8:
        luma = (luma >> (picture.bit_depth - 8)).astype(np.uint8)
    height, width = luma.shape
    size = (-(-width // CELL), -(-height // CELL))
    return np.asarray(cv2().resize(luma, size, interpolation=cv2().INTER_AREA), np.uint8)


def _places(shape: tuple[int, ...]) -> Array:
    """Where each place is, x and y, in luma samples of the LR picture."""
    rows, columns = np.indices(shape, np.float32)
    return np.stack((columns, rows), -1) * CELL


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Array:
    """Mean of the absolute difference around each place."""
    return np.asarray(cv2().blur(cv2().absdiff(one, other).astype(np.float32), _AROUND), np.float32)
