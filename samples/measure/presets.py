"""What x264's presets take and save on smaller frames, against preset medium at full size.

python samples/measure presets CLIP... [--scale 1.5,2,4] [--preset slow,slower,veryslow] [--frames 48] [--json FILE]

Frames are shrunk by Lanczos beforehand; only encoding is timed, in processor time and by the clock, the least of
`--repeat` rounds in which all presets take their turns. Full size has the CRFs of `--crf`, smaller frames as much lower
ones as they need for about equal quality. What a preset saves is BD-rate in PSNR-Y of the small frames themselves
against medium at the same scale. Both are means: of time over clips and CRFs (geometric), of BD-rate over clips.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.encoders.h264 import X264_PRESETS
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.resample import Resampler
from irn_video.codecs.writing.output import check_output
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.pipeline.quality.psnr import compare

from measure.machine import machine, machine_line, warn_if_busy
from measure.options import clips_argument, json_options, markdown_option, numbers, write_json
from measure.tables import percent, table

_FULL = (1.0, "medium")
_LOWER_CRF = {1.0: 0.0, 1.5: 3.0, 2.0: 6.0, 4.0: 12.0}  # than at full size, for about equal quality

Way = tuple[float, str]
"""Scale and preset."""


@dataclass(frozen=True)
class Encode:
    """One encode of one clip.

    Attributes:
        clip: its name.
        scale, preset, crf: how.
        cpu_seconds, seconds: the least over rounds, of all threads and by the clock.
        bytes: of the video packets.
        psnr_y: against the frames that were encoded, dB.
    """

    clip: str
    scale: float
    preset: str
    crf: float
    cpu_seconds: float
    seconds: float
    bytes: int
    psnr_y: float


def shrunk(frame: Picture, scale: float, resampler: Resampler) -> Picture:
    """By Lanczos, to even sizes."""
    height, width = (2 * round(side / scale / 2) for side in frame.planes[0].shape)
    if (height, width) == frame.planes[0].shape:
        return frame
    shapes = frame.layout.plane_shapes(height, width)
    y, u, v = (resampler.resize(p, *shape, frame.bit_depth) for p, shape in zip(frame.planes, shapes, strict=True))
    return replace(frame, planes=(y, u, v))


def encode(clip: Path, frames: Sequence[Picture], way: Way, crf: float, video: VideoFormat, folder: Path) -> Encode:
    """Encode frames, timing that alone, and compare what comes back."""
    path, height_width = folder / "encoded.mkv", frames[0].planes[0].shape
    sized = replace(video, height=height_width[0], width=height_width[1])
    began, cpu = time.monotonic(), time.process_time()
    with VideoWriter(path, EncoderSettings(crf=crf, preset=way[1]), sized, overwrite=True) as writer:
        for frame in frames:
            writer.write(frame)
        written = writer.finish()
    cpu, seconds = time.process_time() - cpu, time.monotonic() - began
    with VideoReader(path) as reader:
        scores = [
            compare(one, replace(other, color=one.color)).psnr() for one, other in zip(frames, reader, strict=True)
        ]
    psnr_y = statistics.fmean(value for score in scores if (value := score["psnr_y"]) is not None)
    return Encode(clip.name, *way, crf, cpu, seconds, written.video_bytes, psnr_y)


def measure(
    clip: Path, ways: Sequence[Way], crfs: Sequence[float], frames: int, repeat: int, folder: Path
) -> list[Encode]:
    """All ways at all CRFs (of full size) on one clip, medium at full size among them."""
    resampler = Resampler("lanczos")
    with VideoReader(clip, frames=frames) as reader:
        whole = list(reader)
        video = VideoFormat(
            width=reader.info.width,
            height=reader.info.height,
            layout=reader.info.layout,
            bit_depth=reader.info.bit_depth,
            color=reader.info.color,
            time_base=reader.info.time_base,
            frame_rate=reader.info.frame_rate,
        )
    sizes = {scale: [shrunk(frame, scale, resampler) for frame in whole] for scale, _ in ways}
    todo = list(product(ways, crfs))
    rounds = [
        [encode(clip, sizes[way[0]], way, max(0.0, crf - _LOWER_CRF[way[0]]), video, folder) for way, crf in todo]
        for _ in range(repeat)
    ]
    return [
        replace(same[0], cpu_seconds=min(e.cpu_seconds for e in same), seconds=min(e.seconds for e in same))
        for same in zip(*rounds, strict=True)
    ]


def share_of_full(encodes: Sequence[Encode], way: Way, field: str) -> float:
    """Geometric mean over clips and CRFs of the time of `way` against medium at full size; `field` is that time."""

    def times(of: Way) -> list[float]:
        return [getattr(one, field) for one in encodes if (one.scale, one.preset) == of]

    return statistics.geometric_mean(own / full for own, full in zip(times(way), times(_FULL), strict=True))


def saved(encodes: Sequence[Encode], way: Way) -> float | None:
    """Mean BD-rate over the clips against medium at the same scale, per cent; None where a clip has none."""

    def curve(clip: str, preset: str) -> Curve:
        own = (e for e in encodes if (e.clip, e.scale, e.preset) == (clip, way[0], preset))
        return Curve.through((one.bytes, one.psnr_y) for one in own)

    rates = [bd_rate(curve(c, "medium"), curve(c, way[1])) for c in dict.fromkeys(one.clip for one in encodes)]
    known = [rate for rate in rates if rate is not None]
    return statistics.fmean(known) if len(known) == len(rates) else None


def presets_table(encodes: Sequence[Encode], *, markdown: bool) -> str:
    """A row for each scale and preset."""
    rows = [["scale, preset", "processor time", "by the clock", "bits against medium"]]
    for way in dict.fromkeys((one.scale, one.preset) for one in encodes):
        shares = [f"{share_of_full(encodes, way, field):.2f}" for field in ("cpu_seconds", "seconds")]
        rows.append([f"{way[0]:g}, {way[1]}", *shares, percent(saved(encodes, way))])
    return table(rows, markdown=markdown)


def _names(_: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(("medium", *text.split(","))))
    if not set(names) <= set(X264_PRESETS):
        raise click.BadParameter(f"of {', '.join(X264_PRESETS)}", param=option)
    return names


def _scales(context: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    found = numbers()(context, option, text)
    if not set(found) <= set(_LOWER_CRF):
        raise click.BadParameter(f"of {', '.join(f'{scale:g}' for scale in _LOWER_CRF)}", param=option)
    return found


@click.command()
@clips_argument
@click.option("--scale", "scales", callback=_scales, default="1.5,2,4", show_default=True, help="Of the small frames.")
@click.option("--preset", "presets", callback=_names, default="medium,slow,slower,veryslow", show_default=True,
              help="Of x264; medium is always among them.")  # fmt: skip
@click.option("--crf", callback=numbers(least=2, highest=51), default="23,29,35", show_default=True,
              help="Of full size.")  # fmt: skip
@click.option("--frames", type=click.IntRange(2), default=48, show_default=True, help="Of each clip.")
@click.option("--repeat", type=click.IntRange(1), default=2, show_default=True, help="Rounds.")
@json_options
@markdown_option
def command(
    clips: tuple[Path, ...],
    scales: tuple[float, ...],
    presets: tuple[str, ...],
    crf: tuple[float, ...],
    frames: int,
    repeat: int,
    json_path: Path | None,
    overwrite: bool,
    markdown: bool,
) -> None:
    """Time and bits of x264's presets on CLIPS, shrunk, as shares of what medium takes at full size."""
    if json_path is not None:
        check_output(json_path, clips, overwrite)
    warn_if_busy()
    ways = list(dict.fromkeys([_FULL, *product(scales, presets)]))
    encodes: list[Encode] = []
    with tempfile.TemporaryDirectory(prefix="presets-") as folder:
        for clip in clips:
            click.echo(clip.name, err=True)
            encodes += measure(clip, ways, crf, frames, repeat, Path(folder))
    if json_path is not None:
        found = {"schema": 1, "machine": machine(), "encodes": [asdict(one) for one in encodes]}
        write_json(json_path, found, clips, overwrite)
    click.echo(presets_table(encodes, markdown=markdown))
    click.echo(machine_line(machine()))
