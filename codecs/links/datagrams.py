"""MPEG-TS in datagrams: UDP, and RTP (RFC 2250)."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator

from .ends import DATAGRAM_BYTES, POLL_SECONDS, REPLY_BYTES, Inlet, Outlet
from .url import LiveUrl

_LONGEST = 65_536
_KERNEL_BUFFER = 4 << 20
_RTP = b"\x80\x21"  # RFC 3550 5.1: version 2, and RFC 3551's payload type 33, MPEG-TS
_RTP_HEADER = 12


class UdpOutlet(Outlet):
    """UDP; nobody needs to listen."""

    def __init__(self, url: LiveUrl) -> None:
        family, address = url.address(socket.SOCK_DGRAM)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def write(self, data: bytes) -> int:
        """See `Outlet`."""
        for at in range(0, len(data), DATAGRAM_BYTES):
            with contextlib.suppress(ConnectionError):  # nobody listens yet, or no longer
                self._socket.send(self._framed(bytes(data[at : at + DATAGRAM_BYTES])))
        return len(data)

    def replies(self) -> Iterator[bytes]:
        """See `Outlet`."""
        with contextlib.suppress(OSError):
            while True:
                yield self._socket.recv(REPLY_BYTES, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def _framed(self, data: bytes) -> bytes:
        return data


class RtpOutlet(UdpOutlet):
    """MPEG-TS in RTP (RFC 2250, section 2)."""

    def __init__(self, url: LiveUrl) -> None:
        super().__init__(url)
        self._sequence, self._source = secrets.randbelow(1 << 16), secrets.token_bytes(4)

    def _framed(self, data: bytes) -> bytes:
        self._sequence = (self._sequence + 1) % (1 << 16)
        clock = time.monotonic_ns() * 9 // 100_000 % (1 << 32)  # 90 kHz
        return _RTP + self._sequence.to_bytes(2) + clock.to_bytes(4) + self._source + data


class UdpInlet(Inlet):
    """UDP; replies go to where the last datagram came from."""

    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        family, address = url.address(socket.SOCK_DGRAM)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
            self._socket.settimeout(POLL_SECONDS)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        self._sender: object = None
        self._left = b""

    def _receive(self, size: int) -> bytes | None:
        if not self._left:
            try:
                datagram, self._sender = self._socket.recvfrom(_LONGEST)
            except TimeoutError:
                return None
            self._left = self._payload(datagram)
            self.counter.feed(self._left)
        data, self._left = self._left[:size], self._left[size:]
        return data or None

    def reply(self, message: bytes) -> None:
        """See `Inlet`."""
        if isinstance(self._sender, tuple):
            with contextlib.suppress(OSError):
                self._socket.sendto(message, self._sender)

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def _payload(self, datagram: bytes) -> bytes:
        return datagram


class RtpInlet(UdpInlet):
    """MPEG-TS in RTP; what is none is dropped."""

    def _payload(self, datagram: bytes) -> bytes:
        """Without the header, its sources and its extension; anything else than MPEG-TS in RTP is dropped."""
        if len(datagram) < _RTP_HEADER or datagram[0] >> 6 != 2 or datagram[1] & 0x7F != _RTP[1]:
            return b""
        start = _RTP_HEADER + 4 * (datagram[0] & 15)
        if datagram[0] & 0x10:
            start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
        return datagram[start:]
