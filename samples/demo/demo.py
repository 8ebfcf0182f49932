"""Send and restore a real clip, and compare with what else the same bandwidth buys.

python samples/demo/demo.py [--clip FILE] [--crf 26]

Runs irn-send and irn-receive, then looks for the H.264 settings that spend the same bytes on the Lanczos pair (shrunk
and enlarged by ordinary resampling) and on full size, and prints all three. Everything is left in demo/.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # drawers import from one another

from irn_video.pipeline.commandline.running import share_cores

share_cores()  # before PyTorch is loaded

import click
import numpy as np
from irn_video.codecs.errors import IrnError, UnreadableVideo
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.packets import video_bytes
from irn_video.codecs.reading.reader import VideoInfo, VideoReader, probe
from irn_video.pipeline.planes import Samples, to_planes, to_rgb
from irn_video.pipeline.restoring import load_for, restoration_of
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.zoo import DEFAULT_MODEL
from numpy.typing import NDArray

from demo.get_clip import DEFAULT_PATH, get_clip
from measure.rates import PRESET, RatePoint, at_rate, full_size, rescaled

LANCZOS = "lanczos-x2"
_CROP = (120, 160)  # rows, columns of the source
_ZOOM = 4
_STRIP, _GAP = 36, 8  # label above each panel, space between panels
_MODULES = {"irn-send": "irn_video.pipeline.commands.send", "irn-receive": "irn_video.pipeline.commands.receive"}

Image = NDArray[np.uint8]


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
    weights = ("--model", model) if Path(model).is_file() else ()
    measuring = ("--source", clip, "--frames", frames, "--report", report)
    run_command("irn-receive", lr, restored, *weights, *measuring, "--overwrite")
    values: dict[str, Any] = json.loads(report.read_text())
    stream, summary = values["stream"], values["summary"]
    return lr, RatePoint(crf, stream["bytes"], stream["kbps"], summary["psnr_y"]["mean"], summary["psnr_yuv"]["mean"])


def restored_picture(lr: Path, index: int, model: str | None = None) -> Picture:
    """One picture as the receiver restores it, before it is encoded again."""
    with VideoReader(lr, quantiser=True) as reader:
        card = reader.card
        if card is None:
            raise UnreadableVideo("the LR stream has lost its card", path=lr)
        rescaler = load_for(card, model, device="auto", precision="auto")
        to = restoration_of(card, temperature=None, seed=None)
        return rescaler.upscale(_nth(reader, index), to, index)


def side_by_side(path: Path, source: Picture, lanczos: Picture, own: Picture, labels: tuple[str, str, str]) -> None:
    """Write source | Lanczos | ours, enlarged, where Lanczos is furthest from the source."""
    rows, columns = (min(size, side) for size, side in zip(_CROP, source.planes[0].shape, strict=True))
    difference = source.planes[0].astype(np.float32) - lanczos.planes[0].astype(np.float32)
    energy = cv2().boxFilter(difference * difference, -1, (columns, rows), anchor=(0, 0))
    inside = energy[: source.height - rows + 1, : source.width - columns + 1]
    top, left = (int(at) for at in np.unravel_index(np.argmax(inside), inside.shape))
    panels = [
        _panel(_bgr(picture)[top : top + rows, left : left + columns], label)
        for picture, label in zip((source, lanczos, own), labels, strict=True)
    ]
    gap = np.full((panels[0].shape[0], _GAP, 3), 255, np.uint8)
    if not cv2().imwrite(str(path), np.hstack([panels[0], gap, panels[1], gap, panels[2]])):
        raise OSError(f"cannot write {path}")


def report(info: VideoInfo, source_bytes: int, points: dict[str, RatePoint], frames: int) -> str:
    """The table and one sentence that says who won."""
    source_kbps = source_bytes * 8 / 1000 / (frames / float(info.frame_rate or 25))
    heads = ("", "kB", "kb/s", "PSNR-Y", "PSNR-YUV")
    lines = [heads, (f"source, {info.width}x{info.height}", _kilobytes(source_bytes), f"{source_kbps:.0f}", "", "")]
    for name, p in points.items():
        quality = (f"{p.psnr_y:.2f} dB", f"{p.psnr_yuv:.2f} dB")
        lines.append((f"{name}, CRF {p.crf:.1f}", _kilobytes(p.bytes), f"{p.kbps:.0f}", *quality))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
    (name, own), *others = points.items()
    verdict = ", ".join(f"{_against(own.psnr_y - point.psnr_y)} {other}" for other, point in others)
    return "\n".join([*text, "", f"At {own.kbps:.0f} kb/s, {name} is {verdict} (PSNR-Y, {frames} pictures)."])


def _against(decibels: float) -> str:
    return f"{abs(decibels):.2f} dB {'better' if decibels >= 0 else 'worse'} than"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.1f}"


def _nth(reader: VideoReader, index: int) -> Picture:
    for at, picture in enumerate(reader):
        if at == index:
            return picture
    raise UnreadableVideo(f"there is no picture {index}", path=reader.info.path)


def _bgr(picture: Picture) -> Image:
    rgb = to_rgb(to_planes(picture), Samples.of(picture))[0].clamp(0, 1).mul(255).round()
    image: Image = rgb.byte().permute(1, 2, 0).numpy()[..., ::-1]
    return image


def _panel(crop: Image, label: str) -> Image:
    """A crop enlarged without smoothing, under its label."""
    large = np.repeat(np.repeat(crop, _ZOOM, 0), _ZOOM, 1)
    strip = np.full((_STRIP, large.shape[1], 3), 255, np.uint8)
    cv2().putText(strip, label, (4, _STRIP - 12), cv2().FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2().LINE_AA)
    return np.vstack([strip, large])


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
    name = Path(model).stem
    middle = (info.frames or frames) // 2
    with VideoReader(clip) as reader:
        source = _nth(reader, middle)
    picture = folder / "side_by_side.png"
    weights = model if Path(model).is_file() else None
    side_by_side(
        picture,
        source,
        restored_picture(folder / f"{LANCZOS}.mp4", middle),
        restored_picture(lr, middle, weights),
        ("source", f"Lanczos pair, {lanczos.kbps:.0f} kb/s", f"{name}, {own.kbps:.0f} kb/s"),
    )
    points = {f"{name} (LR {info.width}x{info.height})": own, "the Lanczos pair": lanczos, "H.264 at full size": full}
    source_bytes = video_bytes(clip, frames=frames)
    click.echo("\n" + report(probe(clip), source_bytes, points, min(frames, info.frames or frames)))
    click.echo(f"\nrestored video: {folder / 'restored.mp4'}")
    click.echo(f"side by side: {picture} (picture {middle}, enlarged {_ZOOM} times)")


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
