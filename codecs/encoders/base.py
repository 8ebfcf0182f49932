"""What every video encoder here has in common: its settings, their checks, and how FFmpeg is told."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from irn_video.codecs.bitstream.sei import Syntax
from irn_video.codecs.errors import BadOption
from irn_video.codecs.hdr import HdrMetadata
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.pixels import pixel_format, samples_of

_BITRATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)(?:bps|b/s|bit/s)?")
_UNITS = {"": 1, "k": 1000, "m": 1000_000, "g": 1000_000_000}
_MAX_BUFFER_SECONDS = 60
MIN_BITRATE, MAX_BITRATE = 1000, 10_000_000_000


CODEC_ALIASES = {
    **dict.fromkeys(("avc", "x264", "libx264"), "h264"),
    **dict.fromkeys(("hevc", "x265", "libx265"), "h265"),
    **dict.fromkeys(("svtav1", "libsvtav1"), "av1"),
}
"""Other names of codecs that are understood, and the one that is stored and shown."""


def canonical_codec(name: str) -> str:
    """The name in `ENCODERS` of a codec: `x265` → `h265`; an unknown name stays as it is."""
    return CODEC_ALIASES.get(name.lower(), name)


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How to encode; checked when an encoder is made of it.

    Attributes:
        codec: a name in `ENCODERS`; that of `canonical_codec` where another was given.
        crf: constant quality, smaller is better; None for the codec's default. Not together with `bitrate`.
        bitrate: mean bit/s.
        preset: speed against compression, in the words of the codec; None for its default.
        tune: as the codec names it.
        keyint: largest distance of keyframes in frames; None for the codec's default.
        steady_keyframes: each `keyint` frames and nowhere else, not even where scenes change.
        pixel_format: FFmpeg's name of the samples to encode (`yuv420p`, `yuv444p10le`, `gbrp`); None for those of the
            frames.
        lossless: keep every sample.
        buffer_seconds: of a decoder that is fed at `bitrate` without a break (VBV); None for any.
    """

    codec: str = "h264"
    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    tune: str | None = None
    keyint: int | None = None
    steady_keyframes: bool = False
    pixel_format: str | None = None
    lossless: bool = False
    buffer_seconds: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.codec, str):  # what else it may be is refused elsewhere
            object.__setattr__(self, "codec", canonical_codec(self.codec))


class Encoder(ABC):
    """One encoder of FFmpeg's, with checked settings. Subclasses say all there is to know about their codec.

    Args:
        settings: what the user wants.
        hdr: mastering display and light level to write into the stream, where the codec can.

    Raises:
        BadOption: a setting that this codec does not accept.
    """

    ffmpeg_name: ClassVar[str]
    rgb_name: ClassVar[str | None] = None
    """FFmpeg's encoder for RGB, where that is another one."""
    default_crf: ClassVar[float | None]
    max_crf: ClassVar[float]
    presets: ClassVar[tuple[str, ...]] = ()
    default_preset: ClassVar[str | None] = None
    """At full size."""
    presets_by_scale: ClassVar[Mapping[float, str]] = {}
    """The default of frames that were shrunk, by how much along each axis, where it is another one."""
    tunes: ClassVar[tuple[str, ...]] = ()
    formats: ClassVar[tuple[str, ...]] = ()
    """Planar formats it takes, as `pixels.pixel_format` names them."""
    syntax: ClassVar[Syntax | None] = None
    """How the stream card goes in as SEI; None where only the container's tag can carry it."""
    order_needs: ClassVar[int] = 0
    """Pictures without which the encoder leaves decoding times undefined."""
    containers: ClassVar[tuple[str, ...]] = ("mp4", "mov", "matroska", "mpegts")
    """Those that can carry it, as `writing.containers` names them."""
    to_h264: ClassVar[float] = 1.0
    """A CRF times this is about the H.264 quantiser of the same quality, for decoders that do not tell quantisers."""
    steady: ClassVar[bool] = False
    """It can have `steady_keyframes`."""
    needs_even: ClassVar[bool] = True
    """Subsampled frames must have sizes that the subsampling divides."""

    def __init__(self, settings: EncoderSettings, hdr: HdrMetadata | None = None) -> None:
        self.settings = settings
        self.hdr = hdr or HdrMetadata()
        self._check_rate()
        self._check_word("preset", settings.preset, self.presets)
        self._check_word("tune", settings.tune, self.tunes)
        if settings.keyint is not None and not 1 <= settings.keyint <= 100_000:
            raise BadOption(f"keyint must be at least 1 frame, not {settings.keyint}")
        if settings.steady_keyframes and (settings.keyint is None or not self.steady):
            raise BadOption(f"{settings.codec} has no keyframes at fixed distances", hint="use h264, with keyint")
        if settings.pixel_format is not None:
            self._check_word("pixel format", _plain(settings.pixel_format), self.formats)
            if samples_of(_plain(settings.pixel_format)) not in self.samples():
                raise BadOption(f"{settings.pixel_format} cannot be encoded this way with {settings.codec}")

    @abstractmethod
    def options(self, width: int, height: int) -> dict[str, str]:
        """FFmpeg's options for these settings and this size of the frames in luma samples.

        The bit rate and the keyframe distance are the same for all codecs: `writing.picture_stream` sets them.
        """

    def library(self, layout: Layout) -> str:
        """FFmpeg's name of the encoder for frames of this layout."""
        return self.rgb_name if layout is Layout.RGB and self.rgb_name else self.ffmpeg_name

    def samples(self) -> list[tuple[Layout, int]]:
        """Layouts and bit depths that these settings can carry."""
        return [found for name in self.formats if (found := samples_of(name))]

    def frame_format(self, layout: Layout, bit_depth: int) -> str:
        """The pixel format frames are handed over in."""
        return pixel_format(layout, bit_depth)

    def codec_format(self, layout: Layout, bit_depth: int) -> str:
        """The pixel format the encoder is opened with, where it differs from the frames' only in arrangement."""
        return self.frame_format(layout, bit_depth)

    def choose(self, layout: Layout, bit_depth: int) -> tuple[Layout, int]:
        """The samples to encode for frames of this kind: the same if possible, else the nearest that lose least.

        With `pixel_format` in the settings, always that one. The caller converts (and tells the user).
        """
        if self.settings.pixel_format is not None:
            chosen = samples_of(_plain(self.settings.pixel_format))
            assert chosen is not None
            return chosen
        if (layout, bit_depth) in self.samples():
            return layout, bit_depth
        chroma = [Layout.YUV420, Layout.YUV422, Layout.YUV444, Layout.RGB]

        def loss(sample: tuple[Layout, int]) -> tuple[bool, bool, int, bool, int]:
            step = chroma.index(sample[0]) - chroma.index(layout)
            to_rgb = sample[0] is Layout.RGB
            return to_rgb, step < 0, abs(step), sample[1] < bit_depth, abs(sample[1] - bit_depth)

        return min(self.samples(), key=loss)

    @property
    def threading(self) -> str:
        """FFmpeg's kind of threads. PyAV asks for slices, which costs x264 several per cent of bits."""
        return "SLICE" if self.settings.tune == "zerolatency" else "FRAME"

    @property
    def crf(self) -> float | None:
        """The quality in force: as set, or the default; None with a bit rate or without loss."""
        if self.settings.lossless or self.settings.bitrate is not None:
            return None
        return self.default_crf if self.settings.crf is None else self.settings.crf

    @property
    def preset(self) -> str | None:
        """The preset in force: as set, or the default; None for a codec without presets."""
        return self.settings.preset or self.default_preset

    @property
    def prefilter_qp(self) -> float | None:
        """The H.264 quantiser for which a sender may filter its frames; None if unknown or if that does not pay."""
        return None

    def _check_rate(self) -> None:
        s = self.settings
        if s.crf is not None and s.bitrate is not None:
            raise BadOption("crf and bitrate exclude each other", hint="give one of them")
        if s.lossless and (s.crf is not None or s.bitrate is not None):
            raise BadOption("lossless excludes crf and bitrate", hint="drop them or lossless")
        if s.crf is not None and not 0 <= s.crf <= self.max_crf:
            raise BadOption(f"crf {s.crf:g} is out of range for {s.codec}", hint=f"0 (best) to {self.max_crf:g}")
        if s.bitrate is not None:
            check_bitrate(s.bitrate)
        if s.buffer_seconds is not None and (s.bitrate is None or not 0 < s.buffer_seconds <= _MAX_BUFFER_SECONDS):
            raise BadOption(f"a buffer of {s.buffer_seconds:g} s cannot be kept", hint="up to 60 s, with a bit rate")

    def _check_word(self, what: str, word: str | None, known: tuple[str, ...]) -> None:
        if word is not None and word not in known:
            raise BadOption(f"{self.settings.codec} has no {what} {word!r}", hint=suggestion(word, known))


def parse_bitrate(text: str) -> int:
    """Bits per second from `800k`, `2M`, `1.5M` or `1500000` (k = 1000).

    Raises:
        BadOption: not a bit rate, or not a sensible one.
    """
    match = _BITRATE.fullmatch(text.strip())
    if match is None:
        raise BadOption(f"{text!r} is not a bit rate", hint="write 800k, 2M or 1500000")
    rate = round(float(match[1]) * _UNITS[match[2].lower()])
    check_bitrate(rate)
    return rate


def check_bitrate(rate: int) -> None:
    """Refuse bit rates that can only be slips (`800` for `800k`)."""
    if not MIN_BITRATE <= rate <= MAX_BITRATE:
        raise BadOption(f"a bit rate of {rate} bit/s makes no sense", hint="write 800k for 800 kbit/s")


def suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest known word, and all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 1)
    if not known:
        return "leave it out"
    return (f"did you mean {near[0]}? " if near else "") + "known: " + ", ".join(known)


def _plain(name: str) -> str:
    """Users may say `yuv420p10` for `yuv420p10le`, and `rgb24` for `gbrp`: the same samples in another order."""
    if name in ("rgb24", "bgr24", "bgr0", "rgb"):
        return "gbrp"
    return f"{name}le" if re.fullmatch(r".*p(9|10|12|14|16)", name) else name
