"""The best way to send a clip at a quality, and its CRF, found by trials on samples; `climbing` has that at a rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import GoalUnreachable
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.sender.search.bracket import Bracket, Point
from irn_video.sender.search.goal import Goal
from irn_video.sender.search.trial import Trials

_NEAR, _REACH = 7.0, 1.5  # of CRF: interpolated and extrapolated so far
_TIGHT = 2.0  # of CRF, to a trial by which the last word can be said
_GLANCE = 14.0  # extrapolated so far to see whether a way is hopeless
_TRIES = 4
_MARGIN = 1.2  # of the rate of the best way so far; ways that take more are left alone
SCALE_4_FROM = 29.0  # CRF of scale 2
# How far another way may be ahead of plain coding so that a network of this scale can still win: the share of its bits.
# At full size a network saves hardly more anywhere. On eight training clips Lanczos at 3/2 was never the best where
# Lanczos at 2 took less than 0.7 of the bits.
_AHEAD: dict[float, float] = {1: 1 / 1.08, 1.5: 0.7}
# Networks are work for the receiver: they are taken in place of plain coding if they save so much, or bring so much.
_LEAST_SAVING, LEAST_GAIN = 0.02, {"psnr_y": 0.05, "vmaf": 0.25, "vmaf_neg": 0.25}
# Where to begin: as much lower the CRF for equal quality, or equal rate, than full size, by scale. Rates are medians of
# eight training clips: nearer guesses save trials.
LOWER_CRF: dict[str, dict[float, float]] = {
    "quality": {1: 0.5, 1.5: 3.5, 2: 6.0, 4: 14.0},
    "rate": {1: 0.0, 1.5: 5.5, 2: 9.0, 4: 17.0},
}
FIRST_CRF, _LEAST_FIRST_CRF = 26.0, 8.0

FULL = "lanczos-x1"
"""Plain coding: at scale 1 the resamplers change nothing."""
Note = Callable[[], None]
"""Called after each trial."""


@dataclass(frozen=True)
class Way:
    """One way of sending at the goal.

    Attributes:
        model: its name, `FULL` for plain coding.
        scale: HR samples per LR sample along each axis.
        point: CRF, kbit/s and quality.
    """

    model: str
    scale: float
    point: Point


def search(trials: Trials, ways: Sequence[Rescaler], goal: Goal, *, note: Note | None = None) -> list[Way]:
    """Each way that reaches the goal and is not far behind, the best first.

    Args:
        trials: on samples of the clip.
        ways: to compare; full size first, by which the others are judged.
        goal: a quality, with its value.
        note: see `Note`.

    Raises:
        GoalUnreachable: none reaches it; says what was reached.
    """
    bracket = bracket_of(goal, trials.encoder)
    found: list[Way] = []
    for way in ways:
        if not _worth_trying(way, found):
            continue
        best = found[0].point if found else None
        stop = partial(_hopeless, bracket, best) if best is not None else None
        point = at_goal(trials, way, bracket, _first_crf(way, found), stop=stop, note=note)
        if point is not None:
            found.append(Way(way.name, way.scale, point))
            found.sort(key=_rank)
    if not found:
        raise unreachable(trials, ways, goal)
    first = found[0]
    tight = _refined(trials, next(way for way in ways if way.name == first.model), bracket, first.point)
    found[0] = replace(first, point=tight)
    return found


def bracket_of(goal: Goal, encoder: EncoderSettings) -> Bracket:
    """The search for a goal with a codec."""
    assert goal.value is not None
    largest = make_encoder(replace(encoder, crf=None, bitrate=None, buffer_seconds=None)).max_crf
    return Bracket(goal.value, goal.metric, goal.by_rate, largest, near=_NEAR, reach=_REACH)


def at_goal(
    trials: Trials,
    way: Rescaler,
    bracket: Bracket,
    first: float,
    *,
    stop: Callable[[Sequence[Point]], bool] | None = None,
    note: Note | None = None,
) -> Point | None:
    """One way at what is wanted.

    Args:
        trials: on samples of the clip.
        way: to be tried.
        bracket: see `bracket_of`.
        first: CRF to begin with.
        stop: asked after each trial with all points of the way whether to give it up.
        note: see `Note`.

    Returns:
        None where it does not get there, or is given up.
    """
    for _ in range(_TRIES):
        points = _points(trials, way, bracket)
        if points and stop is not None and stop(points):
            return None
        if (crf := bracket.next_crf(points, first)) is None:
            break
        trials.measure(way, crf)
        if note is not None:
            note()
    points = _points(trials, way, bracket)
    return bracket.reached(points) or bracket.at_end(points)


def _first_crf(way: Rescaler, found: Sequence[Way]) -> float:
    """Where to begin, by what other ways took."""
    if not found:
        return FIRST_CRF
    lower = LOWER_CRF["quality"]
    base = next((known for known in found if known.scale == 1), found[0])
    return max(base.point.crf - lower.get(way.scale, 6.0) + lower.get(base.scale, 0.0), _LEAST_FIRST_CRF)


def _worth_trying(way: Rescaler, found: Sequence[Way]) -> bool:
    """Whether it may win, going by what others take.

    Scale 4 is for rates at which scale 2 has a high CRF. A network at full size gains too little to win where another
    way is well ahead of plain coding, and scale 3/2 is for where scale 2 is not far ahead of it.
    """
    full, half = (next((known.point for known in found if known.scale == scale), None) for scale in (1, 2))
    if way.scale == 4:
        return half is None or half.crf >= SCALE_4_FROM
    rival = half if way.scale == 1.5 else found[0].point if found else None
    if way.scale not in _AHEAD or full is None or rival is None:
        return True
    return rival.kbps > _AHEAD[way.scale] * full.kbps


def _hopeless(bracket: Bracket, best: Point, points: Sequence[Point]) -> bool:
    """Far behind the best way so far, going by what has been measured."""
    guess = bracket.reached(points, _GLANCE)
    if guess is None:  # too far to tell, unless what is worse takes as many bits already
        return any(p.quality < bracket.wanted and p.kbps > best.kbps for p in points)
    return guess.kbps > best.kbps * _MARGIN


def _refined(trials: Trials, way: Rescaler, bracket: Bracket, point: Point) -> Point:
    """Measured near the CRF that was found, and found anew."""
    crf = round(min(max(point.crf, 0.0), bracket.largest_crf), 1)
    if all(abs(trial.crf - crf) > _TIGHT for trial in trials.of(way)):
        trials.measure(way, crf)
    return bracket.reached(_points(trials, way, bracket)) or point


def _points(trials: Trials, way: Rescaler, bracket: Bracket) -> list[Point]:
    return [trial.point(bracket.metric) for trial in trials.of(way)]


def _rank(way: Way) -> tuple[float, float]:
    return way.point.kbps * (1 - _LEAST_SAVING if way.model == FULL else 1), way.scale


def unreachable(trials: Trials, ways: Iterable[Rescaler], goal: Goal) -> GoalUnreachable:
    """What to raise: says what trials have reached."""
    made = [trial for way in ways for trial in trials.of(way)]
    rates, scores = [trial.kbps for trial in made], [trial.scores[goal.metric] for trial in made]
    return GoalUnreachable(
        f"{goal} cannot be reached",
        path=trials.sample.info.path,
        hint=f"samples gave {goal.label} {min(scores):.1f} to {max(scores):.1f} at {min(rates):.0f} to "
        f"{max(rates):.0f} kb/s",
    )
