"""Model cards and weights files: safetensors, with the card in the header.

PyTorch is imported where weights are read or written, so that cards are listed quickly.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irn_video.codecs.errors import BadWeights, MissingFile
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.network.spec import NetworkSpec
from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    from irn_video.pipeline.network import InvertibleRescaler
    from torch import Tensor

_CARD_KEY = "irn_video_card"
_CARD_VERSION = 1
# Far above any network here; a larger file is refused before it is read.
_MAX_BYTES = 1 << 30
_MAX_CARD = 1 << 16


@dataclass(frozen=True)
class ModelCard:
    """What a network is and what to expect of it.

    Attributes:
        name: in the registry.
        network: its architecture.
        summary: what it is for, in a sentence.
        training: how it was trained.
        data: on what.
        licence: of the weights, SPDX.
        scores: measured figures with the command that gives them.
        macs_down: multiply-accumulates per HR pixel of the sender.
        macs_up: of the receiver.
        temperature: default temperature of the latents.
        origin: where imported weights come from, empty for our own.
    """

    name: str
    network: NetworkSpec
    summary: str
    training: str
    data: str
    licence: str
    scores: str
    macs_down: int
    macs_up: int
    temperature: float
    origin: str = ""


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights.

    Attributes:
        card: its model card.
        network: on the CPU, float32, in evaluation mode.
        sha256: digest of the weights, whatever the card says.
    """

    card: ModelCard
    network: InvertibleRescaler
    sha256: str


def read_card(path: Path) -> ModelCard:
    """The card of a weights file.

    Raises:
        MissingFile: there is no such file.
        BadWeights: not a safetensors file with a card of this version.
    """
    _check_file(path)
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"not a readable safetensors file: {error}", path=path, hint="fetch it again") from error
    return _parse_card(metadata.get(_CARD_KEY), path)


def read_model(path: Path) -> LoadedModel:
    """Network and card of a weights file.

    Raises:
        MissingFile: there is no such file.
        BadWeights: damaged, without a card, or with tensors that do not fit the network.
    """
    card = read_card(path)
    state = _read_tensors(path)
    network = card.network.build()
    load_strictly(network, state, path)
    return LoadedModel(card, network, digest(state))


def write_scores(path: Path, scores: str) -> None:
    """Change what the card of a weights file says it scored; the weights stay as they are, float16 ones too.

    Raises:
        MissingFile, BadWeights: see `read_model`.
        UnwritableOutput: the file cannot be replaced.
    """
    model = read_model(path)
    write_model(path, replace(model.card, scores=scores), _read_tensors(path), overwrite=True)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"not a readable safetensors file: {error}", path=path, hint="fetch it again") from error


def write_model(path: Path, card: ModelCard, state: dict[str, Tensor], *, overwrite: bool = False) -> str:
    """Save weights with their card; returns the digest.

    Raises:
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    from safetensors.torch import save

    whole = {name: value.detach().contiguous().cpu() for name, value in state.items()}
    text = json.dumps({"version": _CARD_VERSION, **asdict(card)}, sort_keys=True)
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(whole, metadata={_CARD_KEY: text}))  # save_file would make it unreadable for others
    return digest(whole)


def digest(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of the tensors, in order of their names."""
    import torch

    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().contiguous().cpu()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def load_strictly(network: InvertibleRescaler, state: dict[str, Tensor], path: Path) -> None:
    """Load weights, key by key and shape by shape.

    Raises:
        BadWeights: names the first tensors that are missing, unknown, of another shape or not finite.
    """
    import torch

    expected = network.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        parts = [f"{word} {_some(keys)}" for word, keys in (("missing", missing), ("unknown", unknown)) if keys]
        raise BadWeights(f"the tensors do not fit the network: {'; '.join(parts)}", path=path)
    for name, tensor in expected.items():
        given = state[name]
        if given.shape != tensor.shape:
            raise BadWeights(f"{name} has shape {tuple(given.shape)} instead of {tuple(tensor.shape)}", path=path)
        if not given.is_floating_point() or not torch.isfinite(given).all():
            raise BadWeights(f"{name} holds values that are not finite numbers", path=path)
    network.load_state_dict(state)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise MissingFile("no such weights file", path=path, hint="irn-models list shows what is there")
    if path.stat().st_size > _MAX_BYTES:
        raise BadWeights(f"larger than {_MAX_BYTES >> 20} MiB", path=path)


def _parse_card(text: str | None, path: Path) -> ModelCard:
    if text is None:
        raise BadWeights("no model card inside", path=path, hint="irn-models import makes one for official checkpoints")
    try:
        values: Any = json.loads(text) if len(text) <= _MAX_CARD else None
    except (ValueError, RecursionError) as error:
        raise BadWeights("the model card is not JSON", path=path) from error
    if not isinstance(values, dict) or values.pop("version", None) != _CARD_VERSION:
        raise BadWeights("the model card is of another version", path=path, hint="a newer irn-video may be needed")
    try:
        network = NetworkSpec(**values.pop("network"))
        card = ModelCard(network=network, **values)
    except (TypeError, KeyError) as error:
        raise BadWeights(f"the model card is not complete: {error}", path=path) from error
    except BadWeights as error:
        raise BadWeights(error.what, path=path, hint=error.hint) from error
    _check_types(card, path)
    return card


def _check_types(card: ModelCard, path: Path) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "str": str,
        "int": int,
        "float": (int, float),
        "NetworkSpec": NetworkSpec,
    }
    for field in dataclasses.fields(card):
        if not isinstance(getattr(card, field.name), kinds[str(field.type)]):
            raise BadWeights(f"the model card's {field.name} is of the wrong type", path=path)
    if not 0 <= card.temperature <= 10:
        raise BadWeights(f"the model card's temperature {card.temperature} is out of range", path=path)
