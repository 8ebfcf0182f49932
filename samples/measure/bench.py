"""How fast the receiver and the sender are, and how much memory they take. Run it on an idle machine.

python samples/measure bench [--json FILE] [--memory] [--adapt fast]

Memory (Linux only) is the peak of irn-send and irn-receive at 1080p after 100 and after 1000 pictures, which must not
differ. With --adapt, what tuning to the clip costs both. How it is measured: speed.py, memory.py.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.writing.output import check_output

from demo.get_clip import DEFAULT_PATH
from measure.clips import moving_clip
from measure.memory import STATUS, measure_memory, memory_table
from measure.options import VIDEO, json_options, model_option, write_json
from measure.speed import cost_table, measure_cost, measure_speed, speed_table

_BUSY_LOAD = 0.5


def _warn_if_busy() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > _BUSY_LOAD:
        click.echo(f"warning: the machine is busy (load {load:.1f}); run this on an idle one", err=True)


def _size(_: click.Context, option: click.Parameter, text: str) -> tuple[int, int]:
    width, _x, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64):
        raise click.BadParameter(f"{text!r} is not a size such as 1920x1080", param=option)
    return int(width) // 2 * 2, int(height) // 2 * 2


@click.command()
@click.option("--clip", type=VIDEO,
              help="Any video [default: the clip of make demo if there, else a generated one of 720p].")  # fmt: skip
@model_option()
@click.option("--frames", type=click.IntRange(8), default=120, show_default=True, help="Frames to time.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs; the quickest counts.")
@click.option("--memory", is_flag=True, help="Also measure peak memory; takes minutes.")
@click.option("--memory-frames", type=click.IntRange(2), default=1000, show_default=True, help="Of the long run.")
@click.option("--memory-size", callback=_size, default="1920x1080", show_default=True, help="Of its pictures.")
@click.option("--adapt", metavar="EFFORT", help="Also measure what irn-send --adapt costs: fast, best or seconds.")
@json_options
def command(
    clip: Path | None,
    model: str,
    frames: int,
    repeat: int,
    memory: bool,
    memory_frames: int,
    memory_size: tuple[int, int],
    adapt: str | None,
    json_path: Path | None,
    overwrite: bool,
) -> None:
    """Speed of receiver and sender, and with --memory their peak memory. Run it on an idle machine."""
    if memory and not STATUS.exists():
        raise click.ClickException("memory is read from /proc, which this system does not have; leave out --memory")
    _warn_if_busy()
    if json_path is not None:
        check_output(json_path, [], overwrite)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if clip is None:
            clip = DEFAULT_PATH
            if not clip.is_file():
                clip = moving_clip(folder / "generated_720p.mp4", 1280, 720, frames)
        speed = measure_speed(clip, folder, model, frames, repeat)
        click.echo(speed_table(speed))
        result: dict[str, Any] = {"schema": 1, "command": "bench", "model": model, "cores": os.cpu_count()}
        result["speed"] = {**asdict(speed), "overlap": speed.overlap, "thread_overlap": speed.thread_overlap}
        if adapt is not None:
            cost = measure_cost(clip, folder, model, frames, repeat, adapt)
            click.echo(cost_table(cost))
            result["adaptation"] = asdict(cost)
        if memory:
            counts = (min(100, memory_frames // 2), memory_frames)
            peaks = measure_memory(folder, model, counts, memory_size, adapt)
            click.echo(memory_table(peaks, counts, memory_size))
            result["memory"] = {"frames": counts, "size": memory_size, "peak_bytes": peaks}
    if json_path is not None:
        write_json(json_path, result, [], overwrite)
