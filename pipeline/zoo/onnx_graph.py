"""Writing ONNX graphs node by node, and the part of a receiver that is a network.

Graphs are not traced: PyTorch's exporter takes ten seconds for each network and needs two more packages; here every
size is dynamic without arithmetic on shapes, and the same network always gives the same bytes. What is computed is
`CodecAwareRescaler.predict`, in float32: who changes that changes this too, and the tests hold one against the other.

Names of values in a graph are of no importance, except those of its inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from irn_video.pipeline.network.basis import AROUND, CellBasis
from irn_video.pipeline.network.constants import DETAIL, PACKED, QP_CENTRE, QP_SPREAD, QP_STEPS, fold_of
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.zoo.folding import condition_at, depth_of, embedding_of, modulation_of, of_cells
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
# The lowest that has every operator used here, and the version of the file format that came with it.
OPSET, IR_VERSION = 17, 8
# onnx.TensorProto's numbers of the types.
FLOAT, UINT8 = 1, 2
# Of kernels, and the padding that keeps the size.
_SIDE = 3
_AROUND = [_SIDE // 2] * 4


class Graph:
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

    def proto(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """The finished graph."""
        from onnx.helper import make_graph

        return make_graph(self._nodes, name, inputs, outputs, self._constants)

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


@dataclass(frozen=True)
class RestorerGraph:
    """Adds the network of a codec-aware receiver to a graph.

    Attributes:
        graph: grows.
        arrays: weights by name, float32; names of values in the graph in place of those that it is given each time.
        fold: packed samples of a cell along each axis.
    """

    graph: Graph
    arrays: Mapping[str, Any]
    fold: int

    @classmethod
    def of(cls, graph: Graph, arrays: Mapping[str, Array | str], spec: NetworkSpec) -> RestorerGraph:
        """For a network."""
        return cls(graph, arrays, fold_of(spec.scale))

    def condition(self, qp: Array) -> Array:
        """What modulates the layers at a quantiser, (1,) → (1, n)."""
        return condition_at(self.arrays, qp)

    def condition_of(self, qp: str) -> str:
        """Likewise for a quantiser that the graph is given, rounded as receivers do."""
        graph, steps = self.graph, floats(QP_STEPS)
        rounded = graph("Div", graph("Round", graph("Mul", qp, steps)), steps)
        scaled = graph("Div", graph("Sub", rounded, floats(QP_CENTRE)), floats(QP_SPREAD))
        value = graph("Reshape", scaled, np.array((1, 1)))
        for weight, bias in embedding_of(self.arrays):
            value = graph("Gemm", value, weight, bias, transB=1)
            value = graph("Mul", value, graph("Sigmoid", value))
        return value

    def __call__(self, packed: str, condition: str | Array, unit: float = 1.0) -> tuple[str, str]:
        """Corrections and means of the latent in cells, and the features.

        Args:
            packed: picture less 0.5, (1, 6, h, w), with sides that are multiples of the fold.
            condition: a constant one is folded into the weights, which is quicker by half.
            unit: what the corrections and means are multiplied by.
        """
        graph, cells = self.graph, self._cells(packed)
        x = graph("Relu", self._modulated("first", cells, condition))
        for index in range(depth_of(self.arrays)):
            x = graph("Add", x, graph("Relu", self._modulated(f"body.{index}", (x,), condition)))
        scale = np.float32(DETAIL * unit)
        weight, bias = (self._times(self.arrays[f"restorer.last.{part}"], scale) for part in ("weight", "bias"))
        shortcut = self._modulated("shortcut", cells, condition, scale)
        return graph("Add", graph("Conv", x, weight, bias, pads=_AROUND), shortcut), x

    def spread(self, features: str, channels: Sequence[int]) -> str:
        """Logarithm of the standard deviation of these channels of the latent, before it is held in its range."""
        weight, bias = (self.arrays[f"restorer.spread.{part}"][list(channels)] for part in ("weight", "bias"))
        return self.graph("Conv", features, weight, bias)

    def _cells(self, packed: str) -> tuple[str, str]:
        """The samples of each cell, and the local means of Y, Cb and Cr: what `CellTransform` is linear in.

        They stay apart, since ONNX Runtime computes with 6 and 3 channels a quarter faster than with 9.
        """
        graph, fold, basis = self.graph, self.fold, CellBasis.of(self.fold)
        stride = [fold, fold]
        means = basis.rows[list(basis.means)] / basis.sizes[:, None]
        local = graph("Conv", packed, means.reshape(-1, PACKED, fold, fold), strides=stride)
        pads = [AROUND // 2] * 4
        local = graph("AveragePool", local, kernel_shape=[AROUND, AROUND], pads=pads, count_include_pad=0)
        if fold > 1:
            identity = np.eye(PACKED * fold**2, dtype=np.float32).reshape(-1, PACKED, fold, fold)
            packed = graph("Conv", packed, identity, strides=stride)
        return packed, local

    def _modulated(
        self, layer: str, parts: Sequence[str], condition: str | Array, scale: np.float32 | float = 1.0
    ) -> str:
        """`ModulatedConv` times a number; gain and bias are both linear in the condition, so one product gives them.

        Folded into the weights, the gain costs nothing per pixel, as in PyTorch. `parts` are features, or both of
        `_cells`.
        """
        weights = [self._times(self.arrays[f"restorer.{layer}.conv.weight"], scale)]
        if len(parts) > 1:
            weights = self._of_cells(weights[0])
        slope, constant = self._modulation(layer, scale)
        channels = len(slope) // 2
        graph = self.graph
        kernels: list[str | Array]
        shifts: str | Array
        if isinstance(condition, str):
            gains, moved = graph.split(graph("Gemm", condition, slope, constant, transB=1), (channels, channels))
            gains = graph("Reshape", gains, np.array((channels, 1, 1, 1)))
            kernels = [graph("Mul", kernel, gains) for kernel in weights]
            shifts = graph("Reshape", moved, np.array((channels,)))
        else:
            gain, shifts = np.split(np.einsum("nc,oc->no", condition, slope)[0] + constant, 2)
            kernels = [kernel * gain[:, None, None, None] for kernel in weights]
        result = graph("Conv", parts[0], kernels[0], shifts, pads=_AROUND)
        for x, kernel in zip(parts[1:], kernels[1:], strict=True):
            result = graph("Add", result, graph("Conv", x, kernel, pads=_AROUND))
        return result

    def _of_cells(self, weight: Any) -> list[Any]:
        """See `of_cells`: kernels over each of `_cells`."""
        if not isinstance(weight, str):
            return [*np.split(of_cells(weight, self.fold), [-3], axis=1)]
        inputs = PACKED * self.fold**2 + 3
        matrix = of_cells(np.eye(inputs, dtype=np.float32)[..., None, None], self.fold)[..., 0, 0]
        flat = self.graph("Reshape", weight, np.array((0, 0, _SIDE**2)))
        mixed = self.graph("Reshape", self.graph("MatMul", matrix.T, flat), np.array((0, 0, _SIDE, _SIDE)))
        return [*self.graph.split(mixed, (inputs - 3, 3))]

    def _modulation(self, layer: str, scale: np.float32 | float) -> tuple[Array, Any]:
        """See `modulation_of`."""
        name, bias = f"restorer.{layer}.modulation.bias", self.arrays[f"restorer.{layer}.conv.bias"]
        given, channels = self.arrays[name], len(bias)
        if not isinstance(given, str):
            return modulation_of(self.arrays, layer, scale)
        graph = self.graph
        slope, _ = modulation_of({**self.arrays, name: np.zeros(2 * channels, np.float32)}, layer, scale)
        said, shift = graph.split(graph("Reshape", given, np.array((1, -1))), (channels, channels))
        gain = graph("Add", said, floats(1))
        shift = graph("Add", graph("Mul", gain, bias * np.float32(scale)), self._times(shift, scale))
        return slope, graph.join((gain, shift))

    def _times(self, value: Any, factor: np.float32 | float) -> Any:
        """Both may be weights or values of the graph."""
        if not isinstance(value, str):
            return value * np.float32(factor)
        return self.graph("Mul", value, floats(float(factor))) if factor != 1 else value


def model_of(graph: onnx.GraphProto, version: str = "", summary: str = "") -> onnx.ModelProto:
    """What ONNX Runtime takes, or a file's content."""
    from onnx.helper import make_model, make_opsetid

    return make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[make_opsetid("", OPSET)],
        producer_name="irn-video",
        producer_version=version,
        doc_string=summary,
    )


def floats(value: float) -> Array:
    """A scalar constant."""
    return np.array(value, np.float32)
