"""Noise for latents: drawn once, of which every picture and channel has a window of its own.

Where a picture knows what has moved (`following`), its noise has moved with it instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from irn_video.pipeline.network.constants import LUMA, fold_of, sampled_channels
from numpy.typing import NDArray

Array = NDArray[np.float32]
Indices = NDArray[np.int32]
CANVAS = 1 << 9
"""Samples along each side of the noise that moves, which repeats itself there."""
# Places where a window may begin. Drawing a million numbers for each 720p picture would take 14 ms (AMD EPYC).
_PLACES = 1 << 18
_SEEDS = 1 << 64  # which NumPy takes, from 0


def windows(seed: int, index: int, channels: int, samples: int) -> list[Array]:
    """Normal noise N(0, 1) for picture `index` of a stream: `channels` windows of `samples`, not to be written to.

    The same arguments give the same noise, on every machine and whatever was drawn before.
    """
    whole = field(seed, samples)
    return [whole[place : place + samples] for place in places(seed, index, channels)]


def places(seed: int, index: int, channels: int) -> NDArray[np.int64]:
    """Where the windows of a picture begin in the field of its stream."""
    return np.random.Generator(np.random.PCG64([seed % _SEEDS, index % _SEEDS])).integers(0, _PLACES, channels)


@lru_cache(maxsize=2)
def field(seed: int, samples: int) -> Array:
    """What windows of so many samples are taken of, not to be written to."""
    whole = np.random.Generator(np.random.PCG64(seed % _SEEDS)).standard_normal(_PLACES + samples, np.float32)
    whole.setflags(write=False)
    return whole


def moved(seed: int, origins: Array, scale: float) -> Iterator[Array]:
    """Normal noise for each channel of a latent that is drawn, (h, w), in their order, for a picture with `origins`.

    Args:
        seed: of the stream.
        origins: see `following`.
        scale: of the network, above 1.
    """
    fold = fold_of(scale)
    channels = [_place_of(channel, scale) for channel in range(len(sampled_channels(scale)))]
    starts = {finer: _rounded(origins[::fold, ::fold], finer) for finer in {finer for _, (finer, *_) in channels}}
    indices = {place: _indices(*starts[place[0]], *place[1:]) for place in {place for _, place in channels}}
    for band, place in channels:
        yield _canvas(seed, band).take(indices[place])


def _rounded(origins: Array, finer: float) -> tuple[Indices, Indices]:
    """Rows and columns, in samples of a band."""
    columns, rows = (np.rint(origins[..., axis] * np.float32(finer)).astype(np.int32) for axis in (0, 1))
    return rows, columns


def _indices(rows: Indices, columns: Indices, down: int, right: int) -> Indices:
    """Where in a canvas, whose sides are a power of two, the noise of each place lies."""
    within = np.int32(CANVAS - 1)
    found: Indices = ((rows + np.int32(down)) & within) * np.int32(CANVAS)
    found += (columns + np.int32(right)) & within
    return found


def _place_of(channel: int, scale: float) -> tuple[int, tuple[float, int, int]]:
    """Of one of the channels that are drawn: its band; samples of that per LR luma sample, and which of a cell's."""
    if scale <= 2:
        kind, phase = divmod(channel, LUMA)
        return kind, (1 / fold_of(scale), phase // 2, phase % 2)
    start = 0
    for level in reversed(range(int(math.log2(scale)))):
        inside = channel - start
        size = 3 * LUMA * 4**level
        if inside < size:
            kind, cell = divmod(inside, LUMA * 4**level)
            phase, outer = divmod(cell, 4**level)
            down, right = phase // 2, phase % 2
            if level:
                down, right = down + 2 * (outer // 2), right + 2 * (outer % 2)
            return 3 * level + kind, (2**level, down, right)
        start += size
    raise AssertionError(channel)


@lru_cache(maxsize=16)
def _canvas(seed: int, band: int) -> Array:
    noise = np.random.Generator(np.random.PCG64([seed % _SEEDS, band, CANVAS])).standard_normal(
        (CANVAS, CANVAS), np.float32
    )
    noise.setflags(write=False)
    return noise
