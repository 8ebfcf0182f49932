"""Options that sender, receiver and their live halves share, each in one place.

`SendOptions(crf=26, preset="slow")` has its fields from here; the options of the command lines have their names.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Which part of a video, and where it may go.

    Attributes:
        stream: video stream of the input, from 0; None for the one that a player would show.
        frames: only the first so many frames.
        overwrite: replace an existing output.
        format: the container, by its name in `codecs.writing.containers.FORMATS`; None for that of the output's name,
            and on standard output Matroska from a sender, Y4M from a receiver.
        fragmented: write MP4 in fragments, which can be read before it is finished.
    """

    stream: int | None = None
    frames: int | None = None
    overwrite: bool = False
    format: str | None = None
    fragmented: bool = False


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(EncoderSettings):
    """How what is written is encoded: all of `EncoderSettings`."""

    @property
    def encoder(self) -> EncoderSettings:
        """The encoder's part of these options."""
        return EncoderSettings(**{field.name: getattr(self, field.name) for field in fields(EncoderSettings)})


@dataclass(frozen=True, kw_only=True)
class LatentOptions:
    """The detail that is not known.

    Attributes:
        look: how it is filled in, a name in `LOOKS`: `faithful` (the least error), `balanced`, `real`; None for what
            the network or the stream says.
        temperature: of the latents, 0 for their mean to 1 for all of their spread; None for what the network or the
            stream says.
        seed: of the latents; None for what the stream says.
    """

    look: str | None = None
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where and how the network computes.

    Attributes:
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `torch` or `onnx:PROVIDER`, see `choose_engine`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
    """

    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class RestoringOptions(LatentOptions, DeviceOptions):
    """How an LR stream is restored.

    Attributes:
        model: weights file or name, where the card's name is not enough or there is no card.
        upscaler: `model`, or, on the same LR stream, `lanczos` and `bicubic` for ordinary resampling, `rcan` for
            super-resolution.
        weights: official checkpoint of RCAN, for `rcan`.
        reuse: parts of a frame that are exactly as they were before are not computed again; never changes a byte.
    """

    model: str | None = None
    upscaler: str = "model"
    weights: Path | str | None = None
    reuse: bool = True


def check_temperature(temperature: float | None) -> None:
    """Refuse a temperature out of range.

    Raises:
        BadOption: it is below 0 or above 10.
    """
    if temperature is not None and not 0 <= temperature <= 10:
        raise BadOption(f"a temperature of {temperature:g} makes no sense", hint="0 (the mean) to 1; at most 10")


_KINDS: dict[Any, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "text"),
    Path: (Path, "a path"),
    NoneType: (NoneType, "None"),
}


def check_types(options: Any) -> None:
    """Refuse a field of another type than it should have, which would fail somewhere in the middle.

    Raises:
        BadOption: names the field.
    """
    hints = get_type_hints(type(options))
    for field in fields(options):
        value, kinds = getattr(options, field.name), get_args(hints[field.name]) or (hints[field.name],)
        right = tuple(_KINDS[kind][0] for kind in kinds)
        if not isinstance(value, right) or (isinstance(value, bool) and bool not in kinds):
            said = " or ".join(_KINDS[kind][1] for kind in kinds)
            raise BadOption(f"{field.name} cannot be {value!r}", hint=f"it is {said}")
