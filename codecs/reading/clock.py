"""Time where files do not tell it well: timestamps that are missing or jump, and for how long frames are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from irn_video.codecs.errors import IrnError
from irn_video.codecs.picture import Picture

# As in FFmpeg's command.
_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT: of MPEG-TS, for example
_JUMP_SECONDS, _BACK_SECONDS = 10, Fraction(1, 10)
_APART_SECONDS = Fraction(1, 1000)  # as fine as containers are, which refuse packets of the same time


class Clock:
    """Timestamps that always exist and always increase."""

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.time_base = time_base
        self._period = max(1, round(1 / (frame_rate * time_base))) if frame_rate else 1
        self._next: int | None = None  # where the next picture is expected
        self._last: int | None = None

    def stamp(self, pts: int | None, duration: int) -> int:
        """The timestamp of the next picture: its own, or the expected one where that is missing or goes back."""
        if pts is None or (self._last is not None and pts <= self._last):
            pts = self._next or 0
        self._last = pts
        self._next = pts + (duration or self._period)
        return pts


class Timeline:
    """Closes jumps of the timestamps where recordings were joined, in formats that have them (MPEG-TS, MPEG-PS, Ogg).

    As FFmpeg's command does: where a sound or video stream goes on over 10 s later than expected, or goes back, it and
    all that comes after it, of all streams, are moved. So that all who read a file move it alike, each must read all
    of `streams` and pass every packet through `mend` in the order of the file.

    Attributes:
        streams: those by which jumps are found, none in other formats.
        shift_seconds: what is added to timestamps now.
        largest_seconds: the farthest that packets were moved so far.
    """

    def __init__(self, container: InputContainer) -> None:
        jumps = container.format.flags & _MAY_JUMP
        self.streams = [s for s in container.streams if s.type in ("audio", "video")] if jumps else []
        self.shift_seconds = self.largest_seconds = Fraction(0)
        self._watched = {stream.index for stream in self.streams}
        self._spans: dict[int, tuple[Fraction, Fraction]] = {}  # when each stream's last packet began and ended
        self._latest: Fraction | None = None  # when the last packet of any began

    def mend(self, packet: Packet[Stream]) -> None:
        """Move a packet to where it belongs."""
        seconds = self._seconds(packet) if packet.stream_index in self._watched else self.shift_seconds
        if seconds:
            move(packet, seconds)

    def _seconds(self, packet: Packet[Stream]) -> Fraction:
        """How far to move a packet of a stream that is watched; of two that overlap at a joint the second moves on."""
        if packet.dts is None:
            return self.shift_seconds
        at, base = packet.dts * packet.time_base, packet.time_base
        start = at + self.shift_seconds
        last, expected = self._spans.get(packet.stream_index, (None, start if self._latest is None else self._latest))
        if abs(start - expected) > _JUMP_SECONDS or (last is not None and start + _BACK_SECONDS < last):
            self.shift_seconds += expected - start
            self.largest_seconds = max(self.largest_seconds, abs(self.shift_seconds))
            start = expected
        if self.shift_seconds and last is not None and start <= last:
            start = last + _APART_SECONDS
        self._latest = start
        self._spans[packet.stream_index] = start, start + (packet.duration or 0) * base
        return start - at


def move(packet: Packet[Stream], seconds: Fraction) -> None:
    """Add to the timestamps of a packet."""
    units = round(seconds / packet.time_base)
    packet.pts = packet.pts + units if packet.pts is not None else None
    packet.dts = packet.dts + units if packet.dts is not None else None


def lasting(pictures: Iterator[Picture], end: Callable[[], int | None]) -> Iterator[Picture]:
    """Pictures with the time they are shown: each until the next one, the last one until `end` where that is known.

    Decoders pass on what packets say, which in MP4 is the time to the next one in order of decoding.
    """
    waiting = next(pictures, None)
    while waiting is not None:
        try:
            following = next(pictures, None)
        except IrnError:
            yield waiting
            raise
        until = following.pts if following is not None else end()
        yield waiting if until is None or until <= waiting.pts else replace(waiting, duration=until - waiting.pts)
        waiting = following


def end_of(video: VideoStream) -> int | None:
    """When the last frame of a stream ends, in units of its time base, as its MP4 or MOV file has it; else None."""
    if not video.duration or "mp4" not in video.container.format.name:
        return None
    return (video.start_time or 0) + video.duration
