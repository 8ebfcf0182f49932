"""Running a command: exit codes, and the one place where errors become lines.

Exit codes: 0 done, 1 failed or done only in part (one line says what), 2 wrong usage, 130 interrupted, 141 nobody
reads the output any more.
This module must not import PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click
from irn_video.codecs.errors import BadOption, ClosedPipe, IrnError
from irn_video.pipeline.commandline.interrupts import interrupts
from irn_video.pipeline.system.cores import usable_cores

_CLOSED_PIPE = 141  # what shells say of a program that SIGPIPE has ended: 128 + 13
_SWITCH_SECONDS = 0.0005
_DEBUG = "IRN_VIDEO_DEBUG"
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class PartialResult(IrnError, RuntimeError):
    """The work was done as far as a damaged input allowed."""


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code; every error becomes one line on stderr."""
    share_cores()
    with interrupts.caught():
        try:
            command.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        except click.Abort as error:  # what click makes of KeyboardInterrupt, but of EOFError too
            return _failed(error.__cause__ or error)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except SystemExit as error:  # click's answer to a closed pipe
            return error.code if isinstance(error.code, int) else 1
        except (Exception, KeyboardInterrupt) as error:
            return _failed(error)
    return 0


def share_cores() -> None:
    """Set this process up for stages that run side by side; call it before PyTorch is loaded."""
    # The stages share the cores with decoder and encoder: one core is left to them, and idle threads must not spin.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() - 1)))
    # Stages hand pictures to each other all the time; Python's 5 ms until a busy thread gives way would cost them.
    sys.setswitchinterval(_SWITCH_SECONDS)


def warn(text: str) -> None:
    """Say something on stderr that does not stop the work."""
    click.echo(f"warning: {text}", err=True)


def explained(error: BaseException) -> str:
    """What has ended the work, in one line."""
    if isinstance(error, IrnError):
        return str(error)
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return "not enough memory (try a smaller frame, or another --device)"
    if os.environ.get(_DEBUG):
        traceback.print_exception(error)
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{type(error).__name__}: {first} (this is a bug; set {_DEBUG}=1 for its traceback)"


def _failed(error: BaseException) -> int:
    """Say it; an interrupt may surface as some library's error."""
    if isinstance(error, ClosedPipe):
        return _CLOSED_PIPE  # quietly, as programs do whose reader has gone
    if interrupts or isinstance(error, KeyboardInterrupt):
        click.echo("error: interrupted; unfinished output was removed", err=True)
        return 130
    click.echo(f"error: {explained(error)}", err=True)
    return 2 if isinstance(error, BadOption) else 1
