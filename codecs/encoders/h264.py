"""H.264 (ITU-T H.264): x264 in software, NVENC in hardware."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

from irn_video.codecs.picture import Layout

from .base import Encoder
from .nvenc import Nvenc

X264_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@cache
def repeatable() -> tuple[str, ...]:
    """Parameters that keep x264 off AVX-512, where its macroblock tree depends on what happens to lie in memory.

    Checked with PyAV 18.1's x264, also with one thread: the same frames give other bytes in up to every run, and
    never with AVX2, which is as fast. The name is given only where AVX-512, and so AVX2, is known to be there.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ()
    return ("asm=avx2",) if "avx512" in flags else ()


class X264(Encoder):
    """x264. RGB goes to its RGB variant: bit for bit without loss, and with loss only when asked for."""

    ffmpeg_name = "libx264"
    rgb_name = "libx264rgb"
    default_crf = 23
    max_crf = 51
    presets = X264_PRESETS
    default_preset = "medium"
    # The slowest with which smaller frames take no longer than full size does with medium, in the mean and at about
    # equal quality: `samples/measure presets`, figures in docs/results.md.
    presets_by_scale: ClassVar[Mapping[float, str]] = {1.5: "slow", 2: "slower", 4: "veryslow"}
    tunes = ("film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency")
    formats = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gbrp")
    syntax = "h264"
    steady = True

    @property
    def prefilter_qp(self) -> float | None:
        """The CRF, unless a tune changes how x264 treats faint detail."""
        return self.crf if self.settings.tune in (None, "fastdecode", "zerolatency") else None

    def samples(self) -> list[tuple[Layout, int]]:
        """RGB only without loss or by explicit wish: few players show it."""
        rgb_wanted = self.settings.lossless or self.settings.pixel_format is not None
        return [sample for sample in super().samples() if rgb_wanted or sample[0] is not Layout.RGB]

    def frame_format(self, layout: Layout, bit_depth: int) -> str:
        """x264 takes RGB packed."""
        return "rgb24" if layout is Layout.RGB else super().frame_format(layout, bit_depth)

    def options(self, width: int, height: int) -> dict[str, str]:
        """Without loss: QP 0, which FFmpeg turns into x264's lossless mode also at 10 bits."""
        settings = self.settings
        options = {"preset": self.preset or ""}
        if settings.tune:
            options["tune"] = settings.tune
        if settings.steady_keyframes:
            options["sc_threshold"] = "0"
        if settings.lossless:
            options["qp"] = "0"
        elif self.crf is not None:
            options["crf"] = f"{self.crf:g}"
        if params := [*repeatable(), *self.hdr.x264_params()]:
            options["x264-params"] = ":".join(params)
        return options


class H264Nvenc(Nvenc):
    """H.264 on an NVIDIA GPU, 8 bits only."""

    ffmpeg_name = "h264_nvenc"
    formats = ("yuv420p", "yuv444p")
    syntax = "h264"
