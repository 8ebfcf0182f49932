"""Standard input and output as videos: `-` where a file could be named."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from .errors import BadOption, ClosedPipe

PIPE = Path("-")
"""What names them."""
_IN, _OUT = 0, 1


def standard_input() -> BinaryIO:
    """What is piped in, from where it is; closing it does nothing.

    Raises:
        BadOption: it is a terminal.
    """
    if os.isatty(_IN):
        raise BadOption("nothing is piped in", path=PIPE, hint="ffmpeg … -f yuv4mpegpipe - | irn-send - out.mp4")
    return sys.stdin.buffer if sys.stdin is not None else open(_IN, "rb", closefd=False)


class Sink:
    """Where a muxer may write; what it is given goes out at once.

    Args:
        descriptor: of an open file or pipe, which stays open.

    Raises:
        BadOption: it is a terminal.
    """

    def __init__(self, descriptor: int = _OUT) -> None:
        if os.isatty(descriptor):
            raise BadOption("a terminal cannot show a video", path=PIPE, hint="pipe it: irn-receive lr.mp4 - | mpv -")
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        """All of it, or an exception.

        Raises:
            ClosedPipe: nobody reads any more.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError as error:
            raise ClosedPipe("nobody reads the output any more", path=PIPE) from error
        return len(data)

    def copy(self, path: Path) -> None:
        """A whole file.

        Raises:
            ClosedPipe: nobody reads any more.
        """
        with path.open("rb") as file:
            shutil.copyfileobj(file, self, 1 << 20)
