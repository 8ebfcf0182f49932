"""What ordinary H.264 at full size would take for the same PSNR, found beside a running stream.

Groups of pictures of the source are encoded with the live encoder's preset and tune, each at a CRF that follows the
PSNR to be reached. No cap holds the rate down, which favours full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.roundtrip import Planes, x264_roundtrip
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import compare

_START_CRF, _LEAST, _MOST = 30.0, 10.0, 50.0
_DB_PER_CRF = 0.55  # about what PSNR loses from one CRF to the next
_LONGEST_STEP = 8.0
_DB_PER_DOUBLING = 3.3  # about what twice the bits gain, for the small rest that the CRF leaves
_NEAR_DB = 1.0  # a group that misses the PSNR by more tells nothing
_SMOOTH = 0.4  # weight of the newest group


class FullSizeRate:
    """Follows one stream.

    Args:
        preset: of the encoder.
        rate: pictures per second.

    Attributes:
        kbps: kbit/s of full-size H.264 at the PSNR of the stream; None until that is known.
    """

    def __init__(self, preset: str, rate: float) -> None:
        self._preset, self._rate, self._crf = preset, rate, _START_CRF
        self.kbps: float | None = None

    def follow(self, pictures: Sequence[Picture], psnr_y: float) -> None:
        """One group of pictures, from one keyframe to the next, and the mean PSNR-Y in dB that it should have."""
        whole = [_plain(picture) for picture in pictures]
        decoded, _, size = x264_roundtrip(
            [cast(Planes, picture.planes) for picture in whole], crf=self._crf, preset=self._preset, tune="zerolatency"
        )
        found = [compare(p, replace(p, planes=d)).psnr()["psnr_y"] for p, d in zip(whole, decoded, strict=True)]
        known = [value for value in found if value is not None]
        if not known:  # still pictures without any error
            return
        missing = psnr_y - sum(known) / len(known)
        if abs(missing) < _NEAR_DB:
            kbps = 8 * size / 1000 * self._rate / len(whole) * 2 ** (missing / _DB_PER_DOUBLING)
            self.kbps = kbps if self.kbps is None else (1 - _SMOOTH) * self.kbps + _SMOOTH * kbps
        step = max(-_LONGEST_STEP, min(_LONGEST_STEP, missing / _DB_PER_CRF))
        self._crf = max(_LEAST, min(_MOST, self._crf - step))


def _plain(picture: Picture) -> Picture:
    """8-bit 4:2:0 of even size."""
    samples = Samples(Layout.YUV420, 8, picture.color)
    plain = picture if Samples.of(picture) == samples else convert(picture, samples)
    height, width = plain.height // 2, plain.width // 2
    luma, first, second = plain.planes
    return replace(plain, planes=(luma[: 2 * height, : 2 * width], first[:height, :width], second[:height, :width]))
