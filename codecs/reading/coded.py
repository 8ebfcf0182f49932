"""The frames of a stream as they are coded: bytes, keyframes, quantisers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from .choosing import choose_stream
from .frame_data import mean_qp
from .opening import open_input, packets


@dataclass(frozen=True)
class CodedFrame:
    """One frame of a stream.

    Attributes:
        pts_seconds: presentation time.
        bytes: of its packet, None where that is not known.
        keyframe: decoding can start here, None where that is not known.
        qp: mean quantiser of H.264, None where that is not known.
    """

    pts_seconds: float
    bytes: int | None = None
    keyframe: bool | None = None
    qp: float | None = None


def coded_frames(path: Path | str, *, stream: int | None = None, quantisers: bool = False) -> list[CodedFrame]:
    """The frames of a video file in order of presentation, as far as it can be read.

    Args:
        path: the file.
        stream: index among the video streams, see `VideoReader`.
        quantisers: decode H.264 for them, which is quick.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    found: list[tuple[int, CodedFrame]] = []
    quantiser_at: dict[int, float] = {}
    with open_input(path) as container, contextlib.suppress(av.error.FFmpegError):
        video = choose_stream(container, Path(path), stream).stream
        decoding = quantisers and video.codec_context.name == "h264"
        if decoding:
            video.thread_type = "SLICE"  # with frame threads FFmpeg tells quantisers of frames it still decodes
            video.codec_context.options["export_side_data"] = "+venc_params"
        for packet in packets(container, video):
            if packet.size:
                at = packet.pts if packet.pts is not None else len(found)
                found.append((at, CodedFrame(float(at * packet.time_base), packet.size, packet.is_keyframe)))
            if decoding:
                quantiser_at |= _quantisers(packet)
    return [replace(frame, qp=quantiser_at.get(at)) for at, frame in sorted(found, key=lambda item: item[0])]


def _quantisers(packet: Packet[VideoStream]) -> dict[int, float]:
    """Of the frames that come out of the decoder with this packet, by their timestamps."""
    return {frame.pts: qp for frame in packet.decode() if frame.pts is not None and (qp := mean_qp(frame)) is not None}
