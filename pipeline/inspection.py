"""What an LR stream says of itself, what it weighs, and whether this machine can play it in real time."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadCard, BadWeights, UnknownModel
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.packets import PacketSurvey, survey
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.options import DeviceOptions
from irn_video.pipeline.pace import PaceClock, advice_for
from irn_video.pipeline.restoring import check_size, restoration_of, restored_pictures
from irn_video.pipeline.upscalers import load_for

SCHEMA = 1
_TIMED_FRAMES, _TIMED_SECONDS = 60, 5.0
QUANTISER_FRAMES = 500
"""Frames that are decoded for their quantisers, unless told otherwise."""


@dataclass(frozen=True)
class Quantisers:
    """Mean H.264 quantisers of frames.

    Attributes:
        mean, least, most: 0 to 51.
        frames: from the first, that were looked at.
    """

    mean: float
    least: float
    most: float
    frames: int


@dataclass(frozen=True)
class Speed:
    """How quickly this machine restores.

    Attributes:
        fps: frames a second, decoding included, measuring and encoding not.
        needed: frames a second of the stream; None if that is not known.
        device: what was used, in words.
        advice: what would be quick enough, where this is not, see `advice_for`.
    """

    fps: float
    needed: float | None
    device: str
    advice: str = ""

    @property
    def real_time(self) -> bool | None:
        """Whether it is quick enough; None if that is not known."""
        return None if self.needed is None else self.fps >= self.needed


@dataclass(frozen=True)
class StreamInfo:
    """All of it; see `as_json`.

    Attributes:
        video: the LR stream.
        card: what it says of itself; None in a plain video.
        trouble: why it cannot be restored here; empty if it can, or has no card.
        packets: what it weighs.
        quantisers: None for codecs other than H.264.
        speed: None if it was not measured.
    """

    video: VideoInfo
    card: StreamCard | None
    trouble: str
    packets: PacketSurvey
    quantisers: Quantisers | None
    speed: Speed | None

    def as_json(self) -> dict[str, Any]:
        """What `irn-info --json` prints; docs/info.md says what the keys mean."""
        video, packets, speed = self.video, self.packets, self.speed
        return {
            "schema": SCHEMA,
            "command": "irn-info",
            "path": str(video.path),
            "video": {
                "codec": video.codec,
                "width": video.width,
                "height": video.height,
                "layout": str(video.layout),
                "bit_depth": video.bit_depth,
                "frame_rate": float(video.frame_rate) if video.frame_rate else None,
                "seconds": video.duration_seconds,
                "frames": packets.frames,
                "keyframes": len(packets.groups),
                "longest_group": max(packets.groups, default=0),
            },
            "card": json.loads(self.card.to_json()) if self.card is not None else None,
            "restorable": self.card is not None and not self.trouble,
            "trouble": self.trouble,
            "quantisers": asdict(self.quantisers) if self.quantisers is not None else None,
            "tuned_groups": sum(size > 0 for size in packets.tuned_bytes),
            "bytes": {
                "file": packets.file_bytes,
                "video": packets.video_bytes,
                "card": packets.card_bytes,
                "tuned_weights": sum(packets.tuned_bytes),
                "other_tracks": packets.other_bytes,
                "container": packets.container_bytes,
            },
            "speed": {**asdict(speed), "real_time": speed.real_time} if speed is not None else None,
        }


def inspect_stream(
    path: Path | str,
    *,
    stream: int | None = None,
    frames: int = QUANTISER_FRAMES,
    speed: bool = True,
    device: DeviceOptions | None = None,
) -> StreamInfo:
    """Look at a video file.

    Args:
        path: made by `send`, or any other video.
        stream: video stream of the file, from 0; None for the one that a player would show.
        frames: to decode for their quantisers.
        speed: restore some frames and measure how long that takes.
        device: to do so.

    Raises:
        MissingFile, UnreadableVideo: it is no video.
        BadCard: it has a card that cannot be read.
        BadOption: no such device.
    """
    path, device = Path(path), device or DeviceOptions()
    card = find_card(path, stream=stream)
    packets = survey(path, stream=stream)
    with VideoReader(path, stream=stream, frames=frames, quantiser=True) as reader:
        video = reader.info
        quantisers = _quantisers(reader)
    rescaler, trouble = (None, "") if card is None else _network(video, card, device)
    measured = None
    if speed and card is not None and rescaler is not None:
        measured = _speed(path, stream, card, rescaler, video, device)
    return StreamInfo(video, card, trouble, packets, quantisers, measured)


def _network(video: VideoInfo, card: StreamCard, device: DeviceOptions) -> tuple[Rescaler | None, str]:
    try:
        check_size(video, card)
        return load_for(card, None, device=device.device, precision=device.precision), ""
    except (BadCard, UnknownModel, BadWeights) as error:
        return None, str(error)


def _quantisers(reader: VideoReader) -> Quantisers | None:
    found = [picture.qp for picture in reader if picture.qp is not None]
    return Quantisers(statistics.fmean(found), min(found), max(found), len(found)) if found else None


def _speed(
    path: Path, stream: int | None, card: StreamCard, rescaler: Rescaler, video: VideoInfo, device: DeviceOptions
) -> Speed | None:
    """Restore some frames: the first one, which warms everything up, does not count where there are others."""
    to = restoration_of(card, temperature=None, seed=None)
    done: list[float] = [time.monotonic()]
    clock = PaceClock()
    with (
        VideoReader(path, stream=stream, frames=_TIMED_FRAMES, quantiser=True) as reader,
        restored_pictures(reader, rescaler, to, None) as restored,
    ):
        for count, item in enumerate(restored, 1):
            done.append(time.monotonic())
            clock.tick(count, count, item.lr)
            if done[-1] - done[0] > _TIMED_SECONDS:
                break
    if len(done) < 2:
        return None
    since = done[1:] if len(done) > 2 else done
    fps = (len(since) - 1) / max(1e-6, since[-1] - since[0])
    found = Speed(fps, float(video.frame_rate) if video.frame_rate else None, rescaler.where)
    if found.needed is None or found.real_time or clock.pace is None or clock.lr is None:
        return found
    return replace(found, advice=advice_for(clock.pace, found.needed, rescaler, clock.lr, to, device))
