"""What computes a codec-aware network on the planes of pictures: one interface for every processor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Y, Cb and Cr of a 4:2:0 picture, (h, w) and twice (h/2, w/2); uint8, uint16 or float32."""


@dataclass(frozen=True)
class Draw:
    """Which latent is drawn.

    Attributes:
        temperature: 0 for the mean, 1 for all of the spread.
        seed: of the stream's noise.
        index: of the picture in the stream.
        origins: of the picture, see `following`: the noise is that of an earlier one, moved. None for noise of its own.
    """

    temperature: float = 0.0
    seed: int = 0
    index: int = 0
    origins: NDArray[np.float32] | None = None


class Engine(ABC):
    """A network with its weights, ready to run; it may be used from several threads at once.

    Samples are code values: 0 to `unit` is what the network knows as 0 to 1.

    Attributes:
        where: what it runs on, for people.
        workers: how many pictures are best worked on at a time.
    """

    where: str
    workers: int

    @abstractmethod
    def downscale(self, planes: Planes, unit: float, qp: float | None, bits: int | None) -> Planes:
        """HR planes, whose sides are multiples of the network's → LR planes.

        Args:
            planes: of the source.
            unit: see `Engine`.
            qp: the H.264 quantiser that is to be expected: what that would hardly carry is left out.
            bits: see `reverse`.
        """

    @abstractmethod
    def predict(self, planes: Planes, unit: float, qp: float | None, temperature: float) -> Any:
        """LR planes as decoded and their quantiser (None: coded without loss) → what `reverse` takes."""

    @abstractmethod
    def reverse(self, predicted: Any, draw: Draw, bits: int | None) -> Planes:
        """Draw the latent and run the reverse pass → HR planes.

        Args:
            predicted: by `predict` with the temperature of `draw`.
            draw: which latent.
            bits: rounded and clipped to so many bits, 8 to 16; None for float32, neither rounded nor clipped.
        """

    @abstractmethod
    def tuned(self, arrays: Mapping[str, NDArray[np.float32]]) -> Engine:
        """The same with other weights."""
