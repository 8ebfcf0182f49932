"""MPEG-TS over SRT, through FFmpeg's program."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
import time

import imageio_ffmpeg

from .ends import DATAGRAM_BYTES, POLL_SECONDS, Inlet, Outlet
from .mpegts import padding
from .url import LiveUrl

_SRT_LATENCY = 120_000  # microseconds in which SRT may send again what was lost
_COPY = ("-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "data")


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


class SrtOutlet(Outlet):
    """Calls the receiver."""

    def __init__(self, url: LiveUrl) -> None:
        address = f"{url}?mode=caller&latency={_SRT_LATENCY}&pkt_size={DATAGRAM_BYTES}"
        whole = ("-f", "data", "-raw_packet_size", str(DATAGRAM_BYTES), "-i", "pipe:0")
        self._program = _Program(*whole, *_COPY, address, to=True)

    def write(self, data: bytes) -> int:
        """See `Outlet`."""
        pipe = self._program.process.stdin
        assert pipe is not None
        rest = memoryview(bytes(data) + padding(len(data), DATAGRAM_BYTES))
        while rest:
            rest = rest[pipe.write(rest) or 0 :]
        return len(data)

    def close(self) -> None:
        """Let go."""
        time.sleep(2 * _SRT_LATENCY / 1e6)  # SRT drops what has not been played out when it is closed
        self._program.end()


class SrtInlet(Inlet):
    """Waits for one sender."""

    def __init__(self, url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> None:
        super().__init__(wait, patience, ended)
        # SRT runs over UDP: this tells whether the port is free, which FFmpeg's program could only say too late.
        family, address = url.address(socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
        heard = ("-f", "data", "-i", f"{url}?mode=listener&latency={_SRT_LATENCY}")
        self._program = _Program(*heard, *_COPY, "pipe:1", to=False)

    def _receive(self, size: int) -> bytes | None:
        pipe = self._program.process.stdout
        assert pipe is not None
        if not select.select([pipe], [], [], POLL_SECONDS)[0]:
            return None
        return os.read(pipe.fileno(), size)

    def close(self) -> None:
        """Let go."""
        self._program.end()
