"""The rungs of a ladder: read from a file, or found for a clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from irn_video.codecs.encoders import parse_bitrate
from irn_video.codecs.encoders.base import MIN_BITRATE
from irn_video.codecs.errors import BadConfig, BadOption
from irn_video.codecs.reading.reader import probe
from irn_video.pipeline.commandline.toml import read_toml
from irn_video.sender.options import SendOptions, with_keyint
from irn_video.sender.search.choosing import goal_of, rescaler_of

AUTO = "auto"
"""The ladder that is found for the clip."""
_KEYINT_SECONDS = 4.0
_HALVINGS = 4
_LEAST_RATE = 48_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_RUNGS = 20


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How one rendition is sent; what is None is as `SendOptions` have it.

    Attributes:
        name: of its folder; None for one made of its height and measured rate, such as `360p-812k`.
        bitrate: mean rate, such as `800k`. Without `scale` and `model`, both are searched for.
        crf: constant quality, in place of `bitrate`.
        scale, model, tier, preset, adapt, adapt_budget: see `SendOptions`; the model `full` is plain H.264.

    Raises:
        BadConfig: the name is none for a folder.
        BadOption: the rate is none.
    """

    name: str | None = None
    bitrate: str | None = None
    crf: float | None = None
    scale: float | None = None
    model: str | None = None
    tier: str | None = None
    preset: str | None = None
    adapt: str | None = None
    adapt_budget: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise BadConfig(f"{self.name!r} cannot be a rung's name", hint="letters, digits, dots, dashes")
        if self.bitrate is not None:
            parse_bitrate(self.bitrate)

    def options(self, given: SendOptions) -> SendOptions:
        """How to send this rung; plain H.264 has nothing to tune."""
        words = {f.name: v for f in fields(self) if f.name != "name" and (v := getattr(self, f.name)) is not None}
        if self.bitrate is not None:
            words["bitrate"] = parse_bitrate(self.bitrate)
        if self.model is not None:
            words.setdefault("tier", None)
        if self.model == "full":
            words |= {"adapt": None, "adapt_budget": None, "quantisers": False, "look": None}
        return replace(given, **words)


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """A file: its rungs, `[[rung]]`.

    Raises:
        BadConfig: too many, or two of the same name.
    """

    rung: tuple[Rung, ...]

    def __post_init__(self) -> None:
        names = [rung.name for rung in self.rung if rung.name is not None]
        if len(self.rung) > _MOST_RUNGS or len(set(names)) < len(names):
            raise BadConfig(f"a ladder has up to {_MOST_RUNGS} rungs, each with a name of its own")


def read_ladder(path: Path) -> tuple[Rung, ...]:
    """The rungs that a file names.

    Raises:
        MissingFile, BadConfig: see `read_toml`.
    """
    return read_toml(Ladder, path).rung


def top_rung(options: SendOptions) -> Rung:
    """Plain H.264 at full size, with the codec's default quality or the one that is asked for."""
    return Rung(model="full", crf=options.crf)


def rungs_below(rate: float) -> tuple[Rung, ...]:
    """Those below the top: each half the rate of the one before, so that a player's choice fits its network closely.

    Args:
        rate: measured, of the top; bit/s.
    """
    rates = [rate / 2**halving for halving in range(1, _HALVINGS + 1)]
    return tuple(Rung(bitrate=f"{round(one)}") for one in rates if one >= max(_LEAST_RATE, MIN_BITRATE))


def common_options(source: Path, options: SendOptions, rungs: Sequence[Rung] | None) -> SendOptions:
    """Options of all rungs: H.264 that every player decodes, keyframes at the same times; no card where it is plain.

    Args:
        source: tells how many frames a segment has.
        options: as they are given, with the CRF of the top rung where `rungs` is None.
        rungs: those of a file.

    Raises:
        BadOption: they are not for a ladder.
        IrnError: the source cannot be read.
    """
    single = (
        "bitrate",
        "model",
        "scale",
        "psnr",
        "vmaf",
        "vmaf_neg",
        "size",
        "format",
        *(("crf",) if rungs is not None else ()),
    )
    given = [f"--{name.replace('_', '-')}" for name in single if getattr(options, name) is not None]
    if given or options.lossless:
        raise BadOption(
            f"{', '.join(given) or '--lossless'} is for one stream", hint="a ladder's FILE has it for each rung"
        )
    if options.codec != "h264":
        raise BadOption(f"a ladder is H.264, which every player decodes, not {options.codec}", hint="--codec h264")
    if options.keyint is None and options.keyint_seconds is None:
        options = replace(options, keyint_seconds=_KEYINT_SECONDS)
    options = with_keyint(options, probe(source, stream=options.stream))
    pixel_format = options.pixel_format or "yuv420p"
    options = replace(options, steady_keyframes=True, plain_card=False, quantisers=True)
    return replace(options, crf=None, pixel_format=pixel_format, rate=None)


def check_networks(rungs: Sequence[Rung], common: SendOptions) -> None:
    """Refuse what only sending would find, perhaps after minutes.

    Raises:
        BadOption, UnknownModel, MissingFile, BadWeights: of a rung.
    """
    for rung in rungs:
        options = rung.options(common)
        if goal_of(options) is None:
            rescaler_of(options)
