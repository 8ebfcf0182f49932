"""Ordinary resampling of planes with FFmpeg's swscale: the peer that networks have to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import av
import numpy as np
from irn_video.codecs.picture import Plane

Kernel = Literal["lanczos", "bicubic"]
_PIXEL_FORMATS = {1: "gray", 2: "gray16le"}


@dataclass(frozen=True)
class Resampler:
    """Resizes single planes; chroma planes on their own grid, as players and encoders do.

    Attributes:
        kernel: swscale's Lanczos (a = 3) or bicubic (B = 0, C = 0.6), widened when shrinking so that nothing aliases.
        bit_depth: of the samples.
    """

    kernel: Kernel
    bit_depth: int = 8

    def resize(self, plane: Plane, height: int, width: int) -> Plane:
        """(h, w) → (height, width), same type."""
        pixel_format = _PIXEL_FORMATS[plane.dtype.itemsize]
        # 16-bit gray spans the whole word, so that swscale's clipping is right for any depth.
        shift = 0 if plane.dtype.itemsize == 1 else 16 - self.bit_depth
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane << shift), pixel_format)
        resized = frame.reformat(width, height, interpolation=self.kernel.upper()).to_ndarray()
        if shift:
            peak = (1 << self.bit_depth) - 1
            rounded: Plane = np.minimum((resized.astype(np.uint32) + (1 << (shift - 1))) >> shift, peak).astype(
                np.uint16
            )
            return rounded
        return cast(Plane, resized)
