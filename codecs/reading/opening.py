"""Opening an input file: local regular files only, FFmpeg silent, every failure in one clear line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import av
import av.error
import av.logging
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from irn_video.codecs.errors import IrnError, MissingFile, UnreadableVideo
from irn_video.codecs.pipes import PIPE, standard_input

from .wholeness import lacks_index

_NO_NETWORK = {"protocol_whitelist": "file,crypto,data"}  # a playlist must not make us call somebody

S = TypeVar("S", bound=Stream)


def open_input(path: Path | str) -> InputContainer:
    """Open a file for demuxing, or `PIPE`, which can be done once.

    Raises:
        MissingFile: there is no such file.
        UnreadableVideo: folder, device, no permission, empty, or not a format FFmpeg reads.
    """
    path = Path(path)
    if path == PIPE:
        return open_pipe(standard_input(), "standard input")
    try:
        _check_regular(path)
    except IrnError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error
    av.logging.set_level(None)
    try:
        # The scheme keeps FFmpeg from taking a colon in the name for a protocol. Tags may be in any encoding.
        return av.open(f"file:{path}", "r", options=dict(_NO_NETWORK), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def open_pipe(stream: BinaryIO, name: str) -> InputContainer:
    """Open for demuxing what can only be read once, from its beginning; `stream.read` gives what there is.

    Raises:
        UnreadableVideo: not a format FFmpeg reads from a pipe.
    """
    av.logging.set_level(None)
    try:
        return av.open(_ReadOnly(stream), "r", options=dict(_NO_NETWORK), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise UnreadableVideo(
            f"FFmpeg cannot read it: {cause}",
            path=Path(name),
            hint="pipes need a format that streams, such as Matroska",
        ) from error


class _ReadOnly:
    """Hides `seek`, which a pipe has but cannot do."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read


def packets(container: InputContainer, *streams: S) -> Iterator[Packet[S]]:
    """Packets of these streams, then an empty one of each, which drains its decoder.

    Raises:
        av.error.FFmpegError: the container cannot be read on.
    """
    # Where streams turned up after the opening, as MPEG-TS allows, PyAV stumbles over them when it has read everything.
    with contextlib.suppress(IndexError):
        yield from cast("Iterator[Packet[S]]", container.demux(streams))


def close_quietly(container: InputContainer | OutputContainer) -> None:
    """Let go of a file or link that may be broken."""
    with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
        container.close()


def _check_regular(path: Path) -> None:
    if not os.path.lexists(path):
        raise MissingFile("no such file", path=path, hint="check the path")
    if path.is_dir():
        raise UnreadableVideo("this is a folder", path=path, hint="name a video file")
    if not path.exists():
        raise MissingFile("the link points nowhere", path=path, hint="check the path")
    if not path.is_file():
        raise UnreadableVideo("not a regular file", path=path, hint="save the stream to a file first")
    if path.stat().st_size == 0:
        raise UnreadableVideo("the file is empty", path=path, hint="the recording or copy has failed")


def _unreadable(path: Path, error: Exception) -> UnreadableVideo:
    if isinstance(error, PermissionError):
        return UnreadableVideo("no permission to read the file", path=path, hint="check its permissions")
    if isinstance(error, ValueError | av.error.FFmpegError) and lacks_index(path):
        return UnreadableVideo(
            "the index (moov) is missing", path=path, hint="the recording or download has stopped early; get it again"
        )
    cause = getattr(error, "strerror", None) or str(error)
    return UnreadableVideo(f"FFmpeg cannot read it: {cause}", path=path, hint="is it a video?")
