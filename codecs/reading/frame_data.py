"""What a decoded frame carries beside its samples: colour tags, quantiser, captions, HDR metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from av.sidedata.encparams import VideoEncParams
from av.sidedata.sidedata import SideData, SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.vui import h264_chroma_siting
from irn_video.codecs.hdr import HdrMetadata
from irn_video.codecs.picture import ColorSpec, Layout

from .pixels import Unpacker

_RANGES = {1: False, 2: True}
_CENTERED = 2  # AVCHROMA_LOC_CENTER, where JPEG puts its chroma


def color_of(frame: VideoFrame, how: Unpacker, siting: int) -> ColorSpec:
    """Colour tags of a decoded frame; `siting` is that of its chroma, if it is 4:2:0."""
    rgb = how.layout is Layout.RGB
    return ColorSpec(
        matrix=0 if rgb else int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        full_range=how.full_range if how.full_range is not None else _RANGES.get(int(frame.color_range)),
        chroma_siting=siting if how.layout is Layout.YUV420 else 0,
    )


def chroma_siting(video: VideoStream) -> int:
    """Where PyAV does not tell: JPEG's is fixed, H.264's stands in its headers; 0 (unspecified) for the rest."""
    if video.codec_context.name == "mjpeg":
        return _CENTERED
    return h264_chroma_siting(video.codec_context.extradata) if video.codec_context.name == "h264" else 0


def _side_data(frame: VideoFrame) -> Iterator[SideData]:
    # Not `frame.side_data`, which the frame keeps: a cycle that holds every picture until the next full collection.
    try:
        return iter(cast(Iterable[SideData], SideDataContainer(frame)))  # type: ignore[call-arg]  # missing in the stubs
    except ValueError:  # PyAV does not know all of FFmpeg's kinds, and then gives none: EXIF, for one
        return iter(())


def hdr_of(frame: VideoFrame) -> HdrMetadata | None:
    """Mastering display and content light level, None when there are none."""
    data = {item.type: bytes(item) for item in _side_data(frame)}
    return HdrMetadata.from_side_data(data.get(Type.MASTERING_DISPLAY_METADATA), data.get(Type.CONTENT_LIGHT_LEVEL))


def captions_of(frame: VideoFrame) -> bytes:
    """Closed captions of a decoded frame, see `Picture.captions`."""
    return b"".join(bytes(item) for item in _side_data(frame) if item.type is Type.A53_CC)


def mean_qp(frame: VideoFrame) -> float | None:
    """Mean quantiser over the macroblocks, from the decoder; 0.1 ms at 720p (PyAV's qp_map takes 20 times that).

    FFmpeg counts from QpBdOffset (6 per bit above 8); here the same quality is the same number at every depth.
    """
    offset = 6 * (frame.format.components[0].bits - 8)
    for item in _side_data(frame):
        if isinstance(item, VideoEncParams):
            if not item.nb_blocks:
                return float(item.qp - offset)
            data = np.frombuffer(item, np.uint8)  # type: ignore[call-overload]
            blocks = data[item.blocks_offset :][: item.nb_blocks * item.block_size].view(np.int32)
            return float(item.qp - offset + blocks.reshape(item.nb_blocks, -1)[:, 4].mean())  # x, y, w, h, delta_qp
    return None
