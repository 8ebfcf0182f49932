"""Send and restore a real clip, and compare with what else the same bandwidth buys.

python samples/demo/demo.py [--clip FILE] [--crf 26]

Runs irn-send and irn-receive, then looks for the H.264 settings that spend the same bytes on the Lanczos pair (shrunk
and enlarged by ordinary resampling) and on full size, and prints all three. Everything is left in demo/.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # drawers import from one another

from irn_video.pipeline.commandline.running import share_cores

share_cores()  # before PyTorch is loaded

import click
from irn_video.codecs.errors import IrnError
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.packets import video_bytes
from irn_video.codecs.reading.reader import probe
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.study.crops import picture_at
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.zoo import DEFAULT_MODEL

from demo.get_clip import DEFAULT_PATH, get_clip
from measure.panels import worst_place, write_panels
from measure.rates import PRESET, RatePoint, at_rate, full_size, label_of, rescaled, restored_video, weights_file
from measure.tables import table

LANCZOS = "lanczos-x2"
_CROP = (160, 120)  # columns, rows of the source
_ZOOM = 4
_MODULES = {"irn-send": "irn_video.pipeline.commands.send", "irn-receive": "irn_video.pipeline.commands.receive"}


def run_command(name: str, *arguments: object) -> None:
    """Run one of our commands as a user would, showing it."""
    words = [str(argument) for argument in arguments]
    click.echo(f"$ {name} {' '.join(words)}")
    code = subprocess.run([sys.executable, "-m", _MODULES[name], *words], stdin=subprocess.DEVNULL).returncode
    if code:
        raise click.ClickException(f"{name} ended with exit code {code}")


def ours(clip: Path, folder: Path, model: str, crf: float, frames: int) -> tuple[Path, RatePoint]:
    """Send and receive with the commands; returns the LR stream and what its report says."""
    lr, restored, report = folder / "lr.mp4", folder / "restored.mp4", folder / "report.json"
    encoding = ("--crf", f"{crf:g}", "--preset", PRESET)
    run_command("irn-send", clip, lr, "--model", model, *encoding, "--frames", frames, "--overwrite")
    weights = ("--model", model) if weights_file(model) else ()
    measuring = ("--source", clip, "--frames", frames, "--report", report)
    run_command("irn-receive", lr, restored, *weights, *measuring, "--overwrite")
    values: dict[str, Any] = json.loads(report.read_text())
    stream, summary = values["stream"], values["summary"]
    return lr, RatePoint(crf, stream["bytes"], stream["kbps"], summary["psnr_y"]["mean"], summary["psnr_yuv"]["mean"])


def restored_frame(lr: Path, index: int, model: str) -> Picture:
    """One frame as the receiver restores it, before it is encoded again."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        return picture_at(restored_video(lr, model, Path(folder) / "restored.mkv", index + 1), index)


def report(info: VideoInfo, source_bytes: int, points: dict[str, RatePoint], frames: int) -> str:
    """The table and one sentence that says who won."""
    source_kbps = source_bytes * 8 / 1000 / (frames / float(info.frame_rate or 25))
    heads = ("", "kB", "kb/s", "PSNR-Y", "PSNR-YUV")
    lines = [heads, (f"source, {info.width}x{info.height}", _kilobytes(source_bytes), f"{source_kbps:.0f}", "", "")]
    for name, p in points.items():
        quality = (f"{p.psnr_y:.2f} dB", f"{p.psnr_yuv:.2f} dB")
        lines.append((f"{name}, CRF {p.crf:.1f}", _kilobytes(p.bytes), f"{p.kbps:.0f}", *quality))
    (name, own), *others = points.items()
    verdict = ", ".join(f"{_against(own.psnr_y - point.psnr_y)} {other}" for other, point in others)
    return "\n".join([table(lines), "", f"At {own.kbps:.0f} kb/s, {name} is {verdict} (PSNR-Y, {frames} frames)."])


def _against(decibels: float) -> str:
    return f"{abs(decibels):.2f} dB {'better' if decibels >= 0 else 'worse'} than"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.1f}"


def demonstrate(clip: Path | None, folder: Path, model: str, crf: float, frames: int) -> None:
    """The whole demonstration."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = clip or get_clip(folder / DEFAULT_PATH.name)
    cv2()  # missing system libraries show before the work, not after it
    lr, own = ours(clip, folder, model, crf, frames)
    info = probe(lr)
    click.echo("looking for the same bandwidth with the Lanczos pair and at full size ...", err=True)
    lanczos = at_rate(own.bytes, lambda at: rescaled(LANCZOS, clip, at, folder, frames), crf)
    full = at_rate(own.bytes, lambda at: full_size(clip, at, folder, frames), crf + 8)
    name = label_of(model)
    middle = (info.frames or frames) // 2
    picture = folder / "side_by_side.png"
    source, shrunk = picture_at(clip, middle), restored_frame(folder / f"{LANCZOS}.mp4", middle, LANCZOS)
    panels = {
        "source": source,
        f"Lanczos pair, {lanczos.kbps:.0f} kb/s": shrunk,
        f"{name}, {own.kbps:.0f} kb/s": restored_frame(lr, middle, model),
        f"full size, {full.kbps:.0f} kb/s": picture_at(folder / "full_size.mp4", middle),
    }
    write_panels(picture, panels, worst_place(source, shrunk, *_CROP), _ZOOM, overwrite=True)
    points = {f"{name} (LR {info.width}x{info.height})": own, "the Lanczos pair": lanczos, "H.264 at full size": full}
    source_bytes = video_bytes(clip, frames=frames)
    click.echo("\n" + report(probe(clip), source_bytes, points, min(frames, info.frames or frames)))
    click.echo("Other clips differ: where texture is as fine as the pixels, full size wins (docs/results.md).")
    click.echo(f"\nrestored video: {folder / 'restored.mp4'}")
    click.echo(f"side by side: {picture} (frame {middle}, enlarged {_ZOOM} times)")
    shader = folder / "lr.glsl"
    click.echo("\nwatch it restored")
    click.echo("  in a browser: make player")
    click.echo(f"  here, with mpv's sound: irn-receive {lr} --play")
    click.echo(f"  in mpv itself: irn-models export {model} {shader} --for {lr}")
    click.echo(f"                 mpv --vo=gpu-next --glsl-shaders={shader} {lr}")
    click.echo("  (irn-… are in .venv/bin)")


@click.command()
@click.option("--clip", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Any video [default: Big Buck Bunny at 720p, fetched once].")  # fmt: skip
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_PATH.parent,
              show_default=True, help="Where everything goes.")  # fmt: skip
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="A network or weights file.")
@click.option("--crf", type=click.FloatRange(1, 50), default=26, show_default=True, help="Of the LR stream.")
@click.option("--frames", type=click.IntRange(2), default=60, show_default=True, help="Only the first so many.")
def main(clip: Path | None, folder: Path, model: str, crf: float, frames: int) -> None:
    """Send and restore a real clip, and compare with what else the same bandwidth buys."""
    try:
        demonstrate(clip, folder, model, crf, frames)
    except (IrnError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
