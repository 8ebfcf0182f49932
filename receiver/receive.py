"""Receive a video: decode → upscale → measure → encode, each in a thread of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from irn_video.codecs.card import StreamCard, find_card
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption, MissingCard, MissingFile
from irn_video.codecs.output import check_output
from irn_video.codecs.packets import video_bytes
from irn_video.codecs.passthrough import Passthrough
from irn_video.codecs.picture import Layout
from irn_video.codecs.reader import VideoInfo, VideoReader
from irn_video.codecs.writer import VideoWriter, WriteSummary
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.quality.report import FrameReport, Report, StreamReport
from irn_video.pipeline.restoring import (
    check_size,
    check_source,
    find_source,
    is_source,
    load_for,
    restoration_of,
    restored_pictures,
    with_samples,
)

Advance = Callable[[], None]
# The restored file is a second generation: by default it should cost little of what was restored.
RESTORED_CRF = 18
UPSCALERS = ("model", "lanczos", "bicubic")


@dataclass(frozen=True)
class ReceiveOptions:
    """How to receive.

    Attributes:
        source: to measure against; None looks for the file the card names, beside the input.
        model: weights file or name, where the card's name is not enough or there is no card.
        upscaler: `model`, or `lanczos` and `bicubic` for ordinary resampling of the same LR stream.
        encoder: of the restored file.
        stream: video stream of the input, from 0.
        frames: only the first so many pictures; the source may be longer then.
        temperature: of the latents, 0 for their mean; None takes the card's.
        seed: of the latents; None takes the card's.
        overwrite: replace an existing output.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
    """

    source: Path | None = None
    model: str | None = None
    upscaler: str = "model"
    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(crf=RESTORED_CRF))
    stream: int = 0
    frames: int | None = None
    temperature: float | None = None
    seed: int | None = None
    overwrite: bool = False
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class ReceiveResult:
    """What was restored.

    Attributes:
        written: the restored file.
        source: what it was measured against, or None.
        report: of the LR stream, with measured pictures if there was a source.
    """

    written: WriteSummary
    source: Path | None
    report: Report


def receive(
    lr: Path | str,
    output: Path | str,
    options: ReceiveOptions | None = None,
    *,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
) -> ReceiveResult:
    """Restore an LR stream at full size, measure it against its source if there is one, and write it.

    Args:
        lr: a file made by `send`, remuxed or cut as you like.
        output: the restored file; its suffix names the container.
        options: see `ReceiveOptions`.
        advance: called after each written picture.
        say: called with what was chosen, once, before the work starts.

    Raises:
        IrnError: see its subclasses; nothing is left under the output's name.
    """
    options = options or ReceiveOptions()
    lr, output = Path(lr), Path(output)
    _check_options(options)
    inputs = [lr, options.source] if options.source else [lr]
    check_output(output, inputs, options.overwrite)
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(lr, stream=options.stream, frames=options.frames, quantiser=True))
        card = find_card(lr, stream=options.stream) or _card_from_options(reader.info, options)
        check_size(reader.info, card)
        rescaler = _rescaler(card, options)
        to, warnings = _plan(card, options)
        source_path = options.source or find_source(card, lr)
        source = _open_source(source_path, card, options, stack)
        # Of the very file that was sent, only a prefix may have been sent.
        prefix = options.frames is not None or (source_path is not None and is_source(card, source_path))
        if say is not None:
            measured = f"measured against {source_path}" if source_path else "no source to measure against"
            say(f"{rescaler.name} on {rescaler.where}; {measured}")
        written, frames = _write(
            reader, rescaler, to, source, card, output, options, advance or _nothing, prefix=prefix
        )
        damage = reader.damage.describe() if reader.damage else ""
        stream = _stream_report(reader.info, card, written)
    report = Report(
        command="irn-receive",
        device=rescaler.where,
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        stream=stream,
        frames=frames,
        warnings=(*warnings, *written.warnings),
        damage=damage,
    )
    return ReceiveResult(written, source_path, report)


def _check_options(options: ReceiveOptions) -> None:
    make_encoder(options.encoder)
    if options.upscaler not in UPSCALERS:
        raise BadOption(f"no upscaler {options.upscaler!r}", hint=", ".join(UPSCALERS))
    if options.temperature is not None and not 0 <= options.temperature <= 10:
        raise BadOption(
            f"a temperature of {options.temperature:g} makes no sense", hint="0 (the mean) to 1; at most 10"
        )
    if options.source is not None and not options.source.is_file():
        raise MissingFile("no such source", path=options.source)


def _card_from_options(info: VideoInfo, options: ReceiveOptions) -> StreamCard:
    """A card made up for a stream that has lost its own: no padding, the LR stream's samples."""
    if options.model is None:
        raise MissingCard(
            "no stream card inside", path=info.path, hint="was it made by irn-send? else say which --model made it"
        )
    rescaler = Rescaler.load(options.model, device="cpu")
    return StreamCard(
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        scale=rescaler.scale,
        width=info.width * rescaler.scale,
        height=info.height * rescaler.scale,
        pad_right=0,
        pad_bottom=0,
        layout=info.layout,
        bit_depth=info.bit_depth,
        color=info.color,
        codec=info.codec,
        crf=None,
        bitrate=None,
        lossless=False,
        latent_std=rescaler.temperature,
        seed=0,
        source_name="",
        source_bytes=0,
        source_sha256="",
        frames=info.frames,
    )


def _rescaler(card: StreamCard, options: ReceiveOptions) -> Rescaler:
    if options.upscaler == "model":
        return load_for(card, options.model, device=options.device, precision=options.precision)
    return Rescaler.load(f"{options.upscaler}-x{card.scale}")


def _plan(card: StreamCard, options: ReceiveOptions) -> tuple[Restoration, tuple[str, ...]]:
    """Samples that the restored file's encoder carries, and what the user should know about them."""
    to = restoration_of(card, temperature=options.temperature, seed=options.seed)
    encoder = make_encoder(options.encoder)
    layout, depth = encoder.choose(to.samples.layout, to.samples.bit_depth)
    warnings = []
    if layout is Layout.YUV420 and encoder.needs_even and (card.width % 2 or card.height % 2):
        layout = Layout.YUV444
        warnings.append(f"{options.encoder.codec} has no 4:2:0 of odd size: the restored file is 4:4:4")
    if (layout, depth) != (to.samples.layout, to.samples.bit_depth):
        if not warnings:
            warnings.append(
                f"the restored file is {layout} at {depth} bits, the source {to.samples.layout} at "
                f"{to.samples.bit_depth}: {options.encoder.codec} carries no better here"
            )
        to = with_samples(to, layout, depth)
    return to, tuple(warnings)


def _open_source(path: Path | None, card: StreamCard, options: ReceiveOptions, stack: ExitStack) -> VideoReader | None:
    if path is None:
        return None
    source = stack.enter_context(VideoReader(path, frames=options.frames))
    check_source(source.info, card)
    return source


def _write(
    reader: VideoReader,
    rescaler: Rescaler,
    to: Restoration,
    source: VideoReader | None,
    card: StreamCard,
    output: Path,
    options: ReceiveOptions,
    advance: Advance,
    *,
    prefix: bool,
) -> tuple[WriteSummary, tuple[FrameReport, ...]]:
    info = reader.info
    writer = VideoWriter(
        output,
        options.encoder,
        width=card.width,
        height=card.height,
        layout=to.samples.layout,
        bit_depth=to.samples.bit_depth,
        color=to.samples.color,
        time_base=info.time_base,
        frame_rate=info.frame_rate,
        rotation=info.rotation,
        sample_aspect_ratio=info.sample_aspect_ratio,
        hdr=info.hdr,
        passthrough=Passthrough(info.path, info.stream, math.inf if options.frames else None),
        overwrite=options.overwrite,
        inputs=[source.info.path] if source else [],
    )
    frames = []
    with writer, restored_pictures(reader, rescaler, to, source, prefix=prefix) as restored:
        for item in restored:
            writer.write(item.picture)
            if item.report is not None:
                frames.append(item.report)
            advance()
        return writer.finish(), tuple(frames)


def _stream_report(info: VideoInfo, card: StreamCard, written: WriteSummary) -> StreamReport:
    return StreamReport(
        codec=card.codec,
        preset=None,
        crf=card.crf,
        bytes=video_bytes(info.path, stream=info.stream, frames=written.frames),
        frames=written.frames,
        seconds=written.seconds,
        hr_pixels=card.width * card.height,
    )


def _nothing() -> None:
    return None
