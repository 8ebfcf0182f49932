"""One file per codec. `make_encoder` turns checked settings into an encoder; a new codec is one more entry here."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from irn_video.codecs.errors import BadOption
from irn_video.codecs.hdr import HdrMetadata
from irn_video.codecs.picture import Layout

from .av1 import Av1Nvenc, SvtAv1
from .base import CODEC_ALIASES, Encoder, EncoderSettings, canonical_codec, parse_bitrate, suggestion
from .ffv1 import Ffv1
from .h264 import X264, H264Nvenc
from .h265 import X265, H265Nvenc
from .raw import Png, Raw

__all__ = [
    "CODEC_ALIASES",
    "ENCODERS",
    "Encoder",
    "EncoderSettings",
    "canonical_codec",
    "choose_samples",
    "make_encoder",
    "parse_bitrate",
    "with_preset",
]

Settings = TypeVar("Settings", bound=EncoderSettings)

ENCODERS: dict[str, type[Encoder]] = {
    "h264": X264,
    "h265": X265,
    "av1": SvtAv1,
    "ffv1": Ffv1,
    "raw": Raw,
    "png": Png,
    "h264_nvenc": H264Nvenc,
    "hevc_nvenc": H265Nvenc,
    "av1_nvenc": Av1Nvenc,
}


def make_encoder(settings: EncoderSettings, hdr: HdrMetadata | None = None) -> Encoder:
    """Check the settings and choose the encoder.

    Raises:
        BadOption: unknown codec, or a setting it does not accept.
    """
    kind = ENCODERS.get(settings.codec)
    if kind is None:
        raise BadOption(f"unknown codec {settings.codec!r}", hint=suggestion(settings.codec, ENCODERS))
    return kind(settings, hdr)


def with_preset(settings: Settings, scale: float) -> Settings:
    """The settings for frames that were shrunk by `scale` along each axis: a preset that they name stays.

    Raises:
        BadOption: see `make_encoder`.
    """
    kind = type(make_encoder(settings))
    return replace(settings, preset=settings.preset or kind.presets_by_scale.get(scale, kind.default_preset))


def choose_samples(settings: EncoderSettings, layout: Layout, bit_depth: int) -> tuple[Layout, int]:
    """Layout and bit depth to hand to a writer for frames of this kind, see `Encoder.choose`.

    Raises:
        BadOption: see `make_encoder`.
    """
    return make_encoder(settings).choose(layout, bit_depth)
