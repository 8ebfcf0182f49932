"""How many frames a second a command works at: whole, and when it has started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from measure.commands import Run

Way = Callable[[int], Run]
"""A command that runs over so many frames of a clip."""


@dataclass(frozen=True)
class Pace:
    """Rounds of one command over the same clip.

    Attributes:
        frames: of a whole run.
        seconds: of the whole runs, one a round.
        cpu_seconds: of all cores together, likewise; what others do meanwhile hardly counts.
        start_seconds: of the runs over the first frame alone.
        peak_bytes: resident, the most of all runs.
    """

    frames: int
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    start_seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def fps(self) -> tuple[float, ...]:
        """Frames a second of each round, start and end of the process included."""
        return tuple(self.frames / seconds for seconds in self.seconds)

    @property
    def running_fps(self) -> tuple[float, ...]:
        """Without the start: what frames after the first add to the time. Rounds where they add none are left out."""
        added = (whole - start for whole, start in zip(self.seconds, self.start_seconds, strict=True))
        return tuple((self.frames - 1) / seconds for seconds in added if seconds > 0)

    @property
    def best_fps(self) -> float | None:
        """Without the start, of the quickest runs of both kinds; None if frames after the first added no time.

        The best round would flatter: a start that something has held up makes the frames after it look quick.
        """
        added = min(self.seconds) - min(self.start_seconds)
        return (self.frames - 1) / added if added > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return {**asdict(self), "fps": self.fps, "running_fps": self.running_fps, "best_fps": self.best_fps}


def interleaved(ways: Sequence[Way], frames: int, rounds: int) -> list[Pace]:
    """Run all in turn, then again: what else the machine does, and how warm it is, meets all of them.

    Args:
        ways: what is compared.
        frames: of a whole run, 2 or more.
        rounds: how often.
    """
    starts: list[list[Run]] = [[] for _ in ways]
    wholes: list[list[Run]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, start, whole in zip(ways, starts, wholes, strict=True):
            start.append(way(1))
            whole.append(way(frames))
    return [
        Pace(
            frames,
            tuple(run.seconds for run in whole),
            tuple(run.cpu_seconds for run in whole),
            tuple(run.seconds for run in start),
            max(run.peak_bytes for run in (*start, *whole)),
        )
        for start, whole in zip(starts, wholes, strict=True)
    ]


def least_and_median(values: Sequence[float]) -> tuple[float, float] | None:
    """None if there are none."""
    return (min(values), median(values)) if values else None


def ratios(over: Sequence[float], under: Sequence[float]) -> tuple[float, float] | None:
    """Of the least, and of the medians; None if there is nothing on one of the sides."""
    return (min(over) / min(under), median(over) / median(under)) if over and under else None


def cells(pair: tuple[float, float] | None, digits: int) -> list[str]:
    """Two cells of a table, a dash for what is not known."""
    return ["–", "–"] if pair is None else [f"{value:.{digits}f}" for value in pair]
