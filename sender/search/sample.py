"""Frames that a clip is judged by, from several places of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

from irn_video.codecs.errors import UnreadableVideo
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.sender.part import PartOptions, part_of

_FALLBACK_RATE = Fraction(25)
_MEMORY = 192 << 20  # bytes of all frames
_ROUNDING = 0.002  # seconds
# Of a stretch: later, an encoder that looks ahead knows less than in the clip, and VMAF is up to 3 lower for it.
_EARLY = 0.4
_FEWEST = 8  # however large they are


@dataclass(frozen=True)
class SampleSize:
    """How much is looked at.

    Attributes:
        frames: to encode, all stretches together.
        stretches: places of the clip; longer stretches are more like the clip to an encoder.
        pairs: of neighbouring frames to restore and measure. VMAF looks at the motion between neighbours.
    """

    frames: int = 96
    stretches: int = 6
    pairs: int = 6


@dataclass(frozen=True)
class Sample:
    """Stretches of a clip, one after the other.

    Attributes:
        info: of the clip.
        frames: with times as if it were one clip.
        starts: indices of the first frame of each stretch.
        judged: indices of the frames to measure, in pairs of neighbours.
        times: of the frames in the clip, in seconds after its first frame.
        total: frames of the clip, None if not known.
    """

    info: VideoInfo
    frames: tuple[Picture, ...]
    starts: tuple[int, ...]
    judged: tuple[int, ...]
    times: tuple[float, ...]
    total: int | None

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return self.info.frame_rate or _FALLBACK_RATE


def read_sample(path: Path, size: SampleSize, options: PartOptions) -> Sample:
    """Take samples of a clip; a short one is taken as a whole.

    Raises:
        MissingFile, UnreadableVideo, SizeChanged: see `VideoReader`.
        BadOption: see `part_of`.
    """
    with part_of(path, options) as part:
        info, offset = part.reader.info, part.start or 0.0
    rate = info.frame_rate or _FALLBACK_RATE
    total = _total(info, offset, rate, options)
    count = min(size.frames, max(_FEWEST, _MEMORY // _bytes(info)))
    # Of large frames there is no room for as many: fewer places then, not shorter ones.
    stretches = max(1, round(size.stretches * count / size.frames))
    if total is None or total <= count or stretches == 1:
        begins, each = [offset], min(total or count, count)
    else:
        each = count // stretches
        middles = [(index + 0.5) / stretches * total for index in range(stretches)]
        begins = [offset + max(0.0, float((middle - each / 2) / rate)) for middle in middles]
    try:
        with VideoReader(path, stream=options.stream) as reader:
            first, pieces = _taken(reader, begins, each, _sought)
    except UnreadableVideo:
        with VideoReader(path, stream=options.stream) as reader:
            first, pieces = _taken(reader, begins, each, _read_on)
    if not pieces:
        raise UnreadableVideo("no frame can be decoded where samples were taken", path=path)
    taken = [frame for piece in pieces for frame in piece]
    starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
    frames = tuple(
        replace(frame, pts=index, time_base=1 / rate, duration=1, update=b"", captions=b"")
        for index, frame in enumerate(taken)
    )
    judged = [
        start + place
        for start, piece in zip(starts, pieces, strict=True)
        for place in _pairs(len(piece), math.ceil(size.pairs / len(pieces)), _EARLY if len(pieces) > 1 else 1.0)
    ]
    times = tuple(frame.pts_seconds - first.pts_seconds - offset for frame in taken)
    return Sample(info, frames, tuple(starts), tuple(judged), times, total)


def _pairs(length: int, pairs: int, part: float) -> list[int]:
    """Places of neighbours, spread over this part of a stretch."""
    firsts = sorted({min(length - 2, int((index + 0.5) / pairs * length * part)) for index in range(pairs)} - {-1})
    return sorted({place for first in firsts for place in (first, first + 1)}) or [0]


def _total(info: VideoInfo, offset: float, rate: Fraction, options: PartOptions) -> int | None:
    """Frames of the part that is sent, from its duration where they are not counted."""
    total = info.frames
    if total is None and info.duration_seconds:
        total = max(1, round((info.duration_seconds - offset) * rate))
    if info.frames is None and options.duration is not None:
        most = math.ceil(options.duration * rate)
        total = min(most, total or most)
    return total if options.frames is None else min(options.frames, total or options.frames)


def _taken(
    reader: VideoReader, begins: Sequence[float], count: int, go_to: Callable[[VideoReader, float], None]
) -> tuple[Picture, list[list[Picture]]]:
    """The first frame, and so many frames from each of these times on, counted from it; fewer at the end.

    Raises:
        UnreadableVideo: see `_sought`.
    """
    first, pieces = next(iter(reader)), []
    for start in begins:
        begin = first.pts_seconds + start - _ROUNDING
        if start <= 0:
            pieces.append([first, *islice(reader, count - 1)])
        else:
            go_to(reader, begin)
            pieces.append(list(islice((frame for frame in reader if frame.pts_seconds >= begin), count)))
    return first, [piece for piece in pieces if piece]


def _sought(reader: VideoReader, seconds: float) -> None:
    """Go to a keyframe before a time.

    Raises:
        UnreadableVideo: the container cannot seek, or lands behind it.
    """
    wanted = round(Fraction(seconds) / reader.info.time_base)
    if reader.seek(wanted) > wanted:
        raise UnreadableVideo("it cannot be sought in", path=reader.info.path)


def _read_on(_reader: VideoReader, _seconds: float) -> None:
    """Everything is read, for times rise."""


def _bytes(info: VideoInfo) -> int:
    shapes = info.layout.plane_shapes(info.height, info.width)
    return sum(height * width for height, width in shapes) * (1 if info.bit_depth == 8 else 2)
