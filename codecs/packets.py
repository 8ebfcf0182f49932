"""What a stream weighs: the bytes of its video packets, without the container."""

from __future__ import annotations

import contextlib
from pathlib import Path

import av
import av.error
from irn_video.codecs.opening import open_input, picture_streams


def video_bytes(path: Path | str, *, stream: int = 0, frames: int | None = None) -> int:
    """Bytes of the video packets of a file, of the first `frames` in order of coding if given.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    total = 0
    with open_input(path) as container:
        video = picture_streams(container, Path(path), stream)
        with contextlib.suppress(av.error.FFmpegError):
            for index, packet in enumerate(container.demux(video)):
                if frames is not None and index >= frames:
                    break
                total += packet.size
    return total
