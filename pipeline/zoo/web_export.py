"""Networks as static files for the player in the browser (receiver/web).

`networks.json` says what there is, with sizes and digests. Each network has two files: `NAME.onnx`, the receiver, with
all that tuned weights may change as inputs, and `NAME.weights`, those weights, float32, little-endian.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from irn_video.codecs.bitstream.card import digest_of
from irn_video.codecs.errors import BadOption, UnwritableOutput
from irn_video.codecs.writing.output import atomic_path, check_output, unwritable
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.onnx_export import receiver_graph
from irn_video.pipeline.zoo.registry import find_model, load_weights
from irn_video.pipeline.zoo.weight_update import QUANTISER, changeable

MANIFEST = "networks.json"
MANIFEST_VERSION = 1
_MOST = 64
_PLAIN = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


def web_files(weights: Weights) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A network's entry in the manifest, and its files by their names.

    Raises:
        BadOption: a network of the paper's family, or a name that is none of a file.
    """
    card = weights.card
    if not _PLAIN.fullmatch(card.name):
        raise BadOption(f"{card.name[:100]!r} is no name for a file", hint="give the network a name such as my-net")
    names = [*(changeable(weights.arrays)), QUANTISER]
    graph = receiver_graph(weights, tunable=True).SerializeToString()
    tensors = b"".join(weights.arrays[name].astype("<f4").tobytes() for name in names)
    files = {f"{card.name}.onnx": graph, f"{card.name}.weights": tensors}
    graph_file, tensors_file = (_entry(name, content) for name, content in files.items())
    shapes = [{"name": name, "shape": weights.arrays[name].shape} for name in names]
    entry = {
        "digest": digest_of(weights.sha256),
        "scale": card.network.scale,
        "macs_up": card.macs_up,
        "graph": graph_file,
        "weights": {**tensors_file, "tensors": shapes},
        "card": asdict(card),
    }
    return entry, files


def export_web(name: str, folder: Path, *, overwrite: bool = False) -> int:
    """Write a network, given by name or weights file, into a folder; networks that are there already stay.

    Returns:
        Bytes of its files.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `load_weights`.
        BadOption: see `web_files`, or the folder's manifest is none.
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    path = find_model(name)
    weights = load_weights(str(path))
    entry, files = web_files(weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    manifest = folder / MANIFEST
    networks = {**_networks(manifest), weights.card.name: entry}
    if len(networks) > _MOST:
        raise UnwritableOutput(f"there are {_MOST} networks already", path=folder, hint="choose another folder")
    for file in files:
        check_output(folder / file, [path], overwrite)
    for file, content in files.items():
        _write(folder / file, content, overwrite)
    text = json.dumps({"version": MANIFEST_VERSION, "networks": networks}, indent=1, sort_keys=True)
    _write(manifest, f"{text}\n".encode(), overwrite=True)  # last: what it names is there
    return sum(map(len, files.values()))


def _entry(file: str, content: bytes) -> dict[str, Any]:
    return {"file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _networks(manifest: Path) -> Mapping[str, Any]:
    """Those of a manifest, if there is one."""
    if not manifest.exists():
        return {}
    try:
        found = json.loads(manifest.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise BadOption("this is no manifest of networks", path=manifest, hint="remove it") from error
    if not isinstance(found, dict) or found.get("version") != MANIFEST_VERSION:
        raise BadOption("this manifest is none, or of another version", path=manifest, hint="remove it")
    networks = found.get("networks")
    return networks if isinstance(networks, dict) else {}


def _write(path: Path, content: bytes, overwrite: bool) -> None:
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
