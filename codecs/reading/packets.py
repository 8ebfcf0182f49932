"""What a stream weighs: the bytes of its video packets, without the container."""

from __future__ import annotations

import contextlib
import re
from itertools import islice
from pathlib import Path

import av
import av.error

from .choosing import choose_stream
from .opening import open_input, packets

# What x264 and x265 write about themselves: a build, then all options.
_SELF_PORTRAIT = re.compile(rb"x26[45] [ -~]{10,4000}")


def video_bytes(path: Path | str, *, stream: int | None = None, frames: int | None = None) -> int:
    """Bytes of the video packets of a file, of the first `frames` in order of coding if given.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    total = 0
    with open_input(path) as container:
        video = choose_stream(container, Path(path), stream).stream
        with contextlib.suppress(av.error.FFmpegError):
            for index, packet in enumerate(packets(container, video)):
                if frames is not None and index >= frames:
                    break
                total += packet.size
    return total


def encoder_words(path: Path | str) -> str:
    """What the encoder of a stream says of itself: its build and all of its options; empty if it says nothing.

    x264 and x265 do, as unregistered user data of their first picture (ITU-T H.264 D.1.7).

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    with open_input(path) as container:
        video = choose_stream(container, Path(path)).stream
        first = [bytes(packet) for packet in islice(packets(container, video), 1)]
        found = _SELF_PORTRAIT.search(b"".join((bytes(video.codec_context.extradata or b""), *first)))
    return found[0].decode("ascii").strip() if found else ""
