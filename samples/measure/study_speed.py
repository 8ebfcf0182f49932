"""What irn-study costs beyond the pipeline it runs, and what a second worker brings.

python samples/measure study-speed [CLIP] [--frames 60]

Whole commands are timed, one after the other, each with an empty folder: a bare loop of sending and receiving in one
process; irn-study with one worker, the same streams; irn-study with one worker held to one core; irn-study with two
workers on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from demo.get_clip import DEFAULT_PATH, get_clip
from measure.commands import watch

MODELS = ("irn-h264-x2", "irn-h264-x4", "lanczos-x2")
CRFS = (18, 22, 26, 30, 34, 38)
_BARE = """
import sys
from pathlib import Path
from irn_video.codecs.encoders import EncoderSettings
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send
clip, folder, frames, models, crfs = sys.argv[1:]
lr, restored = Path(folder) / "lr.mkv", Path(folder) / "restored.mkv"
ffv1 = EncoderSettings(codec="ffv1")
for model in models.split(","):
    for crf in map(float, crfs.split(",")):
        send(clip, lr, SendOptions(model=model, crf=crf, preset="medium", frames=int(frames), overwrite=True))
        receive(lr, restored, ReceiveOptions(source=clip, codec="ffv1", frames=int(frames), overwrite=True))
"""


def bare(clip: Path, frames: int) -> float:
    """Seconds for all streams without irn-study."""
    models, crfs = ",".join(MODELS), ",".join(map(str, CRFS))
    with tempfile.TemporaryDirectory() as folder:
        return watch([sys.executable, "-c", _BARE, str(clip), folder, str(frames), models, crfs]).seconds


def study(clip: Path, frames: int, workers: int, cores: set[int] | None = None) -> float:
    """Seconds for irn-study, on these cores alone if given."""
    options = ["--models", ",".join(MODELS[1:]), "--anchors", MODELS[0], "--crf", ",".join(map(str, CRFS))]
    options += ["--metrics", "psnr", "--no-extend", "--frames", str(frames), "--workers", str(workers)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "irn_video.pipeline.commands.study", str(clip), *options, "--out", folder]
        return watch(command, cores=cores).seconds


@click.command()
@click.argument("clip", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--frames", type=click.IntRange(1), default=60, show_default=True)
def command(clip: Path | None, frames: int) -> None:
    """What irn-study costs beyond the pipeline that it runs, and what a second worker brings."""
    clip = clip or get_clip(DEFAULT_PATH)
    cores = sorted(os.sched_getaffinity(0))
    click.echo(f"{len(MODELS) * len(CRFS)} cells of {frames} frames, {len(cores)} cores")
    without, within = bare(clip, frames), study(clip, frames, 1)
    click.echo(f"bare pipeline {without:.1f} s, irn-study {within:.1f} s: {100 * (within / without - 1):+.1f} %")
    if len(cores) > 1:
        one, two = study(clip, frames, 1, {cores[0]}), study(clip, frames, 2, set(cores[:2]))
        click.echo(f"one worker on one core {one:.1f} s, two workers on two {two:.1f} s: {one / two:.2f} times")
