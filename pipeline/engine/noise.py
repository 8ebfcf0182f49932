"""Noise for latents: drawn once, of which every picture and channel has a window of its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
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
