"""The command `irn`: all others under one name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click
from irn_video.pipeline.commandline.help import Group
from irn_video.pipeline.commandline.running import run_command

COMMANDS = {
    "send": "send",
    "receive": "receive",
    "info": "info",
    "stream": "stream",
    "rescale": "rescale",
    "study": "study",
    "eval": "evaluate",
    "models": "models",
    "train": "train",
}
"""Name of each command, and of its module here: `irn send` is `irn-send`."""


class _Lazy(Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of another module; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"{__package__}.{COMMANDS[cmd_name]}").command
        return found


@click.group(name="irn", cls=_Lazy)
@click.version_option(package_name="irn-video")
def command() -> None:
    """Send video as a small H.264 stream and restore it at full size.

    \b
      irn send input.mp4 out_lr.mp4
      irn receive out_lr.mp4 restored.mp4
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
