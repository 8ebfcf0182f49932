"""How fast user shaders restore in FFmpeg's filter libplacebo, on the Vulkan device that FFmpeg chooses.

python samples/measure shader [--model irn-h264-x2] [--sizes 1920x1080] [--markdown]

FFmpeg decodes the LR stream, restores it and fetches the frames back from the device, beside the filter alone without a
shader. Frames a second are what frames after the first add to the time; the start is FFmpeg over one frame.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from irn_video.pipeline.baking import bake
from irn_video.pipeline.zoo import DEFAULT_MODEL
from irn_video.pipeline.zoo.glsl_export import Shown, export_glsl
from irn_video.pipeline.zoo.registry import model_names
from irn_video.sender import SendOptions, send

from measure.clips import moving_clip
from measure.commands import Run, watch
from measure.machine import machine, machine_line, warn_if_busy
from measure.options import markdown_option, models_option, sizes
from measure.paces import Pace, interleaved
from measure.tables import table

_DEVICE = ("-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu")


def filtered(lr: Path, size: tuple[int, int], shader: Path | None, frames: int) -> Run:
    """FFmpeg over the first frames of an LR stream.

    Raises:
        CommandFailed: FFmpeg has no libplacebo, or finds no Vulkan device.
    """
    options = f"w={size[0]}:h={size[1]}:format=yuv420p"
    options += f":custom_shader_path={shader}" if shader is not None else ""
    chain = f"format=yuv420p,hwupload,libplacebo={options},hwdownload,format=yuv420p"
    output = ("-frames:v", str(frames), "-f", "null", "-")
    return watch(["ffmpeg", "-v", "error", *_DEVICE, "-i", str(lr), "-vf", chain, *output])


def measure_shaders(folder: Path, size: tuple[int, int], models: Sequence[str], frames: int, rounds: int) -> list[Pace]:
    """Of each network, and before them without one; frames are of this size when they are restored.

    Raises:
        CommandFailed: see `filtered`.
    """
    clip, streams = moving_clip(folder / "clip.mp4", *size, frames), list[tuple[Path, Path | None]]()
    for index, model in enumerate(models):
        lr, shader = folder / f"{index}.mp4", folder / f"{index}.glsl"
        send(clip, lr, SendOptions(model=model, preset="veryfast", overwrite=True))
        baked = bake(lr, model)
        export_glsl(model, shader, qp=baked.qp, shown=Shown.of(baked.card), overwrite=True)
        streams.append((lr, shader))
    plain = (streams[0][0], None)
    return interleaved([partial(filtered, lr, size, shader) for lr, shader in (plain, *streams)], frames, rounds)


@click.command()
@partial(models_option, default=tuple(name for name in model_names() if name.startswith(DEFAULT_MODEL)))
@click.option("--sizes", callback=sizes, default="1920x1080,3840x2160", show_default=True, help="Of restored frames.")
@click.option("--frames", type=click.IntRange(2), default=60, show_default=True, help="Frames of each clip.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Rounds.")
@markdown_option
def command(
    models: tuple[str, ...], sizes: tuple[tuple[int, int], ...], frames: int, repeat: int, markdown: bool
) -> None:
    """Speed of user shaders in FFmpeg, by network and size. Run it on an idle machine with a GPU."""
    if shutil.which("ffmpeg") is None:
        raise click.ClickException("there is no ffmpeg on the path (Debian: apt-get install ffmpeg)")
    warn_if_busy()
    rows = [["", "fps", "start, s"]]
    with tempfile.TemporaryDirectory(prefix="shader-") as name:
        for width, height in sizes:
            paces = measure_shaders(Path(name), (width, height), models, frames, repeat)
            for what, pace in zip(("no shader", *models), paces, strict=True):
                fps = f"{pace.best_fps:.1f}" if pace.best_fps is not None else "–"
                rows.append([f"{width}x{height} {what}", fps, f"{min(pace.start_seconds):.2f}"])
    click.echo(table(rows, markdown=markdown))
    click.echo(f"{frames} frames, best of {repeat}: {machine_line(machine())}")
