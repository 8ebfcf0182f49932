"""What links know of MPEG-TS: its packets, counted by their continuity counters, and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

CLOCK = Fraction(1, 90_000)
"""Seconds per unit of MPEG-TS's timestamps."""
PACKET_BYTES = 188
_NULL = 0x1FFF  # the stream of packets that fill up


@dataclass(frozen=True)
class LinkCounts:
    """MPEG-TS packets of 188 bytes.

    Attributes:
        received: that came.
        lost: that must have been between them; more than 15 of one stream in a row are undercounted.
    """

    received: int = 0
    lost: int = 0


class TsCounter:
    """Counts packets by their continuity counters (ISO/IEC 13818-1 2.4.3.3); what is none is ignored."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._received = self._lost = 0

    @property
    def counts(self) -> LinkCounts:
        """So far."""
        return LinkCounts(self._received, self._lost)

    def feed(self, data: bytes) -> None:
        """Whole packets, as datagrams hold them."""
        for at in range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES):
            stream, counter = (data[at + 1] & 0x1F) << 8 | data[at + 2], data[at + 3] & 15
            if data[at] != 0x47 or stream == _NULL:
                continue
            self._received += 1
            if not data[at + 3] & 0x10:  # no payload: the counter stands still
                continue
            last = self._last.get(stream)
            if last is not None and counter != last:
                self._lost += (counter - last - 1) % 16
            self._last[stream] = counter


def padding(size: int, unit: int) -> bytes:
    """Null packets (ISO/IEC 13818-1 2.4.1) that make `size` bytes of whole packets a multiple of `unit` bytes."""
    null = b"\x47" + _NULL.to_bytes(2) + b"\x10" + b"\xff" * (PACKET_BYTES - 4)
    return null * (-size % unit // PACKET_BYTES)
