"""AV1: SVT-AV1 in software, NVENC in hardware. The stream card travels in the container's tag only."""

from __future__ import annotations

import os

from irn_video.codecs.errors import BadOption
from irn_video.codecs.hdr import HdrMetadata

from .base import Encoder, EncoderSettings
from .nvenc import Nvenc

AV1_CONTAINERS = ("mp4", "mov", "matroska", "webm")
AV1_TO_H264 = 51 / 63  # the largest of both


class SvtAv1(Encoder):
    """SVT-AV1: 4:2:0 at 8 or 10 bits; presets from 0 (small) to 13 (fast); never quite lossless."""

    ffmpeg_name = "libsvtav1"
    default_crf = 35
    max_crf = 63
    presets = tuple(str(number) for number in range(14))
    default_preset = "8"
    tunes = ("vq", "psnr", "ssim")
    formats = ("yuv420p", "yuv420p10le")
    containers, to_h264 = AV1_CONTAINERS, AV1_TO_H264

    def __init__(self, settings: EncoderSettings, hdr: HdrMetadata | None = None) -> None:
        super().__init__(settings, hdr)
        os.environ.setdefault("SVT_LOG", "1")  # errors only: the library writes straight to stderr
        if settings.lossless:
            raise BadOption("SVT-AV1 has no lossless mode in this build", hint="use h264, h265 or ffv1")

    def options(self, width: int, height: int) -> dict[str, str]:
        """Its own parameters say the rest."""
        options = {"preset": self.preset or ""}
        params = []
        if self.settings.tune:
            params.append(f"tune={self.tunes.index(self.settings.tune)}")
        if self.crf is not None:
            options["crf"] = f"{self.crf:g}"
        params += self.hdr.svtav1_params()
        return options | ({"svtav1-params": ":".join(params)} if params else {})


class Av1Nvenc(Nvenc):
    """AV1 on an NVIDIA GPU, 4:2:0 only."""

    ffmpeg_name = "av1_nvenc"
    formats = ("yuv420p", "yuv420p10le")
    containers, to_h264 = AV1_CONTAINERS, AV1_TO_H264
