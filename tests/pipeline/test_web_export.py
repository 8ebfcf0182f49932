"""Networks as static files for the player in the browser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from irn_video.codecs.errors import BadOption, OutputRefused
from irn_video.pipeline.zoo import load_weights
from irn_video.pipeline.zoo.onnx_export import receiver_graph
from irn_video.pipeline.zoo.web_export import MANIFEST, export_web
from irn_video.pipeline.zoo.weight_update import HiddenLayers, WeightUpdate, changeable, gain_names

NETWORK, CHEAPER = "irn-h264-x2", "irn-h264-x2-lite"


def planes(height: int, width: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    sides = {"y": (height, width), "u": (height // 2, width // 2), "v": (height // 2, width // 2)}
    return {name: random.integers(0, 256, (1, 1, *side), np.uint8) for name, side in sides.items()}


def outputs_of(model: Any, feed: dict[str, Any]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, feed)
    return found


@pytest.mark.parametrize("name", ["irn-h264-x1", "irn-h264-x1.5", NETWORK, CHEAPER, "irn-h264-x4"])
def test_weights_as_inputs_are_as_good_as_constants(name: str) -> None:
    weights = load_weights(name)
    feed = {**planes(36, 48), "qp": np.array([27.3], np.float32)}
    given = {each: weights.arrays[each] for each in changeable(weights.arrays)}
    one, other = (
        outputs_of(receiver_graph(weights), feed),
        outputs_of(receiver_graph(weights, tunable=True), {**feed, **given}),
    )
    for plane, same in zip(one, other, strict=True):
        assert np.abs(plane.astype(int) - same).max() <= 1
        assert np.mean(plane == same) > 0.999


def test_tuned_weights_as_inputs_are_what_they_are_as_constants() -> None:
    weights = load_weights(CHEAPER)
    layers, width = len(gain_names(weights.arrays)), weights.arrays["restorer.last.weight"].shape[1]
    random = np.random.default_rng(2)
    gains, left, right = (
        random.integers(-3, 4, (layers, *side)).astype(np.int8) for side in ((2 * width,), (width, 2), (2, width))
    )
    changed = WeightUpdate(HiddenLayers(gains, left, right, 6), told=-3).applied(weights.arrays)
    feed = {**planes(24, 32), "qp": np.array([31], np.float32)}
    expected = outputs_of(receiver_graph(replace(weights, arrays=changed)), feed)
    graph = receiver_graph(weights, tunable=True)
    found = outputs_of(graph, {**feed, **{each: changed[each] for each in changeable(changed)}})
    general = outputs_of(receiver_graph(weights), feed)
    assert np.mean(np.abs(expected[0].astype(int) - general[0]) > 1) > 0.01
    for plane, same in zip(expected, found, strict=True):
        assert np.abs(plane.astype(int) - same).max() <= 1


def test_files_are_what_the_manifest_says(run: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    for name in (NETWORK, CHEAPER):
        assert run("models", "export", name, "--web", folder).code == 0
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["version"] == 1
    assert set(manifest["networks"]) == {NETWORK, CHEAPER}
    for name, entry in manifest["networks"].items():
        weights = load_weights(name)
        assert weights.sha256.startswith(entry["digest"])
        assert (entry["scale"], entry["card"]["name"]) == (2, name)
        for part in ("graph", "weights"):
            content = (folder / entry[part]["file"]).read_bytes()
            assert len(content) == entry[part]["bytes"]
            assert hashlib.sha256(content).hexdigest() == entry[part]["sha256"]
        at, content = 0, (folder / entry["weights"]["file"]).read_bytes()
        for tensor in entry["weights"]["tensors"]:
            array = weights.arrays[tensor["name"]]
            assert tuple(tensor["shape"]) == array.shape
            assert np.array_equal(np.frombuffer(content, "<f4", array.size, at), array.ravel())
            at += 4 * array.size
        assert at == len(content)
    assert len(list(folder.iterdir())) == 5


def test_what_is_there_stays_unless_told(tmp_path: Path) -> None:
    export_web(CHEAPER, tmp_path)
    before = (tmp_path / f"{CHEAPER}.onnx").read_bytes()
    with pytest.raises(OutputRefused, match="exists"):
        export_web(CHEAPER, tmp_path)
    export_web(CHEAPER, tmp_path, overwrite=True)
    assert (tmp_path / f"{CHEAPER}.onnx").read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", '{"version": 9, "networks": {}}'])
def test_a_manifest_that_is_none_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(BadOption, match="manifest"):
        export_web(CHEAPER, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_one_output_is_needed(run: Callable[..., Any], tmp_path: Path) -> None:
    for outputs in ((), (tmp_path / "a.onnx", "--web", tmp_path / "b")):
        ran = run("models", "export", NETWORK, *outputs)
        assert ran.code == 2
        assert "one output is needed" in ran.err
