"""Send a video: read → downscale → encode, each in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Union

from irn_video.codecs.bitstream.card import StreamCard, digest_of, version_of
from irn_video.codecs.encoders import make_encoder, with_preset
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture
from irn_video.codecs.pipes import PIPE
from irn_video.codecs.reading.coded import coded_frames
from irn_video.codecs.reading.inputs import as_file
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.seeking import Part
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.codecs.writing.containers import codec_for
from irn_video.codecs.writing.output import atomic_path, check_output, delivered
from irn_video.codecs.writing.writer import Tune, VideoWriter, WriteSummary
from irn_video.pipeline.adaptation.effort import QUICK, Budget, Effort
from irn_video.pipeline.adaptation.telling import Teller
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import Advance, ahead, mapped_by
from irn_video.pipeline.options import (
    check_temperature,
    check_types,
)
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.quality.entries import FrameReport, SearchReport, SourceReport, Tuning
from irn_video.pipeline.quality.report import Report
from irn_video.pipeline.restoring import Meter, check_size, file_digest, restoration_of, restored_pictures, said_stream
from irn_video.pipeline.zoo.looks import FAITHFUL
from irn_video.sender.options import SendOptions, with_keyint
from irn_video.sender.part import part_of, placed, rest_of
from irn_video.sender.planning import SendPlan, plan_of
from irn_video.sender.reporting import source_of, stream_report
from irn_video.sender.search.checking import check_size_kept, corrected, is_too_large, scores_of_sent
from irn_video.sender.search.choosing import Chosen, choose, goal_of, rescaler_of
from irn_video.sender.search.peers import peers_of
from irn_video.sender.search.search import FULL

if TYPE_CHECKING:
    from irn_video.pipeline.adaptation.tuner import Tuner

AnyTuner = Union["Tuner", Teller]
_MAX_NAME = 255
_PIPED, _SUFFIX = "matroska", ".mkv"
_CORRECTIONS, _SQUEEZES = 2, 4
_UNASKED, _UNTUNED = "it was not asked for", "what was chosen is not tuned"


@dataclass(frozen=True)
class SendResult:
    """What was sent.

    Attributes:
        written: the LR file.
        card: its stream card.
        report: with measured frames if `verify` was asked for.
        encode_cpu_seconds: processor time of reading and encoding (and tuning), without shrinking; of all threads.
    """

    written: WriteSummary
    card: StreamCard
    report: Report
    encode_cpu_seconds: float


def send(
    source: Path | str,
    output: Path | str,
    options: SendOptions | None = None,
    *,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
    phase: Callable[[str], Advance] | None = None,
) -> SendResult:
    """Shrink a video and write it as an LR stream that explains itself.

    Args:
        source: any video that FFmpeg reads; `-` for standard input, `frames/%05d.png` or a folder for pictures.
        output: the LR file; its suffix names the container. `-` for standard output.
        options: see `SendOptions`.
        advance: see `Advance`.
        say: called with what was chosen, once, before the work starts.
        phase: called with what else takes its time, such as `tuning group 1` or `verifying`; returns its `Advance`.

    Raises:
        IrnError: see its subclasses; nothing is left under the output's name.
    """
    options, phase, advance = options or SendOptions(), phase or _unseen, advance or _nothing
    check_types(options)
    source, output = Path(source), Path(output)
    check_output(output, [source], options.overwrite)
    make_encoder(options.encoder)
    container = options.format or (_PIPED if output == PIPE else None)
    if codec_for(output, options.codec, container) != options.codec:
        raise BadOption("frames alone have no room for what the receiver needs", path=output, hint="use .mp4 or .mkv")
    again = options.verify or goal_of(options) is not None or (options.start, options.duration) != (None, None)
    with as_file(source, again=again, rate=options.rate) as read, delivered(output, _SUFFIX) as part:
        findable = source == read != PIPE
        result = _send(read, part, replace(options, format=container), advance, say, phase, findable=findable)
    return replace(result, written=replace(result.written, path=output))


def _send(
    source: Path,
    output: Path,
    options: SendOptions,
    advance: Advance,
    say: Callable[[str], None] | None,
    phase: Callable[[str], Advance],
    *,
    findable: bool,
) -> SendResult:
    """See `send`; `findable` is a source that the card can name."""
    goal, chosen, adapt = goal_of(options), None, options.adapt
    if goal is not None:
        chosen = choose(source, options, goal, advance=advance)
        options, advance = chosen.options, _after(chosen, advance)
        if say is not None:
            say(str(chosen))
    rescaler = rescaler_of(options)
    search = None
    one_pass = partial(_sent, source, rescaler=rescaler, phase=phase, findable=findable)
    if chosen is None:
        sent = one_pass(output, options=options, advance=advance, say=say)
    else:
        with atomic_path(output, [source], options.overwrite) as unfinished:
            options = replace(options, overwrite=True)
            sent = one_pass(unfinished, options=options, advance=advance, say=say)
            options, sent, search = _as_wanted(partial(one_pass, unfinished), rescaler, options, chosen, sent, phase)
        sent = replace(sent, written=replace(sent.written, path=output))
    if options.verify:
        phase("looking at other ways")(0, None)
    peers = peers_of(source, rescaler, options) if options.verify else ()
    frames = verify(source, output, rescaler, sent.card, options, phase("verifying")) if options.verify else ()
    tuner = sent.tuner
    report = Report(
        command="irn-send",
        device=rescaler.where,
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        stream=stream_report(sent.card, sent.written, options.encoder),
        frames=frames,
        warnings=tuple(dict.fromkeys((*rescaler.warnings, *sent.warnings))),
        damage=sent.damage,
        adaptation=tuple(tuner.groups) if tuner is not None else (),
        tuning=Tuning.of(tuner.groups)
        if tuner is not None
        else Tuning(untuned=_UNASKED if adapt is None else _UNTUNED),
        coded=coded_frames(output, quantisers=True),
        source=sent.origin,
        elapsed_seconds=sent.elapsed_seconds,
        search=search,
        peers=peers,
    )
    return SendResult(sent.written, sent.card, report, sent.encode_cpu_seconds)


@dataclass(frozen=True)
class _Sent:
    """One pass over the source."""

    written: WriteSummary
    card: StreamCard
    tuner: AnyTuner | None
    warnings: tuple[str, ...]
    damage: str
    origin: SourceReport
    elapsed_seconds: float
    encode_cpu_seconds: float


def _sent(
    source: Path,
    output: Path,
    *,
    rescaler: Rescaler,
    options: SendOptions,
    advance: Advance,
    phase: Callable[[str], Advance],
    findable: bool,
    say: Callable[[str], None] | None = None,
) -> _Sent:
    tuner = _tuner(rescaler, options)
    with part_of(source, options) as part:
        reader = part.reader
        options = with_preset(with_keyint(options, reader.info), rescaler.scale)
        plan = plan_of(reader.info, rescaler, options.encoder)
        card = placed(card_of(reader.info, rescaler, plan.carried, options, findable=findable), part)
        if say is not None:
            say(said_stream(reader.info) + f"{rescaler.name} on {rescaler.where}")
        started = time.monotonic()
        tune = _seen(tuner, phase) if tuner is not None else None
        written, encode_cpu_seconds = _write(part, rescaler, plan, card, output, options, tuner, tune, advance)
        return _Sent(
            written=written,
            card=card,
            tuner=tuner,
            warnings=(*plan.warnings, *reader.warnings, *written.warnings),
            damage=reader.damage.describe() if reader.damage else "",
            origin=source_of(reader.info),
            elapsed_seconds=time.monotonic() - started,
            encode_cpu_seconds=encode_cpu_seconds,
        )


def _as_wanted(
    one_pass: Callable[..., _Sent],
    rescaler: Rescaler,
    options: SendOptions,
    chosen: Chosen,
    sent: _Sent,
    phase: Callable[[str], Advance],
) -> tuple[SendOptions, _Sent, SearchReport]:
    """Send again where the stream misses what was aimed at; samples do not tell all."""
    metric, output = chosen.goal.metric, sent.written.path
    for passes in count(1):
        reached = None
        if not chosen.goal.by_rate:  # the rate has been met, and no quality was asked for
            phase("measuring what was sent")(0, None)
            reached = scores_of_sent(output, rescaler, sent.card, chosen.sample, (metric,)).get(metric)
        better = corrected(options, chosen, sent.written, reached)
        if better is None or passes > (_SQUEEZES if is_too_large(chosen, sent.written) else _CORRECTIONS):
            break
        options = better
        sent = one_pass(options=options, advance=phase("sending again, to meet the aim"))
    check_size_kept(chosen, sent.written)
    return options, sent, chosen.report(reached)


def verify(
    source: Path, lr: Path, rescaler: Rescaler, card: StreamCard, options: SendOptions, advance: Advance
) -> tuple[FrameReport, ...]:
    """Measure what the receiver will see: decode the LR file, restore it, compare."""
    to = restoration_of(card, temperature=None, seed=None)
    with (
        VideoReader(lr, quantiser=True) as small,
        part_of(source, options) as original,
    ):
        check_size(small.info, card)
        meter = Meter(original.reader, small, prefix=options.frames is not None)
        found = []
        with restored_pictures(small, rescaler, to, meter) as restored:
            for done, item in enumerate(restored, 1):
                found.append(item.report)
                advance(done, small.info.frames)
        return tuple(report for report in found if report is not None)


def card_of(
    info: VideoInfo, rescaler: Rescaler, carried: Samples, options: SendOptions, *, findable: bool = True
) -> StreamCard:
    """What the stream says about itself; its source is named if it is `findable`."""
    height, width = rescaler.padded(info.height, info.width)
    # A name that the card cannot hold, or a stream that it cannot tell, only means that the receiver will not find the
    # source by itself.
    named = findable and info.stream == 0 and len(info.path.name) <= _MAX_NAME and "\\" not in info.path.name
    count = info.frames if options.frames is None or info.frames is None else min(options.frames, info.frames)
    look = None if options.look == FAITHFUL else options.look
    return StreamCard(
        model=rescaler.name,
        model_sha256=digest_of(rescaler.sha256),
        scale=rescaler.scale,
        width=info.width,
        height=info.height,
        pad_right=width - info.width,
        pad_bottom=height - info.height,
        layout=carried.layout,
        bit_depth=carried.bit_depth,
        color=carried.color,
        codec=options.encoder.codec,
        crf=None if (crf := make_encoder(options.encoder).crf) is None else float(crf),
        bitrate=options.encoder.bitrate,
        lossless=options.encoder.lossless,
        latent_std=_temperature(rescaler, options),
        seed=options.seed,
        source_name=info.path.name if named else "",
        source_bytes=info.path.stat().st_size if findable else 0,
        source_sha256=digest_of(file_digest(info.path)) if findable else "",
        frames=count,
        look=look,
        version=version_of(None, look),
    )


def _temperature(rescaler: Rescaler, options: SendOptions) -> float:
    check_temperature(options.temperature)
    return rescaler.temperature if options.temperature is None else options.temperature


def _write(
    part: Part,
    rescaler: Rescaler,
    plan: SendPlan,
    card: StreamCard,
    output: Path,
    options: SendOptions,
    tuner: AnyTuner | None,
    tune: Tune | None,
    advance: Advance,
) -> tuple[WriteSummary, float]:
    """What was written, and the processor time without shrinking: see `SendResult`."""
    info, (height, width) = part.reader.info, card.lr_size
    began, shrinking = time.process_time(), list[float]()
    opened = partial(
        VideoWriter,
        output,
        options.encoder,
        replace(
            info,
            width=width,
            height=height,
            layout=plan.lr.layout,
            bit_depth=plan.lr.bit_depth,
            color=plan.lr.color,
        ),
        passthrough=rest_of(part, options) if info.path != PIPE else None,
        card=card if options.plain_card or rescaler.name != FULL else None,
        tune=tune,
        coarser=tuner is not None and tuner.wants_coarser,
        quantisers=options.quantisers,
        overwrite=options.overwrite,
        inputs=[info.path],
        container=options.format,
        fragmented=options.fragmented,
    )

    def shrunk(_: int, picture: Picture) -> tuple[Picture, Picture]:
        began = time.thread_time()
        lr = rescaler.downscale(picture, plan.lr, plan.qp)
        shrinking.append(time.thread_time() - began)
        return picture, lr

    with (
        opened() as writer,
        ahead(part) as pictures,
        ahead(mapped_by(rescaler.workers, shrunk, pictures)) as small,
    ):
        for done, (picture, lr) in enumerate(small, 1):
            if tuner is not None:
                tuner.remember(picture)
            writer.write(lr)
            advance(done, card.frames)
        written = writer.finish()
        return written, time.process_time() - began - sum(shrinking)


def _tuner(rescaler: Rescaler, options: SendOptions) -> AnyTuner | None:
    if options.adapt is None:
        if options.adapt_budget is not None:
            raise BadOption("a budget for weights that are not sent", hint="--adapt fast, or drop --adapt-budget")
        return None
    if options.encoder.codec != "h264" or options.encoder.lossless:
        raise BadOption("only lossy H.264 from x264 can be adapted to", hint="drop --adapt, or use --codec h264")
    budget = Budget.parse(options.adapt_budget) if options.adapt_budget is not None else None
    if options.adapt == QUICK:
        return Teller(rescaler, budget)
    from irn_video.pipeline.adaptation.tuner import Tuner

    return Tuner(rescaler, Effort.parse(options.adapt), budget)


def _seen(tuner: AnyTuner, phase: Callable[[str], Advance]) -> Tune:
    """Tune, and let it be seen: a group of frames may take minutes."""

    def tune(group: CodedGroup, coarser: CodedGroup | None = None) -> bytes:
        phase(f"tuning group {len(tuner.groups) + 1}")(0, None)
        return tuner.message(group, coarser)

    return tune


def _after(chosen: Chosen, advance: Advance) -> Advance:
    """Goes on where the search has ended, with the same total."""
    work, frames = chosen.work, chosen.sample.total

    def after(done: int, total: int | None) -> None:
        total = total if frames is None else frames
        advance(work + done, None if total is None else work + max(done, total))

    return after


def _unseen(_phase: str) -> Advance:
    return _nothing


def _nothing(_done: int, _total: int | None) -> None:
    return None
