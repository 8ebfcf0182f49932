"""What tuning to a clip buys: BD-rate of a network with irn-send --adapt against the same one without.

python samples/tuning.py CLIP... [--model irn-h264-x2-base] [--adapt fast] [--crf 20,25,30,35] [--seconds 5]

Each clip is played forward and backward until it has this length. Bytes are those of all its video packets, with the
weights; PSNR-Y is the mean over its first pictures, once forward.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reader import VideoReader
from irn_video.codecs.writer import VideoWriter
from irn_video.pipeline.adaptation.tuner import EFFORTS
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

RATE = Fraction(25)


def bounced(clip: Path, output: Path, seconds: float) -> int:
    """Write a clip forward and backward, without loss, until it is so long; returns the pictures of the clip."""
    with VideoReader(clip) as reader:
        info, pictures = reader.info, list(reader)
    there_and_back = itertools.cycle([*pictures, *pictures[-2:0:-1]])
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
        for index, picture in enumerate(itertools.islice(there_and_back, round(seconds * RATE))):
            writer.write(replace(picture, pts=index, time_base=1 / RATE, duration=1))
    return len(pictures)


def point(source: Path, model: str, adapt: str | None, crf: float, frames: int) -> tuple[int, float]:
    """Bytes of the stream, and mean PSNR-Y of its first pictures."""
    lr, restored = source.with_name("lr.mkv"), source.with_name("restored.mkv")
    sent = send(source, lr, SendOptions(model, encoder=EncoderSettings(crf=crf), adapt=adapt, overwrite=True))
    quick = EncoderSettings(crf=40, preset="ultrafast")
    report = receive(lr, restored, ReceiveOptions(source, encoder=quick, frames=frames, overwrite=True)).report
    values = [value for frame in report.frames if (value := frame.error.psnr()["psnr_y"]) is not None]
    return sent.written.video_bytes, statistics.fmean(values)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="irn-h264-x2-base", show_default=True)
@click.option("--adapt", type=click.Choice([*EFFORTS]), default="fast", show_default=True)
@click.option("--crf", default="20,25,30,35", show_default=True)
@click.option("--seconds", default=5.0, show_default=True)
def main(clips: tuple[Path, ...], model: str, adapt: str, crf: str, seconds: float) -> None:
    """Compare CLIPS with and without tuning."""
    found = []
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source.mkv"
            frames = bounced(clip, source, seconds)
            curves = {}
            for effort in (None, adapt):
                points = [point(source, model, effort, float(value), frames) for value in crf.split(",")]
                curves[effort] = Curve.through(points)
                click.echo(f"{clip.name} {effort or 'general'}: " + ", ".join(f"{b} B {p:.3f} dB" for b, p in points))
        found.append(bd_rate(curves[None], curves[adapt]))
        click.echo(f"{clip.name}: " + ("no overlap" if found[-1] is None else f"{found[-1]:+.2f} %"))
    known = [value for value in found if value is not None]
    click.echo(f"mean of {len(known)}: {statistics.fmean(known):+.2f} %" if known else "no figure")


if __name__ == "__main__":
    main()
