"""A video stream in an output container, with its encoder: pictures in, packets out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

import av.error
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.captions import caption_nals
from irn_video.codecs.bitstream.sei import insert_nal
from irn_video.codecs.encoders.base import Encoder
from irn_video.codecs.errors import BadOption, UnavailableEncoder
from irn_video.codecs.picture import Layout, Picture, VideoFormat
from irn_video.codecs.reading.pixels import pack, range_code, tag_color

_CHROMA_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
FALLBACK_RATE = Fraction(25)
_MAX_RATE = Fraction(240)  # SVT-AV1 refuses more; only rate control looks at it, timestamps are kept


class PictureStream:
    """One encoder and the stream it fills. Use it from one thread at a time.

    Args:
        output: where the stream is added.
        encoder: codec and quality.
        video: of the pictures, with samples that the encoder carries.

    Attributes:
        stream: PyAV's.
        period: a picture's duration in units of the time base.
    """

    def __init__(self, output: OutputContainer, encoder: Encoder, video: VideoFormat) -> None:
        color, layout = video.color, video.layout
        self._encoder, self._color, self._time_base = encoder, color, video.time_base
        self._captions: dict[int, bytes] = {}  # of frames that are being encoded, as NAL units, by time
        self._format = encoder.frame_format(layout, video.bit_depth)
        rate = min(video.frame_rate or FALLBACK_RATE, _MAX_RATE).limit_denominator(1001)
        self.period = max(1, round(1 / (rate * video.time_base)))
        options = encoder.options(video.width, video.height)
        if (bitrate := encoder.settings.bitrate) and (seconds := encoder.settings.buffer_seconds):
            options |= {"maxrate": str(bitrate), "bufsize": str(round(bitrate * seconds))}
        if color.chroma_siting and layout is Layout.YUV420:
            options["chroma_sample_location"] = _CHROMA_LOCATIONS[color.chroma_siting]
        stream = output.add_stream(encoder.library(layout), rate, options=options, time_base=video.time_base)
        assert isinstance(stream, VideoStream)
        self.stream = stream
        context, settings = stream.codec_context, encoder.settings
        context.width, context.height = video.width, video.height
        context.pix_fmt = encoder.codec_format(layout, video.bit_depth)
        context.thread_type, context.thread_count = encoder.threading, 0
        context.flags |= Flags.frame_duration.value  # packets last as long as their pictures
        if settings.keyint is not None:
            context.gop_size = settings.keyint
        if settings.bitrate is not None:
            context.bit_rate = settings.bitrate
        context.colorspace, context.color_range = color.matrix, range_code(color)
        context.color_primaries, context.color_trc = color.primaries, color.transfer

    def open(self) -> None:
        """Open the encoder, once everything else of the stream is set.

        Raises:
            UnavailableEncoder: it does not work on this machine.
            BadOption: it refuses its settings.
        """
        try:
            with _scheduled_as_before():
                self.stream.codec_context.open()
        except (av.error.FFmpegError, ValueError) as error:
            name = self._encoder.settings.codec
            if "nvenc" in name:
                raise UnavailableEncoder(
                    f"{name} cannot be opened on this machine", hint="it needs an NVIDIA GPU; use h264 instead"
                ) from error
            raise BadOption(f"{name} refuses these settings: {error}") from error

    def encode(self, picture: Picture, pts: int) -> Sequence[Packet[VideoStream]]:
        """Encode one picture, with its captions; the packets may be those of earlier ones."""
        if picture.captions and self._encoder.syntax is not None:
            self._captions[pts] = caption_nals(picture.captions, self._encoder.syntax)
        frame = pack(picture.planes, self._format)
        frame.pts = pts
        frame.time_base = self._time_base
        frame.duration = self.duration_of(picture)
        tag_color(frame, self._color)
        return self._captioned(self.stream.encode(frame))

    def duration_of(self, picture: Picture) -> int:
        """In units of the time base; by the frame rate if the picture does not tell."""
        return round(picture.duration * picture.time_base / self._time_base) or self.period

    def flush(self) -> list[Packet[VideoStream]]:
        """What the encoder still holds."""
        return self._captioned(self.stream.encode(None))

    def with_sei(self, packet: Packet[VideoStream], nal: bytes) -> Packet[VideoStream]:
        """The packet with an SEI message in front of its first slice; H.264 and H.265 alone have them."""
        if self._encoder.syntax is None:
            return packet
        new = cast("Packet[VideoStream]", Packet(insert_nal(bytes(packet), nal, self._encoder.syntax)))
        new.pts, new.dts, new.duration, new.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
        new.is_keyframe = packet.is_keyframe
        new.stream = self.stream
        return new

    def _captioned(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        return [self.with_sei(p, nals) if (nals := self._captions.pop(p.pts or 0, b"")) else p for p in packets]


@contextmanager
def _scheduled_as_before() -> Iterator[None]:
    """SVT-AV1, run by root, makes whoever opens it a real-time thread for good, for which all others have to wait."""
    if not hasattr(os, "sched_getscheduler"):  # only Linux has it
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
