"""What NVIDIA's three hardware encoders (H.264, H.265, AV1) share. They need a GPU with an encoder in it."""

from __future__ import annotations

from typing import ClassVar

from irn_video.codecs.picture import Layout

from .base import Encoder


class Nvenc(Encoder):
    """`crf` is NVENC's constant quality (`cq`); presets run from p1 (fast) to p7 (small)."""

    default_crf = 28
    max_crf = 51
    presets = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
    default_preset = "p5"
    tunes = ("hq", "ll", "ull")
    formats: ClassVar[tuple[str, ...]] = ("yuv420p", "yuv444p", "yuv420p10le")

    def codec_format(self, layout: Layout, bit_depth: int) -> str:
        """The hardware takes 10 bits as p010."""
        return "p010le" if bit_depth > 8 else self.frame_format(layout, bit_depth)

    def options(self, width: int, height: int) -> dict[str, str]:
        """Constant quality or variable bit rate; HDR metadata is not carried."""
        options = {"preset": self.preset or ""}
        if self.settings.lossless:
            return options | {"tune": "lossless"}
        options["tune"] = self.settings.tune or "hq"
        if self.crf is not None:
            options |= {"rc": "vbr", "cq": f"{self.crf:g}"}
        return options
