"""How far a training run is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irn_video.pipeline.training.trainer import Trainer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Progress:
    """One line of the log.

    Attributes:
        step: steps taken.
        seconds: of training time, earlier runs included.
        loss: mean since the last line.
        quality: since the last line, in the task's words, dB.
        learning_rate: of this step.
        waiting: share of the time spent waiting for data.
    """

    step: int
    seconds: float
    loss: float
    quality: float
    learning_rate: float
    waiting: float


def progress_line(line: Progress, trainer: Trainer) -> str:
    """A line of the log for people, with the time left."""
    return (
        f"step {line.step}: {line.quality:+.3f} {trainer.task.quality}, loss {line.loss:.4g}, "
        f"rate {line.learning_rate:.1e}, {line.waiting:.0%} waiting for data, {_duration(trainer.seconds_left())} left"
    )


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
