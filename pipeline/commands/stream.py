"""The command `irn-stream`: the sender's and the receiver's live halves under one name."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from irn_video.pipeline.commandline.help import Group
from irn_video.pipeline.commandline.running import run_command
from irn_video.pipeline.commands.stream_demo import demo
from irn_video.pipeline.commands.stream_receive import receive
from irn_video.pipeline.commands.stream_send import send


@click.group(name="irn-stream", cls=Group)
@click.version_option(package_name="irn-video")
def command() -> None:
    """Video live over a network.

    Start the receiver first:

    \b
      irn-stream receive udp://127.0.0.1:5000 --output restored.mkv
      irn-stream send input.mp4 udp://127.0.0.1:5000

    Or see what it is worth, on a page: irn-stream demo input.mp4
    """


for sub in (send, receive, demo):
    command.add_command(sub)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
