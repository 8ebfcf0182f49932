"""The sender's coring as an ONNX graph: `coring.py` says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from irn_video.pipeline.network.basis import dct_of_blocks
from irn_video.pipeline.network.constants import CORING_SHIFTS, CORING_SIDE
from irn_video.pipeline.zoo.onnx_graph import FLOAT, Graph, floats

if TYPE_CHECKING:
    import onnx


def coring_graph(height: int, width: int) -> onnx.GraphProto:
    """`plane` float32 (height, width) and `threshold` float32 in the same unit → the plane, cored."""
    from onnx.helper import make_tensor_value_info

    graph, side = Graph(), CORING_SIDE
    basis = dct_of_blocks(side).astype(np.float32)
    means = np.zeros(side * side, np.float32)
    means[0] = 1  # those of the blocks stay
    cored = []
    for down, right in CORING_SHIFTS:
        rows, columns = -(-(height + down) // side), -(-(width + right) // side)
        edges = np.array((down, right, rows * side - height - down, columns * side - width - right))
        whole = graph("Pad", "plane", edges, mode="edge")
        blocks = graph("Transpose", graph("Reshape", whole, np.array((rows, side, columns, side))), perm=[0, 2, 1, 3])
        coefficients = graph("MatMul", graph("Reshape", blocks, np.array((-1, side * side))), basis.T)
        relative = graph("Div", coefficients, "threshold")
        gain = graph("Max", graph("Min", graph("Mul", relative, relative), floats(1)), means)
        blocks = graph("MatMul", graph("Mul", coefficients, gain), basis)
        blocks = graph("Transpose", graph("Reshape", blocks, np.array((rows, columns, side, side))), perm=[0, 2, 1, 3])
        whole = graph("Reshape", blocks, np.array((rows * side, columns * side)))
        start, end = np.array((down, right)), np.array((down + height, right + width))
        cored.append(graph("Slice", whole, start, end, np.array((0, 1))))
    result = graph("Mean", *cored)
    infos = [make_tensor_value_info(n, FLOAT, s) for n, s in (("plane", [height, width]), ("threshold", []))]
    return graph.proto("coring", infos, [make_tensor_value_info(result, FLOAT, [height, width])])
