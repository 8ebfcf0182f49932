"""Numbers of the codec-aware networks that every way to compute them shares. This module must not import PyTorch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from torch import Tensor

Number = TypeVar("Number", bound="float | Tensor")
PACKED, LUMA = 6, 4
"""Channels of a packed 4:2:0 picture, and those of them that are luma."""
# Centre and spread of the quantisers seen in training, to bring the input of the modulation near unit range.
QP_CENTRE, QP_SPREAD = 26.0, 12.0
QP_STEPS = 4
"""Steps of a quantiser that receivers tell apart: a network is made ready for each, which takes milliseconds."""
# Natural size of wavelet details; without it the steps of the optimiser are far larger than what is to be learned.
DETAIL = 0.02
# The upper end is what details hardly exceed (0.03, or 8 levels of 255): an unbounded exponential shoots off at the
# strongest edges, and half a per cent of outliers would cost more PSNR than all other samples together.
LOG_STD_RANGE = (-9.0, -3.5)
# Of the orthogonal matrix with which the split into thirds begins.
THIRDS_EDGE, THIRDS_DETAIL = 1 / math.sqrt(6), math.sqrt(2) / 3
CORING_SIDE = 8
"""Of the blocks whose DCT the sender's coring changes."""
# Blocks at several places are averaged, so that their edges do not show (cycle spinning, Coifman and Donoho 1995).
CORING_SHIFTS = ((0, 0), (4, 4), (2, 6), (6, 2))


def quantiser_step(qp: Number) -> Number:
    """Step of an H.264 quantiser in levels of 8 bits (ITU-T H.264, 8.5.9: it doubles every 6)."""
    return cast("Number", 2.0 ** ((qp - 4) / 6))


def fold_of(scale: float) -> int:
    """Packed samples of a cell along each axis.

    On the grid of the packed picture a network of scale 1 would cost four times as much as one of scale 2: 4×4 cells
    (those of H.264's transform) make up for it. At scale 3/2 a cell of them is one of 6×6 HR samples.
    """
    return 1 if scale >= 2 else 2


def latent_channels_of(scale: float) -> int:
    """Channels of the latent: what the HR samples of one of its places have more than the LR samples."""
    more, fewer = scale.as_integer_ratio()
    return PACKED * (more**2 - fewer**2)


def sampled_channels(scale: float) -> tuple[int, ...]:
    """Channels of the latent that are drawn: those of luma, which come first in each level of the wavelet.

    Noise in Cb and Cr would show as coloured dots, and natural grain has next to no colour.
    """
    if scale == 1.5:
        return tuple(range(latent_channels_of(scale) * LUMA // PACKED))
    found, start = list[int](), 0
    for level in reversed(range(int(math.log2(scale)))):
        channels = 3 * PACKED * 4**level
        found += range(start, start + channels * LUMA // PACKED)
        start += channels
    return tuple(found)
