"""What tuning to a clip buys: BD-rate of a network with irn-send --adapt against the same one without.

python samples/measure tuning CLIP... [--model irn-h264-x2-base] [--adapt fast,best] [--crf 20,25,30,35] [--seconds 5]
python samples/measure tuning CLIP... --halves [--crf 26]

Each clip is played forward and backward until it has this length. Bytes are those of all its video packets, with the
weights; PSNR-Y, PSNR-YUV and VMAF-NEG are means over its first pictures, once forward. With --halves the network is
tuned to as many parts of every second picture alone: what do the others gain, beside those, and beside what they
gain when it is tuned to all? (Many of them are B pictures, which gain less.)
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.pipeline.adaptation.effort import Effort
from irn_video.pipeline.adaptation.tuner import Tuner
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.restoring import restoration_of
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.clips import RATE, write_clip
from measure.options import clips_argument, model_option, numbers
from measure.rates import MAX_CRF, PRESET

Found = Iterator[tuple[str, float]]


@dataclass(frozen=True)
class Point:
    """Bytes of a stream, and means over its first pictures."""

    bytes: int
    psnr_y: float
    psnr_yuv: float
    vmaf_neg: float


def bounced(pictures: Sequence[Picture], seconds: float) -> Iterator[Picture]:
    """Forward and backward, until it is so long."""
    return itertools.islice(itertools.cycle([*pictures, *pictures[-2:0:-1]]), round(seconds * RATE))


def sent(source: Path, model: str, adapt: str | None, crf: float) -> tuple[Path, int]:
    """The LR stream, and its bytes."""
    options = SendOptions(model=model, crf=crf, preset=PRESET, adapt=adapt, overwrite=True)
    written = send(source, source.with_name(f"lr_{source.name}"), options).written
    return written.path, written.video_bytes


def point(source: Path, frames: int, model: str, adapt: str | None, crf: float) -> Point:
    """Send and restore."""
    lr, size = sent(source, model, adapt, crf)
    restored = source.with_name("restored.mkv")
    options = ReceiveOptions(source=source, codec="ffv1", frames=frames, overwrite=True)
    report = receive(lr, restored, options).report
    vmaf = measure_files(restored, source, source.parent, ["vmaf_neg"])
    y, yuv = (report.summary()[name]["mean"] or 99.0 for name in ("psnr_y", "psnr_yuv"))
    return Point(size, y, yuv, statistics.fmean(v["vmaf_neg"] or 0 for v in vmaf))


def tuned_to(source: Path, lr_file: Path, rescaler: Rescaler, effort: Effort, every: int) -> bytes:
    """Weights for the first group of pictures, tuned to so many parts of every so many pictures of it."""
    tuner = Tuner(rescaler, replace(effort, cells=every * effort.cells))
    with av.open(lr_file) as container, VideoReader(source) as reader:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        keyframes = [index for index, packet in enumerate(packets) if packet.is_keyframe]
        group = packets[: keyframes[1] if len(keyframes) > 1 else None]
        for index, picture in enumerate(itertools.islice(reader, len(group))):
            if index % every:
                tuner.skip()
            else:
                tuner.remember(picture)
        return tuner.message(CodedGroup(group, video.codec_context.extradata))


def gains(source: Path, lr_file: Path, rescaler: Rescaler, frames: int, updates: Sequence[bytes]) -> list[list[float]]:
    """In dB PSNR-Y, of the first pictures with each of these weights."""
    values = []
    card = find_card(lr_file)
    assert card is not None
    to = restoration_of(card, temperature=None, seed=None)
    for weights in (b"", *updates):
        with VideoReader(lr_file, quantiser=True) as lr, VideoReader(source) as original:
            restored = (rescaler.reverse(rescaler.predict(replace(small, update=weights), to), to) for small in lr)
            pairs = itertools.islice(zip(original, restored, strict=True), frames)
            values.append([compare(*pair).psnr()["psnr_y"] or 99.0 for pair in pairs])
    return [[b - a for a, b in zip(values[0], tuned, strict=True)] for tuned in values[1:]]


def of_halves(source: Path, frames: int, model: str, efforts: list[str], rates: Sequence[float]) -> Found:
    """What pictures that were not tuned to gain, for 100 that the others gain, and for 100 of their own."""
    rescaler = Rescaler.load(model)
    for name, rate in itertools.product(efforts, rates):
        lr_file, _ = sent(source, model, None, rate)
        updates = [tuned_to(source, lr_file, rescaler, Effort.parse(name), every) for every in (2, 1)]
        half, every = gains(source, lr_file, rescaler, frames, updates)
        seen, others, best = (statistics.fmean(part) for part in (half[::2], half[1::2], every[1::2]))
        text = f"{seen:+.3f} dB, others {others:+.3f} dB, others when tuned to all {best:+.3f} dB"
        click.echo(f"{source.stem} {name} CRF {rate:g}: {text}")
        yield f"{name}, others / seen, %", 100 * others / seen
        yield f"{name}, others / when tuned to all, %", 100 * others / best


def of_curves(source: Path, frames: int, model: str, efforts: list[str], rates: Sequence[float]) -> Found:
    """BD-rate in each metric."""
    curves: dict[str | None, list[Point]] = {}
    for effort in (None, *efforts):
        points = curves[effort] = [point(source, frames, model, effort, rate) for rate in rates]
        told = ", ".join(f"{p.bytes} B {p.psnr_y:.3f} {p.psnr_yuv:.3f} {p.vmaf_neg:.2f}" for p in points)
        click.echo(f"{source.stem} {effort or 'general'}: {told}")
    for effort, metric in itertools.product(efforts, ("psnr_y", "psnr_yuv", "vmaf_neg")):
        general, tuned = (Curve.through([(p.bytes, getattr(p, metric)) for p in curves[e]]) for e in (None, effort))
        saved = bd_rate(general, tuned)
        click.echo(f"{source.stem} {effort}, {metric}: " + ("no overlap" if saved is None else f"{saved:+.2f} %"))
        if saved is not None:
            yield f"{effort}, {metric}, %", saved


@click.command()
@clips_argument
@model_option("irn-h264-x2-base")
@click.option("--adapt", default="fast", show_default=True, help="quick, fast, best, with commas")
@click.option(
    "--crf", callback=numbers(highest=MAX_CRF), default="20,25,30,35", show_default=True, help="Of the streams."
)
@click.option("--halves", is_flag=True, help="tune to every second frame, look at the others")
@click.option("--seconds", default=5.0, show_default=True)
def command(
    clips: tuple[Path, ...], model: str, adapt: str, crf: tuple[float, ...], halves: bool, seconds: float
) -> None:
    """Compare CLIPS with and without tuning the network to them."""
    efforts = adapt.split(",")
    found: dict[str, list[float]] = {}
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder, VideoReader(clip) as reader:
            pictures, place = list(reader), Path(folder) / f"{clip.stem}.mkv"
            source = write_clip(place, bounced(pictures, seconds), EncoderSettings(codec="ffv1"))
            measured = of_halves if halves else of_curves
            figures = measured(source, len(pictures), model, efforts, crf)
            for name, value in figures:
                found.setdefault(name, []).append(value)
    for name, values in found.items():
        click.echo(f"mean of {len(values)}, {name}: {statistics.fmean(values):+.2f}")
