"""Recording restored frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.links.mpegts import CLOCK
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.receiver.live_options import LiveReceiveOptions
from irn_video.receiver.receiving import ReceiveOptions


class Recorder:
    """Writes restored frames to a file at the times at which they were taken, until their size changes."""

    def __init__(self, options: LiveReceiveOptions, say: Callable[[str], None]) -> None:
        assert options.output is not None
        self._path, self._overwrite, self._say = Path(options.output), options.overwrite, say
        self._writer: VideoWriter | None = None
        self._video: VideoFormat | None = None
        self._first: Stamp | None = None
        self._over = False

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None and kind is None:
            self._writer.finish()
        elif self._writer is not None:
            self._writer.abort()

    def write(self, picture: Picture, arrival: Arrival) -> None:
        """One more, unless the recording is over."""
        if self._writer is None:
            self._video, self._first = VideoFormat.of(picture, None, CLOCK), arrival.stamp
            self._writer = VideoWriter(self._path, ReceiveOptions().encoder, self._video, overwrite=self._overwrite)
        if self._video is not None and not self._video.fits(picture) and not self._over:
            self._over = True
            self._say(f"warning: {self._path} ends here: the frames have changed to {picture.width}x{picture.height}")
        if not self._over and self._first is not None:
            since = arrival.stamp.captured - self._first.captured
            pts = round(Fraction(since, 1_000_000) / CLOCK)
            self._writer.write(replace(picture, pts=pts, time_base=CLOCK, duration=0))
