"""One place of one frame at equal bits, beside its source: full-size H.264, the Lanczos pair, a network.

python samples/measure picture CLIP PICTURE.png --crf 34 [--frame 12] [--place 100,80,96,72] [--look real]

The network's stream has this CRF; those of the other two are searched until all three videos have the same size within
1 %. With `--look` it is shown in these looks. Figures are means over all frames. Frames are shown as they were before
anything encoded them again.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.reader import probe
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.commandline.help import option
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.study.crops import picture_at
from irn_video.pipeline.zoo import find_model
from irn_video.pipeline.zoo.card import read_card
from irn_video.pipeline.zoo.looks import LOOKS
from irn_video.receiver import ReceiveOptions, receive

from measure.options import VIDEO, frames_option, model_option
from measure.panels import Place, worst_place, write_panels
from measure.rates import RatePoint, at_rate, full_size, label_of, rescaled, weights_file
from measure.tables import table

_TOLERANCE = 0.01
_CRF_AT_FULL_SIZE = 8  # more than that of a stream of scale 2, about
_SIZE = (96, 72)


@dataclass(frozen=True)
class Shown:
    """A way to spend the bits.

    Attributes:
        point: its rate and PSNR.
        video: each frame as it is shown.
        vmaf, vmaf_neg: means over the frames.
    """

    point: RatePoint
    video: Path
    vmaf: float
    vmaf_neg: float


def at_equal_bits(
    clip: Path, model: str, crf: float, folder: Path, frames: int | None, looks: Sequence[str]
) -> dict[str, Shown]:
    """The ways by name; the videos are in `folder`. Without `looks` the network has its own."""
    peer = f"lanczos-x{read_card(find_model(model)).network.scale:g}"
    own = rescaled(model, clip, crf, folder, frames)
    lanczos = at_rate(own.bytes, lambda at: rescaled(peer, clip, at, folder, frames), crf, _TOLERANCE)
    full = at_rate(own.bytes, lambda at: full_size(clip, at, folder, frames), crf + _CRF_AT_FULL_SIZE, _TOLERANCE)

    def shown(point: RatePoint, video: Path) -> Shown:
        scores = measure_files(video, clip, folder, ["vmaf", "vmaf_neg"])
        vmaf, neg = (statistics.fmean(score[name] or 0.0 for score in scores) for name in ("vmaf", "vmaf_neg"))
        return Shown(point, video, vmaf, neg)

    def restored(name: str, point: RatePoint, look: str | None = None) -> Shown:
        video = folder / f"{label_of(name)}-{look}.mkv"
        options = ReceiveOptions(
            source=clip, model=weights_file(name), look=look, codec="ffv1", frames=frames, overwrite=True
        )
        psnr = receive(folder / f"{label_of(name)}.mp4", video, options).report.summary()
        y, yuv = (psnr[metric]["mean"] or 0.0 for metric in ("psnr_y", "psnr_yuv"))
        return shown(replace(point, psnr_y=y, psnr_yuv=yuv), video)

    looked = {look: restored(model, own, look) for look in looks} or {label_of(model): restored(model, own)}
    return {"H.264": shown(full, folder / "full_size.mp4"), "Lanczos": restored(peer, lanczos), **looked}


def figures(ways: dict[str, Shown]) -> str:
    """The table for people."""
    rows = [["", "CRF", "kB", "kb/s", "PSNR-Y", "PSNR-YUV", "VMAF", "VMAF-NEG"]]
    for name, way in ways.items():
        point = way.point
        rate = (f"{point.crf:.2f}", f"{point.bytes / 1000:.1f}", f"{point.kbps:.1f}")
        rows.append([name, *rate, f"{point.psnr_y:.2f} dB", f"{point.psnr_yuv:.2f} dB"])
        rows[-1] += [f"{way.vmaf:.1f}", f"{way.vmaf_neg:.1f}"]
    return table(rows)


def _place(_: click.Context, option: click.Parameter, text: str | None) -> Place | None:
    if text is None:
        return None
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a place such as 100,80,96,72", param=option) from error
    if min(left, top) < 0 or min(width, height) < 8:
        raise click.BadParameter("it begins in the frame and has sides of 8 or more", param=option)
    return Place(left, top, width, height)


def _check_shown(clip: Path, frame: int | None, place: Place | None) -> None:
    """Refuse what does not lie in the clip, before the work."""
    info = probe(clip)
    if frame is not None and info.frames is not None and frame >= info.frames:
        raise BadOption(f"there is no frame {frame}", path=clip, hint=f"from 0 to {info.frames - 1}")
    if place and (place.left + place.width > info.width or place.top + place.height > info.height):
        raise BadOption("the place does not lie in the frame", path=clip, hint=f"frames are {info.width}x{info.height}")


@click.command()
@click.argument("clip", type=VIDEO)
@click.argument("output", required=False, metavar="[OUTPUT.png]", type=click.Path(path_type=Path))
@model_option()
@click.option("--look", "looks", multiple=True, type=click.Choice(list(LOOKS)),
              help="Show it in this look; give it again for another.")  # fmt: skip
@click.option("--crf", type=click.FloatRange(1, 50), default=34, show_default=True, help="Of the network's stream.")
@frames_option
@click.option("--frame", type=click.IntRange(0), help="Which is shown, from 0 [default: the middle one].")
@click.option("--place", callback=_place, metavar="LEFT,TOP,WIDTH,HEIGHT",
              help="What of it is shown [default: where the Lanczos pair is furthest from the source].")  # fmt: skip
@click.option("--zoom", type=click.IntRange(1, 16), default=3, show_default=True, help="Enlarged so many times.")
@option("--overwrite", is_flag=True, help="Replace an existing picture.")
def command(
    clip: Path,
    output: Path | None,
    model: str,
    looks: tuple[str, ...],
    crf: float,
    frames: int | None,
    frame: int | None,
    place: Place | None,
    zoom: int,
    overwrite: bool,
) -> None:
    """One place of CLIP at equal bits: full-size H.264, the Lanczos pair, a network; and the figures of all frames.

    OUTPUT.png shows the frame.
    """
    _check_shown(clip, frame, place)
    if output is not None:
        check_output(output, [clip], overwrite)
    with tempfile.TemporaryDirectory(prefix="frame-") as folder:
        ways = at_equal_bits(clip, model, crf, Path(folder), frames, looks)
        click.echo(figures(ways))
        if output is None:
            return
        info = probe(ways["H.264"].video)
        index = frame if frame is not None else (info.frames or 1) // 2
        pictures = {name: picture_at(way.video, index) for name, way in ways.items()}
        source = picture_at(clip, index)
        place = place or worst_place(source, pictures["Lanczos"], *_SIZE)
        labels = {f"{name}, {ways[name].point.kbps:.0f} kb/s": shown for name, shown in pictures.items()}
        write_panels(output, {"source": source, **labels}, place, zoom, overwrite=overwrite)
        click.echo(f"{output}: frame {index}, {place.width}x{place.height} at {place.left},{place.top}")
