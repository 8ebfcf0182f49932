"""The basis in which a receiver's convolutions see the cells of a packed picture. It must not import PyTorch.

See `cells.py` for what is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from irn_video.pipeline.network.constants import LUMA, PACKED
from numpy.typing import NDArray

# Bring means and details near unit variance. The finer a detail, the fainter it is in pictures, and what is faint is
# learned last or never: with plain samples as input, training stalled at a fifth of what a linear filter gains.
BRIGHTNESS, CONTRAST, _FINENESS = 3.0, 10.0, 1.5
AROUND = 5
"""Side of the squares of cells over which means are local."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CellBasis:
    """DCT of the cells of a packed picture.

    Attributes:
        rows: one per coefficient, over the samples of a cell in the order of `pixel_unshuffle`, (6·fold², 6·fold²).
        scales: what brings each coefficient near unit variance, (6·fold²,).
        means: places of the lowest coefficients of Y, Cb and Cr.
        sizes: of the orthonormal DCTs of the three: the lowest coefficient of an n×n one is n times the mean, (3,).
    """

    rows: Array
    scales: Array
    means: tuple[int, int, int]
    sizes: Array

    @classmethod
    @cache
    def of(cls, fold: int) -> CellBasis:
        """Of cells of `fold` packed samples along each axis."""
        luma, cb, cr = _luma_rows(fold), _chroma_rows(fold, LUMA), _chroma_rows(fold, LUMA + 1)
        return cls(
            rows=np.concatenate((luma, cb, cr)).astype(np.float32),
            scales=np.concatenate((_scales(2 * fold), _scales(fold), _scales(fold))).astype(np.float32),
            means=(0, len(luma), len(luma) + len(cb)),
            sizes=np.array([2 * fold, fold, fold], np.float32),
        )


def dct(size: int) -> NDArray[np.float64]:
    """Orthonormal DCT-II, one row per frequency."""
    k = np.arange(size)
    rows: NDArray[np.float64] = np.cos(np.pi / size * (k[None] + 0.5) * k[:, None]) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return rows


def dct_of_blocks(size: int) -> NDArray[np.float64]:
    """Two-dimensional DCT, one row per coefficient, (size², size²)."""
    rows = dct(size)
    basis: NDArray[np.float64] = np.einsum("uy,vx->uvyx", rows, rows).reshape(size * size, size * size)
    return basis


def _luma_rows(fold: int) -> NDArray[np.float64]:
    """((2·fold)², 6·fold²): over the pixels of a luma cell, as they lie in the packed channels."""
    # (coefficients, dy, py, dx, px): pixel phases (py, px) are channels, places (dy, dx) in the cell come after.
    plane = dct_of_blocks(2 * fold).reshape(-1, fold, 2, fold, 2).transpose(0, 2, 4, 1, 3)
    rows = np.zeros((len(plane), PACKED, fold, fold))
    rows[:, :LUMA] = plane.reshape(len(plane), LUMA, fold, fold)
    return rows.reshape(len(plane), -1)


def _chroma_rows(fold: int, channel: int) -> NDArray[np.float64]:
    """(fold², 6·fold²): likewise over the samples of a chroma cell."""
    plane = dct_of_blocks(fold).reshape(-1, fold, fold)
    rows = np.zeros((len(plane), PACKED, fold, fold))
    rows[:, channel] = plane
    return rows.reshape(len(plane), -1)


def _scales(size: int) -> NDArray[np.float64]:
    """Contrast times frequency to the power of fineness, for each coefficient of a size×size DCT."""
    k = np.arange(size, dtype=np.float64)
    frequency = np.sqrt(k[:, None] ** 2 + k[None] ** 2).ravel()
    scales: NDArray[np.float64] = CONTRAST * np.maximum(frequency, 1) ** _FINENESS
    return scales
