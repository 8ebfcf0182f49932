"""Pictures from a network, from the first keyframe with a card on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import av
import av.error
import av.logging
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.card import StreamCard, parse_payload
from irn_video.codecs.bitstream.frame_num import FrameNumbers
from irn_video.codecs.bitstream.sei import find_payloads
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.errors import BadCard, LinkFailed
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.frame_data import captions_of, color_of, mean_qp
from irn_video.codecs.reading.opening import close_quietly, packets
from irn_video.codecs.reading.pixels import Unpacker, unpacker

from .link_report import LinkReport
from .mpegts import CLOCK, LinkCounts
from .transport import cause, listen
from .url import LiveUrl

_REMEMBERED = 256  # stamps of packets whose pictures have not come out yet
_REPORT_SECONDS = 0.5
_MAX_PIXELS = 4096 * 2304  # of an LR picture: a stranger's stream must not take all memory


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
        close_quietly(self._container)
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
            videos = container.streams.video
            if not videos or videos[0].codec_context is None:
                raise self._nothing("nobody has sent anything in time" if self._inlet.silent else "no frames in it")
            context = videos[0].codec_context
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
            captions=captions_of(frame),
        )


def _card_in(packet: bytes) -> StreamCard | None:
    """A card that can be read; one that cannot is as good as none."""
    for payload in find_payloads(packet):
        with contextlib.suppress(BadCard):
            return parse_payload(payload)
    return None
