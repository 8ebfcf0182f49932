"""The ways of sending a clip that studies compare, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from irn_video.codecs.errors import BadOption, MissingFile
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.adaptation.effort import NAMES
from irn_video.pipeline.evaluation.complexity import complexity_of
from irn_video.pipeline.restoring import file_digest
from irn_video.pipeline.zoo.card import read_card, read_model
from irn_video.pipeline.zoo.cost import cost_of
from irn_video.pipeline.zoo.registry import find_model, unknown_model
from irn_video.pipeline.zoo.tiers import TIERS

FULL = "full"
_SHORT = {"lanczos": "lanczos-x2", "bicubic": "bicubic-x2"} | {name: tier.networks[2] for name, tier in TIERS.items()}
_PLAIN_UPSCALERS = ("lanczos", "bicubic")
_CHECKPOINTS = (".pt", ".pth")
_SIDE = 64  # of the LR picture that RCAN's cost is counted for


@dataclass(frozen=True)
class Method:
    """One way of sending.

    Attributes:
        sender: `full` for plain coding at full size, a resampler such as `lanczos-x4`, a network of the zoo or a
            weights file.
        upscaler: what enlarges in place of the sender's own way back: `lanczos`, `bicubic`, or an official checkpoint
            of RCAN; None for its own.
        adapt: effort with which the sender's network is tuned to the clip, see `SendOptions`; None for none.
    """

    sender: str
    upscaler: str | None = None
    adapt: str | None = None

    @classmethod
    def parse(cls, text: str) -> Method:
        """`SENDER`, `SENDER+UPSCALER` or `SENDER@EFFORT`; `lanczos` is `lanczos-x2`, a tier its network of scale 2.

        Raises:
            UnknownModel: no such sender; the nearest is named.
            BadOption, MissingFile: no such upscaler.
        """
        name, at, effort = text.rpartition("@")
        if at and effort in NAMES:
            method = cls(_SHORT.get(name, name), None, effort)
            if method.weights is None or read_card(method.weights).network.family != "codec-aware":
                raise BadOption(f"{text}: only networks made for H.264 are tuned to a clip", hint="irn-h264-x2@fast")
            return method
        sender, plus, upscaler = text.rpartition("+")
        if not plus or not _is_upscaler(upscaler):
            sender, upscaler = text, ""
        method = cls(_SHORT.get(sender, sender), upscaler or None)
        if method.upscaler is not None and method.scale == 1:
            raise BadOption(f"{text}: there is nothing to enlarge at full size")
        if method.checkpoint is not None and not method.checkpoint.is_file():
            raise MissingFile("no such checkpoint of an upscaler", path=method.checkpoint)
        return method

    def __str__(self) -> str:
        return self.sender + (f"+{self.upscaler}" if self.upscaler else "") + (f"@{self.adapt}" if self.adapt else "")

    @property
    def label(self) -> str:
        """For people: files by their names without folder and suffix."""
        label = "+".join(map(_label, (self.sender, self.upscaler) if self.upscaler else (self.sender,)))
        return f"{label}@{self.adapt}" if self.adapt else label

    @property
    def checkpoint(self) -> Path | None:
        """The file of the upscaler, if it is one."""
        return Path(self.upscaler) if self.upscaler and Path(self.upscaler).suffix in _CHECKPOINTS else None

    @property
    def is_file(self) -> bool:
        """The sender's network is named by its weights file, which a receiver must be told of."""
        return Path(self.sender).suffix == ".safetensors"

    @property
    def weights(self) -> Path | None:
        """The file of the sender's network, if it is one."""
        return None if self.sender == FULL or self.sender in RESAMPLERS else _found(self.sender)

    @property
    def scale(self) -> float:
        """HR samples per LR sample along each axis.

        Raises:
            UnknownModel: no such sender.
        """
        if self.sender == FULL:
            return 1
        if self.sender in RESAMPLERS:
            return RESAMPLERS[self.sender][1]
        return _scale(_found(self.sender))

    def absolute(self) -> Method:
        """The same, for a process in another folder."""
        return Method(_absolute(self.sender), _absolute(self.upscaler) if self.upscaler else None, self.adapt)

    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each file it uses."""
        return tuple(_digest(path, path.stat().st_mtime_ns) for path in (self.weights, self.checkpoint) if path)


def macs_per_pixel(method: Method) -> tuple[int | None, int | None]:
    """Multiply-accumulates per HR pixel of the networks that shrink and that enlarge; None where there is none."""
    network = None if method.weights is None else read_model(method.weights).network
    down, up = (None, None) if network is None else cost_of(network)
    if method.checkpoint is not None:
        cost = complexity_of(str(method.checkpoint), _SIDE, _SIDE)
        up = cost.forward.macs // enlarged(_SIDE, cost.scale) ** 2
    return down, None if method.upscaler and method.checkpoint is None else up


def _is_upscaler(text: str) -> bool:
    return text in _PLAIN_UPSCALERS or Path(text).suffix in _CHECKPOINTS


def _absolute(name: str) -> str:
    return str(Path(name).absolute()) if Path(name).is_file() else name


def _label(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix in (".safetensors", *_CHECKPOINTS) else name


def _found(name: str) -> Path:
    try:
        return find_model(name)
    except LookupError as error:
        raise unknown_model(name, (FULL, *RESAMPLERS)) from error


@cache
def _scale(weights: Path) -> float:
    return read_card(weights).network.scale


@cache
def _digest(path: Path, _changed: int) -> str:
    return file_digest(path)
