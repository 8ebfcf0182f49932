"""What tuning to a clip buys: BD-rate of a network with irn-send --adapt against the same one without.

python samples/tuning.py CLIP... [--model irn-h264-x2-base] [--adapt fast,best] [--crf 20,25,30,35] [--seconds 5]
python samples/tuning.py CLIP... --halves [--crf 26]

Each clip is played forward and backward until it has this length. Bytes are those of all its video packets, with the
weights; PSNR-Y and VMAF-NEG are means over its first pictures, once forward. With --halves the network is tuned to a
clip of every second picture alone, and used for a stream of all: what do the pictures gain that it has not seen?
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import click
from irn_video.codecs.card import find_card
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import Picture
from irn_video.codecs.reader import VideoInfo, VideoReader
from irn_video.codecs.writer import VideoWriter
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.restoring import restoration_of
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

RATE = Fraction(25)
Found = Iterator[tuple[str, float]]


@dataclass(frozen=True)
class Point:
    """Bytes of a stream, and means over its first pictures."""

    bytes: int
    psnr_y: float
    vmaf_neg: float


def write(pictures: Iterable[Picture], info: VideoInfo, output: Path) -> Path:
    """A lossless video of these pictures."""
    with VideoWriter(
        output,
        EncoderSettings(codec="ffv1"),
        width=info.width,
        height=info.height,
        layout=info.layout,
        bit_depth=info.bit_depth,
        color=info.color,
        time_base=1 / RATE,
        frame_rate=RATE,
    ) as writer:
        for index, picture in enumerate(pictures):
            writer.write(replace(picture, pts=index, time_base=1 / RATE, duration=1))
    return output


def bounced(pictures: Sequence[Picture], seconds: float) -> Iterator[Picture]:
    """Forward and backward, until it is so long."""
    return itertools.islice(itertools.cycle([*pictures, *pictures[-2:0:-1]]), round(seconds * RATE))


def sent(source: Path, model: str, adapt: str | None, crf: float) -> tuple[Path, int]:
    """The LR stream, and its bytes."""
    options = SendOptions(model, encoder=EncoderSettings(crf=crf), adapt=adapt, overwrite=True)
    written = send(source, source.with_name(f"lr_{source.name}"), options).written
    return written.path, written.video_bytes


def point(source: Path, frames: int, model: str, adapt: str | None, crf: float) -> Point:
    """Send and restore."""
    lr, size = sent(source, model, adapt, crf)
    restored = source.with_name("restored.mkv")
    options = ReceiveOptions(source, encoder=EncoderSettings(codec="ffv1"), frames=frames, overwrite=True)
    report = receive(lr, restored, options).report
    vmaf = measure_files(restored, source, source.parent, ["vmaf_neg"])
    return Point(size, report.summary()["psnr_y"]["mean"] or 99.0, statistics.fmean(v["vmaf_neg"] or 0 for v in vmaf))


def gains(source: Path, model: str, adapt: str, crf: float, frames: int, half: Path) -> tuple[float, float]:
    """In dB PSNR-Y: of the first pictures with even index, which weights tuned to `half` know, and of the others."""
    rescaler = Rescaler.load(model)
    with VideoReader(sent(half, model, adapt, crf)[0], quantiser=True) as reader:
        update = next(iter(reader)).update
    values = []
    lr_file, _ = sent(source, model, None, crf)
    card = find_card(lr_file)
    assert card is not None
    to = restoration_of(card, temperature=None, seed=None)
    for weights in (b"", update):
        with VideoReader(lr_file, quantiser=True) as lr, VideoReader(source) as original:
            values.append(
                [
                    compare(wanted, rescaler.reverse(rescaler.predict(replace(small, update=weights), to), to))
                    for small, wanted in itertools.islice(zip(lr, original, strict=True), frames)
                ]
            )
    gain = [(b.psnr()["psnr_y"] or 99.0) - (a.psnr()["psnr_y"] or 99.0) for a, b in zip(*values, strict=True)]
    return statistics.fmean(gain[::2]), statistics.fmean(gain[1::2])


def of_halves(source: Path, half: Path, frames: int, model: str, efforts: list[str], rates: list[float]) -> Found:
    """What pictures that were not tuned to gain, for 100 that those gain that were."""
    for effort, rate in itertools.product(efforts, rates):
        seen, others = gains(source, model, effort, rate, frames, half)
        click.echo(f"{half.stem} {effort} CRF {rate:g}: {seen:+.3f} dB, others {others:+.3f} dB")
        yield f"{effort}, others / seen, %", 100 * others / seen


def of_curves(source: Path, frames: int, model: str, efforts: list[str], rates: list[float]) -> Found:
    """BD-rate in each metric."""
    curves: dict[str | None, list[Point]] = {}
    for effort in (None, *efforts):
        points = curves[effort] = [point(source, frames, model, effort, rate) for rate in rates]
        told = ", ".join(f"{p.bytes} B {p.psnr_y:.3f} {p.vmaf_neg:.2f}" for p in points)
        click.echo(f"{source.stem} {effort or 'general'}: {told}")
    for effort, metric in itertools.product(efforts, ("psnr_y", "vmaf_neg")):
        general, tuned = (Curve.through([(p.bytes, getattr(p, metric)) for p in curves[e]]) for e in (None, effort))
        saved = bd_rate(general, tuned)
        click.echo(f"{source.stem} {effort}, {metric}: " + ("no overlap" if saved is None else f"{saved:+.2f} %"))
        if saved is not None:
            yield f"{effort}, {metric}, %", saved


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="irn-h264-x2-base", show_default=True)
@click.option("--adapt", default="fast", show_default=True, help="fast, best, or both with a comma")
@click.option("--crf", default="20,25,30,35", show_default=True)
@click.option("--halves", is_flag=True, help="tune to every second picture, look at the others")
@click.option("--seconds", default=5.0, show_default=True)
def main(clips: tuple[Path, ...], model: str, adapt: str, crf: str, halves: bool, seconds: float) -> None:
    """Compare CLIPS with and without tuning."""
    efforts, rates = adapt.split(","), [float(value) for value in crf.split(",")]
    found: dict[str, list[float]] = {}
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder, VideoReader(clip) as reader:
            info, pictures, place = reader.info, list(reader), Path(folder) / f"{clip.stem}.mkv"
            source = write(bounced(pictures, seconds), info, place.with_stem(f"{clip.stem}_whole") if halves else place)
            if halves:
                half = write(bounced(pictures[::2], seconds), info, place)
                figures = of_halves(source, half, len(pictures), model, efforts, rates)
            else:
                figures = of_curves(source, len(pictures), model, efforts, rates)
            for name, value in figures:
                found.setdefault(name, []).append(value)
    for name, values in found.items():
        click.echo(f"mean of {len(values)}, {name}: {statistics.fmean(values):+.2f}")


if __name__ == "__main__":
    main()
