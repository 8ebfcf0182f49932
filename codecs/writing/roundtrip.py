"""Pictures through the real encoder and decoder in memory, for training in the loop."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import av
import numpy as np
from irn_video.codecs.encoders.h264 import repeatable
from irn_video.codecs.reading.frame_data import mean_qp
from irn_video.codecs.reading.pixels import pack, unpacker
from numpy.typing import NDArray

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def x264_roundtrip(
    pictures: Sequence[Planes], *, crf: float, preset: str = "medium", tune: str | None = None, threads: int = 1
) -> tuple[list[Planes], list[float], int]:
    """Encode 8-bit 4:2:0 pictures with libx264 and decode them.

    Args:
        pictures: Y (h, w), Cb and Cr (h/2, w/2), h and w even.
        crf: x264's constant rate factor, 0 to 51.
        preset: x264's preset.
        tune: x264's tune.
        threads: of the encoder and of the decoder; one keeps small pictures cheap.

    Returns:
        The decoded pictures in order of display, the mean quantiser of each, and the size in bytes.
    """
    height, width = pictures[0][0].shape
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.thread_count = threads
    encoder.options = {"crf": str(crf), "preset": preset} | ({"tune": tune} if tune else {})
    if parameters := repeatable():
        encoder.options["x264-params"] = ":".join(parameters)
    frames, sizes = through(encoder, pictures, threads=threads)
    quantisers = [mean_qp(frame) for frame in frames]
    assert all(qp is not None for qp in quantisers)
    return [picture_planes(frame) for frame in frames], cast("list[float]", quantisers), sum(sizes)


def through(
    encoder: av.VideoCodecContext, pictures: Sequence[Planes], *, threads: int = 1
) -> tuple[list[av.VideoFrame], list[int]]:
    """Encode 8-bit 4:2:0 pictures with an H.264 encoder that is set up, and decode them.

    Returns:
        The decoded pictures in order of display, and the bytes of each packet in order of coding.
    """
    decoder, packets = h264_decoder(threads), []
    for index, planes in enumerate(pictures):
        frame = pack(planes, "yuv420p")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return frames, [packet.size for packet in packets]


def h264_decoder(threads: int = 0, extradata: bytes | None = None) -> av.VideoCodecContext:
    """A decoder that tells quantisers exactly, see `VideoReader`; `extradata` where packets lack parameter sets."""
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.extradata = extradata
    decoder.thread_type, decoder.thread_count = "SLICE", threads
    decoder.options = {"export_side_data": "venc_params"}
    return decoder


def picture_planes(frame: av.VideoFrame) -> Planes:
    """Copies of the three planes of a yuv420p frame, without row padding."""
    return cast("Planes", unpacker("yuv420p").planes(frame))
