"""The receiver of a codec-aware network as one ONNX file, for programs without PyTorch.

    y, u, v (uint8), qp ── features ── convolutions ──> restored LR planes, mean of the latent
                        ── wavelet, reversed ─────────> restored_y, restored_u, restored_v (uint8)

What is computed is `CodecAwareRescaler.predict` and `upscale` with the mean of the latent (temperature 0), in float32.
A lifting step is one convolution. See `onnx_graph.py` for how graphs are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.network.constants import LUMA, PACKED, THIRDS_DETAIL, THIRDS_EDGE, latent_channels_of
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.folding import check_family
from irn_video.pipeline.zoo.onnx_graph import FLOAT, UINT8, Array, Graph, RestorerGraph, floats, model_of
from irn_video.pipeline.zoo.registry import find_model, load_weights
from irn_video.pipeline.zoo.weight_update import changeable

if TYPE_CHECKING:
    import onnx

INPUTS = ("y", "u", "v", "qp")
OUTPUTS = ("restored_y", "restored_u", "restored_v")
_CHROMA, _BANDS, _KINDS = 2, 3, 5
_PEAK, _MOST_QP = 255.0, 51.0


def export_onnx(
    name: str,
    path: Path,
    *,
    tuned: Mapping[str, Array] | None = None,
    planar: bool = False,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
) -> int:
    """Write the receiver of a network, given by name or weights file; returns the size in bytes.

    Args:
        name: of the network.
        path: of the file.
        tuned: weights in the place of its own, as a stream brings them along.
        planar: see `planar_graph`.
        inputs: files that must not be written over.
        overwrite: replace an existing file.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `load_weights`.
        BadOption: a network of the paper's family, or see `planar_graph`.
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    file = find_model(name)
    check_output(path, [file, *inputs], overwrite)
    weights = load_weights(str(file))
    weights = weights if tuned is None else replace(weights, arrays=tuned)
    content: bytes = (planar_graph(weights) if planar else receiver_graph(weights)).SerializeToString()
    with atomic_path(path, [file, *inputs], overwrite) as temporary:
        temporary.write_bytes(content)
    return len(content)


def receiver_graph(weights: Weights, *, tunable: bool = False) -> onnx.ModelProto:
    """The receiver of a codec-aware network, checked for being well formed.

    With `tunable`, all that tuned weights may change (`weight_update.changeable`) are inputs too, under the names of
    the weights, float32 in their shapes.

    Inputs: `y` uint8 (1, 1, h, w), `u` and `v` uint8 (1, 1, h/2, w/2), h and w even, the LR picture as decoded; `qp`
    float32 (1,), its mean H.264 quantiser (0…51). Outputs: `restored_y` uint8 (1, 1, scale·h, scale·w), `restored_u`
    and `restored_v` of half that along each axis, padding included.

    Raises:
        BadOption: a network of the paper's family.
    """
    import onnx

    graph, scale = Graph(), weights.card.network.scale
    given = changeable(weights.arrays) if tunable else []
    _add_receiver(graph, weights, given)
    tuned = [onnx.helper.make_tensor_value_info(name, FLOAT, weights.arrays[name].shape) for name in given]
    quantiser = onnx.helper.make_tensor_value_info(INPUTS[3], FLOAT, [1])
    inputs, outputs = _infos(INPUTS[:3], ""), _infos(OUTPUTS, f"{scale:g}*" if scale > 1 else "")
    return _checked(graph.proto("receiver", [*inputs, quantiser, *tuned], outputs), weights)


def planar_graph(weights: Weights) -> onnx.ModelProto:
    """Likewise with one input and one output, for programs that know frames of floats alone, such as vs-mlrt.

    Input: `planes` float32 (1, 4, h, w), h and w even: Y, U and V as coded, divided by 255, U and V with each sample
    repeated to the size of Y, and the quantiser divided by 51. Output: `restored` float32 (1, 3, scale·h, scale·w), Y,
    U and V likewise.

    Raises:
        BadOption: a network of the paper's family, or of scale 3/2: such programs know whole scales.
    """
    from onnx.helper import make_tensor_value_info

    scale = weights.card.network.scale
    if scale != int(scale):
        raise BadOption(f"{weights.card.name} is of scale {scale:g}", hint="planar files are for whole scales")
    graph = Graph()
    *planes, quantiser = graph.split("planes", (1, 1, 1, 1))
    for plane, name in zip(planes, INPUTS[:3], strict=True):
        if name != INPUTS[0]:
            limits = np.full(2, np.iinfo(np.int64).max)
            plane = graph("Slice", plane, np.zeros(2, np.int64), limits, np.array((2, 3)), np.array((2, 2)))
        graph("Cast", _rounded(graph, plane), name=name, to=UINT8)
    mean = graph("ReduceMean", quantiser, axes=[1, 2, 3], keepdims=0)
    graph("Mul", mean, floats(_MOST_QP), name=INPUTS[3])
    _add_receiver(graph, weights)
    y, *chroma = (graph("Div", graph("Cast", plane, to=FLOAT), floats(_PEAK)) for plane in OUTPUTS)
    twice = np.array((1, 1, 2, 2), np.float32)
    nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    graph("Concat", y, *(graph("Resize", plane, "", twice, **nearest) for plane in chroma), name="restored", axis=1)
    inputs = make_tensor_value_info("planes", FLOAT, [1, len(INPUTS), "h", "w"])
    outputs = make_tensor_value_info("restored", FLOAT, [1, len(OUTPUTS), f"{scale:g}*h", f"{scale:g}*w"])
    return _checked(graph.proto("receiver", [inputs], [outputs]), weights)


def _checked(graph: onnx.GraphProto, weights: Weights) -> onnx.ModelProto:
    """What is written, with what it says of itself."""
    import onnx

    card = weights.card
    proto = model_of(graph, version("irn-video"), card.summary)
    facts = {"model": card.name, "sha256": weights.sha256, "scale": card.network.scale, "licence": card.licence}
    onnx.helper.set_model_props(proto, {key: str(value) for key, value in facts.items()})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _infos(names: Sequence[str], times: str) -> list[onnx.ValueInfoProto]:
    from onnx.helper import make_tensor_value_info

    sides: list[list[int | str]] = [[1, 1, f"{times}h{half}", f"{times}w{half}"] for half in ("", "/2", "/2")]
    return [make_tensor_value_info(name, UINT8, side) for name, side in zip(names, sides, strict=True)]


def _rounded(graph: Graph, plane: str) -> str:
    """0…1 → whole levels."""
    return graph("Clip", graph("Round", graph("Mul", plane, floats(_PEAK))), floats(0), floats(_PEAK))


def _add_receiver(graph: Graph, weights: Weights, given: Sequence[str] = ()) -> None:
    """From the planes that arrived to those that are shown, `INPUTS` to `OUTPUTS`; weights of these names are inputs.

    Raises:
        BadOption: a network of the paper's family.
    """
    check_family(weights.card)
    y, u, v = (graph("Div", graph("Cast", plane, to=FLOAT), floats(_PEAK)) for plane in INPUTS[:3])
    chroma = graph.join((u, v))
    packed = graph.join((graph("SpaceToDepth", y, blocksize=2), chroma))
    spec, taps = weights.card.network, weights.arrays.get("wavelet.taps", np.zeros((0, 0), np.float32))
    correction, latent = _predicted(graph, weights, given, packed)
    luma_correction, chroma_correction = graph.split(correction, (LUMA, _CHROMA))
    y, chroma = graph("Add", y, _planes(graph, luma_correction)), graph("Add", chroma, chroma_correction)
    if spec.scale == 1.5:
        luma_details, chroma_details = graph.split(latent, (_KINDS * LUMA, _KINDS * _CHROMA))
        y = _synthesised_thirds(graph, taps, y, _planes(graph, luma_details), 1)
        chroma = _synthesised_thirds(graph, taps, chroma, chroma_details, _CHROMA)
    elif spec.scale > 1:
        y, chroma = _synthesised_halves(graph, taps, y, chroma, latent, int(spec.scale).bit_length() - 1)
    u, v = graph.split(chroma, (1, 1))
    for plane, name in zip((y, u, v), OUTPUTS, strict=True):
        graph("Cast", _rounded(graph, plane), name=name, to=UINT8)


def _predicted(graph: Graph, weights: Weights, given: Sequence[str], packed: str) -> tuple[str, str]:
    """Packed picture (1, 6, h, w) → its corrections, and the means of the latent, which at scale 1 has no channels."""
    spec = weights.card.network
    network = RestorerGraph.of(graph, {**weights.arrays, **{name: name for name in given}}, spec)
    fold, latent = network.fold, latent_channels_of(spec.scale)
    shifted = graph("Sub", packed, floats(0.5))
    # A row and a column more than are there are needed where a side is odd, and do no harm where it is not: the cells
    # are a convolution of stride `fold`, which leaves out what does not fill one.
    whole = graph("Pad", shifted, _edges(0, 0, fold - 1, fold - 1), mode="edge") if fold > 1 else shifted
    said, _ = network(whole, network.condition_of(INPUTS[3]))
    correction, mean = graph.split(said, (PACKED * fold**2, latent)) if latent else (said, "")
    if fold == 1:
        return correction, mean
    unfolded = graph("DepthToSpace", correction, blocksize=fold, mode="CRD")
    size = graph("Shape", packed, start=2, end=4)
    return graph("Slice", unfolded, np.zeros(2, np.int64), size, np.array((2, 3))), mean


def _synthesised_halves(graph: Graph, taps: Array, y: str, chroma: str, latent: str, levels: int) -> tuple[str, str]:
    """The coarsest level first; its details come last."""
    sizes = [_BANDS * part * 4**level for level in reversed(range(levels)) for part in (LUMA, _CHROMA)]
    parts = graph.split(latent, sizes)
    for level in range(levels):
        luma_details, chroma_details = parts[-2 - 2 * level], parts[-1 - 2 * level]
        for _ in range(level):  # the finer the level, the more of its samples lie in one cell
            luma_details, chroma_details = _planes(graph, luma_details), _planes(graph, chroma_details)
        y = _synthesised(graph, taps, y, _planes(graph, luma_details), 1)
        chroma = _synthesised(graph, taps, chroma, chroma_details, _CHROMA)
    return y, chroma


def _synthesised_thirds(graph: Graph, taps: Array, low: str, details: str, planes: int) -> str:
    """Averages (1, planes, 2h, 2w), details (1, 5·planes, h, w) → (1, planes, 3h, 3w), all of it on the grid of h×w."""
    of_low, of_details = [planes] * 4, [planes] * _KINDS
    top_left, top_right, bottom_left, bottom_right = graph.split(graph("SpaceToDepth", low, blocksize=2), of_low)
    left, right, top, bottom, diagonal = graph.split(details, of_details)
    s0, s1 = graph.join((top_left, top_right, top)), graph.join((bottom_left, bottom_right, bottom))
    rows = _thirds(graph, taps, (s0, s1, graph.join((left, right, diagonal))), 3 * planes, axis=2)
    parts = zip(*(graph.split(row, [planes] * 3) for row in rows), strict=True)
    left, right, horizontal = (graph.join(part) for part in parts)
    columns = [
        graph.split(x, [planes] * 3) for x in _thirds(graph, taps, (left, right, horizontal), 3 * planes, axis=3)
    ]
    phases = graph.join([column[row] for row in range(3) for column in columns])
    return graph("DepthToSpace", phases, blocksize=3, mode="DCR")


def _thirds(graph: Graph, taps: Array, parts: tuple[str, str, str], channels: int, axis: int) -> tuple[str, str, str]:
    """`ThirdsSplit.join` along an axis of (1, channels, h, w): two averages and a detail → three samples."""

    def filtered(x: str, kernel: Array) -> str:
        return _filtered(graph, x, kernel, channels, axis)

    s0, s1, d = parts
    for step, row in reversed(list(enumerate(taps))):
        if step % 2 == 0:
            d = graph("Sub", d, graph("Add", filtered(s0, row), filtered(s1, row[::-1])))
        else:
            s0, s1 = graph("Sub", s0, filtered(d, row)), graph("Sub", s1, filtered(d, row[::-1]))
    mean = graph("Mul", graph("Add", s0, s1), floats(0.5))
    edge = graph("Mul", graph("Sub", s0, s1), floats(0.25 / THIRDS_EDGE))
    detail = graph("Mul", d, floats(1 / (3 * THIRDS_DETAIL)))
    sides, middle = graph("Sub", mean, detail), graph("Add", mean, graph("Mul", detail, floats(2)))
    return graph("Add", sides, edge), middle, graph("Sub", sides, edge)


def _synthesised(graph: Graph, taps: Array, low: str, details: str, planes: int) -> str:
    """Averages (1, planes, h, w), details (1, 3·planes, h, w) → (1, planes, 2h, 2w).

    What is done alike to several bands is done at once: they are channels of one picture.
    """
    horizontal, rest = graph.split(details, (planes, 2 * planes))
    rows = _joined(graph, taps, graph.join((low, horizontal)), rest, 2 * planes, axis=2)
    halves = [graph.split(half, (planes, planes)) for half in rows]  # top and bottom: (averages, details)
    averages, differences = (graph.join(parts) for parts in zip(*halves, strict=True))
    left, right = _joined(graph, taps, averages, differences, 2 * planes, axis=3)
    (top_left, bottom_left), (top_right, bottom_right) = (graph.split(x, (planes, planes)) for x in (left, right))
    phases = graph.join((top_left, top_right, bottom_left, bottom_right))  # phase by phase, hence not `_planes`
    return graph("DepthToSpace", phases, blocksize=2, mode="DCR")


def _joined(graph: Graph, taps: Array, s: str, d: str, channels: int, axis: int) -> tuple[str, str]:
    """`LiftedSplit.join` along an axis of (1, channels, h, w)."""
    for step, row in reversed(list(enumerate(taps))):
        if step % 2 == 0:
            d = graph("Sub", d, _antisymmetric(graph, s, row, channels, axis))
        else:
            s = graph("Sub", s, _antisymmetric(graph, d, row, channels, axis))
    return graph("Add", s, d), graph("Sub", s, d)


def _antisymmetric(graph: Graph, x: str, taps: Array, channels: int, axis: int) -> str:
    """Σ taps[k−1] · (x[n+k] − x[n−k]) along an axis, edges replicated."""
    return _filtered(graph, x, np.concatenate((-taps[::-1], [0], taps)), channels, axis)


def _filtered(graph: Graph, x: str, kernel: Array, channels: int, axis: int) -> str:
    """Σ kernel[reach + k] · x[n+k] along an axis, edges replicated."""
    reach = len(kernel) // 2
    shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
    down, right = (reach, 0) if axis == 2 else (0, reach)
    padded = graph("Pad", x, _edges(down, right, down, right), mode="edge")
    return graph("Conv", padded, np.tile(kernel.astype(np.float32).reshape(shape), (channels, 1, 1, 1)), group=channels)


def _planes(graph: Graph, cells: str) -> str:
    """(1, 4·n, h, w) → (1, n, 2h, 2w), as `pixel_shuffle` does."""
    return graph("DepthToSpace", cells, blocksize=2, mode="CRD")


def _edges(top: int, left: int, bottom: int, right: int) -> Array:
    return np.array((0, 0, top, left, 0, 0, bottom, right))
