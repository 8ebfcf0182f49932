"""Frames that a clip is judged by, from several places of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

from irn_video.codecs.errors import UnreadableVideo
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.scales import shrunk
from irn_video.sender.part import PartOptions, part_of

_FALLBACK_RATE = Fraction(25)
_MEMORY = 192 << 20  # bytes of all frames
_ROUNDING = 0.002  # seconds
# Of a stretch: later, an encoder that looks ahead knows less than in the clip, and VMAF is up to 3 lower for it.
_EARLY, _SETTLED = 0.4, 0.8
_FEWEST = 8  # however large they are
_GRAIN = 24  # of windows, so that they are a whole number of LR samples, and even, at every scale
_LEAST_WINDOW = 240  # samples of each side; smaller frames are looked at as a whole
_CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))  # bottom or not, right or not: four stretches see all of the frame
_AT_HAND = 125  # frames: to read on so far is quicker than to seek, for encoders set keyframes 250 apart


@dataclass(frozen=True)
class SampleSize:
    """How much is looked at.

    Attributes:
        frames: to encode, all stretches together.
        stretches: places of the clip; longer stretches are more like the clip to an encoder.
        pairs: of neighbouring frames to restore and measure. VMAF looks at the motion between neighbours.
        windows: take a quarter of each frame, in each stretch another one, where frames are large enough.
        settled: share of a stretch after which frames count. Those soon after a keyframe live on its bits, of which the
            clip has fewer; that would favour the scales that spend most on it.
    """

    frames: int = 96
    stretches: int = 6
    pairs: int = 6
    windows: bool = False
    settled: float = 0.0


@dataclass(frozen=True)
class Window:
    """A part of a frame, in samples of luma."""

    top: int
    left: int
    height: int
    width: int

    def at_scale(self, scale: float) -> Window:
        """The same part of an LR frame."""
        return Window(*(shrunk(side, scale) for side in (self.top, self.left, self.height, self.width)))

    def of(self, picture: Picture) -> Picture:
        """What is seen in it."""
        down, right = picture.layout.subsampling
        y, u, v = (
            plane[self.top // i : (self.top + self.height) // i, self.left // j : (self.left + self.width) // j].copy()
            for plane, i, j in zip(picture.planes, (1, down, down), (1, right, right), strict=True)
        )
        return replace(picture, planes=(y, u, v))


@dataclass(frozen=True)
class Sample:
    """Stretches of a clip, one after the other.

    Attributes:
        info: of the clip; of windows the size is theirs.
        frames: with times as if it were one clip; what the windows show of them.
        starts: indices of the first frame of each stretch.
        counted: indices of the frames by which the bit rate is told, beside those.
        judged: indices of the frames to measure, in pairs of neighbours.
        times: of the frames in the clip, in seconds after its first frame.
        total: frames of the clip, None if not known.
        windows: where in the clip's frames these are; none if they are whole.
        share: of the samples of a frame that a window has.
    """

    info: VideoInfo
    frames: tuple[Picture, ...]
    starts: tuple[int, ...]
    counted: tuple[int, ...]
    judged: tuple[int, ...]
    times: tuple[float, ...]
    total: int | None
    windows: tuple[Window, ...] = ()
    share: float = 1.0

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
    windows = _windows(info) if size.windows and total is not None else ()
    stretches, each = _stretches(size, info, total, windows)
    if stretches == 1 and windows:  # they would see one corner only
        windows = ()
        stretches, each = _stretches(size, info, total, windows)
    if total is None or stretches == 1:
        begins = [offset]
    else:
        middles = [(index + 0.5) / stretches * total for index in range(stretches)]
        begins = [offset + max(0.0, float((middle - each / 2) / rate)) for middle in middles]
    seen = [windows[index % len(windows)] if windows else None for index in range(stretches)]
    try:
        with VideoReader(path, stream=options.stream) as reader:
            first, pieces = _taken(reader, begins, each, seen, _sought)
    except UnreadableVideo:
        with VideoReader(path, stream=options.stream) as reader:
            first, pieces = _taken(reader, begins, each, seen, _read_on)
    if not pieces:
        raise UnreadableVideo("no frame can be decoded where samples were taken", path=path)
    taken = [frame for piece in pieces for frame in piece]
    starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
    frames = tuple(
        replace(frame, pts=index, time_base=1 / rate, duration=1, update=b"", captions=b"")
        for index, frame in enumerate(taken)
    )
    settled = size.settled if len(pieces) > 1 else 0.0
    looked = 1.0 if len(pieces) == 1 else _SETTLED if settled else _EARLY
    judged, counted = list[int](), list[int]()
    for start, piece in zip(starts, pieces, strict=True):
        passed = round(settled * len(piece))
        places = _pairs(len(piece) - passed, math.ceil(size.pairs / len(pieces)), looked)
        judged += [start + passed + place for place in places]
        counted += range(start + max(1, passed), start + len(piece))
    times = tuple(frame.pts_seconds - first - offset for frame in taken)
    sample = Sample(info, frames, tuple(starts), tuple(counted), tuple(judged), times, total)
    if not windows:
        return sample
    height, width = windows[0].height, windows[0].width
    return replace(
        sample,
        info=replace(info, height=height, width=width),
        windows=tuple(window for window, piece in zip(seen, pieces, strict=False) for _ in piece if window is not None),
        share=height * width / (info.height * info.width),
    )


def _windows(info: VideoInfo) -> tuple[Window, ...]:
    """Of a quarter of a frame each, together all of it; none of a small frame."""
    height, width = (side // 2 // _GRAIN * _GRAIN for side in (info.height, info.width))
    if min(height, width) < _LEAST_WINDOW:
        return ()
    top, left = ((whole - side) // _GRAIN * _GRAIN for whole, side in ((info.height, height), (info.width, width)))
    return tuple(Window(down * top, right * left, height, width) for down, right in _CORNERS)


def _stretches(size: SampleSize, info: VideoInfo, total: int | None, windows: Sequence[Window]) -> tuple[int, int]:
    """How many, and frames of each; a short clip is one, or all of it is seen in windows."""
    count = min(size.frames, max(_FEWEST, _MEMORY // _bytes(info, windows[0] if windows else None)))
    # Of large frames there is no room for as many: fewer places then, not shorter ones.
    stretches = max(1, round(size.stretches * count / size.frames))
    if total is None or stretches == 1 or (total <= count and (not windows or total < stretches * _FEWEST)):
        return 1, min(total or count, count)
    return stretches, min(total, count) // stretches


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
    reader: VideoReader,
    begins: Sequence[float],
    count: int,
    windows: Sequence[Window | None],
    go_to: Callable[[VideoReader, float], None],
) -> tuple[float, list[list[Picture]]]:
    """When the first frame is shown, and what a window shows of so many frames from each of these times on, counted
    from there; fewer at the end.

    Raises:
        UnreadableVideo: see `_sought`.
    """
    first = next(iter(reader))
    reached, near = first.pts_seconds, _AT_HAND / float(reader.info.frame_rate or _FALLBACK_RATE)
    pieces: list[list[Picture]] = []
    for start, window in zip(begins, windows, strict=True):
        begin = first.pts_seconds + start - _ROUNDING
        if begin - reached > near:
            go_to(reader, begin)
        following = (frame for frame in reader if frame.pts_seconds >= begin)
        found = islice(chain([first] if start <= 0 else [], following), count)
        pieces.append([window.of(frame) if window is not None else frame for frame in found])
        reached = begin + count * near / _AT_HAND
    return first.pts_seconds, [piece for piece in pieces if piece]


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


def _bytes(info: VideoInfo, window: Window | None) -> int:
    of = window or info
    shapes = info.layout.plane_shapes(of.height, of.width)
    return sum(height * width for height, width in shapes) * (1 if info.bit_depth == 8 else 2)
