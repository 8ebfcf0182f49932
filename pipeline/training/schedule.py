"""How long to train, and the learning rate on the way."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from irn_video.pipeline.training.config import TrainConfig


@dataclass(frozen=True)
class Budget:
    """What a run may use, earlier runs included; it ends with the first that is used up.

    Attributes:
        steps: optimiser steps; with them, a resumed run equals an uninterrupted one.
        seconds: of training.
    """

    steps: int | None
    seconds: float | None

    def progress(self, step: int, seconds: float) -> float:
        """Share used, 0 to 1: of the steps where they are limited, else of the time."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, seconds / self.seconds) if self.seconds else 1.0

    def spent(self, step: int, seconds: float) -> bool:
        """Whether there is nothing left."""
        return (self.steps is not None and step >= self.steps) or (self.seconds is not None and seconds >= self.seconds)

    def left(self, step: int, seconds: float, step_seconds: float) -> float:
        """Seconds to the end, if steps go on taking `step_seconds`."""
        by_steps = math.inf if self.steps is None else (self.steps - step) * step_seconds
        by_time = math.inf if self.seconds is None else self.seconds - seconds
        return max(0.0, min(by_steps, by_time))


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Of step `step` (0-based), `progress` of the budget being used."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "steps":
        return config.learning_rate * rise * 0.5 ** bisect_right(config.halve_at, step)
    return config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * progress))
