"""The paper's networks on large pictures: coupling layers in place, their dense blocks in tiles.

A dense block has ten times as many features as a coupling layer of scale 2 has channels, so what is large lives within
one block. A tile overlaps its neighbours by what a block sees, five samples, where the whole network sees 80 and more.
So tiles leave no trace but that of rounding, and cost little.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from irn_video.pipeline.network.coupling import AffineCoupling
from irn_video.pipeline.network.paper import PaperRescaler
from torch import Tensor

Index = tuple[slice, slice, slice, slice]
REACH = 5
"""Samples to each side that a dense block sees: five 3×3 convolutions."""
# Side of a tile in samples of the layer, about 0.2 GB of features.
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
        if isinstance(operation, AffineCoupling):
            _couple(operation, x)
        else:
            x = operation(x)
    return x[:, : network.channels], x[:, network.channels :]


def upscale(network: PaperRescaler, lr: Tensor, latent: Tensor) -> Tensor:
    """`network.upscale` without gradients: LR and latent → (N, 3, H, W)."""
    y = torch.cat((lr, latent), 1)
    for operation in reversed(network.operations):
        if isinstance(operation, AffineCoupling):
            _uncouple(operation, y)
        else:
            y = operation.inverse(y)  # type: ignore[operator]
    return y


def _couple(layer: AffineCoupling, x: Tensor) -> None:
    """A coupling layer in place: each of its steps changes one part by what it sees of the other."""
    one, other = x[:, : layer.split], x[:, layer.split :]
    parts = _tiles(x)
    for tile in parts:
        one[tile.inner()] += layer.F(other[tile.outer()])[tile.inner_of_outer()]
    for tile in parts:
        seen, here = one[tile.outer()], tile.inner_of_outer()
        scaled = other[tile.inner()] * torch.exp(layer.log_scale(seen)[here])
        other[tile.inner()] = scaled + layer.G(seen)[here]


def _uncouple(layer: AffineCoupling, y: Tensor) -> None:
    """Its inverse, likewise."""
    one, other = y[:, : layer.split], y[:, layer.split :]
    parts = _tiles(y)
    for tile in parts:
        seen, here = one[tile.outer()], tile.inner_of_outer()
        rest = other[tile.inner()] - layer.G(seen)[here]
        other[tile.inner()] = rest * torch.exp(-layer.log_scale(seen)[here])
    for tile in parts:
        one[tile.inner()] -= layer.F(other[tile.outer()])[tile.inner_of_outer()]


def _tiles(x: Tensor) -> list[Tile]:
    height, width = x.shape[-2:]
    return tiles(height, width, _SIDE, REACH)


def _cuts(size: int, side: int) -> list[int]:
    count = -(-size // side)
    return [size * index // count for index in range(count + 1)]


def _index(rows: tuple[int, int], columns: tuple[int, int]) -> Index:
    return slice(None), slice(None), slice(*rows), slice(*columns)
