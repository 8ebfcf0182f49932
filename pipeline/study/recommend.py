"""The best way to send a clip at a bit rate, or for a quality, found on samples of the clip."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import StudyFailed
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.excerpt import excerpt
from irn_video.pipeline.study.methods import FULL, Method
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.study.runner import Advance, Progress, measure_cells
from irn_video.pipeline.study.store import Store
from irn_video.pipeline.study.workers import Failure, Pool
from irn_video.pipeline.zoo.tiers import networks_of
from irn_video.sender.search.bracket import Bracket, Point

SAMPLED = 48
"""Pictures that a clip is judged by."""

_FIRST_CRF = 26.0
_ROUNDS = 6
_EXPECTED = 4  # of these for each method

Metric = Literal["psnr_y", "vmaf", "vmaf_neg"]


@dataclass(frozen=True)
class Goal:
    """What is wanted.

    Attributes:
        value: kbit/s that may be spent, or a mean of the metric.
        of: `kbps`, or a metric.
        metric: what is best at equal bit rate.
    """

    value: float
    of: Literal["kbps", "psnr_y", "vmaf", "vmaf_neg"]
    metric: Metric

    def __str__(self) -> str:
        return f"{self.value:g} kb/s" if self.of == "kbps" else f"{metric_label(self.of)} {self.value:g}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """To measure besides PSNR."""
        return () if self.metric == "psnr_y" else (self.metric,)


@dataclass(frozen=True)
class Choice:
    """One way to send the clip.

    Attributes:
        method: how.
        crf: interpolated between measured ones.
        kbps: bit rate in kbit/s.
        quality: mean of the metric.
    """

    method: Method
    crf: float
    kbps: float
    quality: float


@dataclass(frozen=True)
class Choices:
    """All ways, the best first.

    Attributes:
        ways: that reach the goal.
        failures: what could not be measured.
    """

    ways: tuple[Choice, ...]
    failures: tuple[Failure, ...]


def candidates() -> tuple[str, ...]:
    """Full size, and a network for each scale that has one here."""
    return (FULL, *networks_of(None).values())


def choose(
    clip: Path,
    goal: Goal,
    methods: Iterable[Method],
    encoder: EncoderSettings,
    store: Store,
    pool: Pool,
    *,
    pictures: int = SAMPLED,
    advance: Advance | None = None,
) -> Choices:
    """Find the CRF at which each method reaches the goal, by measuring at a few, and compare.

    Args:
        clip: the source.
        goal: what to reach.
        methods: to compare.
        encoder: settings of the stream; the rate in it does not count.
        store: of what has been measured; the samples are put beside its cells.
        pool: who measures; closed at the end.
        pictures: see `excerpt`.
        advance: see `Advance`.

    Raises:
        StudyFailed: no method reaches the goal, or nothing could be measured.
        IrnError: the clip cannot be read.
    """
    with closing(pool):
        sample = excerpt(clip, store.folder, pictures)
        found: dict[Cell, Measurement | Failure] = {}
        searched = [_Search(method, goal, replace(encoder, bitrate=None, crf=None), sample) for method in methods]
        progress = Progress(advance, _EXPECTED * len(searched))
        for _ in range(_ROUNDS):
            cells = [cell for search in searched if (cell := search.wanted(found, pictures)) is not None]
            if not cells:
                break
            measure_cells(cells, found, store, pool, progress)
        progress.finish()
    failures = tuple(result for result in found.values() if isinstance(result, Failure))
    ways = [choice for search in searched if (choice := search.choice(found)) is not None]
    if not ways:
        raise _unreached(clip, goal, found)
    if goal.of == "kbps":
        ways.sort(key=lambda way: (-way.quality, way.method.scale))
    else:
        ways.sort(key=lambda way: (way.kbps, way.method.scale))
    return Choices(tuple(ways), failures)


@dataclass(frozen=True)
class _Search:
    """One method on the way to the goal."""

    method: Method
    goal: Goal
    encoder: EncoderSettings
    clip: Path

    def wanted(self, found: dict[Cell, Measurement | Failure], pictures: int) -> Cell | None:
        """What to measure next; None when the goal lies between two near points, or out of reach."""
        crf = self._bracket.next_crf(self._points(found), _FIRST_CRF)
        if crf is None:
            return None
        cell = Cell(self.clip, self.method, replace(self.encoder, crf=crf), pictures, self.goal.metrics)
        return None if cell in found else cell

    def choice(self, found: dict[Cell, Measurement | Failure]) -> Choice | None:
        """At the goal, or what comes nearest where the method cannot spend so much, or be so bad."""
        points = self._points(found)
        best = self._bracket.reached(points) or self._bracket.at_end(points)
        return None if best is None else Choice(self.method, best.crf, best.kbps, best.quality)

    @property
    def _bracket(self) -> Bracket:
        largest = make_encoder(replace(self.encoder, crf=_FIRST_CRF)).max_crf
        return Bracket(self.goal.value, self.goal.metric, self.goal.of == "kbps", largest)

    def _points(self, found: dict[Cell, Measurement | Failure]) -> list[Point]:
        """By rising CRF."""
        own = [
            Point(cell.encoder.crf or 0.0, result.kbps, statistics.fmean(values))
            for cell, result in found.items()
            if cell.method == self.method
            and isinstance(result, Measurement)
            and (values := result.values(self.goal.metric))
        ]
        return sorted(own, key=lambda point: point.crf)


def _unreached(clip: Path, goal: Goal, found: dict[Cell, Measurement | Failure]) -> StudyFailed:
    measured = [result for result in found.values() if isinstance(result, Measurement)]
    if not measured:
        errors = [result.error for result in found.values() if isinstance(result, Failure)]
        return StudyFailed(f"nothing could be measured: {errors[0] if errors else 'no methods'}", path=clip)
    rates = [point.kbps for point in measured]
    qualities = [statistics.fmean(point.values(goal.metric)) for point in measured if point.values(goal.metric)]
    hint = f"reached were {min(rates):.0f} to {max(rates):.0f} kb/s"
    if qualities:
        hint += f" and {metric_label(goal.metric)} {min(qualities):.1f} to {max(qualities):.1f}"
    return StudyFailed(f"no method reaches {goal}", path=clip, hint=hint)
