"""How many frames a video stream has, and how many a second: what its container says, held against its packets."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import av.error
from av.stream import Discard
from av.video.stream import VideoStream

from .opening import open_input, packets

_COUNT_UP_TO_BYTES = 2 << 30  # a pass over larger files only to count their packets would take too long
_PACKETS = 1000  # by whose times the frame rate is checked
_FAR = 3  # a rate so many times too high or too low is wrong; less may be due to gaps, or to fields counted as frames


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        frames: pictures that the container promises (MP4, less those its edit list hides), or else its packets; None
            when unknown.
        frame_rate: average pictures per second as the container says, unless its timestamps contradict: then what
            FFmpeg guesses, or what they say. None when unknown.
    """

    frames: int | None
    frame_rate: Fraction | None


def survey(path: Path, video: VideoStream, *, piped: bool = False) -> Survey:
    """Look through a file, open elsewhere; not if it is a pipe, or an MP4 file, which has an index of its frames."""
    if piped:
        return Survey(None, _frame_rate(video, []))
    if video.frames and "mp4" in video.container.format.name:
        shown = sum(not entry.is_discard for entry in video.index_entries)
        return Survey(shown or video.frames, _frame_rate(video, []))
    large = path.stat().st_size > _COUNT_UP_TO_BYTES
    count, times, durations = 0, list[int](), list[int]()
    with open_input(path) as container, contextlib.suppress(av.error.FFmpegError):
        for other in container.streams:
            if other.index != video.index:
                other.discard = Discard.all
        for packet in packets(container, container.streams[video.index]):
            if count < _PACKETS and packet.size:
                durations.append(packet.duration or 0)
                times += [packet.dts] if packet.dts is not None else []
            elif large:
                break
            count += packet.size > 0
    steps = [later - at for at, later in pairwise(times)] or durations
    return Survey(None if large else count or None, _frame_rate(video, steps))


def _frame_rate(video: VideoStream, steps: Sequence[int]) -> Fraction | None:
    """The rate that is true to these `steps` from packet to packet, in units of the time base."""
    named = [rate for rate in (video.average_rate, video.guessed_rate) if rate]
    typical, total = (median_low(steps), sum(steps)) if steps else (0, 0)
    if typical <= 0 or total <= 0 or video.time_base is None:
        return next(iter(named), None)
    usual, mean = 1 / (typical * video.time_base), len(steps) / (total * video.time_base)
    return next((rate for rate in named if mean / _FAR <= rate <= usual * _FAR), usual)
