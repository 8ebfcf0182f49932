"""What has come over a live link, and what became of it."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.links.live_reader import Arrival, LiveReader
from irn_video.pipeline.quality.psnr import PictureError

_RECENT = 10_000  # pictures whose delays are remembered
_LOW = 0.95


@dataclass(frozen=True)
class LiveStatistics:
    """What has come, and what became of it.

    Attributes:
        arrived: frames decoded.
        restored: of them, shown at full size.
        fallback: of the restored, those that were enlarged by Lanczos because the network had no time.
        late: of them, left out because newer ones had come.
        refused: of them, not restored because their card does not fit them, or names a network that is not here.
        concealed: of them, those in which the decoder has made up for lost packets.
        missing: frames between the first and the last that never came, those that the sender left out among them.
        packets, lost_packets: of MPEG-TS, see `LinkCounts`.
        sessions: runs of the sender.
        bytes: of the video packets.
        seconds: from the first frame to the last.
        delay_ms, delay_p95_ms: from capture to restoration, median and 95th percentile; right if both clocks are.
        stall_ms: the longest time without a new frame.
        psnr_y: mean in dB; None if not measured.
    """

    arrived: int = 0
    restored: int = 0
    fallback: int = 0
    late: int = 0
    refused: int = 0
    concealed: int = 0
    missing: int = 0
    packets: int = 0
    lost_packets: int = 0
    sessions: int = 0
    bytes: int = 0
    seconds: float = 0.0
    delay_ms: float | None = None
    delay_p95_ms: float | None = None
    stall_ms: float = 0.0
    psnr_y: float | None = None

    @property
    def kbps(self) -> float:
        """kbit/s of video packets."""
        return self.bytes * 8 / 1000 / self.seconds if self.seconds else 0.0

    @property
    def fps(self) -> float:
        """Restored frames a second."""
        return self.restored / self.seconds if self.seconds else 0.0


@dataclass
class Tally:
    """Counts, across the threads: each field is written by one of them."""

    reader: LiveReader
    arrived: int = 0
    restored: int = 0
    fallback: int = 0
    refused: int = 0
    concealed: int = 0
    missing: int = 0
    bytes: int = 0
    sessions: set[int] = field(default_factory=set)
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _began: float | None = None
    _ended: float = 0.0
    _last: Stamp | None = None
    _shown: float | None = None
    _stall: float = 0.0
    _psnr: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return 0.0 if self._began is None else self._ended - self._began

    def counted(self, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
        """Look at what goes by."""
        for arrival in arrivals:
            now, stamp = time.monotonic(), arrival.stamp
            self._began = now if self._began is None else self._began
            self._ended = now
            if self._last is not None and self._last.session == stamp.session:
                self.missing += max(0, stamp.index - self._last.index - 1)
            self._last = stamp
            self.sessions.add(stamp.session)
            self.arrived += 1
            self.bytes += len(arrival.data)
            self.concealed += arrival.picture.corrupt
            yield arrival

    def done(self, delay: float, error: PictureError | None, fallback: bool) -> None:
        """One frame was restored."""
        now = time.monotonic()
        self._stall = max(self._stall, now - (self._shown or now))
        self._shown = now
        self.restored += 1
        self.fallback += fallback
        self.delays.append(delay)
        if error is not None and (psnr := error.psnr()["psnr_y"]) is not None:
            self._psnr[0] += psnr
            self._psnr[1] += 1

    def statistics(self) -> LiveStatistics:
        """So far."""
        delays, counts = sorted(self.delays), self.reader.counts
        return LiveStatistics(
            arrived=self.arrived,
            restored=self.restored,
            fallback=self.fallback,
            packets=counts.received,
            lost_packets=counts.lost,
            late=max(0, self.arrived - self.restored - self.refused),
            refused=self.refused,
            concealed=self.concealed,
            missing=self.missing,
            sessions=len(self.sessions),
            bytes=self.bytes,
            seconds=self.seconds,
            delay_ms=1000 * statistics.median(delays) if delays else None,
            delay_p95_ms=1000 * delays[int(_LOW * (len(delays) - 1))] if delays else None,
            stall_ms=1000 * self._stall,
            psnr_y=self._psnr[0] / self._psnr[1] if self._psnr[1] else None,
        )
