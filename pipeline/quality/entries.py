"""What a report says of the stream, the source, the frames, tuning and search: its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from irn_video.pipeline.quality.psnr import PictureError


@dataclass(frozen=True)
class FrameReport:
    """One measured frame.

    Attributes:
        index: from 0.
        pts_seconds: presentation time in the restored video.
        error: against the source.
        scores: other metrics, by name; None where one is undefined.
    """

    index: int
    pts_seconds: float
    error: PictureError
    scores: Mapping[str, float | None] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """Its part of its entry under `frames`."""
        found = {**self.error.psnr(), **self.scores}
        return {**found, "identical": True} if self.error.identical else found


@dataclass(frozen=True)
class StreamReport:
    """The stream that was sent.

    Attributes:
        codec, preset, crf, bitrate: how it was encoded, None where not known or not set; bits a second.
        scale: by which its frames were shrunk.
        width, height: of its frames, in luma samples.
        bytes: of its video packets alone.
        file_bytes: of the whole file, with sound and all else.
        frames: how many.
        seconds: of video.
        hr_pixels: pixels of one restored frame.
    """

    codec: str
    preset: str | None
    crf: float | None
    bitrate: int | None
    scale: float
    width: int
    height: int
    bytes: int
    file_bytes: int
    frames: int
    seconds: float
    hr_pixels: int

    @property
    def kbps(self) -> float | None:
        """kbit/s of video packets, None where the length is not known."""
        return kbps_of(self.bytes, self.seconds)

    def as_json(self) -> dict[str, Any]:
        """Its entry, with kbit/s and bits per HR pixel."""
        kbps = kbps_of(self.bytes, self.seconds)
        bpp = self.bytes * 8 / (self.frames * self.hr_pixels) if self.frames else None
        entry = asdict(self)
        del entry["hr_pixels"]
        return {**entry, "kbps": kbps, "bpp": bpp}


@dataclass(frozen=True)
class SourceReport:
    """The video that was sent, None where it is not known.

    Attributes:
        width, height: of its frames, in luma samples.
        bytes: of the whole file.
        seconds: of all of it, sent or not.
    """

    width: int
    height: int
    bytes: int | None = None
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Its entry, with the file's kbit/s."""
        return {**asdict(self), "kbps": kbps_of(self.bytes, self.seconds)}


@dataclass(frozen=True)
class TunedGroup:
    """What was sent to tune the receiver's network to a group of frames, and whether it was worth its bits.

    Attributes:
        frames: frames of the group.
        bytes: of the message, 0 where nothing was worth it.
        rank: of the mixing of the hidden layers' channels, 0 for gains and shifts alone, None where these stay.
        last_layer: whether it changes.
        saved_per_bit: squared error (luma levels of 255, summed over the group) that a bit of the message saves,
            estimated on parts of frames that were not tuned to; None without one.
        video_saves_per_bit: what a bit more of video would save there, measured likewise with a second encoder that
            takes a CRF of 2 more, or 4/5 of the bit rate; where there is none, as in the group before.
        gained_db: by which PSNR of the group is better for it, estimated likewise; 0 without a message.
        untuned: why nothing was sent, empty if something was.
        told: quantisers by which what the network is told differs from the frames' own.
    """

    frames: int
    bytes: int
    rank: int | None
    last_layer: bool
    saved_per_bit: float | None
    video_saves_per_bit: float
    gained_db: float = 0.0
    untuned: str = ""
    told: int = 0


@dataclass(frozen=True)
class TriedWay:
    """A way of sending at what was aimed at, by samples of the clip: model, scale, CRF, kbit/s and the quality."""

    model: str
    scale: float
    crf: float
    kbps: float
    quality: float


@dataclass(frozen=True)
class SearchReport:
    """What was aimed at, and what came of it.

    Attributes:
        metric: what quality is, a key of summaries.
        wanted: of the metric, None where a rate or size was aimed at.
        kbps: aimed at, None where a quality was.
        reached: mean of the metric over sampled frames of the stream that was sent, None where it was not measured.
        ways: that came into question, the best first.
    """

    metric: str
    wanted: float | None
    kbps: float | None
    ways: Sequence[TriedWay]
    reached: float | None = None


@dataclass(frozen=True)
class Peer:
    """What another way would take for the same quality, by samples of the clip.

    Attributes:
        model: `lanczos-x1` is plain coding at full size.
        metric: what quality is, a key of summaries.
        rate: its bit rate over that of the stream, None where it does not reach that quality.
    """

    model: str
    metric: str
    rate: float | None


@dataclass(frozen=True)
class Tuning:
    """What became of tuning the network to a stream.

    Attributes:
        groups: of frames.
        tuned: how many of these have tuned weights.
        bytes: of the tuned weights.
        gained_db: mean of `TunedGroup.gained_db` over the frames, None where that is not known.
        untuned: why no group was tuned, None if one was or that is not known.
    """

    groups: int = 0
    tuned: int = 0
    bytes: int = 0
    gained_db: float | None = None
    untuned: str | None = None

    @classmethod
    def of(cls, groups: Sequence[TunedGroup]) -> Tuning:
        """That of a sender that has tried."""
        tuned, frames = sum(group.bytes > 0 for group in groups), sum(group.frames for group in groups)
        reasons = dict.fromkeys(group.untuned for group in groups if group.untuned)
        return cls(
            groups=len(groups),
            tuned=tuned,
            bytes=sum(group.bytes for group in groups),
            gained_db=sum(group.gained_db * group.frames for group in groups) / frames if frames else None,
            untuned=None if tuned else "; ".join(reasons) or None,
        )


def kbps_of(size: int | None, seconds: float | None) -> float | None:
    """kbit/s, None where something is not known."""
    return size * 8 / 1000 / seconds if size is not None and seconds else None
