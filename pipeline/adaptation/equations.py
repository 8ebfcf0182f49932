"""The best last layer for some pictures, by least squares, and what of it is worth its bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from irn_video.pipeline.zoo.weight_update import COARSEST, LARGEST, MAX_EXPONENT, MIDDLE, TAPS, LastLayer
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]

_STEP = 0.02  # of a weight, in what it moves the output by, where that is 1 for a large detail
_PASSES = 5
_FIRST_BITS = (0.1, 6.0, 2.0)  # of no step, of one, and of each doubling
_MOST_BITS = 24.0


@dataclass(frozen=True)
class Equations:
    """Normal equations of a layer: what it sees is (rows,), nine taps of each channel and a 1; what it says (outputs,).

    Attributes:
        seen: sum over samples of seen · seenᵀ, (rows, rows).
        missing: sum of seen · (what it should have said − what it said)ᵀ, (rows, outputs).
        sought: likewise, where it should say what to aim at, see `Sample.aim`.
        count: samples.
    """

    seen: Matrix
    missing: Matrix
    sought: Matrix
    count: int

    @classmethod
    def of(cls, seen: Tensor, missing: Tensor, sought: Tensor) -> Equations:
        """From samples: (rows, samples), (outputs, samples), (outputs, samples)."""
        products = [product.double().cpu().numpy() for product in (seen @ seen.T, seen @ missing.T, seen @ sought.T)]
        return cls(products[0], products[1], products[2], seen.shape[1])

    @classmethod
    def total(cls, parts: Sequence[Equations]) -> Equations:
        """Of all samples together."""
        sums = [np.sum([getattr(part, name) for part in parts], 0) for name in ("seen", "missing", "sought")]
        return cls(sums[0], sums[1], sums[2], sum(part.count for part in parts))

    def gain(self, change: Matrix) -> Matrix:
        """By how much a change of the weights, (rows, outputs), lowers the mean squared error of each output."""
        gain: Matrix = (change * (2 * self.missing - self.seen @ change)).sum(0) / self.count
        return gain


def best_layer(equations: Equations, price: Matrix) -> LastLayer:
    """The change for which each output's mean squared distance from its aim, plus its `price` for each bit, is least.

    Found weight by weight: each takes the number of steps, or one fewer, that costs least given the others and how
    often each number has been taken.
    """
    rows, outputs = equations.sought.shape
    seen, rest = equations.seen / equations.count, equations.sought / equations.count
    power = np.maximum(np.diag(seen), 1e-9)
    exponents = _exponents(power)
    sizes = _spread(np.exp2(COARSEST - exponents), rows)
    steps, bits = np.zeros((rows, outputs), np.int64), _first_bits()
    for _ in range(_PASSES):
        settled = True
        for row in np.argsort(-power):
            best = rest[row] / power[row] + steps[row] * sizes[row]
            if not steps[row].any() and (power[row] * best**2 < price * bits[1]).all():
                continue  # most weights are not worth one step
            nearest = np.clip(np.round(best / sizes[row]), -LARGEST, LARGEST).astype(np.int64)
            choices = np.stack((np.zeros_like(nearest), nearest, nearest - np.sign(nearest)))
            costs = power[row] * (choices * sizes[row] - best) ** 2 + price * bits[np.abs(choices)]
            chosen = np.take_along_axis(choices, costs.argmin(0)[None], 0)[0]
            if (moved := chosen - steps[row]).any():
                rest -= np.outer(seen[:, row], moved * sizes[row])
                steps[row], settled = chosen, False
        if settled:
            break
        bits = _bits(steps)
    return LastLayer(_by_tap(steps), exponents.astype(np.uint8))


def change_of(layer: LastLayer) -> Matrix:
    """It as a change of the weights in the order of the equations, (rows, outputs)."""
    change = layer.change.astype(np.float64)
    taps, bias = change[:, :-1], change[MIDDLE, -1]
    return np.concatenate((taps.transpose(1, 0, 2).reshape(-1, taps.shape[2]), bias[None]))


def _exponents(power: Matrix) -> NDArray[np.int64]:
    """For each channel and the bias, so that a step moves the output by about the same."""
    strength = np.sqrt(np.append(power[:-1].reshape(-1, TAPS).mean(1), power[-1]))
    exponents: NDArray[np.int64] = np.clip(np.round(COARSEST - np.log2(_STEP / strength)), 0, MAX_EXPONENT).astype(
        np.int64
    )
    return exponents


def _spread(channels: Matrix, rows: int) -> Matrix:
    return np.append(np.repeat(channels[:-1], TAPS), channels[-1])[:rows]


def _by_tap(steps: NDArray[np.int64]) -> NDArray[np.int8]:
    """(rows, outputs) → (taps, channels + 1, outputs)."""
    outputs = steps.shape[1]
    result = np.zeros((TAPS, len(steps) // TAPS + 1, outputs), np.int8)
    result[:, :-1] = steps[:-1].reshape(-1, TAPS, outputs).transpose(1, 0, 2)
    result[MIDDLE, -1] = steps[-1]
    return result


def _first_bits() -> Matrix:
    none, one, doubling = _FIRST_BITS
    return np.array([none, *(one + doubling * math.log2(count) for count in range(1, LARGEST + 1))])


def _bits(steps: NDArray[np.int64]) -> Matrix:
    """Bits of each absolute number of steps, as often as it was taken."""
    counts = np.bincount(np.abs(steps).ravel(), minlength=LARGEST + 1) + 0.05
    signs = np.append(0.0, np.ones(LARGEST))
    bits: Matrix = np.minimum(signs - np.log2(counts / counts.sum()), _MOST_BITS)
    return bits
