"""What a stage takes: wall time, processor time, memory."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One half of the way.

    Attributes:
        seconds: wall time.
        cpu_seconds: over all threads.
        peak_bytes: largest resident memory of the process meanwhile (since its start, where that cannot be told).
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Cost:
    """What one cell took, without the measuring of perceptual metrics.

    Attributes:
        send: reading, downscaling and encoding.
        receive: decoding, upscaling, measuring PSNR and storing without loss; at full size decoding and measuring.
        encode_cpu_seconds: of sending, processor time without shrinking: reading and encoding (and tuning).
    """

    send: Stage
    receive: Stage
    encode_cpu_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """Of both."""
        return self.send.cpu_seconds + self.receive.cpu_seconds


class Watch:
    """Tells what each lap took."""

    def __init__(self) -> None:
        self._start()

    def lap(self) -> Stage:
        """Since the last lap, or the start."""
        stage = Stage(time.monotonic() - self._wall, _cpu_seconds() - self._cpu, _peak_bytes())
        self._start()
        return stage

    def _start(self) -> None:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak is counted anew
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_bytes() -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
