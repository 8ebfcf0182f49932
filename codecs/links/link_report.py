"""What a live receiver tells its sender every half a second, so that the sender can adapt."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

_TEXT = re.compile(rb"irn-report 1 ([0-9a-f]{8})" + rb" ([0-9]{1,15})" * 4)


@dataclass(frozen=True)
class LinkReport:
    """How a stream arrives. All counts are since the receiver started.

    Attributes:
        session: of the last picture's stamp.
        received, lost: packets, see `LinkCounts`.
        carried: bytes of the pictures that have come.
        queue_ms: how much longer all of the last pictures took than the quickest before: what waits in the network.
    """

    session: int
    received: int
    lost: int
    carried: int
    queue_ms: int

    def to_bytes(self) -> bytes:
        """One line of ASCII."""
        session, *counts = astuple(self)
        return f"irn-report 1 {session:08x} {' '.join(map(str, counts))}".encode()

    @classmethod
    def parse(cls, message: bytes) -> LinkReport | None:
        """None for anything else: it comes from the network."""
        match = _TEXT.fullmatch(message)
        return cls(int(match[1], 16), *(int(match[n]) for n in range(2, 6))) if match else None
