"""Peak memory of irn-send and irn-receive, which must not grow with the length of a clip. Linux only."""

from __future__ import annotations

from pathlib import Path

from measure.clips import moving_clip
from measure.commands import Product, Work

STATUS = Path("/proc/self/status")


def measure_memory(
    product: Product,
    folder: Path,
    model: str,
    counts: tuple[int, int],
    size: tuple[int, int],
    adapt: str | None = None,
) -> dict[str, list[int]]:
    """Peak resident bytes of irn-send and irn-receive after each number of pictures, in processes of their own."""
    clip, lr = folder / "large.mp4", folder / "large_lr.mp4"
    moving_clip(clip, *size, max(counts))
    work = Work(product, clip, model, folder)
    result: dict[str, list[int]] = {"irn-send": [], "irn-receive": []}
    tuned = ["--adapt", adapt] if adapt is not None else []
    for count in counts:
        result["irn-send"].append(work.send(lr, count, *tuned).peak_bytes)
        result["irn-receive"].append(work.receive(lr, count).peak_bytes)
    return result


def memory_table(peaks: dict[str, list[int]], counts: tuple[int, int], size: tuple[int, int]) -> str:
    """The figures for people."""
    lines = [f"peak memory at {size[0]}x{size[1]}"]
    for name, values in peaks.items():
        parts = [f"{peak / 1e9:.2f} GB after {count} frames" for peak, count in zip(values, counts, strict=True)]
        lines.append(f"{name:<12} {', '.join(parts)}")
    return "\n".join(lines)
