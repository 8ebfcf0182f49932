"""Pictures over a network as they are taken: H.264 in MPEG-TS, no audio.

Every packet carries a stamp (which picture, when taken) and every keyframe the stream card, both as SEI, so that a
receiver may join at any time, lose packets, and see a sender change, or restart with, its pictures.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self, cast

import av
import av.error
import av.logging
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.card import StreamCard, parse_payload
from irn_video.codecs.bitstream.frame_num import FrameNumbers
from irn_video.codecs.bitstream.sei import Syntax, find_payloads, sei_nal
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.encoders.base import Encoder
from irn_video.codecs.errors import BadCard, BadOption, LinkFailed
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.reading.opening import packets
from irn_video.codecs.reading.pixels import Unpacker, unpacker
from irn_video.codecs.reading.reader import color_of, mean_qp
from irn_video.codecs.writing.picture_stream import PictureStream

from .link_report import LinkReport
from .links import LinkCounts, LiveUrl, cause, connect, listen

CLOCK = Fraction(1, 90_000)
"""Seconds per unit of MPEG-TS's timestamps."""
# With its length in front, a picture is whole when its last byte has come, not only when the next one begins.
_AT_ONCE = {"flush_packets": "1", "omit_video_pes_length": "0"}
# An access unit delimiter and an end of sequence (ITU-T H.264 7.4.1.2.3, H.265 7.4.2.4.4).
_END: dict[Syntax, bytes] = {
    "h264": b"\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01\x0a",
    "hevc": b"\x00\x00\x00\x01\x46\x01\x50\x00\x00\x00\x01\x48\x01",
}
_REMEMBERED = 256  # stamps of packets whose pictures have not come out yet
_REPORT_SECONDS = 0.5
_MAX_PIXELS = 4096 * 2304  # of an LR picture: a stranger's stream must not take all memory


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
        _close_quietly(self._output)
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


@dataclass(frozen=True)
class Arrival:
    """One decoded picture.

    Attributes:
        picture: the LR picture; its timestamp counts in `CLOCK`.
        card: the last stream card that came before or with it.
        stamp: its own.
        data: its packet, an access unit in Annex B's form.
        keyframe: decoding may begin here.
        at: when it was decoded, by `time.monotonic`.
    """

    picture: Picture
    card: StreamCard
    stamp: Stamp
    data: bytes
    keyframe: bool
    at: float


class LiveReader:
    """Receive pictures, from the first keyframe with a card on.

    Iterating ends when the sender closes a TCP link, or when nothing has come for `patience` seconds.

    Args:
        url: where to listen.
        wait: seconds to wait for a sender.
        patience: seconds without a packet that end a stream.
        ended: set by whoever wants it to end.

    Raises:
        LinkFailed: nobody has sent pictures in time, or the port is taken.
    """

    def __init__(
        self, url: LiveUrl, *, wait: float = 60.0, patience: float = 3.0, ended: threading.Event | None = None
    ) -> None:
        self._url = url
        av.logging.set_level(None)
        self._inlet = listen(url, wait=wait, patience=patience, ended=ended)
        try:
            self._container = self._open()
        except BaseException:
            self._inlet.close()
            raise
        self._h264 = self._container.streams.video[0].codec_context.name == "h264"
        self._numbers = FrameNumbers()
        self._unpackers: dict[str, Unpacker] = {}
        self._quickest: deque[float] = deque(maxlen=_REMEMBERED)
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _close_quietly(self._container)
        self._inlet.close()

    @property
    def counts(self) -> LinkCounts:
        """Packets so far."""
        return self._inlet.counter.counts

    def stop(self) -> None:
        """End the iteration, which may be going on in another thread."""
        self._inlet.stop()

    def __iter__(self) -> Iterator[Arrival]:
        card: StreamCard | None = None
        stamps: dict[int, tuple[Stamp, bytes, bool]] = {}
        delays: list[float] = []
        reported = time.monotonic()
        for packet in self._packets():
            data = self._numbers.closed(bytes(packet)) if self._h264 else bytes(packet)
            self._bytes += len(data)
            card = _card_in(data) or card
            if packet.pts is not None and (stamp := Stamp.find(data)) is not None:
                stamps[packet.pts] = (stamp, data, bool(packet.is_keyframe))
                while len(stamps) > _REMEMBERED:
                    del stamps[next(iter(stamps))]
                delays.append(time.time() - stamp.sent / 1e6)
                if time.monotonic() - reported >= _REPORT_SECONDS:
                    reported = time.monotonic()
                    self._report(stamp, min(delays))
                    delays.clear()
            for frame in self._decoded(packet, data):
                known = stamps.pop(frame.pts or 0, None)
                if card is not None and known is not None:
                    yield Arrival(self._picture(frame), card, *known, time.monotonic())

    def _report(self, stamp: Stamp, delay: float) -> None:
        """Tell the sender.

        The clocks of the two may differ, so that only changes of the delay count; it is the shortest since the last
        report, since a queue delays all pictures and a busy machine some.
        """
        self._quickest.append(delay)
        queue = max(0, round(1000 * (delay - min(self._quickest))))
        counts = self.counts
        report = LinkReport(stamp.session, counts.received, counts.lost, self._bytes, queue)
        self._inlet.reply(report.to_bytes())

    def _open(self) -> InputContainer:
        options = {"probesize": "50000", "analyzeduration": "100000", "fpsprobesize": "0"}
        try:
            container = av.open(self._inlet, "r", format="mpegts", options=options)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._nothing("nobody has sent anything in time" if self._inlet.silent else cause(error)) from error
        try:
            if not container.streams.video:
                raise self._nothing("nobody has sent anything in time" if self._inlet.silent else "no pictures in it")
            context = container.streams.video[0].codec_context
            context.thread_type = "SLICE"
            # Damaged pictures, and those that refer to them, are better than none until the next whole keyframe.
            context.flags |= Flags.low_delay.value | Flags.output_corrupt.value
            context.options = {"max_pixels": str(_MAX_PIXELS), "export_side_data": "+venc_params"}
        except BaseException:
            container.close()
            raise
        return container

    def _nothing(self, why: str) -> LinkFailed:
        return LinkFailed(
            f"nothing to receive at {self._url}: {why}", hint="start irn-stream send with the same address"
        )

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        with contextlib.suppress(av.error.FFmpegError, OSError):  # the sender has gone
            yield from packets(self._container, self._container.streams.video[0])

    def _decoded(self, packet: Packet[VideoStream], data: bytes) -> Iterator[VideoFrame]:
        whole = Packet(data) if data else None
        if whole is not None:
            whole.pts, whole.dts, whole.time_base = packet.pts, packet.dts, packet.time_base
        with contextlib.suppress(av.error.FFmpegError):  # damaged beyond concealing; the next one may be better
            yield from self._container.streams.video[0].decode(whole)

    def _picture(self, frame: VideoFrame) -> Picture:
        how = self._unpackers.setdefault(frame.format.name, unpacker(frame.format.name))
        return Picture(
            planes=how.planes(frame),
            layout=how.layout,
            bit_depth=how.bit_depth,
            color=color_of(frame, how, siting=1),
            pts=frame.pts or 0,
            time_base=CLOCK,
            duration=frame.duration or 0,
            qp=mean_qp(frame),
            corrupt=frame.is_corrupt,
        )


def _card_in(packet: bytes) -> StreamCard | None:
    """A card that can be read; one that cannot is as good as none."""
    for payload in find_payloads(packet):
        with contextlib.suppress(BadCard):
            return parse_payload(payload)
    return None


def _live_encoder(settings: EncoderSettings) -> Encoder:
    encoder = make_encoder(settings)
    if encoder.syntax is None:
        raise BadOption(f"{settings.codec} cannot be sent live", hint="use h264 or h265")
    return encoder


def _syntax(encoder: Encoder) -> Syntax:
    assert encoder.syntax is not None
    return encoder.syntax


def _close_quietly(container: InputContainer | OutputContainer) -> None:
    with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
        container.close()
