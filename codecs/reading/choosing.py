"""Which of a file's video streams is meant: the one that was asked for, else the one that a player would show."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av.error
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream
from irn_video.codecs.errors import UnreadableVideo

from .opening import open_input, packets

_LOOK = 250  # packets of one stream: another that has had at most one by then is a still


@dataclass(frozen=True)
class ChosenStream:
    """A video stream of a file.

    Attributes:
        stream: PyAV's.
        index: its index among the video streams, attached pictures not counted.
        count: how many of these there are.
    """

    stream: VideoStream
    index: int
    count: int


def choose_stream(
    container: InputContainer, path: Path, index: int | None = None, *, piped: bool = False
) -> ChosenStream:
    """The video stream of this index among those that are no attached pictures (cover art, thumbnails).

    Args:
        container: the file, open.
        path: the file.
        index: from 0; None for the stream that a player would show: the one marked default, else the best by FFmpeg's
            rules (`av_find_best_stream`), and a still only where there is nothing else.
        piped: the input can be read only once: stills are not looked for.

    Raises:
        UnreadableVideo: there is no such stream, or FFmpeg has no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise UnreadableVideo("the file has no video stream", path=path, hint="choose a file with frames")
    if index is None:
        index = streams.index(_shown(container, path, streams, piped=piped)) if len(streams) > 1 else 0
    if not 0 <= index < len(streams):
        raise UnreadableVideo(
            f"there is no video stream {index}", path=path, hint=f"the file has {len(streams)}, counted from 0"
        )
    video = streams[index]
    if video.codec_context is None:
        raise UnreadableVideo("FFmpeg has no decoder for this video", path=path, hint="convert it with another tool")
    return ChosenStream(video, index, len(streams))


def _shown(container: InputContainer, path: Path, streams: Sequence[VideoStream], *, piped: bool) -> VideoStream:
    films = [s for s in streams if s.codec_context is not None] or streams
    if not piped:
        moving = _moving(path, films)
        films = [s for s in films if s.index in moving] or films
    best = container.streams.best("video")
    for stream in films:
        if best is not None and stream.index == best.index:
            return stream
    # FFmpeg's best is a still, or has no decoder.
    return max(films, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))


def _moving(path: Path, streams: Sequence[VideoStream]) -> set[int]:
    """Indices in the container of those that have more than one frame: as the container says, or as is seen."""
    seen = Counter({stream.index: stream.frames for stream in streams})
    if not all(seen.values()):
        seen.clear()
        with open_input(path) as container, contextlib.suppress(av.error.FFmpegError):
            wanted = {stream.index for stream in streams}
            for other in container.streams:
                if other.index not in wanted:
                    other.discard = Discard.all
            for packet in packets(container, *(container.streams[index] for index in sorted(wanted))):
                seen[packet.stream_index] += packet.size > 0
                if all(seen[index] > 1 for index in wanted) or max(seen.values()) >= _LOOK:
                    break
    return {index for index, count in seen.items() if count > 1}
