"""What a live picture carries besides its samples: which one it is, and when it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .sei import STAMP_UUID, Syntax, find_payloads, sei_nal

_TEXT = re.compile(rb"([0-9a-f]{8}) ([0-9]{1,15}) ([0-9]{1,17}) ([0-9]{1,17})")


@dataclass(frozen=True)
class Stamp:
    """One picture of one run of a sender.

    Attributes:
        session: of the run, 32 bits at random: a sender that was restarted counts anew.
        index: of the picture in its source, from 0; those that the sender left out are missing.
        captured: microseconds since 1970 by the sender's clock.
        sent: likewise, when it left the encoder; 0 before that.
    """

    session: int
    index: int
    captured: int
    sent: int = 0

    def nal(self, syntax: Syntax) -> bytes:
        """As an SEI message; its text has no zeros, so nothing escapes them."""
        return sei_nal(f"{self.session:08x} {self.index} {self.captured} {self.sent}".encode(), syntax, STAMP_UUID)

    @classmethod
    def find(cls, packet: bytes) -> Stamp | None:
        """The stamp in a packet; None without one, or with one that makes no sense."""
        for payload in find_payloads(packet, STAMP_UUID):
            if match := _TEXT.fullmatch(payload):
                return cls(int(match[1], 16), int(match[2]), int(match[3]), int(match[4]))
        return None
