"""Perceptual metrics of restored frames: frames and their originals, kept without loss for FFmpeg to compare."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.quality.entries import FrameReport
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.restoring import Restored

_LOSSLESS = EncoderSettings(codec="ffv1")


class Scorer:
    """Takes measured frames as they come, and scores them all at the end.

    Args:
        wanted: names in `PERCEPTUAL`; nothing is kept where there are none.
        beside: a file in whose folder both videos are kept meanwhile.
    """

    def __init__(self, wanted: Sequence[str], beside: Path) -> None:
        self._wanted, self._beside = wanted, beside
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._writers: list[VideoWriter] = []

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.abort()
        self._stack.close()

    def take(self, item: Restored) -> None:
        """One more frame; those without an original are not scored."""
        if not self._wanted or item.original is None:
            return
        pair = item.picture, replace(item.original, pts=item.picture.pts, time_base=item.picture.time_base)
        if self._folder is None:
            made = TemporaryDirectory(prefix=".irn-receive-", dir=self._beside.absolute().parent)
            self._folder = Path(self._stack.enter_context(made))
            self._writers = [_writer(path, p) for path, p in zip(_paths(self._folder), pair, strict=True)]
        for writer, picture in zip(self._writers, pair, strict=True):
            writer.write(picture)

    def scored(self, frames: Sequence[FrameReport]) -> tuple[FrameReport, ...]:
        """The reports of the frames that were taken, with their scores.

        Raises:
            UnreadableVideo: FFmpeg gives up; says why.
        """
        if self._folder is None:
            return tuple(frames)
        for writer in self._writers:
            writer.finish()
        found = measure_files(*_paths(self._folder), self._folder, self._wanted)
        return tuple(
            replace(frame, scores={name: scores[name] for name in self._wanted})
            for frame, scores in zip(frames, found, strict=True)
        )


def _paths(folder: Path) -> tuple[Path, Path]:
    return folder / "restored.mkv", folder / "source.mkv"


def _writer(path: Path, picture: Picture) -> VideoWriter:
    return VideoWriter(path, _LOSSLESS, VideoFormat.of(picture, None, picture.time_base))
