"""Names of ordinary resampling, which stand where a network's might; `resample` does it."""

from __future__ import annotations

from typing import Literal

Kernel = Literal["lanczos", "bicubic"]
RESAMPLERS: dict[str, tuple[Kernel, int]] = {
    f"{kernel}-x{scale}": (kernel, scale) for kernel in ("lanczos", "bicubic") for scale in (1, 2, 4)
}
"""Kernel and scale by name."""
