"""Samples as they are: Y4M, and numbered PNG pictures."""

from __future__ import annotations

from irn_video.codecs.errors import BadOption
from irn_video.codecs.hdr import HdrMetadata
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.pixels import pixel_format

from .base import Encoder, EncoderSettings


class _Exact(Encoder):
    default_crf = None
    max_crf = 0
    needs_even = False

    def __init__(self, settings: EncoderSettings, hdr: HdrMetadata | None = None) -> None:
        if settings.crf is not None or settings.bitrate is not None:
            raise BadOption(f"{settings.codec} keeps every sample: it has neither crf nor bitrate", hint="drop them")
        super().__init__(settings, hdr)


class Raw(_Exact):
    """Frames for Y4M, which knows no RGB."""

    ffmpeg_name = "wrapped_avframe"
    containers = ("yuv4mpegpipe",)
    formats = tuple(
        pixel_format(layout, depth) for layout in Layout if layout is not Layout.RGB for depth in (8, 9, 10, 12, 14, 16)
    )

    def options(self, width: int, height: int) -> dict[str, str]:
        """There are none."""
        return {}


class Png(_Exact):
    """RGB of 8 or 16 bits, a file for each frame (ISO/IEC 15948)."""

    ffmpeg_name = "png"
    containers = ("image2",)
    formats = (pixel_format(Layout.RGB, 8), pixel_format(Layout.RGB, 16))

    def frame_format(self, layout: Layout, bit_depth: int) -> str:
        """It takes them packed."""
        return "rgb24" if bit_depth == 8 else "rgb48be"

    def options(self, width: int, height: int) -> dict[str, str]:
        """The filter that suits photographs, at half the time of trying all."""
        return {"pred": "paeth"}
