"""Names of ordinary resampling, which stand where a network's might; `resample` does it."""

from __future__ import annotations

from typing import Literal

from irn_video.codecs.scales import SCALES

Kernel = Literal["lanczos", "bicubic"]
KERNELS: tuple[Kernel, ...] = ("lanczos", "bicubic")
RESAMPLERS: dict[str, tuple[Kernel, float]] = {
    f"{kernel}-x{scale:g}": (kernel, scale) for kernel in KERNELS for scale in SCALES
}
"""Kernel and scale by name."""
