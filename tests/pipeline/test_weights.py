"""Weights as arrays: read, checked and changed without PyTorch."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadUpdate, BadWeights
from irn_video.pipeline.network.shapes import shapes_of
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.zoo import (
    ModelCard,
    find_model,
    list_models,
    load_model,
    load_weights,
    read_model,
    read_weights,
    write_model,
)
from irn_video.pipeline.zoo.card import digest
from irn_video.pipeline.zoo.weight_update import HiddenLayers, LastLayer, WeightUpdate, changeable
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

SHIPPED = [entry.card.name for entry in list_models() if entry.shipped]
TINY = NetworkSpec("codec-aware", width=4, depth=1)


def tiny(spec: NetworkSpec = TINY) -> tuple[ModelCard, dict[str, Tensor]]:
    card = dataclasses.replace(load_weights().card, name="tiny", network=spec)
    return card, spec.build().state_dict()


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    """A file such as `write_model` would not make."""
    save_file(state, path, metadata={"irn_video_card": json.dumps({"version": 1, **dataclasses.asdict(tiny()[0])})})
    return path


def digest_by_torch(state: dict[str, Tensor]) -> str:
    """As the digests were made that stand in streams and reports."""
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(f"{name} {state[name].dtype} {tuple(state[name].shape)}\n".encode())
        sha.update(state[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights(name: str) -> None:
    weights, model = load_weights(name), load_model(name)
    state = model.network.state_dict()
    assert weights.card == model.card
    in_file = load_file(find_model(name))
    assert weights.sha256 == model.sha256 == digest(in_file) == digest_by_torch(in_file)
    assert weights.arrays.keys() == state.keys()
    for key, tensor in state.items():
        assert weights.arrays[key].dtype == np.float32
        assert np.array_equal(weights.arrays[key], tensor.numpy())


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64])
def test_types(kind: torch.dtype, tmp_path: Path) -> None:
    """The digest is of what the file has, the arrays are float32."""
    card, state = tiny()
    state = {name: tensor.to(kind) for name, tensor in state.items()}
    written = write_model(tmp_path / "x.safetensors", card, state)
    weights = read_weights(tmp_path / "x.safetensors")
    assert weights.sha256 == written == digest_by_torch(state)
    for name, array in weights.arrays.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, state[name].float().numpy())


def test_the_layout_of_a_tensor_does_not_matter(tmp_path: Path) -> None:
    card, state = tiny()
    other = {n: t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for n, t in state.items()}
    assert not all(tensor.is_contiguous() for tensor in other.values())
    digests = [write_model(tmp_path / f"{i}.safetensors", card, tensors) for i, tensors in enumerate((state, other))]
    assert digests[0] == digests[1] == read_weights(tmp_path / "1.safetensors").sha256
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.int32, torch.float8_e4m3fn])
def test_other_types_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    state = {name: tensor.to(kind) for name, tensor in tiny()[1].items()}
    with pytest.raises(BadWeights) as raised:
        read_weights(saved(tmp_path / "x.safetensors", state))
    assert raised.value.what.startswith(f"{min(state)} is of type ")


@pytest.mark.parametrize("read", [read_weights, read_model])
def test_what_does_not_fit_is_named(read: object, tmp_path: Path) -> None:
    assert callable(read)
    path, state, name = tmp_path / "x.safetensors", tiny()[1], "restorer.last.bias"
    rest = {key: tensor for key, tensor in state.items() if key != name}
    for broken, said in (
        (rest, f"missing {name}"),
        (state | {"extra": torch.zeros(1)}, "unknown extra"),
        (state | {name: torch.zeros(23)}, rf"{name} has shape \(23,\) instead of \(24,\)"),
        (state | {name: torch.full((24,), torch.nan)}, f"{name} holds values that are not finite"),
        (state | {name: torch.full((24,), 1e300, dtype=torch.float64)}, f"{name} holds values that are not finite"),
    ):
        with pytest.raises(BadWeights, match=said):
            read(saved(path, broken))


@pytest.mark.parametrize(("scale", "width", "depth"), list(itertools.product((1, 1.5, 2, 4), (1, 5), (0, 3))))
def test_shapes_are_known_without_a_network(scale: float, width: int, depth: int) -> None:
    for coring in (0.0, 0.5):
        spec = NetworkSpec("codec-aware", scale, width, depth, coring)
        assert shapes_of(spec) == {name: tuple(tensor.shape) for name, tensor in spec.build().state_dict().items()}
    assert shapes_of(NetworkSpec("paper")) is None


# Made by the first version that sent such messages, with PyTorch.
MESSAGE = base64.b64decode("AQNlYKkCyOUOqE5Q0oeaOFVN8q7BdqYwSK+Mu2CNOSFHrMsqU20je9ce4V/KhuywHWMuy2FM2XMDcBtW+v8=")
CHANGED = "04907c0ab7c44b0139a12534fd3a1de1395e647fbd09109535a2af957a9ec78b"
BIAS = "restorer.embedding.0.bias"
SENT = b"AQOCrY0qoclmqScm6u1GD9V4tJsjxp0NWKQLwvJf7xh6IwO3nfkTJUUO5KpEjWsFOgkwhJGnTG/8dQ=="
SENT_TOLD = b"AQLa3dPPmt/qS/eT9u6WD+6w9RQZrbGKZj9HyXZ8UkaJVGObyZNfFJgD1nCkkwtPsanTe1PkxO+npA=="
TOLD = b"AQLF0YHeAbvpow=="


@pytest.fixture
def general() -> dict[str, NDArray[np.float32]]:
    """Some weights of a network of width 2 and depth 1, the same everywhere."""
    shapes = shapes_of(NetworkSpec("codec-aware", width=2, depth=1))
    assert shapes is not None
    made = {}
    for index, name in enumerate((*changeable(shapes), "restorer.embedding.0.weight")):
        numbers = (np.arange(np.prod(shapes[name])) * 7919 + index * 104_729) % 2001
        made[name] = (numbers / np.float32(1001) - np.float32(1)).astype(np.float32).reshape(shapes[name])
    return made


def test_old_updates_mean_what_they_meant(general: dict[str, NDArray[np.float32]]) -> None:
    """To the bit: hidden layers with a mixing of rank 2, and the last layer."""
    changed = WeightUpdate.from_message(MESSAGE, general)
    names = [name for name in changeable(general) if name != BIAS]  # which they cannot change
    assert hashlib.sha256(b"".join(changed[name].tobytes() for name in names)).hexdigest() == CHANGED
    assert changed[BIAS] is general[BIAS]
    assert all(array.dtype == np.float32 for array in changed.values())


def some(told: int) -> WeightUpdate:
    gains, none = np.ones((2, 4), np.int8), np.zeros((2, 2, 0), np.int8)
    hidden = HiddenLayers(gains, none, none.transpose(0, 2, 1), 5)
    return WeightUpdate(hidden, LastLayer(np.ones((9, 3, 24), np.int8), np.full(3, 5, np.uint8)), told)


def test_messages_keep_their_bytes(general: dict[str, NDArray[np.float32]]) -> None:
    """Those without a quantiser are of version 2, as before there were others."""
    for update, expected in ((some(0), SENT), (some(-7), SENT_TOLD), (WeightUpdate(told=5), TOLD)):
        assert base64.b64encode(update.to_message(general)) == expected


@pytest.mark.parametrize("told", range(-16, 17))
def test_what_is_told_arrives(general: dict[str, NDArray[np.float32]], told: int) -> None:
    """As a bias of what the quantiser goes through, and alone as well as with other changes."""
    for update in (WeightUpdate(told=told), some(told)):
        changed = WeightUpdate.from_message(update.to_message(general), general)
        expected = update.applied(general)
        assert all(np.array_equal(changed[name], expected[name]) for name in general)
        row = general["restorer.embedding.0.weight"][:, 0]
        assert np.allclose(changed[BIAS], general[BIAS] + row * (told / 12), atol=1e-6)
        assert changed["restorer.embedding.0.weight"] is general["restorer.embedding.0.weight"]
    assert bool(WeightUpdate(told=told)) == (told != 0)


def test_damaged_tellings_are_refused(general: dict[str, NDArray[np.float32]]) -> None:
    """Every bit turned: all of it is checked but for what the last bits leave open."""
    message, right = WeightUpdate(told=-9).to_message(general), WeightUpdate(told=-9).applied(general)
    refused = 0
    for bit in range(8 * len(message)):
        data = bytearray(message)
        data[bit // 8] ^= 1 << bit % 8
        try:
            found = WeightUpdate.from_message(bytes(data), general)
        except BadUpdate:
            refused += 1
        else:
            assert all(np.array_equal(found[name], right[name]) for name in general)
    assert refused > 6 * len(message)


def test_what_stays_is_shared(general: dict[str, NDArray[np.float32]]) -> None:
    hidden, last = some(0).hidden, some(0).last
    updates = (WeightUpdate(), WeightUpdate(hidden), WeightUpdate(None, last), WeightUpdate(told=3), some(3))
    for update, count in zip(updates, (0, 2, 2, 1, 5), strict=True):
        before = {name: array.copy() for name, array in general.items()}
        changed = update.applied(general)
        assert list(changed) == list(general)
        assert sum(changed[name] is not general[name] for name in general) == count
        assert all(np.array_equal(general[name], before[name]) for name in general)


def test_no_torch_is_needed() -> None:
    """By what lists cards, reads weights and decodes an update."""
    code = f"""
import sys
from irn_video.pipeline.zoo import list_models, load_weights
from irn_video.pipeline.zoo.weight_update import LastLayer, WeightUpdate
import numpy as np
assert list_models()
weights = load_weights({str(find_model("irn-h264-x2"))!r}).arrays
outputs, channels = weights["restorer.last.weight"].shape[:2]
steps = np.zeros((9, channels + 1, outputs), np.int8)
steps[4] = 1
update = WeightUpdate(None, LastLayer(steps, np.full(channels + 1, 9, np.uint8)), told=-3)
changed = WeightUpdate.from_message(update.to_message(weights), weights)
assert (changed["restorer.last.bias"] - weights["restorer.last.bias"]).any()
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
