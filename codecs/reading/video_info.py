"""What is known about a video stream, and what was found broken in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.picture import VideoFormat


@dataclass(frozen=True, kw_only=True)
class VideoInfo(VideoFormat):
    """What is known about a video stream once its first frame is decoded.

    Attributes:
        path: the file.
        stream: index among its video streams, attached pictures not counted.
        streams: how many of these there are.
        frame_rate: as far as the timestamps bear it out.
        frames: number of frames announced or counted by demuxing, None when unknown.
        duration_seconds: of the stream, or else of the file; None when unknown.
        codec: FFmpeg's name of the decoder.
        interlaced: the first frame is coded as fields.
        notes: conversions done on reading, in a few words each.
    """

    path: Path
    stream: int
    streams: int
    frames: int | None
    duration_seconds: float | None
    codec: str
    interlaced: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReadDamage:
    """What was found broken so far; false when nothing was.

    Attributes:
        corrupt_packets: packets marked corrupt or refused by the decoder.
        corrupt_frames: frames in which the decoder concealed damage.
        truncated: the file ends early, or could not be read to its end.
    """

    corrupt_packets: int = 0
    corrupt_frames: int = 0
    truncated: bool = False

    def __bool__(self) -> bool:
        return bool(self.corrupt_packets or self.corrupt_frames or self.truncated)

    def describe(self) -> str:
        """One line for people, 'no damage' when there is none."""
        parts = []
        if self.corrupt_packets:
            parts.append(f"{self.corrupt_packets} damaged packet{'s' * (self.corrupt_packets > 1)}")
        if self.corrupt_frames:
            parts.append(f"{self.corrupt_frames} concealed frame{'s' * (self.corrupt_frames > 1)}")
        if self.truncated:
            parts.append("the file ends early")
        return ", ".join(parts) or "no damage"
