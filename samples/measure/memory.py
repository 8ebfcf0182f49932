"""Peak memory of irn-send and irn-receive, which must not grow with the length of a clip. Linux only."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from measure.clips import moving_clip

STATUS = Path("/proc/self/status")
_POLL_SECONDS = 0.05


def measure_memory(
    folder: Path, model: str, counts: tuple[int, int], size: tuple[int, int], adapt: str | None = None
) -> dict[str, list[int]]:
    """Peak resident bytes of irn-send and irn-receive after each number of pictures, in processes of their own."""
    clip, lr, restored = folder / "large.mp4", folder / "large_lr.mp4", folder / "large_restored.mp4"
    moving_clip(clip, *size, max(counts))
    result: dict[str, list[int]] = {"irn-send": [], "irn-receive": []}
    weights = ["--model", model] if Path(model).is_file() else []
    for count in counts:
        limit = ["--frames", str(count), "--overwrite"]
        tuned = ["--adapt", adapt] if adapt is not None else []
        sending = ["irn_video.pipeline.commands.send", clip, lr, "--model", model, *limit, *tuned]
        result["irn-send"].append(_peak_bytes([str(word) for word in sending]))
        receiving = ["irn_video.pipeline.commands.receive", lr, restored, *weights, "--source", clip, *limit]
        result["irn-receive"].append(_peak_bytes([str(word) for word in receiving]))
    return result


def memory_table(peaks: dict[str, list[int]], counts: tuple[int, int], size: tuple[int, int]) -> str:
    """The figures for people."""
    lines = [f"peak memory at {size[0]}x{size[1]}"]
    for name, values in peaks.items():
        parts = [f"{peak / 1e9:.2f} GB after {count} frames" for peak, count in zip(values, counts, strict=True)]
        lines.append(f"{name:<12} {', '.join(parts)}")
    return "\n".join(lines)


def _peak_bytes(module_and_arguments: list[str]) -> int:
    """Run one of our commands and watch its high-water mark (VmHWM), which the kernel keeps for each process.

    `ru_maxrss` would not do: it counts the memory of the process that started the command, too.
    """
    command = [sys.executable, "-m", *module_and_arguments]
    peak = 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _high_water(process.pid))
            time.sleep(_POLL_SECONDS)
    if process.returncode:
        raise click.ClickException(f"{' '.join(module_and_arguments)} ended with exit code {process.returncode}")
    return peak


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    marks = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0
