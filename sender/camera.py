"""Pictures in real time: each when it is taken, with its stamp."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Self, TypeVar

from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.capture import Capture, CaptureOptions, is_stored
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.flow import ahead, newest

Item = TypeVar("Item")

_FALLBACK_RATE = Fraction(25)
_LATE_PERIODS = 2  # a picture of a file that comes later than this is left out, so that the next ones are in time
_SESSIONS = 1 << 32


@dataclass(frozen=True)
class Taken:
    """One frame, and which one it is."""

    picture: Picture
    stamp: Stamp


class Camera:
    """A live input; see `Capture`. Files are played at their rate, devices give their frames when they have them.

    Args:
        source: see `Capture`.
        loop: begin anew at the end.
        seconds: stop after so long.
        size: asked of a device, such as 1280x720.
        fps: frames per second, asked of a device; a file is thinned out to about as many.

    Attributes:
        info: of the frames.
        rate: frames per second.

    Raises:
        BadOption: `loop` for what cannot be read again.
        IrnError: see `Capture`.
    """

    def __init__(
        self,
        source: str,
        *,
        loop: bool = False,
        seconds: float | None = None,
        size: str | None = None,
        fps: float | None = None,
    ) -> None:
        self._source, self._loop, self._seconds = source, loop, seconds
        self._first = Capture(source, CaptureOptions(size, None if is_stored(source) else fps))
        if loop and not self._first.again:
            self._first.close()
            raise BadOption(f"{source} cannot begin anew", hint="leave out --loop")
        self.info: VideoInfo = self._first.info
        self.rate = self.info.frame_rate or _FALLBACK_RATE
        self._every = 1
        if fps is not None and not self._first.paced:
            self.thin_out(fps)

    def thin_out(self, fps: float) -> None:
        """Take only some of the frames, about so many a second; before the first is taken."""
        self._every = max(1, round(self.rate * self._every / Fraction(fps)))
        self.rate = (self.info.frame_rate or _FALLBACK_RATE) / self._every

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._first.__exit__()

    def __iter__(self) -> Iterator[Taken]:
        session, start = secrets.randbelow(_SESSIONS), time.monotonic()
        stage = (
            newest(enumerate(self._thinned()), depth=1)
            if self._first.paced
            else ahead(enumerate(self._thinned()), depth=4)
        )
        with stage as pictures:
            for index, (place, picture) in self._in_time(pictures):
                if self._seconds is not None and time.monotonic() - start >= self._seconds:
                    return
                source = None if self._first.paced else place
                yield Taken(picture, Stamp(session, index, time.time_ns() // 1000, source=source))

    def _thinned(self) -> Iterator[tuple[int, Picture]]:
        return islice(self._all(), 0, None, self._every)

    def _all(self) -> Iterator[tuple[int, Picture]]:
        """With their place in the source, which a loop counts anew."""
        yield from enumerate(self._first)
        while self._loop:
            with Capture(self._source) as again:
                yield from enumerate(again)

    def _in_time(self, pictures: Iterable[tuple[int, Item]]) -> Iterator[tuple[int, Item]]:
        """Not before their time, and those of a file not long after it."""
        start: float | None = None
        for index, picture in pictures:
            start = time.monotonic() if start is None else start
            early = start + float(index / self.rate) - time.monotonic()
            if early > 0 and not self._first.paced:
                time.sleep(early)
            elif early < -float(_LATE_PERIODS / self.rate) and not self._first.paced:
                if self._first.again:
                    continue
                start -= early  # whatever feeds the pipe is late, not we
            yield index, picture
