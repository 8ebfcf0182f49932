"""Ordinary resampling of planes with FFmpeg's swscale: the peer that networks have to beat."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from irn_video.codecs.kernels import Kernel
from irn_video.codecs.picture import Plane

_KEPT = 8  # geometries
_PIXEL_FORMATS = {1: "gray", 2: "gray16le"}


class Resampler:
    """Resizes single planes; chroma planes on their own grid, as players and encoders do.

    May be used from several threads; each keeps its tables of filters, which take longer to make than to use.

    Args:
        kernel: swscale's Lanczos (a = 3) or bicubic (B = 0, C = 0.6), widened when shrinking so that nothing aliases.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._of_thread = threading.local()

    def resize(self, plane: Plane, height: int, width: int, bit_depth: int = 8) -> Plane:
        """(h, w) → (height, width), same type; `bit_depth` is that of the samples."""
        pixel_format = _PIXEL_FORMATS[plane.dtype.itemsize]
        # 16-bit gray spans the whole word, so that swscale's clipping is right for any depth.
        shift = 0 if plane.dtype.itemsize == 1 else 16 - bit_depth
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane << shift), pixel_format)
        scaler = self._scaler((plane.shape, height, width, pixel_format))
        resized = scaler.reformat(frame, width, height, interpolation=self.kernel.upper()).to_ndarray()
        if shift:
            peak = (1 << bit_depth) - 1
            rounded: Plane = np.minimum((resized.astype(np.uint32) + (1 << (shift - 1))) >> shift, peak).astype(
                np.uint16
            )
            return rounded
        return cast(Plane, resized)

    def _scaler(self, geometry: object) -> VideoReformatter:
        kept: OrderedDict[object, VideoReformatter] = self._of_thread.__dict__.setdefault("kept", OrderedDict())
        scaler = kept.pop(geometry, None) or VideoReformatter()
        kept[geometry] = scaler
        while len(kept) > _KEPT:
            kept.popitem(last=False)
        return scaler
