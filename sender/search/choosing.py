"""What is sent for a goal: the network, its scale and the CRF or bit rate, chosen by a search on samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irn_video.codecs.encoders import make_encoder
from irn_video.codecs.encoders.base import MAX_BITRATE, MIN_BITRATE
from irn_video.codecs.errors import BadOption, GoalUnreachable
from irn_video.codecs.reading.packets import survey
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import Advance
from irn_video.pipeline.quality.entries import SearchReport, TriedWay
from irn_video.pipeline.quality.libvmaf import LEAST_SIDE
from irn_video.pipeline.zoo.looks import has_look
from irn_video.pipeline.zoo.tiers import check_choice, network_of, networks_of
from irn_video.sender.options import AUTO, SendOptions, with_keyint
from irn_video.sender.search.climbing import climb, quick
from irn_video.sender.search.goal import JUDGE, Goal, quality_goal
from irn_video.sender.search.sample import Sample, SampleSize, read_sample
from irn_video.sender.search.search import FULL, Way, search
from irn_video.sender.search.trial import Trials

_FRAME_COST = 32  # bytes of a container for each frame, at most
_ROOM = 0.985  # of a size that is aimed at
_TRIALS = 8  # that a search takes, about
_TRIAL_COST = 1.6  # of sending as many frames
_AT_RATE = SampleSize(frames=64, stretches=4, pairs=4, windows=True, settled=0.5)


@dataclass(frozen=True)
class Chosen:
    """What a search has found.

    Attributes:
        options: to send with; they name network and CRF, or bit rate.
        ways: that reach the goal, the best first.
        tried: how many ways came into question.
        goal: with its value.
        sample: by which it was found.
        work: of the search, in frames sent; for the progress of what follows.
    """

    options: SendOptions
    ways: tuple[Way, ...]
    tried: int
    goal: Goal
    sample: Sample
    work: int

    def __str__(self) -> str:
        """What was chosen, for people."""
        first, *others = self.ways
        text = f"chosen for {self.goal}: {_named(first)}"
        text += f" at about {first.point.kbps:.0f} kb/s" if not self.goal.by_rate else ""
        text += f", {self.goal.label} {first.point.quality:.1f}" if self.goal.by_rate else ""
        told = (f"{_named(way)} {_compared(way, self.goal)}" for way in others)
        if self.tried == 1:
            return f"{text} (by samples)"
        return f"{text} ({'; '.join(told) or 'the others are far behind'}; by samples)"

    def report(self, reached: float | None) -> SearchReport:
        """For the report of the stream; `reached` by its sampled frames."""
        tried = [TriedWay(way.model, way.scale, way.point.crf, way.point.kbps, way.point.quality) for way in self.ways]
        rate = self.goal.value if self.goal.by_rate else None
        return SearchReport(self.goal.metric, None if rate else self.goal.value, rate, tried, reached)


def goal_of(options: SendOptions) -> Goal | None:
    """What the options aim at, None where they say how to encode; of a size only that it is one (no value).

    Raises:
        BadOption: more than one goal, or one that this codec cannot be searched for.
    """
    settings = options.encoder
    qualities = {"psnr_y": options.psnr, "vmaf": options.vmaf, "vmaf_neg": options.vmaf_neg}
    wanted = [quality_goal(metric, value) for metric, value in qualities.items() if value is not None]
    if options.size is not None:
        wanted.append(Goal(None, JUDGE, by_rate=True, size=options.size))
    if (wanted and (settings.crf is not None or settings.bitrate is not None or settings.lossless)) or len(wanted) > 1:
        raise BadOption(
            "only one thing can be aimed at",
            hint="one of --crf, --bitrate, --lossless, --psnr, --vmaf, --vmaf-neg, --size",
        )
    if not wanted and settings.bitrate is not None and options.model is None and options.scale in (None, AUTO):
        wanted.append(Goal(settings.bitrate / 1000, JUDGE, by_rate=True))
    if not wanted and options.scale == AUTO:
        wanted.append(Goal(None, JUDGE, crf=make_encoder(settings).crf))
    if not wanted:
        return None
    if options.scale == AUTO and options.model is not None:
        raise BadOption("--scale auto chooses the network", hint="leave out --model")
    if make_encoder(replace(settings, bitrate=None, buffer_seconds=None)).crf is None:
        raise BadOption(f"{settings.codec} without loss has no rate to be found", hint="use a codec with CRF")
    return wanted[0]


def choose(source: Path, options: SendOptions, goal: Goal, *, advance: Advance) -> Chosen:
    """Search for the best way.

    Args:
        source: the clip.
        options: with a goal.
        goal: see `goal_of`.
        advance: called with the work done and the work to do, sending included, in frames sent.

    Raises:
        GoalUnreachable: see `search`; or a size that the other tracks exceed.
        BadOption: no network is of the tier and the scale, see `network_of`.
        IrnError: the clip cannot be read or coded.
    """
    names = _candidates(options)
    sample = read_sample(source, _AT_RATE if goal.by_rate else SampleSize(), options)
    if (goal.by_rate or goal.crf is not None) and min(sample.info.height, sample.info.width) < LEAST_SIDE:
        goal = replace(goal, metric="psnr_y")
    if goal.by_rate and goal.value is None:
        goal = replace(goal, value=rate_for_size(sample, goal.size or 0) / 1000)
    cost = _TRIAL_COST * len(sample.frames) * sample.share
    work, done = round(_TRIALS * cost), 0

    total = None if sample.total is None else work + sample.total

    def note() -> None:
        nonlocal done
        done = min(work, round(done + cost))
        advance(done, total)

    advance(0, total)
    ways = [_loaded(name, replace(options, look=None) if name == FULL else options) for name in names]
    with TemporaryDirectory(prefix="irn-send-") as folder:
        encoder = with_keyint(options, sample.info).encoder
        if goal.by_rate and goal.value is not None:
            encoder = quick(replace(encoder, bitrate=round(1000 * goal.value)))
        trials = Trials(sample, encoder, ("psnr_y", goal.metric), Path(folder))
        if goal.value is None and goal.crf is not None:
            goal = replace(goal, value=trials.measure(ways[0], goal.crf).scores[goal.metric])
        found = (climb if goal.by_rate else search)(trials, ways, goal, note=note)
    return Chosen(_to_send(options, found[0], goal), tuple(found), len(ways), goal, sample, work)


def rate_for_size(sample: Sample, size: int) -> int:
    """bit/s of video so that a file gets a size.

    Raises:
        GoalUnreachable: hardly anything is left for the video.
        BadOption: the length is not known.
    """
    if sample.total is None:
        raise BadOption("a file of unknown length cannot get a size", path=sample.info.path, hint="give --bitrate")
    others = survey(sample.info.path, stream=sample.info.stream)
    share = min(1.0, sample.total / others.frames) if others.frames else 1.0
    tracks = sum(others.other_bytes.values()) * share
    left = size * _ROOM - tracks - _FRAME_COST * sample.total
    rate = left * 8 * float(sample.rate) / sample.total
    if rate < MIN_BITRATE:
        raise GoalUnreachable(
            f"{size} bytes are too few",
            path=sample.info.path,
            hint=f"sound and other tracks take {tracks:.0f} of them",
        )
    return round(min(rate, MAX_BITRATE))


def _candidates(options: SendOptions) -> Sequence[str]:
    """Names of what is tried, full size first."""
    if options.model is not None:
        return (model_of(options),)
    if options.scale in (None, AUTO):
        first, others = network_of(2, options.tier), networks_of(options.tier)
        every = (first, *(others[scale] for scale in (1.5, 4, 1) if scale in others))
        return (FULL, *(name for name in every if has_look(name, options.look)))
    network = network_of(options.scale, options.tier)
    return (FULL, network) if options.scale == 1 else (network,)


def rescaler_of(options: SendOptions) -> Rescaler:
    """What shrinks.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `Rescaler.load`.
        BadOption: no network has this scale, or the model has another.
    """
    model = model_of(options)
    rescaler = _loaded(model, options)
    if options.scale not in (None, rescaler.scale):
        raise BadOption(f"{model} has scale {rescaler.scale:g}, not {options.scale}", hint="choose another model")
    return rescaler


def _loaded(name: str, options: SendOptions) -> Rescaler:
    return Rescaler.load(name, device=options.device, precision=options.precision, look=options.look)


def model_of(options: SendOptions) -> str:
    """The name of what shrinks: `full` is plain coding.

    Raises:
        BadOption: see `check_choice` and `network_of`.
    """
    check_choice(options.model, options.tier)
    return FULL if options.model == "full" else options.model or network_of(options.scale or 2, options.tier)


def _to_send(options: SendOptions, way: Way, goal: Goal) -> SendOptions:
    """The options that send this way; plain coding has nothing to tune."""
    plain = replace(options, model=way.model, tier=None, scale=None, psnr=None, vmaf=None, vmaf_neg=None, size=None)
    if way.model == FULL:
        plain = replace(plain, adapt=None, adapt_budget=None, look=None)
    if goal.by_rate:
        assert goal.value is not None
        return replace(plain, bitrate=round(goal.value * 1000))
    return replace(plain, crf=round(way.point.crf, 1))


def _named(way: Way) -> str:
    if way.model == FULL:
        return "plain coding at full size"
    return f"{way.model} (scale {way.scale:g})"


def _compared(way: Way, goal: Goal) -> str:
    if goal.by_rate:
        return f"{way.point.quality:.1f}"
    return f"{way.point.kbps:.0f} kb/s"
