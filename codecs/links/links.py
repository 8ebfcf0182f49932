"""The wires of a live stream: MPEG-TS over UDP, TCP, RTP or SRT, and the receiver's reports on the way back.

Both ends are file-like, for PyAV: an `Outlet` is written to, an `Inlet` is read from. An inlet counts what has come
and what was lost; what it is told to reply reaches the outlet's `replies`, over SRT (which mends losses itself) never.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import imageio_ffmpeg
from irn_video.codecs.errors import BadOption, LinkFailed

_SCHEMES = ("udp", "tcp", "rtp", "srt")
_TS = 188
_NULL = 0x1FFF  # the stream of packets that fill up
_DATAGRAM = 7 * _TS  # fits an Ethernet frame
_LONGEST = 65_536
_POLL_SECONDS = 0.1
_CONNECT_SECONDS = 10.0
_KERNEL_BUFFER = 4 << 20
_REPLY_BYTES = 512
_RTP = b"\x80\x21"  # RFC 3550 5.1: version 2, and RFC 3551's payload type 33, MPEG-TS
_RTP_HEADER = 12
_SRT_LATENCY = 120_000  # microseconds in which SRT may send again what was lost


@dataclass(frozen=True)
class LiveUrl:
    """Where pictures go or come from.

    Attributes:
        scheme: `udp`, `tcp`, `rtp` or `srt`.
        host, port: the receiver's.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> LiveUrl:
        """`udp://HOST:PORT`, and the same with tcp, rtp or srt; IPv6 addresses in brackets.

        Raises:
            BadOption: anything else.
        """
        hint = "write udp://127.0.0.1:5000, or tcp, rtp or srt in place of udp"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadOption(f"{text!r} is no address", hint=hint) from error
        plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in _SCHEMES or not parts.hostname or not port or not plain:
            raise BadOption(f"{text!r} is no address that pictures can be sent to", hint=hint)
        return cls(parts.scheme, parts.hostname, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def sdp(self) -> str:
        """Session description (RFC 8866) with which players open an RTP stream."""
        family = "IP6" if ":" in self.host else "IP4"
        lines = (
            "v=0",
            f"o=- 0 0 IN {family} {self.host}",
            "s=IRN Video",
            f"c=IN {family} {self.host}",
            "t=0 0",
            f"m=video {self.port} RTP/AVP 33",
            "a=rtpmap:33 MP2T/90000",
        )
        return "".join(f"{line}\r\n" for line in lines)


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
        for at in range(0, len(data) - _TS + 1, _TS):
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


def connect(url: LiveUrl) -> Outlet:
    """The sender's end of a link.

    Raises:
        LinkFailed: nobody is there (TCP, SRT), or the address makes no sense.
    """
    try:
        return _outlet(url)
    except OSError as error:
        raise LinkFailed(f"cannot send to {url}: {cause(error)}", hint="is irn-stream receive there?") from error


def listen(url: LiveUrl, *, wait: float, patience: float, ended: threading.Event | None = None) -> Inlet:
    """The receiver's end of a link, at the address of the URL and no other.

    Raises:
        LinkFailed: the port is taken, or the address is not of this machine.
    """
    try:
        return _inlet(url, wait, patience, ended or threading.Event())
    except OSError as error:
        raise LinkFailed(f"cannot listen at {url}: {cause(error)}", hint="choose another port") from error


def cause(error: BaseException) -> str:
    """In a few words."""
    return str(getattr(error, "strerror", None) or error)


def _address(url: LiveUrl, kind: socket.SocketKind) -> tuple[socket.AddressFamily, Any]:
    family, _, _, _, address = socket.getaddrinfo(url.host, url.port, type=kind)[0]
    return family, address


class _DatagramOutlet(Outlet):
    """UDP; nobody needs to listen."""

    def __init__(self, url: LiveUrl) -> None:
        family, address = _address(url, socket.SOCK_DGRAM)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def write(self, data: bytes) -> int:
        for at in range(0, len(data), _DATAGRAM):
            with contextlib.suppress(ConnectionError):  # nobody listens yet, or no longer
                self._socket.send(self._framed(bytes(data[at : at + _DATAGRAM])))
        return len(data)

    def replies(self) -> Iterator[bytes]:
        with contextlib.suppress(OSError):
            while True:
                yield self._socket.recv(_REPLY_BYTES, socket.MSG_DONTWAIT)

    def close(self) -> None:
        self._socket.close()

    def _framed(self, data: bytes) -> bytes:
        return data


class _RtpOutlet(_DatagramOutlet):
    """MPEG-TS in RTP (RFC 2250, section 2)."""

    def __init__(self, url: LiveUrl) -> None:
        super().__init__(url)
        self._sequence, self._source = secrets.randbelow(1 << 16), secrets.token_bytes(4)

    def _framed(self, data: bytes) -> bytes:
        self._sequence = (self._sequence + 1) % (1 << 16)
        clock = time.monotonic_ns() * 9 // 100_000 % (1 << 32)  # 90 kHz
        return _RTP + self._sequence.to_bytes(2) + clock.to_bytes(4) + self._source + data


class _DatagramInlet(Inlet):
    """UDP; replies go to where the last datagram came from."""

    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        family, address = _address(url, socket.SOCK_DGRAM)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
            self._socket.settimeout(_POLL_SECONDS)
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
        if isinstance(self._sender, tuple):
            with contextlib.suppress(OSError):
                self._socket.sendto(message, self._sender)

    def close(self) -> None:
        self._socket.close()

    def _payload(self, datagram: bytes) -> bytes:
        return datagram


class _RtpInlet(_DatagramInlet):
    def _payload(self, datagram: bytes) -> bytes:
        """Without the header, its sources and its extension; anything else than MPEG-TS in RTP is dropped."""
        if len(datagram) < _RTP_HEADER or datagram[0] >> 6 != 2 or datagram[1] & 0x7F != _RTP[1]:
            return b""
        start = _RTP_HEADER + 4 * (datagram[0] & 15)
        if datagram[0] & 0x10:
            start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
        return datagram[start:]


class _TcpOutlet(Outlet):
    def __init__(self, url: LiveUrl) -> None:
        self._socket = socket.create_connection((url.host, url.port), timeout=_CONNECT_SECONDS)
        self._socket.settimeout(None)  # with one, Python would wait in spite of MSG_DONTWAIT
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = b""

    def write(self, data: bytes) -> int:
        self._socket.sendall(data)
        return len(data)

    def replies(self) -> Iterator[bytes]:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(_REPLY_BYTES, socket.MSG_DONTWAIT):
                *whole, rest = (self._lines + data).split(b"\n")
                self._lines = rest[-_REPLY_BYTES:]
                yield from whole

    def close(self) -> None:
        self._socket.close()


class _TcpInlet(Inlet):
    """One sender, the first that comes."""

    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        family, address = _address(url, socket.SOCK_STREAM)
        self._listening = socket.create_server((str(address[0]), url.port), family=family, backlog=1)
        self._listening.settimeout(_POLL_SECONDS)
        self._socket: socket.socket | None = None

    def _receive(self, size: int) -> bytes | None:
        try:
            if self._socket is None:
                self._socket, _ = self._listening.accept()
                self._socket.settimeout(_POLL_SECONDS)
                self._listening.close()
            return self._socket.recv(size)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def reply(self, message: bytes) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(message + b"\n", socket.MSG_DONTWAIT)

    def close(self) -> None:
        self._listening.close()
        if self._socket is not None:
            self._socket.close()


class _Program:
    """FFmpeg's program as a pipe to or from SRT, which PyAV's libraries lack."""

    def __init__(self, *words: str, to: bool) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostats", *words]
        self.process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE if to else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if to else subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self.process.wait(2 if self.process.stdin is not None else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_COPY = ("-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "data")


class _SrtOutlet(Outlet):
    def __init__(self, url: LiveUrl) -> None:
        address = f"{url}?mode=caller&latency={_SRT_LATENCY}&pkt_size={_DATAGRAM}"
        whole = ("-f", "data", "-raw_packet_size", str(_DATAGRAM), "-i", "pipe:0")
        self._program = _Program(*whole, *_COPY, address, to=True)

    def write(self, data: bytes) -> int:
        pipe = self._program.process.stdin
        assert pipe is not None
        rest = memoryview(bytes(data) + _padding(len(data)))
        while rest:
            rest = rest[pipe.write(rest) or 0 :]
        return len(data)

    def close(self) -> None:
        time.sleep(2 * _SRT_LATENCY / 1e6)  # SRT drops what has not been played out when it is closed
        self._program.end()


class _SrtInlet(Inlet):
    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        # SRT runs over UDP: this tells whether the port is free, which FFmpeg's program could only say too late.
        family, address = _address(url, socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
        heard = ("-f", "data", "-i", f"{url}?mode=listener&latency={_SRT_LATENCY}")
        self._program = _Program(*heard, *_COPY, "pipe:1", to=False)

    def _receive(self, size: int) -> bytes | None:
        pipe = self._program.process.stdout
        assert pipe is not None
        if not select.select([pipe], [], [], _POLL_SECONDS)[0]:
            return None
        return os.read(pipe.fileno(), size)

    def close(self) -> None:
        self._program.end()


def _padding(size: int) -> bytes:
    """Null packets (ISO/IEC 13818-1 2.4.1) up to a whole datagram, which FFmpeg's program would wait for."""
    return (b"\x47\x1f\xff\x10" + b"\xff" * (_TS - 4)) * (-(size // _TS) % 7)


def _outlet(url: LiveUrl) -> Outlet:
    match url.scheme:
        case "udp":
            return _DatagramOutlet(url)
        case "rtp":
            return _RtpOutlet(url)
        case "srt":
            return _SrtOutlet(url)
    return _TcpOutlet(url)


def _inlet(url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> Inlet:
    match url.scheme:
        case "udp":
            return _DatagramInlet(url, wait, patience, ended)
        case "rtp":
            return _RtpInlet(url, wait, patience, ended)
        case "srt":
            return _SrtInlet(url, wait, patience, ended)
    return _TcpInlet(url, wait, patience, ended)
