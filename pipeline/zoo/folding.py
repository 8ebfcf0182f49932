"""Layers of a codec-aware receiver as plain convolutions over the samples of cells, without PyTorch.

What is computed is `CellTransform` and `ModulatedConv`: who changes those changes this too, and the tests hold one
against the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.network.basis import BRIGHTNESS, CONTRAST, CellBasis
from irn_video.pipeline.network.constants import QP_CENTRE, QP_SPREAD
from irn_video.pipeline.zoo.card import ModelCard
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]


def check_family(card: ModelCard) -> None:
    """Refuse a network that has no such layers.

    Raises:
        BadOption: a network of the paper's family.
    """
    if card.network.family != "codec-aware":
        raise BadOption(
            f"{card.name} is a network of the paper and works on RGB; only receivers of 4:2:0 are exported",
            hint="name a codec-aware network, such as irn-h264-x2",
        )


def depth_of(arrays: Arrays) -> int:
    """Convolutions between the first and the last."""
    return sum(name.startswith("restorer.body.") and name.endswith(".conv.weight") for name in arrays)


def embedding_of(arrays: Arrays) -> list[tuple[Array, Array]]:
    """Weights and biases of the layers that the quantiser goes through."""
    names = (f"restorer.embedding.{index}" for index in (0, 2))
    return [(arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in names]


def condition_at(arrays: Arrays, qp: Array) -> Array:
    """What modulates the layers at quantisers, (n,) → (n, channels)."""
    value: Array = (qp.reshape(-1, 1) - np.float32(QP_CENTRE)) / np.float32(QP_SPREAD)
    for weight, bias in embedding_of(arrays):
        value = np.einsum("nc,oc->no", value, weight) + bias  # not @: BLAS keeps threads busy waiting after it
        value = value / (1 + np.exp(-value))  # SiLU
    return value


def modulation_of(arrays: Arrays, layer: str, scale: np.float32 | float = 1.0) -> tuple[Array, Array]:
    """Slope and constant that give from the condition the gains of a layer, then its biases times `scale`.

    Gain and bias are both linear in the condition: (2·outputs, channels) and (2·outputs,).
    """
    bias, slope, constant = (
        arrays[f"restorer.{layer}.{part}"] for part in ("conv.bias", "modulation.weight", "modulation.bias")
    )
    bias, channels = bias * np.float32(scale), len(bias)
    shift = slope[channels:] * np.float32(scale), constant[channels:] * np.float32(scale)
    slope = np.concatenate((slope[:channels], slope[:channels] * bias[:, None] + shift[0]))
    constant = np.concatenate((1 + constant[:channels], (1 + constant[:channels]) * bias + shift[1]))
    return slope, constant


def of_cells(weight: Array, fold: int) -> Array:
    """Kernels over the result of `CellTransform` → over the samples of a cell less 0.5, then the local means less 0.5.

    (outputs, 6·fold² + 3, 3, 3), both.
    """
    basis = CellBasis.of(fold)
    count = len(basis.rows)
    matrix = np.zeros((count + 3, count + 3), np.float32)
    matrix[:count, :count] = basis.rows * basis.scales[:, None]
    for index, row in enumerate(basis.means):
        matrix[row, :count] = basis.rows[row] / basis.sizes[index] * np.float32(CONTRAST)
        matrix[row, count + index], matrix[count + index, count + index] = -CONTRAST, BRIGHTNESS
    mixed: Array = np.einsum("ofyx,fc->ocyx", weight, matrix)
    return mixed
