"""What `irn-send --for` sets: options by what a video is for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click
from click.core import ParameterSource
from irn_video.codecs.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """Options that suit a purpose, for H.264 and H.265; None where they are left as they are.

    Attributes:
        words: what it sets, for people.
        crf_change: on the codec's default.
        preset, tune, pixel_format, keyint_seconds, adapt: see `SendOptions`.
        suffix: of an output that nobody has named.
    """

    words: str
    crf_change: float = 0
    preset: str | None = None
    tune: str | None = None
    pixel_format: str | None = None
    keyint_seconds: float | None = None
    adapt: str | None = None
    suffix: str | None = None


PURPOSES = {
    "web": Purpose(
        words="mp4, 8 bits 4:2:0, keyframes every 2 s, preset medium",
        preset="medium",
        pixel_format="yuv420p",
        keyint_seconds=2,
        suffix=".mp4",
    ),
    "archive": Purpose(words="mkv, preset slower, CRF 5 lower", preset="slower", crf_change=-5, suffix=".mkv"),
    "live": Purpose(
        words="preset veryfast, zerolatency, keyframes every second",
        preset="veryfast",
        tune="zerolatency",
        keyint_seconds=1,
    ),
    "smallest": Purpose(
        words="preset veryslow, CRF 6 higher, --adapt best (slow) with h264",
        preset="veryslow",
        crf_change=6,
        adapt="best",
    ),
}
RATES = ("crf", "bitrate", "lossless", "psnr", "vmaf", "vmaf_neg", "size")
"""Options of irn-send of which one at most can be given."""


def purpose_words() -> str:
    """What each sets."""
    return "; ".join(f"{name}: {purpose.words}" for name, purpose in PURPOSES.items())


def with_purpose(ctx: click.Context, options: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The options of `irn-send` without `purpose`, and what that one sets where nothing else does.

    Args:
        ctx: tells what was typed: that wins, and what stands in a file wins over a purpose that stands there too.
        options: by the names of their parameters.

    Returns:
        The options, and the suffix of outputs that nobody has named.

    Raises:
        BadOption: a codec that purposes say nothing of.
    """
    from irn_video.codecs.encoders import EncoderSettings, make_encoder

    rest = {name: value for name, value in options.items() if name != "purpose"}
    if options["purpose"] is None:
        return rest, None
    purpose = PURPOSES[options["purpose"]]
    encoder = make_encoder(EncoderSettings(codec=options["codec"]))
    if encoder.default_crf is None or encoder.ffmpeg_name not in ("libx264", "libx265"):
        raise BadOption(f"--for says nothing of {options['codec']}", hint="it is for h264 and h265")
    chosen = {name: value for name, value in asdict(purpose).items() if value is not None and name not in _NOT_OPTIONS}
    if encoder.ffmpeg_name != "libx264":
        chosen.pop("adapt", None)
    if not any(_given(ctx, name) for name in RATES):
        chosen["crf"] = encoder.default_crf + purpose.crf_change
    if _given(ctx, "keyint"):
        chosen.pop("keyint_seconds", None)
    return rest | {name: value for name, value in chosen.items() if not _given(ctx, name)}, purpose.suffix


_NOT_OPTIONS = ("words", "crf_change", "suffix")


def _given(ctx: click.Context, name: str) -> bool:
    source, wanted = ctx.get_parameter_source(name), ctx.get_parameter_source("purpose")
    return source is ParameterSource.COMMANDLINE or (
        source is ParameterSource.DEFAULT_MAP and wanted is ParameterSource.DEFAULT_MAP
    )
