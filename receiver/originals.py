"""Where the frames are that were sent: what live frames are measured against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import PictureError, compare

_AT_ONCE = 300  # frames that are decoded for one: more than any thinning skips, and a sender that lies costs no more


class Originals(Protocol):
    """Where the frames are that were sent."""

    def original(self, arrival: Arrival) -> Picture | None:
        """The one that has arrived; None where it is not known."""


def measured(restored: Picture, arrival: Arrival, originals: Originals | None) -> PictureError | None:
    """Errors of a restored frame; None where its original is not known, or of another size."""
    original = originals.original(arrival) if originals is not None else None
    if original is None or (original.width, original.height) != (restored.width, restored.height):
        return None
    return compare(convert(original, Samples.of(restored)), restored)


class FileOriginals:
    """Frames of the source, found by the place in it that their stamps name.

    Reading goes forward, and from the beginning again where a place lies further back, as it does in a loop. For one
    frame it goes a limited way: those that came before it gets there, as after joining late, are not measured.

    Args:
        path: the source.
        say: told once if stamps name no place.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path, self._say, self._told = path, say, False
        self._reader, self._next = VideoReader(path), 0
        self._last: Picture | None = None
        self._length: int | None = None  # known once it was read to its end

    def __enter__(self) -> FileOriginals:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def original(self, arrival: Arrival) -> Picture | None:
        """None where the source has no such frame, or it has not been reached."""
        place = arrival.stamp.source
        if place is None:
            if not self._told:
                self._told = True
                self._say("warning: the sender does not say which frames of a file it sends: nothing is measured")
            return None
        return self._at(place)

    def _at(self, place: int) -> Picture | None:
        if self._length is not None and place >= self._length:
            return None
        if place < self._next - 1:
            self._reader.close()
            self._reader, self._next = VideoReader(self._path), 0
        for _ in range(min(place + 1 - self._next, _AT_ONCE)):
            if (picture := next(iter(self._reader), None)) is None:
                self._length = self._next
                return None
            self._last, self._next = picture, self._next + 1
        return self._last if self._next == place + 1 else None
