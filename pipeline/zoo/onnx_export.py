"""The receiver of a codec-aware network as one ONNX file, for programs without PyTorch.

    y, u, v (uint8), qp ── features ── convolutions ──> restored LR planes, mean of the latent
                        ── wavelet, reversed ─────────> restored_y, restored_u, restored_v (uint8)

The graph is written node by node, not traced. PyTorch's exporter takes ten seconds for each network, needs two more
packages and spells the wavelet out in hundreds of slices; here a lifting step is one convolution, every size is dynamic
without arithmetic on shapes, and the same network always gives the same bytes. What is computed is
`CodecAwareRescaler.predict` and `upscale` with the mean of the latent (temperature 0), in float32: who changes those
changes this too, and the tests hold one against the other.

Names of values in the graph are of no importance, except those of its inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.cells import BRIGHTNESS, CONTRAST, CellTransform
from irn_video.pipeline.network.codec_aware import DETAIL, PACKED, QP_CENTRE, QP_SPREAD, ModulatedConv, Restorer
from irn_video.pipeline.network.lifting import LiftedSplit
from irn_video.pipeline.zoo.card import LoadedModel
from irn_video.pipeline.zoo.registry import find_model, load_model
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    import onnx

INPUTS = ("y", "u", "v", "qp")
OUTPUTS = ("restored_y", "restored_u", "restored_v")
# The lowest that has every operator used here, and the version of the file format that came with it.
_OPSET, _IR_VERSION = 17, 8
_LUMA, _CHROMA, _BANDS = 4, 2, 3
_PEAK = 255.0
# onnx.TensorProto's numbers of the types.
_FLOAT, _UINT8 = 1, 2

Array = NDArray[Any]


def export_onnx(name: str, path: Path, *, overwrite: bool = False) -> int:
    """Write the receiver of a network, given by name or weights file; returns the size in bytes.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `load_model`.
        BadOption: a network of the paper's family, or the package `onnx` is missing.
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    weights = find_model(name)
    check_output(path, [weights], overwrite)
    content: bytes = receiver_graph(load_model(str(weights))).SerializeToString()
    with atomic_path(path, [weights], overwrite) as temporary:
        temporary.write_bytes(content)
    return len(content)


def receiver_graph(model: LoadedModel) -> onnx.ModelProto:
    """The receiver of a codec-aware network, checked for being well formed.

    Inputs: `y` uint8 (1, 1, h, w), `u` and `v` uint8 (1, 1, h/2, w/2), h and w even, the LR picture as decoded; `qp`
    float32 (1,), its mean H.264 quantiser (0…51). Outputs: `restored_y` uint8 (1, 1, scale·h, scale·w), `restored_u`
    and `restored_v` of half that along each axis, padding included.

    Raises:
        BadOption: a network of the paper's family, or the package `onnx` is missing.
    """
    network = model.network
    if not isinstance(network, CodecAwareRescaler):
        raise BadOption(
            f"{model.card.name} is a network of the paper and works on RGB; only receivers of 4:2:0 are exported",
            hint="name a codec-aware network, such as irn-h264-x2",
        )
    try:
        import onnx
    except ImportError as error:
        raise BadOption("writing ONNX files needs onnx", hint="pip install 'irn-video[onnx]'") from error
    graph = _Graph()
    _receiver(graph, network)
    proto = onnx.helper.make_model(
        graph.proto(network.scale),
        ir_version=_IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        producer_name="irn-video",
        producer_version=version("irn-video"),
        doc_string=model.card.summary,
    )
    facts = {"model": model.card.name, "sha256": model.sha256, "scale": network.scale, "licence": model.card.licence}
    onnx.helper.set_model_props(proto, {key: str(value) for key, value in facts.items()})
    onnx.checker.check_model(proto, full_check=True)
    return proto


class _Graph:
    """An ONNX graph that grows; a call adds a node and gives the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str | Array, name: str = "", **attributes: Any) -> str:
        """The only result of a node."""
        return self._add(operator, inputs, [name or f"value{len(self._nodes)}"], attributes)[0]

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """Runs of channels, none of them empty."""
        results = [f"value{len(self._nodes)}_{index}" for index in range(len(sizes))]
        return self._add("Split", (value, np.array(sizes, np.int64)), results, {"axis": 1})

    def join(self, values: Sequence[str]) -> str:
        """Channels of one after those of another."""
        return self("Concat", *values, axis=1)

    def proto(self, scale: int) -> onnx.GraphProto:
        """The finished graph."""
        from onnx.helper import make_graph, make_tensor_value_info

        def planes(names: Sequence[str], times: str) -> list[onnx.ValueInfoProto]:
            sides: list[list[int | str]] = [[1, 1, f"{times}h{half}", f"{times}w{half}"] for half in ("", "/2", "/2")]
            return [make_tensor_value_info(n, _UINT8, s) for n, s in zip(names, sides, strict=True)]

        quantiser = make_tensor_value_info(INPUTS[3], _FLOAT, [1])
        inputs, outputs = planes(INPUTS[:3], ""), planes(OUTPUTS, f"{scale}*" if scale > 1 else "")
        return make_graph(self._nodes, "receiver", [*inputs, quantiser], outputs, self._constants)

    def _add(
        self, operator: str, inputs: Sequence[str | Array], results: list[str], attributes: dict[str, Any]
    ) -> list[str]:
        from onnx.helper import make_node

        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self._nodes.append(make_node(operator, names, results, **attributes))
        return results

    def _constant(self, value: Array) -> str:
        from onnx.numpy_helper import from_array

        name = f"constant{len(self._constants)}"
        self._constants.append(from_array(np.ascontiguousarray(value), name))
        return name


def _receiver(graph: _Graph, network: CodecAwareRescaler) -> None:
    """From the planes that arrived to those that are shown."""
    y, u, v = (graph("Div", graph("Cast", plane, to=_FLOAT), _floats(_PEAK)) for plane in INPUTS[:3])
    chroma = graph.join((u, v))
    packed = graph.join((graph("SpaceToDepth", y, blocksize=2), chroma))
    parts = graph.split(_predicted(graph, network, packed), _sizes(network.levels))
    y, chroma = graph("Add", y, _planes(graph, parts[0])), graph("Add", chroma, parts[1])
    for level in range(network.levels):
        luma_details, chroma_details = parts[-2 - 2 * level], parts[-1 - 2 * level]
        for _ in range(level):  # the finer the level, the more of its samples lie in one cell
            luma_details, chroma_details = _planes(graph, luma_details), _planes(graph, chroma_details)
        y = _synthesised(graph, network.wavelet, y, _planes(graph, luma_details), 1)
        chroma = _synthesised(graph, network.wavelet, chroma, chroma_details, _CHROMA)
    u, v = graph.split(chroma, (1, 1))
    for plane, name in zip((y, u, v), OUTPUTS, strict=True):
        levels = graph("Clip", graph("Round", graph("Mul", plane, _floats(_PEAK))), _floats(0), _floats(_PEAK))
        graph("Cast", levels, name=name, to=_UINT8)


def _sizes(levels: int) -> list[int]:
    """Channels of the predictions: of LR luma and chroma, then of the details, the finest level first."""
    finest_first = (4**level for level in reversed(range(levels)))
    return [_LUMA, _CHROMA, *(_BANDS * part * times for times in finest_first for part in (_LUMA, _CHROMA))]


def _predicted(graph: _Graph, network: CodecAwareRescaler, packed: str) -> str:
    """Packed picture (1, 6, h, w) → its corrections and the means of the latent, (1, 6·scale², h, w)."""
    fold = network.fold
    # A row and a column more than are there are needed where a side is odd, and do no harm where it is not: the cells
    # are a convolution of stride `fold`, which leaves out what does not fill one.
    whole = graph("Pad", packed, _edges(0, 0, fold - 1, fold - 1), mode="edge") if fold > 1 else packed
    predicted = _restored(graph, network.restorer, _features(graph, network.cells, whole))
    if fold == 1:
        return predicted
    unfolded = graph("DepthToSpace", predicted, blocksize=fold, mode="CRD")
    size = graph("Shape", packed, start=2, end=4)
    return graph("Slice", unfolded, np.zeros(2, np.int64), size, np.array((2, 3)))


def _features(graph: _Graph, cells: CellTransform, packed: str) -> str:
    """`CellTransform` as two convolutions: of the samples, and of the local means that it takes off and appends."""
    fold, rows, means = cells.fold, cells.channels, cells.means
    basis = _array(cells.basis).reshape(-1, PACKED, fold, fold)
    averages = basis[means] / _array(cells.sizes)[..., None]
    samples = np.zeros((rows, PACKED, fold, fold), np.float32)
    samples[: len(basis)] = basis * _array(cells.scales)[..., None]
    samples[means] = averages * CONTRAST
    local, offset = np.zeros((rows, len(means), 1, 1), np.float32), np.zeros(rows, np.float32)
    for index, row in enumerate(means):
        local[row, index], local[len(basis) + index, index] = -CONTRAST, BRIGHTNESS
    offset[len(basis) :] = -BRIGHTNESS / 2
    stride = [fold, fold]
    mean = graph("Conv", packed, averages, strides=stride)
    mean = graph("AveragePool", mean, kernel_shape=[5, 5], pads=[2, 2, 2, 2], count_include_pad=0)
    return graph("Add", graph("Conv", packed, samples, strides=stride), graph("Conv", mean, local, offset))


def _restored(graph: _Graph, restorer: Restorer, features: str) -> str:
    """`Restorer`, without the spread of the latent."""
    qp = graph("Div", graph("Sub", INPUTS[3], _floats(QP_CENTRE)), _floats(QP_SPREAD))
    condition = graph("Reshape", qp, np.array((1, 1)))
    for layer in restorer.embedding:
        if isinstance(layer, nn.Linear):
            condition = graph("Gemm", condition, _array(layer.weight), _array(layer.bias), transB=1)
        else:  # SiLU
            condition = graph("Mul", condition, graph("Sigmoid", condition))
    x = graph("Relu", _modulated(graph, restorer.first, features, condition))
    for layer in restorer.body:
        assert isinstance(layer, ModulatedConv)
        x = graph("Add", x, graph("Relu", _modulated(graph, layer, x, condition)))
    last, bias = _array(restorer.last.weight) * DETAIL, _array(restorer.last.bias) * DETAIL
    shortcut = _modulated(graph, restorer.shortcut, features, condition, DETAIL)
    return graph("Add", graph("Conv", x, last, bias, pads=[1, 1, 1, 1]), shortcut)


def _modulated(graph: _Graph, layer: ModulatedConv, x: str, condition: str, scale: float = 1.0) -> str:
    """`ModulatedConv` times a number; gain and bias are both linear in the condition, so one product gives them.

    Folded into the weights, the gain costs nothing per pixel, as in PyTorch.
    """
    weight, bias = _array(layer.conv.weight) * scale, _array(layer.conv.bias) * scale
    channels = len(bias)
    slope, constant = _array(layer.modulation.weight), _array(layer.modulation.bias)
    slope = np.concatenate((slope[:channels], slope[:channels] * bias[:, None] + slope[channels:] * scale))
    constant = np.concatenate((1 + constant[:channels], (1 + constant[:channels]) * bias + constant[channels:] * scale))
    gain, shift = graph.split(graph("Gemm", condition, slope, constant, transB=1), (channels, channels))
    weights = graph("Mul", weight, graph("Reshape", gain, np.array((channels, 1, 1, 1))))
    return graph("Conv", x, weights, graph("Reshape", shift, np.array((channels,))), pads=[1, 1, 1, 1])


def _synthesised(graph: _Graph, wavelet: LiftedSplit, low: str, details: str, planes: int) -> str:
    """Averages (1, planes, h, w), details (1, 3·planes, h, w) → (1, planes, 2h, 2w).

    What is done alike to several bands is done at once: they are channels of one picture.
    """
    horizontal, rest = graph.split(details, (planes, 2 * planes))
    rows = _joined(graph, wavelet, graph.join((low, horizontal)), rest, 2 * planes, axis=2)
    halves = [graph.split(half, (planes, planes)) for half in rows]  # top and bottom: (averages, details)
    averages, differences = (graph.join(parts) for parts in zip(*halves, strict=True))
    left, right = _joined(graph, wavelet, averages, differences, 2 * planes, axis=3)
    (top_left, bottom_left), (top_right, bottom_right) = (graph.split(x, (planes, planes)) for x in (left, right))
    phases = graph.join((top_left, top_right, bottom_left, bottom_right))  # phase by phase, hence not `_planes`
    return graph("DepthToSpace", phases, blocksize=2, mode="DCR")


def _joined(graph: _Graph, wavelet: LiftedSplit, s: str, d: str, channels: int, axis: int) -> tuple[str, str]:
    """`LiftedSplit.join` along an axis of (1, channels, h, w)."""
    for step, taps in reversed(list(enumerate(_array(wavelet.taps)))):
        if step % 2 == 0:
            d = graph("Sub", d, _antisymmetric(graph, s, taps, channels, axis))
        else:
            s = graph("Sub", s, _antisymmetric(graph, d, taps, channels, axis))
    return graph("Add", s, d), graph("Sub", s, d)


def _antisymmetric(graph: _Graph, x: str, taps: Array, channels: int, axis: int) -> str:
    """Σ taps[k−1] · (x[n+k] − x[n−k]) along an axis, edges replicated."""
    reach = len(taps)
    kernel = np.concatenate((-taps[::-1], [0], taps)).astype(np.float32)
    shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
    down, right = (reach, 0) if axis == 2 else (0, reach)
    padded = graph("Pad", x, _edges(down, right, down, right), mode="edge")
    return graph("Conv", padded, np.tile(kernel.reshape(shape), (channels, 1, 1, 1)), group=channels)


def _planes(graph: _Graph, cells: str) -> str:
    """(1, 4·n, h, w) → (1, n, 2h, 2w), as `pixel_shuffle` does."""
    return graph("DepthToSpace", cells, blocksize=2, mode="CRD")


def _edges(top: int, left: int, bottom: int, right: int) -> Array:
    return np.array((0, 0, top, left, 0, 0, bottom, right))


def _floats(value: float) -> Array:
    return np.array(value, np.float32)


def _array(tensor: Tensor | None) -> Array:
    assert tensor is not None
    array: Array = tensor.detach().numpy()
    return array
