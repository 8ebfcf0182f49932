"""Measure what the product does: one sub-command for each kind of figure.

python samples/measure --help
python samples/measure bdrate CLIP... --model irn-h264-x2
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click
from irn_video.pipeline.commandline.running import run_command

MEASUREMENTS = (
    "bdrate",
    "hull",
    "choice",
    "tuning",
    "temperature",
    "calibration",
    "real",
    "coring",
    "presets",
    "wavelet",
    "perceptual",
    "picture",
    "blind",
    "bench",
    "speed",
    "shader",
    "reuse",
    "loopback",
    "web",
    "slices",
    "study-clips",
    "study-speed",
)


class Measurements(click.Group):
    """A sub-command is the `command` of the file of its name, loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MEASUREMENTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MEASUREMENTS:
            return None
        command: click.Command = import_module(f"measure.{cmd_name.replace('-', '_')}").command
        return command


@click.command(cls=Measurements, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Measure what the product does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a measurement and return its exit code."""
    return run_command(group, arguments)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # drawers import from one another
    sys.exit(main())
