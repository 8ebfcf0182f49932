"""Pictures over a network as they are taken: H.264 in MPEG-TS over UDP or TCP, no audio.

Every packet carries a stamp (which picture, when taken) and every keyframe the stream card, both as SEI, so that a
receiver may join at any time, lose packets, and see a sender restart with other pictures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self, cast
from urllib.parse import urlsplit

import av
import av.error
import av.logging
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .card import StreamCard, parse_payload
from .encoders import EncoderSettings, make_encoder
from .errors import BadCard, BadOption, LinkFailed
from .picture import Picture
from .picture_stream import PictureStream
from .pixels import Unpacker, unpacker
from .reader import color_of, mean_qp
from .sei import Syntax, find_payloads, sei_nal
from .stamp import Stamp

CLOCK = Fraction(1, 90_000)
"""Seconds per unit of MPEG-TS's timestamps."""
_PACKET = 1316  # seven MPEG-TS packets, which fit an Ethernet frame
_FIFO = 20_000  # packets of 188 bytes
# With its length in front, a picture is whole when its last byte has come, not only when the next one begins.
_AT_ONCE = {"flush_packets": "1", "omit_video_pes_length": "0"}
# An access unit delimiter and an end of sequence (ITU-T H.264 7.4.1.2.3, H.265 7.4.2.4.4).
_END: dict[Syntax, bytes] = {
    "h264": b"\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01\x0a",
    "hevc": b"\x00\x00\x00\x01\x46\x01\x50\x00\x00\x00\x01\x48\x01",
}
_REMEMBERED = 256  # stamps of packets whose pictures have not come out yet
_MAX_PIXELS = 4096 * 2304  # of an LR picture: a stranger's stream must not take all memory
_SCHEMES = ("udp", "tcp")


@dataclass(frozen=True)
class LiveUrl:
    """Where pictures go or come from.

    Attributes:
        scheme: `udp` or `tcp`.
        host, port: the receiver's.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> LiveUrl:
        """`udp://HOST:PORT` or `tcp://HOST:PORT`.

        Raises:
            BadOption: anything else.
        """
        hint = "write udp://127.0.0.1:5000 or tcp://127.0.0.1:5000"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadOption(f"{text!r} is no address", hint=hint) from error
        plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in _SCHEMES or not parts.hostname or not port or not plain or "[" in text:
            raise BadOption(f"{text!r} is no address that pictures can be sent to", hint=hint)
        return cls(parts.scheme, parts.hostname, port)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def to_send(self) -> str:
        """For FFmpeg."""
        return f"{self}?pkt_size={_PACKET}" if self.scheme == "udp" else str(self)

    @property
    def to_receive(self) -> str:
        """For FFmpeg, which would listen on every interface without `localaddr`."""
        if self.scheme == "tcp":
            return f"{self}?listen=1"
        return f"{self}?localaddr={self.host}&fifo_size={_FIFO}&overrun_nonfatal=1"


class LiveWriter:
    """Encode pictures and send each at once.

    Args:
        url: where to.
        settings: of the stream; `tune` should be zerolatency.
        card: says size, samples and colour of the restored pictures, and the rest that a receiver needs.
        lr: one of the pictures, whose size and samples all have.
        frame_rate: pictures per second.

    Raises:
        BadOption: settings that do not fit, or a codec other than H.264 and H.265.
        LinkFailed: nobody is there.
    """

    def __init__(
        self, url: LiveUrl, settings: EncoderSettings, *, card: StreamCard, lr: Picture, frame_rate: Fraction
    ) -> None:
        encoder = make_encoder(settings)
        if encoder.syntax is None:
            raise BadOption(f"{settings.codec} cannot be sent live", hint="use h264 or h265")
        self._url, self._rate, self._syntax = url, frame_rate, encoder.syntax
        self._nal = sei_nal(card.to_payload(), encoder.syntax)
        self._output = self._open()
        try:
            self._pictures = PictureStream(
                self._output,
                encoder,
                width=lr.width,
                height=lr.height,
                layout=lr.layout,
                bit_depth=lr.bit_depth,
                color=lr.color,
                time_base=CLOCK,
                frame_rate=frame_rate,
            )
            self._pictures.open()
            with self._sending():
                self._output.start_encoding()
        except BaseException:
            _close_quietly(self._output)
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
                end.stream = self._pictures.stream
                end.pts = end.dts = self._last + self._pictures.period
                end.time_base = CLOCK
                self._output.mux(end)
                self._last = None
        _close_quietly(self._output)

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

    def _stamped(self, packet: Packet[VideoStream]) -> Packet[VideoStream]:
        stamp = self._stamps.pop(packet.pts or 0)
        nal = stamp.nal(self._syntax) + (self._nal if packet.is_keyframe else b"")
        whole = self._pictures.with_sei(packet, nal)
        self.bytes += whole.size
        return whole

    def _open(self) -> OutputContainer:
        av.logging.set_level(None)
        with self._sending():
            return av.open(self._url.to_send, "w", format="mpegts", options=dict(_AT_ONCE))

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise LinkFailed(
                f"cannot send to {self._url}: {_cause(error)}", hint="is irn-stream receive there?"
            ) from error


@dataclass(frozen=True)
class Arrival:
    """One decoded picture.

    Attributes:
        picture: the LR picture; its timestamp counts in `CLOCK`.
        card: the last stream card that came before or with it.
        stamp: its own.
        size: bytes of its packet.
    """

    picture: Picture
    card: StreamCard
    stamp: Stamp
    size: int


class LiveReader:
    """Receive pictures, from the first keyframe with a card on.

    Iterating ends when the sender closes a TCP link, or when nothing has come for `patience` seconds.

    Args:
        url: where to listen.
        wait: seconds to wait for a sender.
        patience: seconds without a packet that end a stream.

    Raises:
        LinkFailed: nobody has sent pictures in time, or the port is taken.
    """

    def __init__(self, url: LiveUrl, *, wait: float = 60.0, patience: float = 3.0) -> None:
        self._url = url
        av.logging.set_level(None)
        try:
            self._container = self._open(wait, patience)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise LinkFailed(
                f"nothing to receive at {url}: {_cause(error)}", hint="start irn-stream send with the same address"
            ) from error
        self._unpackers: dict[str, Unpacker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _close_quietly(self._container)

    def __iter__(self) -> Iterator[Arrival]:
        card: StreamCard | None = None
        stamps: dict[int, tuple[Stamp, int]] = {}
        for packet in self._packets():
            data = bytes(packet)
            card = _card_in(data) or card
            if packet.pts is not None and (stamp := Stamp.find(data)) is not None:
                stamps[packet.pts] = (stamp, len(data))
                while len(stamps) > _REMEMBERED:
                    del stamps[next(iter(stamps))]
            for frame in self._decoded(packet):
                known = stamps.pop(frame.pts or 0, None)
                if card is not None and known is not None:
                    yield Arrival(self._picture(frame), card, *known)

    def _open(self, wait: float, patience: float) -> InputContainer:
        options = {"probesize": "50000", "analyzeduration": "100000", "fpsprobesize": "0"}
        options["protocol_whitelist"] = ",".join(_SCHEMES)
        container = av.open(self._url.to_receive, "r", format="mpegts", options=options, timeout=(wait, patience))
        try:
            if not container.streams.video:
                raise LinkFailed(f"{self._url} sends no pictures", hint="start irn-stream send with the same address")
            context = container.streams.video[0].codec_context
            context.thread_type = "SLICE"
            context.flags |= Flags.low_delay.value
            context.options = {"max_pixels": str(_MAX_PIXELS), "export_side_data": "+venc_params"}
        except BaseException:
            container.close()
            raise
        return container

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        with contextlib.suppress(av.error.FFmpegError, OSError):  # the sender has gone
            yield from self._container.demux(self._container.streams.video[0])

    def _decoded(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        with contextlib.suppress(av.error.FFmpegError):  # damaged beyond concealing; the next one may be better
            yield from self._container.streams.video[0].decode(packet)

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


def _cause(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return "nobody has sent anything in time"
    return str(getattr(error, "strerror", None) or error)


def _close_quietly(container: InputContainer | OutputContainer) -> None:
    with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
        container.close()
