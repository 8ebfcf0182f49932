"""Noise for latents: drawn once, of which every picture and channel has a window of its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
# Places where a window may begin. Drawing a million numbers for each 720p picture would take 14 ms (AMD EPYC).
_PLACES = 1 << 18


def windows(seed: int, index: int, channels: int, samples: int) -> list[Array]:
    """Normal noise N(0, 1) for picture `index` of a stream: `channels` windows of `samples`, not to be written to.

    The same arguments give the same noise, on every machine and whatever was drawn before.
    """
    field = _field(seed, _PLACES + samples)
    places = np.random.Generator(np.random.PCG64([seed, index])).integers(0, _PLACES, channels)
    return [field[place : place + samples] for place in places]


@lru_cache(maxsize=2)
def _field(seed: int, length: int) -> Array:
    field = np.random.Generator(np.random.PCG64(seed)).standard_normal(length, np.float32)
    field.setflags(write=False)
    return field
