"""Which part of a video is sent, and what goes with it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from irn_video.codecs.bitstream.card import StreamCard, version_of
from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.seeking import Part, open_part
from irn_video.codecs.writing.passthrough import Passthrough

_MOST_SECONDS = 10**9


class PartOptions(Protocol):
    """What of `SendOptions` says which part."""

    @property
    def start(self) -> float | None:
        """In seconds after the first frame."""

    @property
    def duration(self) -> float | None:
        """In seconds."""

    @property
    def stream(self) -> int | None:
        """Index among the video streams."""

    @property
    def frames(self) -> int | None:
        """At most so many."""


def part_of(source: Path, options: PartOptions) -> Part:
    """The frames that are sent.

    Raises:
        BadOption: there are none, or the times make no sense.
    """
    start, duration = options.start, options.duration
    early, late = 0.0 if start is None else start, 1.0 if duration is None else duration
    if not (0 <= early <= _MOST_SECONDS and 0 < late <= _MOST_SECONDS):
        raise BadOption("start and duration are seconds, from 0 up", hint="--start 1:30 --duration 10")
    return open_part(source, start=start, seconds=duration, stream=options.stream, frames=options.frames)


def placed(card: StreamCard, part: Part) -> StreamCard:
    """The card that says where the stream begins in its source."""
    start = part.start or None
    return replace(card, start=start, version=version_of(start, card.look))


def rest_of(part: Part, options: PartOptions) -> Passthrough:
    """Everything but the frames, cut as these are."""
    info = part.reader.info
    cut = options.frames is not None or options.duration is not None
    until = (math.inf if options.duration is None else options.duration) if cut else None
    return Passthrough(info.path, info.stream, until, part.shift * info.time_base)
