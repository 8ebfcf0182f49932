"""Curves of quality over bit rate, and what is concluded from them: BD-rate, crossover, hull.

BD-rate is the mean change of the bit rate at equal quality, in per cent, negative is better (Bjøntegaard, VCEG-M33,
2001; here with PCHIP over the logarithm of the rate, by the `bjontegaard` package). Nothing is extrapolated.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Part = Literal["whole", "lower", "upper"]
_GRID, _DRAWN = 2001, 20  # qualities, and every how manieth is kept
_SHORTEST = 0.03  # share of a hull's qualities that a way must be the cheapest at, to be told
_MATTERS = 0.01  # of logarithms of rates: one per cent, that it must save somewhere
_LEAST_POINTS = 2
_EQUAL = 1e-6  # of logarithms of rates


@dataclass(frozen=True)
class Curve:
    """Measured points, both columns rising.

    Attributes:
        rates: kbit/s, or bytes: any one unit.
        qualities: dB, or any other measure of which more is better.
    """

    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def through(cls, points: Iterable[tuple[float, float]]) -> Curve:
        """Points (rate, quality) in any order; one that spends more for less is not on the curve."""
        rising: list[tuple[float, float]] = []
        for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
            if not rising or quality > rising[-1][1]:
                rising.append((rate, quality))
        return cls(tuple(rate for rate, _ in rising), tuple(quality for _, quality in rising))

    def log_rates(self, qualities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Natural logarithm of the rate for each quality; infinite where the curve does not reach."""
        if len(self.rates) < _LEAST_POINTS:
            return np.full(len(qualities), np.inf)
        from scipy.interpolate import PchipInterpolator

        curve = PchipInterpolator(self.qualities, np.log(self.rates), extrapolate=False)
        values: NDArray[np.float64] = np.nan_to_num(curve(qualities), nan=np.inf)
        return values

    def quality(self, rate: float) -> float | None:
        """At a rate; None where the curve does not reach."""
        if len(self.rates) < _LEAST_POINTS or not self.rates[0] <= rate <= self.rates[-1]:
            return None
        from scipy.interpolate import PchipInterpolator

        return float(PchipInterpolator(np.log(self.rates), self.qualities)(math.log(rate)))


@dataclass(frozen=True)
class Crossover:
    """Where two curves meet.

    Attributes:
        rate: in the unit of the curves.
        relation: `at` if they meet there; `above` if the second is still better at the highest quality both reach,
            `below` if it is worse already at the lowest.
    """

    rate: float
    relation: Literal["at", "above", "below"]

    def __str__(self) -> str:
        return {"at": "", "above": "> ", "below": "< "}[self.relation] + f"{self.rate:.0f}"


@dataclass(frozen=True)
class Cheapest:
    """Where one way is the cheapest of several.

    Attributes:
        name: of the way.
        low, high: rates.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Hull:
    """The cheapest of several ways at each quality.

    Attributes:
        saving: BD-rate of the hull against the anchor over the hull's qualities, per cent.
        shares: share of these qualities at which each way is the cheapest.
        curve: the hull itself.
        parts: by rising rate, each beginning where the last one ends; ways that are the cheapest for a moment alone,
            or save less than one per cent, are left out.
    """

    saving: float
    shares: dict[str, float]
    curve: Curve
    parts: tuple[Cheapest, ...]

    def against(self, other: Hull) -> float:
        """BD-rate against another hull over the same anchor, per cent."""
        return 100 * ((100 + self.saving) / (100 + other.saving) - 1)


def bd_rate(
    anchor: Curve, test: Curve, *, method: Literal["pchip", "akima"] = "pchip", part: Part = "whole"
) -> float | None:
    """Change of the rate in per cent at equal quality; None if the curves share no quality or have too few points.

    Args:
        anchor: what is compared with.
        test: what is compared.
        method: of interpolation; Akima is a second opinion, and wants more points.
        part: over all qualities that both reach, or over the lower or upper half of these (by PCHIP).
    """
    if part == "whole":
        return _bjontegaard("bd_rate", anchor, test, method)
    if (shared := _shared(anchor, test)) is None:
        return None
    low, high = shared
    middle = (low + high) / 2
    qualities = np.linspace(*((low, middle) if part == "lower" else (middle, high)), _GRID)
    change = float(np.mean(test.log_rates(qualities) - anchor.log_rates(qualities)))
    return 100 * (math.exp(change) - 1) if math.isfinite(change) else None


def bd_quality(anchor: Curve, test: Curve) -> float | None:
    """Change of the quality, in its unit, at equal rate; None if the curves share no rate or have too few points."""
    return _bjontegaard("bd_psnr", anchor, test, "pchip")


def overlap(one: Curve, other: Curve) -> float:
    """Share of the smaller range of quality that both reach, 0 to 1."""
    if (shared := _shared(one, other)) is None:
        return 0.0
    smaller = min(curve.qualities[-1] - curve.qualities[0] for curve in (one, other))
    return (shared[1] - shared[0]) / smaller


def _shared(one: Curve, other: Curve) -> tuple[float, float] | None:
    """Lowest and highest quality that both reach."""
    if min(len(one.rates), len(other.rates)) < _LEAST_POINTS:
        return None
    low, high = max(one.qualities[0], other.qualities[0]), min(one.qualities[-1], other.qualities[-1])
    return (low, high) if low < high else None


def _bjontegaard(name: str, anchor: Curve, test: Curve, method: str) -> float | None:
    import bjontegaard  # takes SciPy's and Matplotlib's seconds to import

    delta: Callable[..., float] = getattr(bjontegaard, name)
    columns = (anchor.rates, anchor.qualities, test.rates, test.qualities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # curves that do not overlap: the NaN says so
        try:
            found = float(delta(*map(list, columns), method=method, require_matching_points=False, min_overlap=0))
        except (AssertionError, ValueError):  # fewer points than it interpolates
            return None
    return found if math.isfinite(found) else None


def crossover(large: Curve, small: Curve) -> Crossover | None:
    """The highest rate at which `small` is as good as `large`; None if the curves share no quality."""
    if (shared := _shared(large, small)) is None:
        return None
    qualities = np.linspace(*shared, _GRID)
    rates = small.log_rates(qualities)
    saved = large.log_rates(qualities) - rates
    if saved[-1] > 0:
        return Crossover(float(np.exp(rates[-1])), "above")
    winning = np.flatnonzero(saved > 0)
    if not winning.size:
        return Crossover(float(np.exp(rates[0])), "below")
    last = int(winning[-1])
    part = saved[last] / (saved[last] - saved[last + 1])
    return Crossover(float(np.exp(rates[last] + part * (rates[last + 1] - rates[last]))), "at")


def reach(curves: Mapping[str, Curve], anchor: str) -> tuple[float, float] | None:
    """Lowest and highest quality between which a hull over the curves is known; None if there is no such range.

    It ends with the anchor, and where the curve ends that is the cheapest there: beyond that nobody knows how cheap the
    hull would be, and it would jump to the next curve. A curve that is dearer than another at its end limits nothing.
    """
    reached = curves[anchor]
    low, high = reached.qualities[0], reached.qualities[-1]
    for curve in curves.values():
        if _shared(curve, reached) is None:
            continue
        ends = np.array([curve.qualities[0], curve.qualities[-1]])
        cheapest = np.stack([other.log_rates(ends) for other in curves.values()]).min(0)
        first, last = np.log([curve.rates[0], curve.rates[-1]]) <= cheapest + _EQUAL
        low = max(low, ends[0]) if first else low
        high = min(high, ends[1]) if last else high
    return (float(low), float(high)) if low < high else None


def hull(curves: Mapping[str, Curve], anchor: str, within: tuple[float, float] | None = None) -> Hull:
    """The hull over all curves, that of the anchor among them.

    Args:
        curves: by name.
        anchor: one of the names.
        within: lowest and highest quality, both reached by the anchor; every quality that it reaches without it.
    """
    reached = curves[anchor].qualities
    qualities = np.linspace(*(within or (min(reached), max(reached))), _GRID)
    rates = np.stack([curve.log_rates(qualities) for curve in curves.values()])
    best = rates.argmin(0)
    cheapest = rates.min(0)
    saving = 100 * (float(np.exp(np.mean(cheapest - curves[anchor].log_rates(qualities)))) - 1)
    shares = {name: float(np.mean(best == index)) for index, name in enumerate(curves)}
    drawn = slice(None, None, _DRAWN)
    line = Curve(tuple(np.exp(cheapest[drawn]).tolist()), tuple(qualities[drawn].tolist()))
    return Hull(saving, shares, line, _parts(list(curves), rates))


def _parts(names: list[str], rates: NDArray[np.float64]) -> tuple[Cheapest, ...]:
    """Runs of the cheapest way, without those that are short or better than the one before by next to nothing.

    Args:
        names: of the ways.
        rates: logarithms, one row for each way, one column for each quality.
    """
    best = rates.argmin(0)
    begins = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), best.size]
    kept: list[tuple[int, int]] = []  # where it begins, which way
    for begin, end in pairwise(begins):
        way = int(best[begin])
        matters = not kept or bool((rates[kept[-1][1], begin:end] - rates[way, begin:end]).max() > _MATTERS)
        if matters and end - begin >= _SHORTEST * best.size and way not in [before for _, before in kept[-1:]]:
            kept.append((begin, way))
    kept = kept or [(0, int(np.bincount(best).argmax()))]
    edges = np.exp(rates.min(0))[[0, *(begin for begin, _ in kept[1:]), -1]].tolist()
    return tuple(Cheapest(names[way], *ends) for (_, way), ends in zip(kept, pairwise(edges), strict=True))
