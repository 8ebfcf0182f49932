"""The best way at a rate: from scale to scale while it gets better, with one measured trial of each way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.sender.search.bracket import LEAST_CRF, Point
from irn_video.sender.search.goal import Goal
from irn_video.sender.search.search import FULL, LEAST_GAIN, LOWER_CRF, SCALE_4_FROM, Note, Way, unreachable
from irn_video.sender.search.trial import Trials

_START, _START_CRF = 2.0, 20.0
_SENDINGS = 4  # of a way, so that the rate is met before anything is restored
_ONE_PEAK_FROM = 24.0  # CRF; below, on one training clip scales 2 and 1 were both better than 3/2
_NEAR, _REACH = 0.1, 0.25  # octaves of the rate: near enough; beyond the codec's last CRF
_HALVING, _LEAST_HALVING, _MOST_HALVING = 6.0, 3.0, 12.0  # of CRF, for half the rate
_PSNR_PER_OCTAVE, _VMAF_PER_OCTAVE = 2.5, 0.45  # what twice the rate brings, about: dB; of what is missing to 100
_QUICK = "veryfast"


def quick(encoder: EncoderSettings) -> EncoderSettings:
    """With a preset for trials that only say which way is best; the rate is met when the clip is sent."""
    made = make_encoder(encoder)
    if made.preset is None or _QUICK not in made.presets:
        return encoder
    slower = made.presets.index(made.preset) > made.presets.index(_QUICK)
    return replace(encoder, preset=_QUICK) if slower else encoder


def climb(trials: Trials, ways: Sequence[Rescaler], goal: Goal, *, note: Note | None = None) -> list[Way]:
    """Each way that was tried and can be sent at a rate, the best first.

    Over scales, the quality at a low rate has one peak: from scale 2 the search goes to finer scales while these are
    better, at higher rates to all of them, else to coarser ones. At full size plain coding sends what a network does,
    so one stream serves both; it is measured only where the network is the best.

    Args:
        trials: on samples of the clip, with an encoder that has a bit rate.
        ways: to compare.
        goal: by rate, with a value.
        note: see `Note`.

    Raises:
        GoalUnreachable: none gets as low as this rate; says what was reached.
    """
    assert goal.value is not None
    found = _Climb(trials, goal.value, goal.metric, note).best(ways)
    if not found:
        raise unreachable(trials, ways, goal)
    return found


@dataclass(frozen=True)
class _Climb:
    trials: Trials
    kbps: float
    metric: str
    note: Note | None
    found: list[Way] = field(default_factory=list)

    def best(self, ways: Sequence[Rescaler]) -> list[Way]:
        scales = sorted({way.scale for way in ways})
        start = scales.index(_START) if _START in scales else 0
        groups = [[way for way in ways if way.scale == scale] for scale in scales]
        self._is_better(groups[start])
        finer = self.found and self._walk(groups[:start][::-1])
        if not finer:
            self._walk(groups[start + 1 :])
        return self.found

    def _walk(self, groups: Sequence[Sequence[Rescaler]]) -> bool:
        """Whether one of these scales is better than what was there."""
        better = False
        for group in groups:
            if not self._worth_trying(group[0].scale):
                break
            if self._is_better(group):
                better = True
            elif self.found and self.found[0].point.crf >= _ONE_PEAK_FROM:
                break
        return better

    def _worth_trying(self, scale: float) -> bool:
        """Scale 4 is for rates at which scale 2 has a high CRF."""
        return scale < 4 or not self.found or self.found[0].point.crf >= SCALE_4_FROM

    def _is_better(self, group: Sequence[Rescaler]) -> bool:
        """Try the ways of a scale; whether one of them is now the best of all."""
        *others, sender = group
        crf = self._met(sender)
        if self._is_best(sender, sender, crf):
            for way in others:
                self._is_best(way, sender, crf)
            return True
        return False

    def _is_best(self, way: Rescaler, sender: Rescaler, crf: float) -> bool:
        """Measure a way on what another, or it, has sent."""
        trial = self.trials.measure(way, crf, sent_by=sender)
        if self.note is not None:
            self.note()
        point = self._at_rate(trial.point(self.metric))
        if point is None:
            return False
        self.found.append(Way(way.name, way.scale, point))
        self.found.sort(key=self._rank)
        return self.found[0].model == way.name

    def _met(self, way: Rescaler) -> float:
        """A CRF at which the samples take about the rate."""
        crf, halving = self._first(way), _HALVING
        rates: dict[float, float] = {}
        while crf not in rates and len(rates) < _SENDINGS:
            rates[crf] = self.trials.rate(way, crf)
            near = min(rates, key=lambda one: abs(self._missing(rates[one])))
            if abs(self._missing(rates[near])) <= _NEAR:
                return near
            if len(rates) > 1:
                (one, kbps), (other, others) = list(rates.items())[-2:]
                halving = _clamped((other - one) / (math.log2(kbps / others) or 1), _LEAST_HALVING, _MOST_HALVING)
            crf = self._within(crf - halving * self._missing(rates[crf]))
        return near

    def _first(self, way: Rescaler) -> float:
        """By what another scale took."""
        if not self.found:
            return _START_CRF
        lower, known = LOWER_CRF["rate"], min(self.found, key=lambda one: abs(one.scale - way.scale))
        return self._within(known.point.crf + lower.get(known.scale, 0.0) - lower.get(way.scale, 0.0))

    def _within(self, crf: float) -> float:
        return float(round(_clamped(crf, LEAST_CRF, self._largest)))

    @property
    def _largest(self) -> float:
        return make_encoder(replace(self.trials.encoder, bitrate=None, buffer_seconds=None)).max_crf

    def _missing(self, kbps: float) -> float:
        """Octaves from a rate up to the one that is wanted."""
        return math.log2(self.kbps / kbps)

    def _at_rate(self, point: Point) -> Point | None:
        """The best there is where that takes less, None where even the worst takes more."""
        missing = self._missing(point.kbps)
        if point.crf <= LEAST_CRF and missing > 0:
            return point
        if point.crf >= self._largest and missing < -_REACH:
            return None
        gain = _PSNR_PER_OCTAVE if self.metric == "psnr_y" else _VMAF_PER_OCTAVE * (100 - point.quality)
        quality = point.quality + gain * missing
        return Point(_clamped(point.crf - _HALVING * missing, 0.0, self._largest), self.kbps, quality)

    def _rank(self, way: Way) -> tuple[float, float]:
        """Plain coding is taken before a network that brings little: it is no work for the receiver."""
        gain = LEAST_GAIN[self.metric] if way.model == FULL else 0.0
        return -way.point.quality - gain, way.scale


def _clamped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
