"""The two ends of a link, file-like for PyAV."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

from .mpegts import PACKET_BYTES, TsCounter

DATAGRAM_BYTES = 7 * PACKET_BYTES
"""Whole MPEG-TS packets that fit an Ethernet frame."""
POLL_SECONDS = 0.1
"""How long an inlet looks at most before it asks whether it should end."""
REPLY_BYTES = 512
"""Longer messages are not read."""


class Outlet(ABC):
    """The sender's end."""

    @abstractmethod
    def write(self, data: bytes) -> int:
        """Send; PyAV calls this with whole MPEG-TS packets. OSError if the receiver has gone."""

    def replies(self) -> Iterator[bytes]:
        """Messages that have come back; never waits."""
        return iter(())

    @abstractmethod
    def close(self) -> None:
        """Hang up."""


class Inlet(ABC):
    """The receiver's end.

    Args:
        wait: seconds to wait for the first bytes.
        patience: seconds without bytes after which the stream has ended.
        ended: set by whoever wants it to end, and at the end.

    Attributes:
        counter: of packets, over UDP and RTP; nothing is lost over the others.
        silent: nothing has ever come.
    """

    def __init__(self, wait: float, patience: float, ended: threading.Event) -> None:
        self._wait, self._patience, self._ended = wait, patience, ended
        self.counter = TsCounter()
        self.silent = True

    def read(self, size: int) -> bytes:
        """At most `size` bytes as soon as there are any; none at the end."""
        deadline = time.monotonic() + (self._wait if self.silent else self._patience)
        while not self._ended.is_set() and time.monotonic() < deadline:
            data = self._receive(size)
            if data is None:
                continue
            if data:
                self.silent = False
                return data
            break
        self._ended.set()  # FFmpeg asks again and again whether the end is the end
        return b""

    def stop(self) -> None:
        """End the stream for whoever reads; from any thread."""
        self._ended.set()

    @abstractmethod
    def _receive(self, size: int) -> bytes | None:
        """What comes within a moment: None for nothing, no bytes for the end."""

    def reply(self, message: bytes) -> None:
        """Tell the sender, if that is possible."""
        return

    @abstractmethod
    def close(self) -> None:
        """Let go."""
