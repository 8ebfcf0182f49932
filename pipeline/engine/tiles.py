"""The paper's networks on large pictures, coupling layer by coupling layer in tiles.

A dense block has ten times as many features as a coupling layer of scale 2 has channels, so what is large lives within
one layer. A tile overlaps its neighbours by what that layer sees, ten samples, where the whole network sees 80 and
more. So tiles leave no trace but that of rounding, and cost about a tenth more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from irn_video.pipeline.network.coupling import AffineCoupling
from irn_video.pipeline.network.paper import PaperRescaler
from torch import Tensor

Index = tuple[slice, slice, slice, slice]
REACH = 10
"""Samples to each side that a coupling layer sees: two dense blocks of five 3×3 convolutions."""
# Side of a tile in samples of the layer, about 0.2 GB of features; what has no more samples than one is done at once.
_SIDE = 384


@dataclass(frozen=True)
class Span:
    """Rows or columns of a tile: those that are kept, and those that are needed to compute them."""

    start: int
    stop: int
    outer_start: int
    outer_stop: int


@dataclass(frozen=True)
class Tile:
    """A part of an array (N, C, H, W)."""

    rows: Span
    columns: Span

    def inner(self) -> Index:
        """Of what is kept."""
        return _index(*((span.start, span.stop) for span in (self.rows, self.columns)))

    def outer(self) -> Index:
        """Of what is needed."""
        return _index(*((span.outer_start, span.outer_stop) for span in (self.rows, self.columns)))

    def inner_of_outer(self) -> Index:
        """Of what is kept, within what is needed."""
        return _index(*((s.start - s.outer_start, s.stop - s.outer_start) for s in (self.rows, self.columns)))


def tiles(height: int, width: int, side: int, reach: int) -> list[Tile]:
    """Cover an array by tiles of about one size, at most `side`; each sees `reach` samples around it, where there are.

    Args:
        height, width: of the array.
        side: largest of what is kept of a tile.
        reach: how far is seen.
    """
    rows, columns = (
        [
            Span(start, stop, max(0, start - reach), min(stop + reach, size))
            for start, stop in zip(_cuts(size, side)[:-1], _cuts(size, side)[1:], strict=True)
        ]
        for size in (height, width)
    )
    return [Tile(row, column) for row in rows for column in columns]


def downscale(network: PaperRescaler, hr: Tensor) -> tuple[Tensor, Tensor]:
    """`network.downscale` without gradients: (N, 3, H, W) → LR (N, 3, H/scale, W/scale), latent."""
    x = hr
    for operation in network.operations:
        x = _in_tiles(operation, x) if isinstance(operation, AffineCoupling) else operation(x)
    return x[:, : network.channels], x[:, network.channels :]


def upscale(network: PaperRescaler, lr: Tensor, latent: Tensor) -> Tensor:
    """`network.upscale` without gradients: LR and latent → (N, 3, H, W)."""
    y = torch.cat((lr, latent), 1)
    for operation in reversed(network.operations):
        inverse: Callable[[Tensor], Tensor] = operation.inverse  # type: ignore[assignment]
        y = _in_tiles(inverse, y) if isinstance(operation, AffineCoupling) else inverse(y)
    return y


def _in_tiles(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A coupling layer, or its inverse."""
    height, width = x.shape[-2:]
    if height * width <= _SIDE**2:
        return layer(x)
    y = torch.empty_like(x)
    for tile in tiles(height, width, _SIDE, REACH):
        y[tile.inner()] = layer(x[tile.outer()])[tile.inner_of_outer()]
    return y


def _cuts(size: int, side: int) -> list[int]:
    count = -(-size // side)
    return [size * index // count for index in range(count + 1)]


def _index(rows: tuple[int, int], columns: tuple[int, int]) -> Index:
    return slice(None), slice(None), slice(*rows), slice(*columns)
