"""What a live picture carries besides its samples: which one it is, where it stands in its file, when it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .sei import STAMP_UUID, Syntax, find_payloads, sei_nal

_TEXT = re.compile(rb"([0-9a-f]{8}) ([0-9]{1,15}) ([0-9]{1,17}) ([0-9]{1,17})(?: ([0-9]{1,15}))?")


@dataclass(frozen=True)
class Stamp:
    """One picture of one run of a sender.

    Attributes:
        session: of the run, 32 bits at random: a sender that was restarted counts anew.
        index: of the picture in its stream, from 0; those that the sender had no time for are missing.
        captured: microseconds since 1970 by the sender's clock.
        sent: likewise, when it left the encoder; 0 before that.
        source: its place in the file that is sent, from 0 again where that begins anew; None for what is no file, and
            from older senders.
    """

    session: int
    index: int
    captured: int
    sent: int = 0
    source: int | None = None

    def nal(self, syntax: Syntax) -> bytes:
        """As an SEI message; its text has no zeros, so nothing escapes them."""
        place = "" if self.source is None else f" {self.source}"
        text = f"{self.session:08x} {self.index} {self.captured} {self.sent}{place}"
        return sei_nal(text.encode(), syntax, STAMP_UUID)

    @classmethod
    def find(cls, packet: bytes) -> Stamp | None:
        """The stamp in a packet; None without one, or with one that makes no sense."""
        for payload in find_payloads(packet, STAMP_UUID):
            if match := _TEXT.fullmatch(payload):
                place = None if match[5] is None else int(match[5])
                return cls(int(match[1], 16), int(match[2]), int(match[3]), int(match[4]), place)
        return None
