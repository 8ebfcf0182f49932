"""What the measurements of a study say: BD-rates, crossovers, hulls."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irn_video.pipeline.quality.curves import (
    Cheapest,
    Crossover,
    Curve,
    Hull,
    bd_quality,
    bd_rate,
    crossover,
    hull,
    overlap,
    reach,
)
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study

CONFIDENCE = 0.95
_LEAST_CLIPS = 3  # of two the interval is so wide (12.7 standard errors) that it says nothing


@dataclass(frozen=True)
class Comparison:
    """One model against one anchor on one clip by one metric; None where the curves do not allow it.

    Attributes:
        clip, model, anchor, metric: what is compared.
        rate: BD-rate in per cent.
        akima: the same by Akima instead of PCHIP; where both differ much, more points are needed.
        lower, upper: BD-rate over the lower and the upper half of the qualities that both reach.
        quality: BD-quality, in units of the metric.
        overlap: share of the smaller range of quality that both have in common.
    """

    clip: str
    model: str
    anchor: str
    metric: str
    rate: float | None
    akima: float | None
    lower: float | None
    upper: float | None
    quality: float | None
    overlap: float


@dataclass(frozen=True)
class Mean:
    """Over the clips.

    Attributes:
        mean: None if a clip has no value, since a mean without it would flatter.
        margin: half the width of the 95 % confidence interval (Student's t over clips); None under three clips.
    """

    mean: float | None
    margin: float | None


def compare(study: Study, clip: str, model: str, anchor: str, metric: str) -> Comparison:
    """One comparison."""
    one, other = (study.curve(clip, method, metric) for method in (anchor, model))
    return Comparison(
        clip=clip,
        model=model,
        anchor=anchor,
        metric=metric,
        rate=bd_rate(one, other),
        akima=bd_rate(one, other, method="akima"),
        lower=bd_rate(one, other, part="lower"),
        upper=bd_rate(one, other, part="upper"),
        quality=bd_quality(one, other),
        overlap=overlap(one, other),
    )


def comparisons(study: Study, metrics: Sequence[str]) -> list[Comparison]:
    """Every model and anchor against every other anchor."""
    return [
        compare(study, clip, model, anchor, metric)
        for metric in metrics
        for model in (*study.models, *study.anchors)
        for anchor in study.anchors
        if model != anchor
        for clip in study.clips
    ]


def mean_of(values: Sequence[float | None]) -> Mean:
    """Mean and confidence."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Mean(None, None)
    margin = None
    if len(known) >= _LEAST_CLIPS:
        from scipy.stats import t

        quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1))
        margin = quantile * statistics.stdev(known) / len(known) ** 0.5
    return Mean(statistics.fmean(known), margin)


@dataclass(frozen=True)
class MeanRate:
    """BD-rate of one model against one anchor by one metric, over the clips."""

    model: str
    anchor: str
    metric: str
    rate: Mean


def mean_rate(study: Study, model: str, anchor: str, metric: str) -> MeanRate:
    """One of them."""
    rates = [compare(study, clip, model, anchor, metric).rate for clip in study.clips]
    return MeanRate(model, anchor, metric, mean_of(rates))


def mean_rates(study: Study, metrics: Sequence[str]) -> list[MeanRate]:
    """Every model and anchor against every other anchor."""
    return [
        mean_rate(study, model, anchor, metric)
        for metric in metrics
        for model in (*study.models, *study.anchors)
        for anchor in study.anchors
        if model != anchor
    ]


def crossovers(study: Study, metric: str) -> dict[tuple[str, str], Crossover | None]:
    """By clip and model: the rate below which the model beats full size."""
    return {
        (clip, model): crossover(study.curve(clip, FULL, metric), study.curve(clip, model, metric))
        for clip in study.clips
        for model in (*study.models, *study.anchors)
        if model != FULL and FULL in study.anchors
    }


def resamplers(study: Study) -> list[str]:
    """Anchors that shrink and enlarge without a network."""
    facts = study.methods
    return [
        name for name in study.anchors if facts[name].macs_down is None and facts[name].macs_up is None and name != FULL
    ]


@dataclass(frozen=True)
class Hulls:
    """What choosing buys on one clip, over the qualities that both hulls are known at.

    Attributes:
        ours: the cheapest of full size and our networks.
        peers: the cheapest of full size and resampling; None if nothing was resampled.
        qualities: the lowest and the highest, see `reach`.
    """

    ours: Hull
    peers: Hull | None
    qualities: tuple[float, float]

    @property
    def against_peers(self) -> float | None:
        """BD-rate of ours against the other hull, per cent."""
        return None if self.peers is None else self.ours.against(self.peers)


def hulls(study: Study, metric: str) -> dict[str, Hulls]:
    """By clip, where full size and a network were measured and their curves say something of each other."""
    found = {}
    for clip in study.clips if FULL in study.anchors and study.models else ():
        curves = study.curves(clip, metric)
        if FULL not in curves:
            continue
        ours, peers = (_with_full(curves, names) for names in (study.models, resamplers(study)))
        ranges = [reach(ours, FULL), reach(peers, FULL)]
        lows, highs = zip(*(one or (0.0, 0.0) for one in ranges), strict=True)
        within = (max(lows), min(highs))
        if within[0] < within[1]:
            found[clip] = Hulls(hull(ours, FULL, within), hull(peers, FULL, within) if len(peers) > 1 else None, within)
    return found


@dataclass(frozen=True)
class HullSaving:
    """What choosing among full size and our networks saves, by one metric.

    Attributes:
        metric: by which quality is equal.
        against_full: BD-rate of the hull against full size by clip, per cent; None where it is not known.
        against_peers: the same against the hull of full size and resampling; all None if nothing was resampled.
        mean_against_full, mean_against_peers: over the clips.
    """

    metric: str
    against_full: Mapping[str, float | None]
    against_peers: Mapping[str, float | None]
    mean_against_full: Mean
    mean_against_peers: Mean


def hull_savings(study: Study, metrics: Sequence[str]) -> list[HullSaving]:
    """By metric; nothing where no clip has a hull."""
    found = []
    for metric in metrics:
        by_clip = hulls(study, metric)
        full = {clip: by_clip[clip].ours.saving if clip in by_clip else None for clip in study.clips}
        peers = {clip: by_clip[clip].against_peers if clip in by_clip else None for clip in study.clips}
        if by_clip:
            found.append(HullSaving(metric, full, peers, *(mean_of([*one.values()]) for one in (full, peers))))
    return found


def _with_full(curves: dict[str, Curve], names: Sequence[str]) -> dict[str, Curve]:
    return {name: curve for name, curve in curves.items() if name in (FULL, *names)}


def cheapest(study: Study, clip: str, metric: str) -> tuple[Cheapest, ...]:
    """Which of all methods is the cheapest at which rates, kbit/s; nothing where their curves say nothing of it."""
    curves = study.curves(clip, metric)
    anchor = FULL if FULL in curves else next(iter(curves), None)
    if anchor is None or (within := reach(curves, anchor)) is None:
        return ()
    return hull(curves, anchor, within).parts


def ranking(study: Study, clip: str, metric: str, kbps: float) -> list[tuple[str, float]]:
    """Methods and the quality that they reach at a bit rate, the best first."""
    found = {method: curve.quality(kbps) for method, curve in study.curves(clip, metric).items()}
    known = [(method, quality) for method, quality in found.items() if quality is not None]
    return sorted(known, key=lambda one: -one[1])
