"""Send a video: read → downscale → encode, each in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard, digest_of
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.coded import coded_frames
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.seeking import Part
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.codecs.writing.output import check_output
from irn_video.codecs.writing.writer import Tune, VideoWriter, WriteSummary
from irn_video.pipeline.adaptation.effort import Budget, Effort
from irn_video.pipeline.adaptation.tuner import Tuner
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import Advance, ahead, mapped
from irn_video.pipeline.options import (
    DeviceOptions,
    EncoderOptions,
    LatentOptions,
    VideoOptions,
    check_temperature,
    check_types,
)
from irn_video.pipeline.planes import Samples, carried_color, resolved_color
from irn_video.pipeline.quality.report import FrameReport, Report, Tuning
from irn_video.pipeline.restoring import Meter, check_size, file_digest, restoration_of, restored_pictures, said_stream
from irn_video.pipeline.zoo import NETWORKS
from irn_video.sender.part import part_of, place_of, rest_of
from irn_video.sender.reporting import source_of, stream_report

_MAX_NAME = 255
_MOST_KEYINT_SECONDS = 3600
_FALLBACK_RATE = 25


@dataclass(frozen=True, kw_only=True)
class SendOptions(VideoOptions, EncoderOptions, LatentOptions, DeviceOptions):
    """How to send: `SendOptions(crf=26, preset="slow", adapt="fast")`.

    Rate and codec are fields of `EncoderSettings`; the other inherited ones are those of `VideoOptions`,
    `LatentOptions` and `DeviceOptions`.

    Attributes:
        model: a network of the zoo, a weights file, or `lanczos-x2`, `bicubic-x4`, …; None for that of `NETWORKS`.
        start: send from this time on, in seconds after the first frame.
        duration: send so many seconds.
        keyint_seconds: largest distance of keyframes, where `keyint` does not say it in frames; None for the codec's.
        scale: what the model's must be; None takes any, and 2 if no model is named.
        temperature: default for the receiver; None for the network's own.
        seed: default for the receiver.
        adapt: tune the receiver's network to the frames, see `Effort.parse`; H.264 only. None for no tuning.
        adapt_budget: what the tuned weights of a group of frames may take, see `Budget.parse`; None for what is
            worth it.
        verify: afterwards decode and restore the LR stream and measure it.
    """

    model: str | None = None
    start: float | None = None
    duration: float | None = None
    keyint_seconds: float | None = None
    scale: int | None = None
    temperature: float | None = None
    seed: int = 0
    adapt: str | None = None
    adapt_budget: str | None = None
    verify: bool = False


@dataclass(frozen=True)
class SendResult:
    """What was sent.

    Attributes:
        written: the LR file.
        card: its stream card.
        report: with measured frames if `verify` was asked for.
    """

    written: WriteSummary
    card: StreamCard
    report: Report


@dataclass(frozen=True)
class SendPlan:
    """What is carried where: samples of the restored and of the LR frames, and what the user should know.

    `qp` is the quantiser to filter for, if any.
    """

    carried: Samples
    lr: Samples
    qp: float | None
    warnings: tuple[str, ...]


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
        source: any video that FFmpeg reads.
        output: the LR file; its suffix names the container.
        options: see `SendOptions`.
        advance: see `Advance`.
        say: called with what was chosen, once, before the work starts.
        phase: called with what else takes its time, `tuning group 1`, …, `verifying`; returns its `Advance`.

    Raises:
        IrnError: see its subclasses; nothing is left under the output's name.
    """
    options, phase = options or SendOptions(), phase or _unseen
    check_types(options)
    source, output = Path(source), Path(output)
    check_output(output, [source], options.overwrite)
    make_encoder(options.encoder)
    rescaler = _rescaler(options)
    tuner = _tuner(rescaler, options)
    with part_of(source, options) as part:
        reader = part.reader
        options = with_keyint(options, reader.info)
        plan = plan_of(reader.info, rescaler, options.encoder)
        card = replace(card_of(reader.info, rescaler, plan.carried, options), **place_of(part))
        if say is not None:
            say(said_stream(reader.info) + f"{rescaler.name} on {rescaler.where}")
        started = time.monotonic()
        tune = _seen(tuner, phase) if tuner is not None else None
        written = _write(part, rescaler, plan, card, output, options, tuner, tune, advance or _nothing)
        damage, mended = reader.damage.describe() if reader.damage else "", reader.warnings
        elapsed = time.monotonic() - started
        origin = source_of(reader.info)
    coded = coded_frames(output, quantisers=True)
    frames = verify(source, output, rescaler, card, options, phase("verifying")) if options.verify else ()
    report = Report(
        command="irn-send",
        device=rescaler.where,
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        stream=stream_report(card, written, options.encoder),
        frames=frames,
        warnings=tuple(dict.fromkeys((*rescaler.warnings, *plan.warnings, *mended, *written.warnings))),
        damage=damage,
        adaptation=tuple(tuner.groups) if tuner is not None else (),
        tuning=Tuning.of(tuner.groups) if tuner is not None else Tuning(untuned="it was not asked for"),
        coded=coded,
        source=origin,
        elapsed_seconds=elapsed,
    )
    return SendResult(written, card, report)


def with_keyint(options: SendOptions, info: VideoInfo) -> SendOptions:
    """`keyint_seconds` as frames of this video, where there is no `keyint`.

    Raises:
        BadOption: they make no sense.
    """
    seconds = options.keyint_seconds
    if seconds is None or options.keyint is not None:
        return options
    if not 0 < seconds <= _MOST_KEYINT_SECONDS:
        raise BadOption(f"keyframes every {seconds:g} s make no sense", hint="2 is usual")
    return replace(options, keyint=max(1, round(seconds * float(info.frame_rate or _FALLBACK_RATE))))


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


def plan_of(info: VideoInfo, rescaler: Rescaler, settings: EncoderSettings) -> SendPlan:
    """How the frames of a source are sent."""
    source = Samples(info.layout, info.bit_depth, info.color)
    lossless = settings.lossless or settings.codec == "ffv1"
    made = rescaler.sent(source, lossless=lossless, height=info.height)
    lr = Samples(*make_encoder(settings).choose(made.layout, made.bit_depth), made.color)
    if made.layout is Layout.RGB and lr.layout is not Layout.RGB:
        lr = replace(lr, color=resolved_color(carried_color(source.color, lr.layout, info.height), info.height))
    carried = rescaler.carried(source, info.height)
    carried = replace(carried, bit_depth=min(carried.bit_depth, lr.bit_depth))
    qp = make_encoder(settings).prefilter_qp
    return SendPlan(carried, lr, qp, _warnings(info, rescaler, settings, made, lr, carried))


def _warnings(
    info: VideoInfo, rescaler: Rescaler, settings: EncoderSettings, made: Samples, lr: Samples, carried: Samples
) -> tuple[str, ...]:
    """What is lost or may surprise on the way from the source to the LR stream."""
    warnings = list(info.notes)
    if carried.layout is not info.layout:
        warnings.append(f"{rescaler.name} carries {carried.layout}: the source's {info.layout} is converted")
    if rescaler.wants_lossless and not (settings.lossless or settings.codec == "ffv1"):
        warnings.append(
            f"{rescaler.name} hides detail in the last bits of the LR frames, which {settings.codec} erases: "
            "use --lossless or a codec-aware network"
        )
    if lr.layout is not made.layout:
        warnings.append(f"{settings.codec} sends the LR frames as {lr.layout}, not {made.layout}: detail may be lost")
    if lr.bit_depth < info.bit_depth:
        warnings.append(f"the LR frames have {lr.bit_depth} bits: the source's {info.bit_depth} are rounded")
    elif lr.bit_depth > 8 and settings.codec == "h264":
        warnings.append(
            f"few players and no hardware decoders take {lr.bit_depth}-bit H.264: use --codec h265 or av1, or "
            "--pix-fmt yuv420p for 8 bits"
        )
    if info.interlaced:
        warnings.append("the source is interlaced and treated as progressive: deinterlace it first for best quality")
    return tuple(warnings)


def card_of(
    info: VideoInfo, rescaler: Rescaler, carried: Samples, options: SendOptions, *, findable: bool = True
) -> StreamCard:
    """What the stream says about itself; its source is named if it is `findable`."""
    height, width = rescaler.padded(info.height, info.width)
    # A name that the card cannot hold, or a stream that it cannot tell, only means that the receiver will not find the
    # source by itself.
    named = findable and info.stream == 0 and len(info.path.name) <= _MAX_NAME and "\\" not in info.path.name
    count = info.frames if options.frames is None or info.frames is None else min(options.frames, info.frames)
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
    )


def _rescaler(options: SendOptions) -> Rescaler:
    model = options.model or NETWORKS.get(options.scale or 2)
    if model is None:
        raise BadOption(f"no network has scale {options.scale}", hint="1, 2 or 4, or name a model")
    rescaler = Rescaler.load(model, device=options.device, precision=options.precision)
    if options.scale not in (None, rescaler.scale):
        raise BadOption(f"{model} has scale {rescaler.scale}, not {options.scale}", hint="choose another model")
    return rescaler


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
    tuner: Tuner | None,
    tune: Tune | None,
    advance: Advance,
) -> WriteSummary:
    info = part.reader.info
    opened = partial(
        VideoWriter,
        output,
        options.encoder,
        replace(
            info,
            width=(card.width + card.pad_right) // card.scale,
            height=(card.height + card.pad_bottom) // card.scale,
            layout=plan.lr.layout,
            bit_depth=plan.lr.bit_depth,
            color=plan.lr.color,
        ),
        passthrough=rest_of(part, options),
        card=card,
        tune=tune,
        overwrite=options.overwrite,
        inputs=[info.path],
    )
    with (
        opened() as writer,
        ahead(part) as pictures,
        ahead(mapped(lambda _, p: (p, rescaler.downscale(p, plan.lr, plan.qp)), pictures)) as small,
    ):
        for done, (picture, lr) in enumerate(small, 1):
            if tuner is not None:
                tuner.remember(picture)
            writer.write(lr)
            advance(done, card.frames)
        return writer.finish()


def _tuner(rescaler: Rescaler, options: SendOptions) -> Tuner | None:
    if options.adapt is None:
        if options.adapt_budget is not None:
            raise BadOption("a budget for weights that are not sent", hint="--adapt fast, or drop --adapt-budget")
        return None
    if options.encoder.codec != "h264" or options.encoder.lossless:
        raise BadOption("only lossy H.264 from x264 can be adapted to", hint="drop --adapt, or use --codec h264")
    budget = Budget.parse(options.adapt_budget) if options.adapt_budget is not None else None
    return Tuner(rescaler, Effort.parse(options.adapt), budget)


def _seen(tuner: Tuner, phase: Callable[[str], Advance]) -> Tune:
    """Tune, and let it be seen: a group of frames may take minutes."""

    def tune(group: CodedGroup, coarser: CodedGroup | None = None) -> bytes:
        phase(f"tuning group {len(tuner.groups) + 1}")(0, None)
        return tuner.message(group, coarser)

    return tune


def _unseen(_phase: str) -> Advance:
    return _nothing


def _nothing(_done: int, _total: int | None) -> None:
    return None
