"""Model cards and weights files: safetensors, with the card in the header.

Weights are NumPy arrays under the names of the network's state dict; PyTorch is only imported to build a network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irn_video.codecs.errors import BadWeights, MissingFile
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.network.shapes import shapes_of
from irn_video.pipeline.network.spec import NetworkSpec
from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    import numpy as np
    from irn_video.pipeline.network import InvertibleRescaler
    from numpy.typing import NDArray
    from torch import Tensor

_CARD_KEY = "irn_video_card"
_CARD_VERSION = 1
# Far above any network here; a larger file is refused before it is read.
_MAX_BYTES = 1 << 30
_MAX_CARD = 1 << 16
_TYPES = ("F16", "F32", "F64")
_Arrays = Mapping[str, "NDArray[Any]"]


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
class Weights:
    """What a weights file holds, without a network to run.

    Attributes:
        card: its model card.
        arrays: by their names in the network's state dict, float32 whatever the file has; not to be written to.
        sha256: digest of the weights as they are in the file (of float16, where it has that), whatever the card says.
    """

    card: ModelCard
    arrays: Mapping[str, NDArray[np.float32]]
    sha256: str


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


def read_weights(path: Path) -> Weights:
    """Weights and card of a weights file, read without PyTorch.

    Those of a codec-aware network have been checked to fit it, those of others fit if `read_model` builds the network.

    Raises:
        MissingFile: there is no such file.
        BadWeights: damaged, without a card, of another type than float16, float32 or float64, or with tensors that do
            not fit the network or are not finite.
    """
    import numpy as np

    card, tensors = read_card(path), _read_tensors(path)
    with np.errstate(over="ignore"):  # what is too large for float32 is found not to be finite
        arrays = {name: tensor.astype(np.float32, copy=False) for name, tensor in tensors.items()}
    if (shapes := shapes_of(card.network)) is not None:
        _check_shapes(arrays, shapes, path)
    _check_finite(arrays, path)
    return Weights(card, arrays, _digest(tensors))


def read_model(path: Path) -> LoadedModel:
    """Network and card of a weights file.

    Raises:
        MissingFile, BadWeights: see `read_weights`.
    """
    weights = read_weights(path)
    network = weights.card.network.build()
    _load(network, weights.arrays, path)
    return LoadedModel(weights.card, network, weights.sha256)


def network_of(weights: Weights) -> InvertibleRescaler:
    """A network of PyTorch's with these weights, which have been checked to fit."""
    import torch

    network = weights.card.network.build()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.arrays.items()})
    return network


def write_scores(path: Path, scores: str) -> None:
    """Change what the card of a weights file says it scored; the weights stay as they are, float16 ones too.

    Raises:
        MissingFile, BadWeights: see `read_model`.
        UnwritableOutput: the file cannot be replaced.
    """
    model = read_model(path)
    _write(path, replace(model.card, scores=scores), _read_tensors(path), overwrite=True)


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """As they are in the file."""
    try:
        with safe_open(path, "np") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name, kind in types.items() if kind in _TYPES}
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"not a readable safetensors file: {error}", path=path, hint="fetch it again") from error
    if others := sorted(types.keys() - tensors.keys()):
        raise BadWeights(f"{others[0]} is of type {types[others[0]]}", path=path, hint="save it as float32 or float16")
    return tensors


def write_model(path: Path, card: ModelCard, state: Mapping[str, Tensor], *, overwrite: bool = False) -> str:
    """Save a network's state dict, in the types that it has, with its card; returns the digest.

    Raises:
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    return _write(path, card, arrays_of(state), overwrite=overwrite)


def _write(path: Path, card: ModelCard, arrays: _Arrays, *, overwrite: bool) -> str:
    from safetensors.numpy import save

    text = json.dumps({"version": _CARD_VERSION, **asdict(card)}, sort_keys=True)
    with atomic_path(path, overwrite=overwrite) as temporary:
        # save_file would make it unreadable for others
        temporary.write_bytes(save(dict(arrays), metadata={_CARD_KEY: text}))
    return _digest(arrays)


def arrays_of(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """A state dict of PyTorch as contiguous arrays, which share memory with such tensors on the CPU."""
    return {name: tensor.detach().contiguous().cpu().numpy() for name, tensor in state.items()}


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a network's state dict, in order of their names."""
    return _digest(arrays_of(state))


def _digest(arrays: _Arrays) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} torch.{array.dtype} {array.shape}\n".encode())  # as PyTorch calls the types
        sha.update(array.tobytes())
    return sha.hexdigest()


def load_strictly(network: InvertibleRescaler, state: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict, key by key and shape by shape.

    Raises:
        BadWeights: names the first tensors that are missing, unknown, of another shape or not finite.
    """
    _load(network, arrays_of(state), path)


def _load(network: InvertibleRescaler, arrays: _Arrays, path: Path) -> None:
    import torch

    _check_shapes(arrays, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, path)
    _check_finite(arrays, path)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def _check_shapes(arrays: _Arrays, expected: Mapping[str, tuple[int, ...]], path: Path) -> None:
    missing, unknown = sorted(expected.keys() - arrays.keys()), sorted(arrays.keys() - expected.keys())
    if missing or unknown:
        parts = [f"{word} {_some(keys)}" for word, keys in (("missing", missing), ("unknown", unknown)) if keys]
        raise BadWeights(f"the tensors do not fit the network: {'; '.join(parts)}", path=path)
    for name, shape in expected.items():
        if (given := arrays[name].shape) != shape:
            raise BadWeights(f"{name} has shape {given} instead of {shape}", path=path)


def _check_finite(arrays: _Arrays, path: Path) -> None:
    import numpy as np

    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise BadWeights(f"{name} holds values that are not finite numbers", path=path)


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
