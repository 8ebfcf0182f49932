"""PSNR of pictures, per plane and in R′G′B′.

PSNR = 10 · log10(peak² / MSE) dB with peak 255 at 8 bits, 1023 at 10 bits; Y, U and V agree with FFmpeg's psnr filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.planes import Planes, Samples, rgb_mean_square, to_planes
from irn_video.pipeline.quality.metrics import PSNR_METRICS
from torch import Tensor


@dataclass(frozen=True)
class PictureError:
    """Mean squared errors of one picture, in units of the peak squared (0 is identical, 1 is black for white).

    Attributes:
        y, u, v: per plane; for an RGB picture those of R, G and B.
        rgb: over R′, G′ and B′ together, from the difference before rounding and clipping to RGB.
    """

    y: float
    u: float
    v: float
    rgb: float

    @property
    def identical(self) -> bool:
        """Every sample is the same."""
        return self.y == self.u == self.v == 0

    def psnr(self) -> dict[str, float | None]:
        """The metrics in dB by name; None where there is no error. YUV is (6·Y + U + V) / 8."""
        y, u, v, rgb = (decibels(e) for e in (self.y, self.u, self.v, self.rgb))
        yuv = (6 * y + u + v) / 8 if y is not None and u is not None and v is not None else None
        return dict(zip(PSNR_METRICS, (y, u, v, yuv, rgb), strict=True))


def decibels(error: float) -> float | None:
    """Mean squared error over peak squared → dB; None for no error."""
    return -10 * math.log10(error) if error > 0 else None


def compare(source: Picture, restored: Picture) -> PictureError:
    """Errors of a restored picture against its source.

    Raises:
        SourceMismatch: sizes, layouts or depths differ.
    """
    if Samples.of(source).layout is not restored.layout or source.bit_depth != restored.bit_depth:
        raise SourceMismatch(
            f"the source is {source.layout} at {source.bit_depth} bits, the restored video "
            f"{restored.layout} at {restored.bit_depth}"
        )
    if (source.width, source.height) != (restored.width, restored.height):
        raise SourceMismatch(
            f"the source is {source.width}x{source.height}, the restored video {restored.width}x{restored.height}"
        )
    with torch.inference_mode():
        difference = _difference(to_planes(source), to_planes(restored))
        scale = (255 * (1 << (source.bit_depth - 8)) / ((1 << source.bit_depth) - 1)) ** 2
        y, u, v = (_mean_square(plane) * scale for plane in difference)
        if restored.layout is Layout.RGB:
            return PictureError(y, u, v, (y + u + v) / 3)
        return PictureError(y, u, v, rgb_mean_square(difference, Samples.of(restored)))


def _difference(one: Planes, other: Planes) -> Planes:
    a, b, c = (p.sub_(q) for p, q in zip(one, other, strict=True))
    return a, b, c


def _mean_square(plane: Tensor) -> float:
    flat = plane.flatten()
    return float(torch.dot(flat, flat)) / flat.numel()
