"""FFV1 version 3 (RFC 9043): always lossless, every layout and depth, large; for Matroska."""

from __future__ import annotations

from irn_video.codecs.errors import BadOption
from irn_video.codecs.hdr import HdrMetadata
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.pixels import pixel_format

from .base import Encoder, EncoderSettings

_DEPTHS = (8, 9, 10, 12, 14, 16)


class Ffv1(Encoder):
    """FFmpeg's own encoder, with slice checksums so that damage is noticed."""

    ffmpeg_name = "ffv1"
    default_crf = None
    max_crf = 0
    presets = ()
    needs_even = False
    containers = ("matroska",)
    formats = tuple(pixel_format(layout, depth) for layout in Layout for depth in _DEPTHS)

    def __init__(self, settings: EncoderSettings, hdr: HdrMetadata | None = None) -> None:
        if settings.crf is not None or settings.bitrate is not None:
            raise BadOption("ffv1 is always lossless: it has neither crf nor bitrate", hint="leave them out")
        super().__init__(settings, hdr)

    @property
    def threading(self) -> str:
        """Its slices are coded in parallel."""
        return "SLICE"

    def frame_format(self, layout: Layout, bit_depth: int) -> str:
        """It takes 8-bit RGB packed."""
        return "bgr0" if (layout, bit_depth) == (Layout.RGB, 8) else super().frame_format(layout, bit_depth)

    def options(self, width: int, height: int) -> dict[str, str]:
        """Version 3 with slice checksums; FFmpeg chooses the number of slices, too many for tiny frames."""
        return {"level": "3", "slicecrc": "1"} | ({"slices": "1"} if min(width, height) < 32 else {})
