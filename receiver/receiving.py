"""Receive a video: decode → upscale → measure → encode, each in a thread of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import MissingFile, SourceMismatch
from irn_video.codecs.picture import Layout
from irn_video.codecs.pipes import PIPE, Sink
from irn_video.codecs.reading.coded import CodedFrame, coded_frames
from irn_video.codecs.reading.inputs import as_file
from irn_video.codecs.reading.numbered import is_numbered
from irn_video.codecs.reading.packets import survey, video_bytes
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.seeking import open_part
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.containers import codec_for
from irn_video.codecs.writing.output import check_output
from irn_video.codecs.writing.passthrough import Passthrough
from irn_video.codecs.writing.writer import VideoWriter, WriteSummary
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.flow import Advance
from irn_video.pipeline.options import EncoderOptions, RestoringOptions, VideoOptions
from irn_video.pipeline.pace import PaceClock, note_for
from irn_video.pipeline.planes import Samples, carried_color, convert
from irn_video.pipeline.quality.entries import FrameReport, SourceReport, StreamReport, Tuning
from irn_video.pipeline.quality.metrics import PSNR_METRICS, parse_metrics
from irn_video.pipeline.quality.report import Report
from irn_video.pipeline.restoring import (
    Meter,
    Restored,
    find_source,
    meter_for,
    restored_pictures,
    said_stream,
    with_samples,
)
from irn_video.pipeline.upscalers import card_for, check_restoring, rescaler_for, restoration_for
from irn_video.receiver.playlists import as_video
from irn_video.receiver.scoring import Scorer

_PIPED = "y4m"
# The restored file is a second generation, so it should cost little of what was restored; and the encoder must keep up
# with the network: at a given CRF a faster preset only makes the file larger.
_RESTORED_CRF, _RESTORED_PRESET, _RESTORED_CODECS = 18, "veryfast", ("h264", "h265")


@dataclass(frozen=True, kw_only=True)
class ReceiveOptions(VideoOptions, EncoderOptions, RestoringOptions):
    """How to receive: `ReceiveOptions(source="x.mkv", temperature=0)`.

    Codec and quality of the restored file are fields of `EncoderSettings`; where none is given, H.264 and H.265 get CRF
    18 and the preset `veryfast`. The other inherited fields are those of `VideoOptions` and `RestoringOptions`; with
    `frames`, the source may be longer.

    Attributes:
        source: to measure against; None looks for the file the card names, beside the input.
        source_stream: video stream of `source`, from 0; None for the one that a player would show.
        metrics: what is measured, with commas between: see `parse_metrics`. All but PSNR are computed by FFmpeg on
            copies without loss of the frames, which lie beside the output meanwhile.
        rung: of a playlist: its name, or its number from 1; None for the highest that can be restored.
    """

    source: Path | str | None = None
    source_stream: int | None = None
    metrics: str = "psnr"
    rung: str | None = None

    @property
    def encoder(self) -> EncoderSettings:
        """Settings of the restored file's encoder, with what is chosen for it where nothing was given."""
        given = super().encoder
        if given.codec not in _RESTORED_CODECS:
            return given
        rated = given.lossless or given.crf is not None or given.bitrate is not None
        return replace(given, crf=given.crf if rated else _RESTORED_CRF, preset=given.preset or _RESTORED_PRESET)


@dataclass(frozen=True)
class _Done:
    """What is known of a frame that was restored."""

    pts_seconds: float
    qp: float | None
    report: FrameReport | None


@dataclass(frozen=True)
class ReceiveResult:
    """What was restored.

    Attributes:
        written: the restored file.
        source: what it was measured against, or None.
        unmeasured: why it was not measured, empty if it was.
        report: of the LR stream, with measured frames if there was a source.
    """

    written: WriteSummary
    source: Path | None
    unmeasured: str
    report: Report


def receive(
    lr: Path | str,
    output: Path | str,
    options: ReceiveOptions | None = None,
    *,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
    phase: Callable[[str], Advance] | None = None,
    sink: Sink | None = None,
) -> ReceiveResult:
    """Restore an LR stream at full size, measure it against its source if there is one, and write it.

    Args:
        lr: a file made by `send`, remuxed or cut as you like; `-` for standard input; a playlist of HLS, on disk or at
            an address, see `as_video`.
        output: the restored file; its suffix names the container. `-` for standard output, while it is restored;
            `restored/%05d.png` for pictures.
        options: see `ReceiveOptions`.
        advance: see `Advance`.
        say: called with what was chosen, once, before the work starts.
        phase: called with what else takes its time, `scoring`; returns its `Advance`.
        sink: where the output `-` goes; None for standard output.

    Raises:
        IrnError: see its subclasses; nothing is left under the output's name.
    """
    options = options or ReceiveOptions()
    lr, output = Path(lr), Path(output)
    if output == PIPE and options.format is None:
        options = replace(options, format=_PIPED)
    scored = _check_options(options)
    inputs = [Path(path) for path in (lr, options.source, options.weights) if path is not None]
    if sink is None:
        check_output(output, inputs, options.overwrite)
    options = replace(options, codec=codec_for(output, options.codec, options.format))
    make_encoder(options.encoder)
    with ExitStack() as stack:
        lr = stack.enter_context(as_file(lr, again=True)) if lr == PIPE else lr
        lr = stack.enter_context(as_video(lr, output, options.rung, phase or _unseen))
        reader = stack.enter_context(VideoReader(lr, stream=options.stream, frames=options.frames, quantiser=True))
        card = card_for(reader.info, options)
        rescaler = rescaler_for(card, options)
        to, written_as, warnings = _plan(card, restoration_for(card, rescaler, options), options)
        meter, unmeasured = _meter(reader, card, options, stack)
        if say is not None:
            against = f"measured against {options.source or meter.source.info.path}" if meter else ""
            against = against or f"not measured: {unmeasured}"
            look = f", look {shown}" if (shown := options.look or card.look) else ""
            say(said_stream(reader.info) + f"{rescaler.name}{look} on {rescaler.where}; {against}")
        scorer = stack.enter_context(Scorer(scored, output))
        started = time.monotonic()
        total = _total(reader.info, options)
        written, restored, clock = _write(
            _writer(reader.info, card, written_as, output, options, meter, sink),
            restored_pictures(reader, rescaler, to, meter),
            written_as,
            scorer,
            lambda done: (advance or _nothing)(done, total),
        )
        elapsed = time.monotonic() - started
        damage, mended = reader.damage.describe() if reader.damage else "", reader.warnings
        stream = _stream_report(reader.info, card, written)
        coded = _coded(reader, restored)
        tuned = survey(lr, stream=reader.info.stream).tuned_bytes
        origin = _source(card, meter)
        frames = tuple(item.report for item in restored if item.report is not None)
        unmeasured = unmeasured or (meter.complaint if meter is not None else "")
        if unmeasured:
            frames = ()
        elif scored:
            (phase or _unseen)("scoring")(0, None)
            frames = scorer.scored(frames)
    if meter is not None:
        warnings += tuple(_complaints(meter))
    report = Report(
        command="irn-receive",
        device=rescaler.where,
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        stream=stream,
        frames=frames,
        warnings=tuple(dict.fromkeys((*rescaler.warnings, *warnings, *mended, *written.warnings))),
        damage=damage,
        tuning=Tuning(len(tuned), sum(size > 0 for size in tuned), sum(tuned)),
        coded=coded,
        source=origin,
        scored=scored,
        elapsed_seconds=elapsed,
        advice=_advice(clock, reader.info, rescaler, to, options),
    )
    measured = Path(options.source or meter.source.info.path) if meter and not unmeasured else None
    return ReceiveResult(written, measured, unmeasured, report)


def _check_options(options: ReceiveOptions) -> tuple[str, ...]:
    """Refuse what makes no sense; the metrics besides PSNR."""
    make_encoder(options.encoder)
    check_restoring(options)
    source = Path(options.source) if options.source is not None else None
    if source is not None and not (source.exists() or is_numbered(source)):
        raise MissingFile("no such source", path=source)
    return tuple(name for name in parse_metrics(options.metrics) if name not in PSNR_METRICS)


def _plan(card: StreamCard, to: Restoration, options: ReceiveOptions) -> tuple[Restoration, Samples, tuple[str, ...]]:
    """How frames are restored and measured, how they are written, and what the user should know about that."""
    encoder = make_encoder(options.encoder)
    sent = to.samples.layout, to.samples.bit_depth
    layout, depth = encoder.choose(*sent)
    odd = encoder.needs_even and (card.width % layout.subsampling[1] or card.height % layout.subsampling[0])
    if odd:
        layout, depth = encoder.choose(Layout.YUV444, depth)
    if (layout, depth) == sent:
        return to, to.samples, ()
    if encoder.settings.codec == "png":  # pictures are RGB, but measured as what was sent
        return to, Samples(layout, depth, carried_color(to.samples.color, layout, card.height)), ()
    why = "has no subsampled frames of odd size" if odd else "carries no better here"
    text = f"the restored file is {layout} at {depth} bits, not {sent[0]} at {sent[1]}: {options.encoder.codec} {why}"
    to = with_samples(to, layout, depth)
    return to, to.samples, (text,)


def _meter(lr: VideoReader, card: StreamCard, options: ReceiveOptions, stack: ExitStack) -> tuple[Meter | None, str]:
    """What to measure with, or why that is not possible.

    Raises:
        SourceMismatch: the source that the user named does not fit.
    """
    path = Path(options.source) if options.source else find_source(card, lr.info.path)
    if path is None:
        return None, "no source (give --source FILE)"
    stream = options.source_stream if options.source else 0  # a card names a source only where it is this one
    if path.is_dir() or is_numbered(path):
        path = stack.enter_context(as_file(path, again=True, rate=lr.info.frame_rate))
    part = stack.enter_context(open_part(path, start=card.start, stream=stream, frames=options.frames))
    found = options.source is None
    try:
        return meter_for(lr, part.reader, card, frames=options.frames, found=found), ""
    except SourceMismatch as error:
        if not found:
            raise
        return None, error.what


def _complaints(meter: Meter) -> Iterator[str]:
    if meter.source.damage:
        yield f"the source is damaged: {meter.source.damage.describe()}"
    if meter.complaint:
        yield f"PSNR could not be measured against {meter.source.info.path}: {meter.complaint}"


def _writer(
    info: VideoInfo,
    card: StreamCard,
    samples: Samples,
    output: Path,
    options: ReceiveOptions,
    meter: Meter | None,
    sink: Sink | None,
) -> VideoWriter:
    """What writes frames of these samples, and everything else of the LR file beside them."""
    return VideoWriter(
        output,
        options.encoder,
        replace(
            info,
            width=card.width,
            height=card.height,
            layout=samples.layout,
            bit_depth=samples.bit_depth,
            color=samples.color,
        ),
        passthrough=Passthrough(info.path, info.stream, math.inf if options.frames else None),
        overwrite=options.overwrite,
        inputs=[meter.source.info.path] if meter else [],
        container=options.format,
        fragmented=options.fragmented,
        sink=sink,
    )


def _write(
    writer: VideoWriter,
    pictures: AbstractContextManager[Iterator[Restored]],
    samples: Samples,
    scorer: Scorer,
    advance: Callable[[int], None],
) -> tuple[WriteSummary, list[_Done], PaceClock]:
    frames: list[_Done] = []
    clock = PaceClock()
    with writer, pictures as restored:
        for done, item in enumerate(restored, 1):
            clock.tick(done, done, item.lr)
            writer.write(convert(item.picture, samples))
            scorer.take(item)
            frames.append(_Done(item.picture.pts_seconds, item.lr.qp, item.report))
            advance(done)
        return writer.finish(), frames, clock


def _total(info: VideoInfo, options: ReceiveOptions) -> int | None:
    return info.frames if options.frames is None or info.frames is None else min(info.frames, options.frames)


def _advice(clock: PaceClock, info: VideoInfo, rescaler: Rescaler, to: Restoration, options: ReceiveOptions) -> str:
    """What there is to say on a machine that was too slow."""
    pace, needed = clock.pace, info.frame_rate
    if pace is None or clock.lr is None or needed is None or pace.fps >= needed:
        return ""
    return note_for(pace, float(needed), rescaler, clock.lr, to, options)


def _coded(lr: VideoReader, restored: Sequence[_Done]) -> list[CodedFrame]:
    """The frames of a stream; their packets are not known in a damaged one."""
    packets = coded_frames(lr.info.path, stream=lr.info.stream) if not lr.damage else []
    some = dict(enumerate(packets))
    return [
        replace(some.get(index, CodedFrame(0.0)), pts_seconds=item.pts_seconds, qp=item.qp)
        for index, item in enumerate(restored)
    ]


def _source(card: StreamCard, meter: Meter | None) -> SourceReport:
    seconds = meter.source.info.duration_seconds if meter is not None else None
    return SourceReport(card.width, card.height, card.source_bytes or None, seconds)


def _stream_report(info: VideoInfo, card: StreamCard, written: WriteSummary) -> StreamReport:
    return StreamReport(
        codec=card.codec,
        preset=None,
        crf=card.crf,
        bitrate=card.bitrate,
        scale=card.scale,
        width=info.width,
        height=info.height,
        bytes=video_bytes(info.path, stream=info.stream, frames=written.frames),
        file_bytes=info.path.stat().st_size,
        frames=written.frames,
        seconds=written.seconds,
        hr_pixels=card.width * card.height,
    )


def _unseen(_phase: str) -> Advance:
    return _nothing


def _nothing(_done: int, _total: int | None) -> None:
    return None
