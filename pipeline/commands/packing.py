"""Pack training for a machine that has PyTorch alone, and bring its checkpoints back; see `training.packing`.

python -m irn_video.pipeline.commands.packing pack CONFIG packed.tar --images DIR --clips DIR
python -m irn_video.pipeline.commands.packing unpack run.tar --out runs/mine
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from irn_video.pipeline.commandline.help import Group, option
from irn_video.pipeline.commandline.running import run_command

_PATH = click.Path(path_type=Path)


@click.group(cls=Group)
def command() -> None:
    """Pack data and code for a machine that has PyTorch alone, and bring checkpoints back."""


@command.command("pack")
@click.argument("config", type=_PATH)
@click.argument("output", metavar="OUTPUT.tar", type=_PATH)
@option("--images", multiple=True, type=_PATH, metavar="DIR", help="Folder of photographs.")
@option("--clips", multiple=True, type=_PATH, metavar="DIR", help="Folder of videos.")
@option("--batches", type=click.IntRange(1), default=2000, show_default=True, help="How many to prepare.")
def pack_command(config: Path, output: Path, images: tuple[Path, ...], clips: tuple[Path, ...], batches: int) -> None:
    """Prepare data for CONFIG (TOML) and pack it into OUTPUT.tar with the code that trains on it."""
    from irn_video.pipeline.training.packing import pack

    pack(config, images, clips, output, batches, say=lambda line: click.echo(line, err=True))


@command.command("unpack")
@click.argument("result", type=_PATH)
@option("--out", required=True, type=_PATH, metavar="DIR", help="Folder of the run.")
@option("--overwrite", is_flag=True, help="Replace a checkpoint that has taken as many steps or more.")
def unpack_command(result: Path, out: Path, overwrite: bool) -> None:
    """Put checkpoint and log of RESULT (run.tar, or a folder) where irn-train goes on from them."""
    from irn_video.pipeline.training.packing import unpack

    steps = unpack(result, out, overwrite=overwrite)
    click.echo(f"{out}: {steps} steps; irn-train goes on with --out {out}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
