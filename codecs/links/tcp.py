"""MPEG-TS over TCP."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from .ends import POLL_SECONDS, REPLY_BYTES, Inlet, Outlet
from .url import LiveUrl

_CONNECT_SECONDS = 10.0


class TcpOutlet(Outlet):
    """Calls the receiver; replies are lines."""

    def __init__(self, url: LiveUrl) -> None:
        self._socket = socket.create_connection((url.host, url.port), timeout=_CONNECT_SECONDS)
        self._socket.settimeout(None)  # with one, Python would wait in spite of MSG_DONTWAIT
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = b""

    def write(self, data: bytes) -> int:
        """See `Outlet`."""
        self._socket.sendall(data)
        return len(data)

    def replies(self) -> Iterator[bytes]:
        """See `Outlet`."""
        with contextlib.suppress(OSError):
            while data := self._socket.recv(REPLY_BYTES, socket.MSG_DONTWAIT):
                *whole, rest = (self._lines + data).split(b"\n")
                self._lines = rest[-REPLY_BYTES:]
                yield from whole

    def close(self) -> None:
        """Let go."""
        self._socket.close()


class TcpInlet(Inlet):
    """One sender, the first that comes."""

    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        family, address = url.address(socket.SOCK_STREAM)
        self._listening = socket.create_server((str(address[0]), url.port), family=family, backlog=1)
        self._listening.settimeout(POLL_SECONDS)
        self._socket: socket.socket | None = None

    def _receive(self, size: int) -> bytes | None:
        try:
            if self._socket is None:
                self._socket, _ = self._listening.accept()
                self._socket.settimeout(POLL_SECONDS)
                self._listening.close()
            return self._socket.recv(size)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def reply(self, message: bytes) -> None:
        """See `Inlet`."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(message + b"\n", socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Let go."""
        self._listening.close()
        if self._socket is not None:
            self._socket.close()
