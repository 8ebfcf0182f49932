"""Finding the CRF at which a way of sending reaches what is wanted, from few measured points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST_CRF = 4.0
_BEYOND = 2.0  # of CRF, so that the next guess lies on the other side
_HALVING = 6.0  # of CRF, for half the bit rate
_SLOPES = {"psnr_y": -0.5, "vmaf": -2.0, "vmaf_neg": -2.0}  # a first guess, per unit of CRF


@dataclass(frozen=True)
class Point:
    """What a CRF gives: kbit/s, and a quality."""

    crf: float
    kbps: float
    quality: float


@dataclass(frozen=True)
class Bracket:
    """The search of one way.

    Attributes:
        wanted: kbit/s if `by_rate`, else a quality.
        metric: what quality is, a key of reports.
        by_rate: whether a rate is wanted.
        largest_crf: of the codec.
        near: points of CRFs that are no further apart are near enough to interpolate.
        reach: so far in CRF beyond all points may be extrapolated.
    """

    wanted: float
    metric: str
    by_rate: bool
    largest_crf: float = 51.0
    near: float = 8.0
    reach: float = 0.0

    def next_crf(self, points: Sequence[Point], first: float) -> float | None:
        """Where to measure next, a whole number; None when what is wanted is near enough, or out of reach.

        Args:
            points: measured ones, by rising CRF.
            first: where to begin; the nearest CRF of the codec.
        """
        if not points:
            crf = min(max(first, LEAST_CRF), self.largest_crf)
        elif (around := self._around(points)) is not None:
            if around[1].crf - around[0].crf <= self.near:
                return None
            crf = (around[0].crf + around[1].crf) / 2
        elif abs(self._beyond(points)) <= self.reach:
            return None
        else:
            crf = self._outwards(points)
        crf = float(round(crf))
        return None if any(point.crf == crf for point in points) else crf

    def reached(self, points: Sequence[Point], reach: float | None = None) -> Point | None:
        """At what is wanted, between points or a little beyond them; None where that is too far.

        Args:
            points: by rising CRF.
            reach: in place of that of the bracket.
        """
        if not points:
            return None
        if (around := self._around(points)) is not None:
            low, high = around
            span = self._value(low) - self._value(high)
            return _between(low, high, (self._value(low) - self._wanted) / span if span else 0.0)
        beyond = self._beyond(points)
        if abs(beyond) > (self.reach if reach is None else reach):
            return None
        near = points[-1] if beyond > 0 else points[0]
        rate = near.kbps * math.exp(self._slope(points, self.by_rate or len(points) < 2, "rate") * beyond)
        quality = near.quality + self._slope(points, len(points) < 2, self.metric) * beyond
        crf = min(near.crf + beyond, self.largest_crf)
        if self.by_rate:
            return Point(crf, self.wanted, quality)
        return Point(crf, rate, self.wanted)

    def at_end(self, points: Sequence[Point]) -> Point | None:
        """The best point where even that takes less than the rate that is wanted, and the worst one that the codec has
        where even that has more quality; else None.
        """
        if not points:
            return None
        if self.by_rate:
            return points[0] if self._value(points[0]) <= self._wanted else None
        last = points[-1]
        return last if last.crf >= self.largest_crf and last.quality >= self.wanted else None

    def _beyond(self, points: Sequence[Point]) -> float:
        """How far in CRF it lies beyond the last point, or (negative) before the first one."""
        outer = points[-1] if self._value(points[-1]) > self._wanted else points[0]
        what = "rate" if self.by_rate else self.metric
        return (self._wanted - self._value(outer)) / self._slope(points, len(points) < 2, what)

    def _slope(self, points: Sequence[Point], guessed: bool, what: str) -> float:
        """Fall per unit of CRF of the rate's logarithm, or of the quality."""
        guess = -math.log(2) / _HALVING if what == "rate" else _SLOPES[what]
        if guessed or len(points) < 2:
            return guess
        upwards = self._value(points[-1]) > self._wanted
        one, other = (points[-2], points[-1]) if upwards else (points[0], points[1])
        fall = math.log(other.kbps / one.kbps) if what == "rate" else other.quality - one.quality
        return min(fall / (other.crf - one.crf), guess / 4)  # curves flatten at their ends

    def _around(self, points: Sequence[Point]) -> tuple[Point, Point] | None:
        """The neighbours between which it lies."""
        for one, other in pairwise(points):
            if self._value(other) <= self._wanted <= self._value(one):
                return one, other
        return None

    def _outwards(self, points: Sequence[Point]) -> float:
        """A CRF a little beyond where it should be; the codec's last one at most."""
        beyond = self._beyond(points)
        outer = points[-1] if beyond > 0 else points[0]
        return min(max(outer.crf + beyond + math.copysign(_BEYOND, beyond), LEAST_CRF), self.largest_crf)

    @property
    def _wanted(self) -> float:
        return math.log(self.wanted) if self.by_rate else self.wanted

    def _value(self, point: Point) -> float:
        """What falls with the CRF: the logarithm of the rate, or the quality."""
        return math.log(point.kbps) if self.by_rate else point.quality


def _between(low: Point, high: Point, share: float) -> Point:
    def mean(one: float, other: float) -> float:
        return one + share * (other - one)

    kbps = math.exp(mean(math.log(low.kbps), math.log(high.kbps)))
    return Point(mean(low.crf, high.crf), kbps, mean(low.quality, high.quality))
