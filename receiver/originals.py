"""Where the frames are that were sent: what live frames are measured against."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import PictureError, compare


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
    """Pictures of the source, found by their index; a looped one begins anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0
        self._reader = VideoReader(path)

    def __enter__(self) -> FileOriginals:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def original(self, arrival: Arrival) -> Picture | None:
        """None where the source has no such frame."""
        count = arrival.card.frames
        return self._at(arrival.stamp.index % count if count else arrival.stamp.index)

    def _at(self, index: int) -> Picture | None:
        if index < self._next:
            self._reader.close()
            self._reader, self._next = VideoReader(self._path), 0
        for picture in self._reader:
            self._next += 1
            if self._next > index:
                return picture
        return None
