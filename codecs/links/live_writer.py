"""Pictures over a network as they are taken: H.264 in MPEG-TS, no audio.

Every packet carries a stamp (which picture, when taken) and every keyframe the stream card, both as SEI, so that a
receiver may join at any time, lose packets, and see a sender change, or restart with, its pictures.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Self, cast

import av
import av.error
import av.logging
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.sei import Syntax, sei_nal
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.encoders.base import Encoder
from irn_video.codecs.errors import BadOption, LinkFailed
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.reading.opening import close_quietly
from irn_video.codecs.writing.picture_stream import PictureStream

from .link_report import LinkReport
from .mpegts import CLOCK
from .transport import cause, connect
from .url import LiveUrl

# With its length in front, a picture is whole when its last byte has come, not only when the next one begins.
_AT_ONCE = {"flush_packets": "1", "omit_video_pes_length": "0"}
# An access unit delimiter and an end of sequence (ITU-T H.264 7.4.1.2.3, H.265 7.4.2.4.4).
_END: dict[Syntax, bytes] = {
    "h264": b"\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01\x0a",
    "hevc": b"\x00\x00\x00\x01\x46\x01\x50\x00\x00\x00\x01\x48\x01",
}
_REMEMBERED = 256  # stamps of packets whose pictures have not come out yet


class LiveWriter:
    """Encode pictures and send each at once.

    Args:
        url: where to.
        settings: of the stream; `tune` should be zerolatency.
        card: says size, samples and colour of the restored pictures, and the rest that a receiver needs.
        lr: one of the pictures, whose size and samples all have.
        frame_rate: pictures per second.

    Attributes:
        bytes: of the video packets so far.

    Raises:
        BadOption: settings that do not fit, or a codec other than H.264 and H.265.
        LinkFailed: nobody is there.
    """

    def __init__(
        self, url: LiveUrl, settings: EncoderSettings, *, card: StreamCard, lr: Picture, frame_rate: Fraction
    ) -> None:
        encoder = _live_encoder(settings)
        self._url, self._rate, self._syntax = url, frame_rate, _syntax(encoder)
        self._nal = sei_nal(card.to_payload(), self._syntax)
        self._outlet = connect(url)
        try:
            self._output = self._open()
            self._pictures = self._muxed = self._encoder(self._output, encoder, lr)
            with self._sending():
                self._output.start_encoding()
        except BaseException:
            self._outlet.close()
            raise
        self._stamps: dict[int, Stamp] = {}
        self._last: int | None = None
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, with what makes the receiver's parser let go of the last picture."""
        with contextlib.suppress(av.error.FFmpegError, OSError):
            if self._last is not None:
                end = cast("Packet[VideoStream]", Packet(_END[self._syntax]))
                end.stream = self._muxed.stream
                end.pts = end.dts = self._last + self._pictures.period
                end.time_base = CLOCK
                self._output.mux(end)
                self._last = None
        close_quietly(self._output)
        self._outlet.close()

    def change(self, settings: EncoderSettings, *, card: StreamCard, lr: Picture) -> None:
        """Go on with other settings, and pictures of another size if need be: the next one is a keyframe.

        Raises:
            BadOption: settings that do not fit, or another codec.
        """
        encoder = _live_encoder(settings)
        if encoder.syntax != self._syntax:
            raise BadOption("the codec of a live stream cannot change", hint="start irn-stream send anew")
        # PyAV makes encoders with the streams they fill: this one's is thrown away, its packets go to the first one's.
        self._pictures = self._encoder(av.open(os.devnull, "w", format="null"), encoder, lr)
        self._nal = sei_nal(card.to_payload(), self._syntax)

    def write(self, picture: Picture, stamp: Stamp) -> None:
        """Send one picture; indices must rise.

        Raises:
            LinkFailed: the receiver has gone.
        """
        pts = round(stamp.index / (self._rate * CLOCK))
        self._stamps[pts] = stamp
        self._last = pts
        with self._sending():
            for packet in self._pictures.encode(picture, pts):
                self._output.mux(self._stamped(packet))

    def reports(self) -> Iterator[LinkReport]:
        """What the receiver has said since this was asked; never waits."""
        for message in self._outlet.replies():
            if (report := LinkReport.parse(message)) is not None:
                yield report

    def _stamped(self, packet: Packet[VideoStream]) -> Packet[VideoStream]:
        stamp = replace(self._stamps.pop(packet.pts or 0), sent=time.time_ns() // 1000)
        nal = stamp.nal(self._syntax) + (self._nal if packet.is_keyframe else b"")
        whole = self._pictures.with_sei(packet, nal)
        whole.stream = self._muxed.stream
        self.bytes += whole.size
        return whole

    def _open(self) -> OutputContainer:
        av.logging.set_level(None)
        with self._sending():
            return av.open(self._outlet, "w", format="mpegts", options=dict(_AT_ONCE))

    def _encoder(self, output: OutputContainer, encoder: Encoder, lr: Picture) -> PictureStream:
        pictures = PictureStream(output, encoder, VideoFormat.of(lr, self._rate, CLOCK))
        pictures.open()
        return pictures

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise LinkFailed(
                f"cannot send to {self._url}: {cause(error)}", hint="is irn-stream receive there?"
            ) from error


def _live_encoder(settings: EncoderSettings) -> Encoder:
    encoder = make_encoder(settings)
    if encoder.syntax is None:
        raise BadOption(f"{settings.codec} cannot be sent live", hint="use h264 or h265")
    return encoder


def _syntax(encoder: Encoder) -> Syntax:
    assert encoder.syntax is not None
    return encoder.syntax
