"""What a training run does, read from TOML."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from irn_video.codecs.errors import BadConfig, BadWeights, MissingFile
from irn_video.pipeline.network.spec import NetworkSpec

_PLURALS = {str: "strings", int: "whole numbers", float: "numbers"}
DEFAULT_PRESETS = ("medium", "medium", "slow", "veryfast")


@dataclass(frozen=True)
class CodecConfig:
    """How LR sequences are coded (x264).

    Attributes:
        crf_min: lowest CRF drawn.
        crf_max: highest CRF drawn.
        presets: drawn from with equal chance; repeat one to make it likelier.
        frames: pictures per sequence.
        sender: "fixed", or how the gradient passes the encoder so that the sender learns too (see surrogates.py).
        sender_rate: factor on the learning rate for the sender.
        rate_weight: by how much the logarithm of the squared error falls per logarithm of the bits; 1.1 is 3.3 dB per
            doubling.
    """

    crf_min: float = 12
    crf_max: float = 38
    presets: tuple[str, ...] = DEFAULT_PRESETS
    frames: int = 12
    sender: Literal["fixed", "straight-through", "surrogate", "projection"] = "fixed"
    sender_rate: float = 0.05
    rate_weight: float = 1.1


@dataclass(frozen=True)
class PerceptualConfig:
    """IRN+: what makes a paper network sharp instead of exact (see perceptual_task.py).

    Attributes:
        adversarial: weight of the adversarial loss beside the mean losses of the paper; 0 for plain IRN.
        features: weight of the difference in the critic's features.
        width: feature channels of the critic's first layer.
        rate: factor on the learning rate for the critic.
    """

    adversarial: float = 0.0
    features: float = 0.0
    width: int = 32
    rate: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        name: of the network that comes out.
        network: its architecture.
        codec: how the LR pictures are coded on their way (codec-aware networks only).
        perceptual: adversarial training (paper networks only).
        crop: side of the HR crops in samples, a multiple of 8.
        batch: crops per step.
        shards: independent streams of data that make up a batch; as many processes or a divisor of it may share them.
        workers: processes that make data, per shard (paper networks only).
        loss: of the paper networks, "mean" over samples or "sum" per crop as in the reference implementation.
        optimizer: "adam", or "muon" for convolutions with Adam at a tenth of the rate for the rest.
        learning_rate: its peak.
        betas: of Adam.
        weight_decay: of Adam, added to the gradient.
        schedule: "cosine" lets the rate fall to zero over the budget, "steps" halves it at each of `halve_at`.
        halve_at: steps.
        steps: budget in steps; 0 for a budget in minutes, which the command gets.
        warmup: steps of linear rise of the rate.
        ema: decay of the averaged weights, which are the ones kept.
        clip_fraction: share of sequences from real clips, the rest from moving photographs.
        gradient_norm: gradients are clipped to this norm.
        seed: of weights and data.
        summary: for the model card, what the network is for.
        licence: for the model card, SPDX.
        temperature: for the model card, default temperature of the latents.
        half: write the weights as float16, in half the bytes.
    """

    name: str
    network: NetworkSpec
    summary: str = ""
    licence: str = "Apache-2.0"
    temperature: float = 0.05
    codec: CodecConfig = field(default_factory=CodecConfig)
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)
    crop: int = 224
    batch: int = 16
    shards: int = 1
    workers: int = 1
    loss: Literal["mean", "sum"] = "mean"
    optimizer: Literal["adam", "muon"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: Literal["cosine", "steps"] = "cosine"
    halve_at: tuple[int, ...] = ()
    steps: int = 0
    warmup: int = 200
    ema: float = 0.999
    clip_fraction: float = 0.3
    gradient_norm: float = 1.0
    half: bool = False
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
    if get_origin(hint) is tuple:
        return _convert_list(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    choices = get_args(hint)
    if choices and value not in choices:
        raise BadConfig(f"{where} must be one of {', '.join(map(repr, choices))}")
    if not choices and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise BadConfig(f"{where} must be of type {hint.__name__}, not {type(value).__name__}")
    return value


def _convert_list(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    kind, *rest = get_args(hint)
    count = "" if Ellipsis in rest else f"{1 + len(rest)} "
    wrong = BadConfig(f"{where} must be a list of {count}{_PLURALS[kind]}")
    if not isinstance(value, list) or not value or (count and len(value) != 1 + len(rest)):
        raise wrong
    try:
        return tuple(_convert(kind, item, where) for item in value)
    except BadConfig:
        raise wrong from None


def _check_ranges(config: TrainConfig, path: Path) -> None:
    checks = {
        "crop must be a multiple of 8 from 32 to 1024": config.crop % 8 == 0 and 32 <= config.crop <= 1024,
        "temperature must be from 0 to 10": 0 <= config.temperature <= 10,
        "batch must be from 1 to 1024": 1 <= config.batch <= 1024,
        "shards must be from 1 to 1024 and divide batch": (
            1 <= config.shards <= 1024 and config.batch % config.shards == 0
        ),
        "workers must be from 1 to 64": 1 <= config.workers <= 64,
        "betas must be from 0 to below 1": all(0 <= beta < 1 for beta in config.betas),
        "weight_decay must be from 0 to 1": 0 <= config.weight_decay <= 1,
        "halve_at must rise and start above 0": all(a < b for a, b in pairwise((0, *config.halve_at))),
        'schedule = "steps" needs halve_at, and only it may have it': (
            (config.schedule == "steps") == bool(config.halve_at)
        ),
        "steps must not be negative": config.steps >= 0,
        "learning_rate must be above 0 and at most 1": 0 < config.learning_rate <= 1,
        "warmup must not be negative": config.warmup >= 0,
        "ema must be from 0 to below 1": 0 <= config.ema < 1,
        "clip_fraction must be from 0 to 1": 0 <= config.clip_fraction <= 1,
        "gradient_norm must be above 0": config.gradient_norm > 0,
        "codec.crf_min and codec.crf_max must satisfy 0 <= crf_min <= crf_max <= 51": (
            0 <= config.codec.crf_min <= config.codec.crf_max <= 51
        ),
        'crop must be a multiple of 32 unless codec.sender is "fixed"': (
            config.codec.sender == "fixed" or config.crop % 32 == 0
        ),
        "codec.sender_rate must be from 0 to 1": 0 <= config.codec.sender_rate <= 1,
        "codec.rate_weight must be from 0 to 10": 0 <= config.codec.rate_weight <= 10,
        "perceptual.adversarial, features and rate must be from 0 to 100": all(
            0 <= value <= 100
            for value in (config.perceptual.adversarial, config.perceptual.features, config.perceptual.rate)
        ),
        'perceptual.adversarial needs a paper network and loss = "mean"': (
            not config.perceptual.adversarial or (config.network.family == "paper" and config.loss == "mean")
        ),
        "perceptual.width must be from 1 to 512": 1 <= config.perceptual.width <= 512,
        "codec.frames must be from 1 to 250": 1 <= config.codec.frames <= 250,
    }
    for message, holds in checks.items():
        if not holds:
            raise BadConfig(message, path=path)
