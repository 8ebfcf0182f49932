"""Random access: the frame that is shown at a time, and its index, without decoding all that comes before."""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av.error
from av.stream import Discard
from irn_video.codecs.errors import BadOption, UnreadableVideo
from irn_video.codecs.picture import Picture

from .choosing import choose_stream
from .clock import Timeline
from .opening import open_input, packets
from .reader import VideoReader

# A time that was a timestamp before it was rounded to a float means that timestamp, not the one before it.
_ROUNDING = Fraction(1, 1000)
# Containers without an index land somewhere before the keyframe, or after it.
_TRIES = 4


@dataclass(frozen=True)
class FrameTimes:
    """Timestamps of a stream, in units of its time base, rising.

    Attributes:
        frames: of all frames.
        keyframes: of those with which decoding can start.
    """

    frames: tuple[int, ...]
    keyframes: tuple[int, ...]


def frame_times(path: Path, *, stream: int | None = None) -> FrameTimes | None:
    """Read all packets of a video stream for their times; None where these do not tell when frames are shown,
    or jump.

    Raises:
        MissingFile, UnreadableVideo: see `open_input`.
    """
    frames: list[int] = []
    keyframes: list[int] = []
    with open_input(path) as container:
        video = choose_stream(container, path, stream).stream
        timeline = Timeline(container)
        watched = {video, *timeline.streams}
        for other in container.streams:
            if other not in watched:
                other.discard = Discard.all
        with contextlib.suppress(av.error.FFmpegError):
            for packet in packets(container, *watched):
                timeline.mend(packet)
                if not packet.size or packet.is_discard or packet.stream_index != video.index:
                    continue
                if packet.pts is None or timeline.largest_seconds:
                    return None
                frames.append(packet.pts)
                if packet.is_keyframe:
                    keyframes.append(packet.pts)
        reordered = video.codec_context.has_b_frames
    rising = sorted(frames)
    # AVI counts frames as they are coded.
    if len(set(frames)) < len(frames) or (reordered and frames == rising):
        return None
    return FrameTimes(tuple(rising), tuple(sorted(keyframes)))


@dataclass(frozen=True)
class Part:
    """A part of a video.

    Attributes:
        reader: of its frames; `info.frames` counts them alone.
        start: when the first of them is shown, in seconds after the video's first frame; None for the whole video.
        shift: its timestamp in the video, 0 for the whole video.
    """

    reader: VideoReader
    start: float | None = None
    shift: int = 0

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()

    def __iter__(self) -> Iterator[Picture]:
        """Frames, the first of a part at 0."""
        return (replace(picture, pts=picture.pts - self.shift) for picture in self.reader)


def open_part(
    path: Path | str,
    *,
    start: float | None = None,
    seconds: float | None = None,
    stream: int | None = None,
    frames: int | None = None,
) -> Part:
    """Open a part of a video. Where timestamps tell, decoding starts at the keyframe before it.

    Args:
        path: the file.
        start: seconds after its first frame; frames that are shown before are left out.
        seconds: how long; frames that are shown later are left out.
        stream: see `VideoReader`.
        frames: at most so many.

    Raises:
        BadOption: there is no frame.
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    reader = VideoReader(path, stream=stream, frames=frames)
    if start is None and seconds is None:
        return Part(reader)
    try:
        base, origin = reader.info.time_base, reader.first_pts
        first = origin + math.ceil(Fraction(start or 0) / base - _ROUNDING)
        end = None if seconds is None else origin + math.ceil(Fraction((start or 0) + seconds) / base - _ROUNDING)
        times = frame_times(Path(path), stream=reader.info.stream)
        if start and not _seek_before(reader, first, times):
            reader.close()
            reader = VideoReader(path, stream=stream)
        found = reader.keep(first, end, frames)
        if found is None:
            length = f"it lasts {reader.info.duration_seconds:.3f} s" if reader.info.duration_seconds else None
            raise BadOption(f"no frame from {start or 0:.3f} s on", path=path, hint=length)
    except BaseException:
        reader.close()
        raise
    count = None if times is None else sum(first <= pts and (end is None or pts < end) for pts in times.frames)
    reader.info = replace(reader.info, frames=count)
    return Part(reader, float((found - origin) * base), found)


def _seek_before(reader: VideoReader, pts: int, times: FrameTimes | None) -> bool:
    """Go to a keyframe from which the frame of a timestamp can be decoded; whether that went well."""
    keyframes = times.keyframes if times is not None else ()
    for keyframe in keyframes[: bisect_right(keyframes, pts)][::-1][:_TRIES]:
        try:
            if reader.seek(keyframe) <= keyframe:
                return True
        except UnreadableVideo:
            return False
    return False


class FrameFinder:
    """Finds frames of a file by time. What is found has the index that reading from the start would give it.

    That goes by the timestamps of all packets, read once; where these do not tell, or a damaged stream lacks what they
    promise, everything before the frame is decoded.

    Args:
        path: the file.
        stream: index among its video streams.
        quantiser: see `VideoReader`.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """

    def __init__(self, path: Path, *, stream: int | None = None, quantiser: bool = False) -> None:
        self._path, self._stream, self._quantiser = path, stream, quantiser
        times = frame_times(path, stream=stream)
        self._reader = self._opened()
        self._pictures = iter(self._reader)
        self._last = next(self._pictures)
        self._start = self._last.pts
        self._times = times if times is not None and self._start in times.frames else None
        info = self._reader.info
        self._period = max(1, round(1 / (info.frame_rate * info.time_base))) if info.frame_rate else 1

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def at(self, seconds: float) -> tuple[int, Picture]:
        """Index and samples of the frame that is shown at a time, on the clock of `Picture.pts_seconds`.

        Raises:
            BadOption: none is shown then.
            UnreadableVideo, SizeChanged: see `VideoReader`.
        """
        if not math.isfinite(seconds):
            raise BadOption(f"{seconds} is not a time", hint="seconds")
        pts = math.floor(Fraction(float(seconds)) / self._reader.info.time_base + _ROUNDING)
        if pts < self._start:
            raise self._nothing_at(seconds)
        index, picture, last = self._sought(pts) or self._counted(pts)
        if last and pts >= picture.pts + (picture.duration or self._period):
            raise self._nothing_at(seconds)
        return index, picture

    def _sought(self, pts: int) -> tuple[int, Picture, bool] | None:
        """By timestamps: index, frame, whether it is the last; None where they do not tell."""
        if self._times is None:
            return None
        frames, keyframes = self._times.frames, self._times.keyframes
        place = bisect_right(frames, pts) - 1
        index, wanted, last = place - frames.index(self._start), frames[place], place == len(frames) - 1
        before = keyframes[: bisect_right(keyframes, wanted)][::-1]
        # What was decoded last may lie on the way.
        if before and before[0] <= self._last.pts <= wanted and (found := self._read_to(wanted)) is not None:
            return index, found, last
        for keyframe in before[:_TRIES]:
            try:
                self._reader.seek(keyframe)
            except UnreadableVideo:
                return None
            self._pictures = iter(self._reader)
            self._last = next(self._pictures)
            if self._last.pts <= keyframe and (found := self._read_to(wanted)) is not None:
                return index, found, last
        return None

    def _read_to(self, pts: int) -> Picture | None:
        """Read on to the frame of this timestamp; None if there is none."""
        while self._last.pts < pts and (following := next(self._pictures, None)) is not None:
            self._last = following
        return self._last if self._last.pts == pts else None

    def _counted(self, pts: int) -> tuple[int, Picture, bool]:
        """Likewise, by decoding everything up to there."""
        with self._opened() as reader:
            pictures = enumerate(reader)
            index, picture = next(pictures)
            for following, later in pictures:
                if later.pts > pts:
                    return index, picture, False
                index, picture = following, later
            return index, picture, True

    def _nothing_at(self, seconds: float) -> BadOption:
        start = float(self._start * self._reader.info.time_base)
        length = self._reader.info.duration_seconds
        hint = f"the video starts at {start:.3f} s" + (f" and lasts {length:.3f} s" if length else "")
        return BadOption(f"no frame is shown at {seconds:.3f} s", path=self._path, hint=hint)

    def _opened(self) -> VideoReader:
        return VideoReader(self._path, stream=self._stream, quantiser=self._quantiser)
