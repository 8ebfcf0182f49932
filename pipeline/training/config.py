"""What a training run does, read from TOML."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from irn_video.codecs.errors import BadConfig, BadWeights, MissingFile
from irn_video.pipeline.network.spec import NetworkSpec

DEFAULT_PRESETS = ("medium", "medium", "slow", "veryfast")


@dataclass(frozen=True)
class CodecConfig:
    """How LR sequences are coded (x264).

    Attributes:
        crf_min: lowest CRF drawn.
        crf_max: highest CRF drawn.
        presets: drawn from with equal chance; repeat one to make it likelier.
        frames: pictures per sequence.
    """

    crf_min: float = 12
    crf_max: float = 38
    presets: tuple[str, ...] = DEFAULT_PRESETS
    frames: int = 12


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        name: of the network that comes out.
        network: its architecture.
        codec: how the LR pictures are coded on their way (codec-aware networks only).
        crop: side of the HR crops in samples, a multiple of 8.
        batch: crops per step.
        learning_rate: peak of Adam's rate; it falls to zero along a cosine over the time budget.
        warmup: steps of linear rise of the rate.
        ema: decay of the averaged weights, which are the ones kept.
        clip_fraction: share of sequences from real clips, the rest from moving photographs.
        gradient_norm: gradients are clipped to this norm.
        seed: of weights and data.
        summary: for the model card, what the network is for.
        licence: for the model card, SPDX.
        temperature: for the model card, default temperature of the latents.
    """

    name: str
    network: NetworkSpec
    summary: str = ""
    licence: str = "Apache-2.0"
    temperature: float = 0.05
    codec: CodecConfig = field(default_factory=CodecConfig)
    crop: int = 224
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 200
    ema: float = 0.999
    clip_fraction: float = 0.3
    gradient_norm: float = 1.0
    seed: int = 0


def load_config(path: Path) -> TrainConfig:
    """Read a TOML file; `[network]` and `[codec]` are tables.

    Raises:
        MissingFile: there is no such file.
        BadConfig: not TOML, an unknown key (the nearest known one is named), a wrong type or a value out of range.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise MissingFile("cannot read the configuration", path=path, hint=str(error.strerror)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"not valid TOML: {error}", path=path) from error
    try:
        config: TrainConfig = _from_table(TrainConfig, table, "")
    except (BadConfig, BadWeights) as error:
        raise BadConfig(error.what, path=path, hint=error.hint) from error
    _check_ranges(config, path)
    return config


def _from_table(kind: type[Any], table: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise BadConfig(f"unknown key {where}{key}", hint=f"did you mean {near[0]}?" if near else None)
    for name, entry in fields.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise BadConfig(f"{where}{name} is missing")
    return kind(**{key: _convert(hints[key], value, where + key) for key, value in table.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise BadConfig(f"{where} must be a table")
        return _from_table(hint, value, where + ".")  # type: ignore[arg-type]
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or not value:
            raise BadConfig(f"{where} must be a list of strings")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    choices = get_args(hint)
    if choices and value not in choices:
        raise BadConfig(f"{where} must be one of {', '.join(map(repr, choices))}")
    if not choices and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise BadConfig(f"{where} must be of type {hint.__name__}, not {type(value).__name__}")
    return value


def _check_ranges(config: TrainConfig, path: Path) -> None:
    checks = {
        "crop must be a multiple of 8 from 32 to 1024": config.crop % 8 == 0 and 32 <= config.crop <= 1024,
        "temperature must be from 0 to 10": 0 <= config.temperature <= 10,
        "batch must be from 1 to 1024": 1 <= config.batch <= 1024,
        "learning_rate must be above 0 and at most 1": 0 < config.learning_rate <= 1,
        "warmup must not be negative": config.warmup >= 0,
        "ema must be from 0 to below 1": 0 <= config.ema < 1,
        "clip_fraction must be from 0 to 1": 0 <= config.clip_fraction <= 1,
        "gradient_norm must be above 0": config.gradient_norm > 0,
        "codec.crf_min and codec.crf_max must satisfy 0 <= crf_min <= crf_max <= 51": (
            0 <= config.codec.crf_min <= config.codec.crf_max <= 51
        ),
        "codec.frames must be from 1 to 250": 1 <= config.codec.frames <= 250,
    }
    for message, holds in checks.items():
        if not holds:
            raise BadConfig(message, path=path)
