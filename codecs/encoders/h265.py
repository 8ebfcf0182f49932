"""H.265 (ITU-T H.265): x265 in software, NVENC in hardware."""

from __future__ import annotations

from irn_video.codecs.picture import Layout

from .base import Encoder
from .h264 import X264_PRESETS
from .nvenc import Nvenc

# On pictures fewer than four of its blocks of 16 across, x265 4.2 writes beyond its buffers there (Valgrind shows it),
# and the process is aborted sooner or later.
_CUTREE_WIDTH = 64


class X265(Encoder):
    """x265, up to 12 bits; carries HDR10 metadata."""

    ffmpeg_name = "libx265"
    default_crf = 28
    max_crf = 51
    presets = X264_PRESETS
    default_preset = "medium"
    tunes = ("psnr", "ssim", "grain", "fastdecode", "zerolatency", "animation")
    formats = (
        *("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        *("yuv420p12le", "yuv422p12le", "yuv444p12le", "gbrp", "gbrp10le", "gbrp12le"),
    )
    syntax = "hevc"
    order_needs = 3  # it takes the delay of decoding times from the third picture, and from unset memory before

    def samples(self) -> list[tuple[Layout, int]]:
        """RGB only without loss or by explicit wish: few players show it."""
        rgb_wanted = self.settings.lossless or self.settings.pixel_format is not None
        return [sample for sample in super().samples() if rgb_wanted or sample[0] is not Layout.RGB]

    def options(self, width: int, height: int) -> dict[str, str]:
        """x265 has its own option syntax; `log-level=none` keeps it off stderr."""
        settings = self.settings
        options = {"preset": self.preset or ""}
        if settings.tune:
            options["tune"] = settings.tune
        params = ["log-level=none"]
        if width < _CUTREE_WIDTH:
            params.append("cutree=0")
        if settings.lossless:
            params.append("lossless=1")
        elif self.crf is not None:
            options["crf"] = f"{self.crf:g}"
        if hdr := self.hdr.x265_params():
            params += [*hdr, "hdr10=1"]
        return options | {"x265-params": ":".join(params)}


class H265Nvenc(Nvenc):
    """H.265 on an NVIDIA GPU."""

    ffmpeg_name = "hevc_nvenc"
    syntax = "hevc"
