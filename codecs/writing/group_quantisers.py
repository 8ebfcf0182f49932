"""The quantisers of a group of frames that was encoded."""

from __future__ import annotations

from irn_video.codecs.reading.frame_data import mean_qp

from .coarser import CodedGroup
from .roundtrip import h264_decoder


def group_quantisers(group: CodedGroup) -> list[float | None]:
    """Mean quantiser of each frame of H.264, in order of coding; None for one that the decoder does not tell."""
    decoder = h264_decoder(extradata=group.extradata)
    found: dict[int | None, float | None] = {}
    for packet in (*group.packets, None):
        for frame in decoder.decode(packet):
            found[frame.pts] = mean_qp(frame)
    return [found.get(packet.pts) for packet in group.packets]
