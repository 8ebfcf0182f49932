"""What the measurements of a study say: BD-rates, crossovers, hulls."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from irn_video.pipeline.quality.curves import Crossover, Hull, bd_quality, bd_rate, crossover, hull, overlap
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study
from scipy.stats import t

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
        quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1))
        margin = quantile * statistics.stdev(known) / len(known) ** 0.5
    return Mean(statistics.fmean(known), margin)


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


def hulls(study: Study, metric: str, methods: Sequence[str]) -> dict[str, Hull]:
    """By clip: the cheapest of full size and `methods` at each quality that full size reaches."""
    found = {}
    for clip in study.clips:
        curves = {name: study.curve(clip, name, metric) for name in dict.fromkeys((FULL, *methods))}
        if len(curves[FULL].rates) > 1:
            found[clip] = hull({name: curve for name, curve in curves.items() if curve.rates}, FULL)
    return found
