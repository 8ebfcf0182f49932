"""What it saves that parts of frames which stand still are not computed again, and that it changes nothing.

python samples/measure reuse [CLIP...] [--model irn-h264-x2]
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.clips import still_clips
from measure.machine import machine, machine_line
from measure.options import VIDEO, model_option
from measure.rates import PRESET, weights_file
from measure.tables import table


@dataclass(frozen=True)
class Saving:
    """One clip.

    Attributes:
        name: of the clip.
        seconds: of processor time to restore it, without and with reuse.
        same: the restored files are the same to the byte.
    """

    name: str
    seconds: tuple[float, float]
    same: bool


def measure(name: str, clip: Path, model: str, frames: int, folder: Path) -> Saving:
    """Send a clip, and receive it both ways at temperature 0."""
    lr = folder / "lr.mp4"
    send(clip, lr, SendOptions(model=model, preset=PRESET, frames=frames, overwrite=True))
    seconds, files = [], []
    for reuse in (False, True):
        out = folder / f"{reuse}.mkv"
        options = ReceiveOptions(model=weights_file(model), temperature=0, codec="ffv1", overwrite=True, reuse=reuse)
        began = time.process_time()
        receive(lr, out, options)
        seconds.append(time.process_time() - began)
        files.append(out.read_bytes())
    return Saving(name, (seconds[0], seconds[1]), files[0] == files[1])


@click.command()
@click.argument("clips", nargs=-1, type=VIDEO)
@model_option()
@click.option("--frames", type=click.IntRange(2), default=50, show_default=True, help="Of each clip.")
def command(clips: tuple[Path, ...], model: str, frames: int) -> None:
    """Processor time with and without reuse, of CLIPS or of three generated ones of 720p."""
    with tempfile.TemporaryDirectory(prefix="reuse-") as name:
        folder = Path(name)
        named = {clip.name: clip for clip in clips} or still_clips(folder, 1280, 720, frames)
        rows = [["clip", "computed again, s", "reused, s", "times as fast", "the same bytes"]]
        for clip_name, clip in named.items():
            found = measure(clip_name, clip, model, frames, folder)
            without, reused = found.seconds
            words = [f"{without:.2f}", f"{reused:.2f}", f"{without / reused:.2f}", "yes" if found.same else "no"]
            rows.append([found.name, *words])
        click.echo(table(rows))
    click.echo(machine_line(machine()))
