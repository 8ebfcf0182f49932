"""What a training run does, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from irn_video.codecs.errors import BadConfig
from irn_video.pipeline.commandline.toml import read_toml
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
    """What makes a network look real instead of exact: IRN+ (perceptual_task.py), codec-aware (texture_task.py).

    Attributes:
        adversarial: weight of the adversarial loss beside the others; 0 for none of this.
        features: weight of the difference in the critic's features.
        strength: weight of the squared difference in the local strength of details (codec-aware networks only).
        width: feature channels of the critic's first layer.
        rate: factor on the learning rate for the critic.
    """

    adversarial: float = 0.0
    features: float = 0.0
    strength: float = 0.0
    width: int = 32
    rate: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        name: of the network that comes out.
        network: its architecture.
        codec: how the LR pictures are coded on their way (codec-aware networks only).
        perceptual: adversarial training.
        teacher: name or weights file of a larger network of the same scale to learn from; empty for none.
        teaching: how much of the loss is against what the teacher predicts, the rest is against the source.
        contrast: by how much the fine luma of the LR picture that is aimed at is stronger than the source's: the least
            squared error makes faint what is not sure, which VMAF-NEG takes for blur. 0 for the source as it is.
        crop: side of the HR crops in samples, a multiple of 8, at scale 1.5 of 24.
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
    teacher: str = ""
    teaching: float = 0.6
    contrast: float = 0.0
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
    config = read_toml(TrainConfig, path)
    _check_ranges(config, path)
    return config


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
        "crop must be a multiple of 24 at scale 1.5": config.network.scale != 1.5 or config.crop % 24 == 0,
        'codec.sender must be "fixed" at scales 1 and 1.5': (
            config.codec.sender == "fixed" or config.network.scale not in (1, 1.5)
        ),
        'crop must be a multiple of 32 unless codec.sender is "fixed"': (
            config.codec.sender == "fixed" or config.crop % 32 == 0
        ),
        'teacher needs a codec-aware network and codec.sender = "fixed"': (
            not config.teacher or (config.network.family == "codec-aware" and config.codec.sender == "fixed")
        ),
        "contrast must be from 0 to 0.2": 0 <= config.contrast <= 0.2,
        "teaching must be from 0 to 1": 0 <= config.teaching <= 1,
        "codec.sender_rate must be from 0 to 1": 0 <= config.codec.sender_rate <= 1,
        "codec.rate_weight must be from 0 to 10": 0 <= config.codec.rate_weight <= 10,
        "perceptual.adversarial, features, strength and rate must be from 0 to 100": all(
            0 <= value <= 100 for value in _weights(config.perceptual)
        ),
        'perceptual.adversarial needs a paper network and loss = "mean", or a codec-aware one of scale 2 or 4': (
            not config.perceptual.adversarial
            or (config.network.family == "paper" and config.loss == "mean")
            or (config.network.family == "codec-aware" and config.network.scale in (2, 4))
        ),
        'perceptual.adversarial of a codec-aware network needs codec.sender = "fixed", no teacher, no contrast': (
            not config.perceptual.adversarial
            or (config.codec.sender == "fixed" and not config.teacher and not config.contrast)
        ),
        "perceptual.width must be from 1 to 512": 1 <= config.perceptual.width <= 512,
        "codec.frames must be from 1 to 250": 1 <= config.codec.frames <= 250,
    }
    for message, holds in checks.items():
        if not holds:
            raise BadConfig(message, path=path)


def _weights(perceptual: PerceptualConfig) -> tuple[float, ...]:
    return perceptual.adversarial, perceptual.features, perceptual.strength, perceptual.rate
