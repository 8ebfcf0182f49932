"""What a receiver's convolutions see of a packed picture: cells in a basis that training gets on with."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Bring means and details near unit variance. The finer a detail, the fainter it is in pictures, and what is faint is
# learned last or never: with plain samples as input, training stalled at a fifth of what a linear filter gains.
BRIGHTNESS, CONTRAST, _FINENESS = 3.0, 10.0, 1.5


class CellTransform(nn.Module):
    """DCT of the cells of a packed picture, each coefficient scaled to about unit variance; the means made local.

    (N, 6, h, w) in [0, 1] → (N, 6·fold² + 3, h/fold, w/fold): for luma the cells have (2·fold)² samples, for Cb and
    Cr fold². The lowest coefficient of a cell becomes its difference to the local mean of its plane, and the three
    local means are appended, since bf16 would round a level or two of 255 away beside the brightness.

    Args:
        fold: packed samples of a cell along each axis.
    """

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold
        luma, cb, cr = _luma_basis(fold), _chroma_basis(fold, 4), _chroma_basis(fold, 5)
        means = [0, len(luma), len(luma) + len(cb)]
        scales = torch.cat((_scales(2 * fold), _scales(fold), _scales(fold)))
        self.means = means
        self.register_buffer("basis", torch.cat((luma, cb, cr))[:, :, None, None], persistent=False)
        self.register_buffer("scales", scales[:, None, None], persistent=False)
        # The lowest coefficient of an orthonormal n×n DCT is n times the mean.
        self.register_buffer("sizes", torch.tensor([2.0 * fold, fold, fold])[:, None, None], persistent=False)
        self.basis: Tensor
        self.scales: Tensor
        self.sizes: Tensor

    @property
    def channels(self) -> int:
        """Of the result."""
        return len(self.basis) + 3

    def forward(self, packed: Tensor) -> Tensor:
        """Transform; always in the precision of the picture."""
        with torch.autocast(packed.device.type, enabled=False):
            cells = F.pixel_unshuffle(packed, self.fold)
            coefficients = F.conv2d(cells, self.basis)
            means = coefficients[:, self.means] / self.sizes  # (N, 3, h, w)
            local = F.avg_pool2d(means, 5, 1, 2, count_include_pad=False)
            scaled = coefficients * self.scales
            scaled[:, self.means] = (means - local) * CONTRAST
            return torch.cat((scaled, (local - 0.5) * BRIGHTNESS), 1)


def dct(size: int) -> Tensor:
    """Orthonormal DCT-II, one row per frequency."""
    k = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(math.pi / size * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows


def _luma_basis(fold: int) -> Tensor:
    """((2·fold)², 6·fold²): two-dimensional DCT over the pixels of a luma cell, as they lie in the packed channels."""
    rows = dct(2 * fold)
    plane = torch.einsum("uy,vx->uvyx", rows, rows).flatten(0, 1)  # (coefficients, 2·fold, 2·fold)
    phases = plane.unflatten(2, (fold, 2)).unflatten(1, (fold, 2)).permute(0, 2, 4, 1, 3)  # (…, py, px, dy, dx)
    basis = torch.zeros(len(plane), 6, fold, fold)
    basis[:, :4] = phases.flatten(1, 2)
    return basis.flatten(1)


def _chroma_basis(fold: int, channel: int) -> Tensor:
    """(fold², 6·fold²): likewise over the samples of a chroma cell."""
    rows = dct(fold)
    plane = torch.einsum("uy,vx->uvyx", rows, rows).flatten(0, 1)
    basis = torch.zeros(len(plane), 6, fold, fold)
    basis[:, channel] = plane.float()
    return basis.flatten(1)


def _scales(size: int) -> Tensor:
    """Contrast times frequency to the power of fineness, for each coefficient of a size×size DCT."""
    k = torch.arange(size, dtype=torch.float32)
    frequency = (k[:, None].square() + k[None].square()).sqrt().flatten()
    return CONTRAST * frequency.clamp(min=1) ** _FINENESS
