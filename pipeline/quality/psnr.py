"""PSNR of pictures, per plane and in R′G′B′.

PSNR = 10 · log10(peak² / MSE) dB with peak 255 at 8 bits, 1023 at 10 bits; Y, U and V agree with FFmpeg's psnr filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.quality.metrics import PSNR_METRICS
from irn_video.pipeline.quality.rgb_error import rgb_mean_square
from irn_video.pipeline.quality.squares import sum_of_squared_differences


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
    if source.layout is not restored.layout or source.bit_depth != restored.bit_depth:
        raise SourceMismatch(
            f"the source is {source.layout} at {source.bit_depth} bits, the restored video "
            f"{restored.layout} at {restored.bit_depth}"
        )
    if (source.width, source.height) != (restored.width, restored.height):
        raise SourceMismatch(
            f"the source is {source.width}x{source.height}, the restored video {restored.width}x{restored.height}"
        )
    peak = (1 << source.bit_depth) - 1
    y, u, v = (
        sum_of_squared_differences(p, q) / (p.size * peak**2)
        for p, q in zip(source.planes, restored.planes, strict=True)
    )
    rgb = (y + u + v) / 3 if restored.layout is Layout.RGB else rgb_mean_square(source, restored)
    return PictureError(y, u, v, rgb)
