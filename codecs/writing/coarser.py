"""The pictures of a stream coded a second time with somewhat fewer bits: what do the bits buy that this saves?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from av.packet import Packet
from av.video.stream import VideoStream
from irn_video.codecs.encoders.base import MIN_BITRATE, Encoder, EncoderSettings
from irn_video.codecs.picture import Picture

from .picture_stream import PictureStream

_CRF_STEP = 2.0
_RATE_STEP = 1.25


@dataclass(frozen=True)
class CodedGroup:
    """A group of pictures as encoded, from one keyframe to the next.

    Attributes:
        packets: in order of decoding.
        extradata: parameter sets, where they are not in the packets.
    """

    packets: Sequence[Packet[VideoStream]]
    extradata: bytes | None

    @property
    def bytes(self) -> int:
        """Of its packets."""
        return sum(packet.size for packet in self.packets)


def coarser_settings(encoder: Encoder) -> EncoderSettings | None:
    """With fewer bits, where there is room for that."""
    settings, crf = encoder.settings, encoder.crf
    if crf is not None:
        return replace(settings, crf=crf + _CRF_STEP) if crf + _CRF_STEP <= encoder.max_crf else None
    if settings.bitrate is not None and settings.bitrate >= _RATE_STEP * MIN_BITRATE:
        return replace(settings, bitrate=round(settings.bitrate / _RATE_STEP))
    return None


class CoarserStream:
    """A second encoder beside that of a stream, whose packets are not muxed.

    Args:
        pictures: made like that of the stream, but for `coarser_settings`.
    """

    def __init__(self, pictures: PictureStream) -> None:
        self._pictures = pictures
        self._waiting: list[Packet[VideoStream]] = []
        pictures.open()

    def encode(self, picture: Picture, pts: int) -> None:
        """The same picture as the stream's."""
        self._waiting += self._pictures.encode(picture, pts)

    def flush(self) -> None:
        """There are no more."""
        self._waiting += self._pictures.flush()

    def group(self, packets: Sequence[Packet[VideoStream]]) -> CodedGroup | None:
        """The pictures of these packets of the stream; None where this encoder chose another keyframe."""
        wanted = {packet.pts for packet in packets}
        last = max(pts for pts in wanted if pts is not None)
        found = [packet for packet in self._waiting if packet.pts is not None and packet.pts <= last]
        self._waiting = [packet for packet in self._waiting if packet.pts is not None and packet.pts > last]
        same = {packet.pts for packet in found} == wanted and found[0].is_keyframe and found[0].pts == packets[0].pts
        return CodedGroup(found, self._pictures.stream.codec_context.extradata) if same else None
