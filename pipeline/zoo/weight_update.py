"""A change of a receiver's weights, in whole steps, and its bytes in the stream."""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from irn_video.codecs.bitstream.sei import with_zeros, without_zeros
from irn_video.codecs.errors import BadUpdate
from irn_video.pipeline.network.constants import QP_SPREAD
from numpy.typing import ArrayLike, NDArray

VERSION, TOLD_VERSION = 2, 3
"""Of messages that say nothing of the quantiser, and of those that do."""
MAX_MESSAGE_BYTES = 65_536
LARGEST = 15
"""Steps that a weight may change, either way."""
MAX_EXPONENT = 15
MAX_RANK = 15
"""Of the mixing of a hidden layer's channels."""
MOST_TOLD = 16
"""Quantisers by which a network may be told another one than the frame's own, either way."""
COARSEST = 2.0
"""Base-2 logarithm of the step of exponent 0."""
TAPS = 9
MIDDLE = TAPS // 2
Array = NDArray[np.float32]
Arrays = Mapping[str, Array]
"""Weights of a codec-aware network under their names in its state dict, see `Weights`."""

_LAST, _LAST_BIAS = "restorer.last.weight", "restorer.last.bias"
QUANTISER, _QUANTISER_BIAS = "restorer.embedding.0.weight", "restorer.embedding.0.bias"

_HEADER = struct.Struct("<BI")  # version, checksum of the changed weights
_FINE = 2.0**24  # kernels are rounded to so fine a grid for the mixing
_OFTEN, _WEIGHT = 40, 6  # what a model expects before it has seen anything, and how fast it learns


@dataclass(frozen=True)
class LastLayer:
    """A change of the last layer of a codec-aware network's receiver.

    Attributes:
        steps: whole numbers from −`LARGEST` to `LARGEST`, (taps, channels, outputs) with nine taps; the last channel
            is the bias, which counts once, at the middle tap.
        exponents: 0 to `MAX_EXPONENT`, (channels,): a step of a channel is 2^(2 − exponent), so that every change is
            exact in float32 and sender and receiver have the same weights to the bit.
    """

    steps: NDArray[np.int8]
    exponents: NDArray[np.uint8]

    @property
    def change(self) -> NDArray[np.float32]:
        """Of the weights, in the shape of the steps."""
        sizes = np.exp2(COARSEST - self.exponents.astype(np.float32))
        change: NDArray[np.float32] = self.steps * sizes[:, None]
        return change

    def applied(self, weights: Arrays) -> dict[str, Array]:
        """Weights with another last layer; all others are the same arrays."""
        change, weight, bias = self.change, weights[_LAST], weights[_LAST_BIAS]
        taps = change[:, :-1].transpose(2, 1, 0).reshape(weight.shape)
        return {**weights, _LAST: weight + taps, _LAST_BIAS: bias + change[MIDDLE, -1]}


@dataclass(frozen=True)
class HiddenLayers:
    """A change of the hidden layers: how strong their channels are, whatever the quantiser, and how these mix.

    Kernels W of a layer become (I + left · right) · W, which costs the receiver nothing per picture.

    Attributes:
        gains: whole numbers from −`LARGEST` to `LARGEST`, (layers, 2·width): gains, then shifts.
        left: likewise, (layers, width, rank), with a rank from 0 to `MAX_RANK`.
        right: likewise, (layers, rank, width).
        exponent: 1 to `MAX_EXPONENT`: a step of the gains is 2^(2 − exponent), of `left` and `right` twice that.
    """

    gains: NDArray[np.int8]
    left: NDArray[np.int8]
    right: NDArray[np.int8]
    exponent: int

    @classmethod
    def nearest(
        cls, gains: NDArray[np.float32], left: NDArray[np.float32], right: NDArray[np.float32], exponent: int
    ) -> HiddenLayers:
        """To a change of these shapes."""
        step = 2 ** (COARSEST - exponent)
        return cls(_whole(gains, step), _whole(left, 2 * step), _whole(right, 2 * step), exponent)

    @property
    def rank(self) -> int:
        """Of the mixing."""
        rank: int = self.left.shape[2]
        return rank

    @property
    def change(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Of gains and shifts, and the two factors."""
        step = np.float32(2 ** (COARSEST - self.exponent))
        return self.gains * step, self.left * (2 * step), self.right * (2 * step)

    def applied(self, weights: Arrays) -> dict[str, Array]:
        """Weights with other hidden layers; all others are the same arrays."""
        gains, kernels = gain_names(weights), kernel_names(weights)
        changed = {name: weights[name] + row for name, row in zip(gains, self.change[0], strict=True)}
        if self.rank:
            changed |= {name: self._mixed(layer, weights[name]) for layer, name in enumerate(kernels)}
        return {**weights, **changed}

    def _mixed(self, layer: int, kernels: Array) -> Array:
        """All numbers until the last rounding are whole and below 2^53, so that the result is the same everywhere."""
        left, right = (factor[layer].astype(np.float64) for factor in (self.left, self.right))
        exact = kernels.astype(np.float64).reshape(len(kernels), -1)
        change = (left @ right) @ (exact * _FINE).round()
        mixed = exact + change * (4.0 ** (1 + COARSEST - self.exponent) / _FINE)
        result: Array = mixed.astype(np.float32).reshape(kernels.shape)
        return result


@dataclass(frozen=True)
class WeightUpdate:
    """What a receiver's network should change: one part, several or (false) nothing.

    Attributes:
        hidden: of the hidden layers.
        last: of the last layer, after that.
        told: whole quantisers, −`MOST_TOLD` to `MOST_TOLD`: what the network is told differs by so much from the
            frame's own. It sees the quantiser through a linear layer, so this is a change of that layer's bias.
    """

    hidden: HiddenLayers | None = None
    last: LastLayer | None = None
    told: int = 0

    def __bool__(self) -> bool:
        return self.hidden is not None or self.last is not None or self.told != 0

    def applied(self, weights: Arrays) -> dict[str, Array]:
        """Changed weights; those that stay are the same arrays."""
        for part in (self.hidden, self.last):
            weights = weights if part is None else part.applied(weights)
        if not self.told:
            return dict(weights)
        step = weights[QUANTISER][:, 0] * np.float32(self.told / QP_SPREAD)
        return {**weights, _QUANTISER_BIAS: weights[_QUANTISER_BIAS] + step}

    def to_message(self, weights: Arrays) -> bytes:
        """Bytes without zeros, for an SEI message to one that has these weights."""
        coder, version = _Encoder(), TOLD_VERSION if self.told else VERSION
        if self.told:
            coder.code([self.told + MOST_TOLD], _Counts.even(2 * MOST_TOLD + 1))
        coder.code([self.hidden is not None], _Counts.even(2))
        if self.hidden is not None:
            coder.code([self.hidden.exponent], _Counts.even(MAX_EXPONENT + 1))
            coder.code([self.hidden.rank], _Counts.even(MAX_RANK + 1))
            for steps in (self.hidden.gains, self.hidden.left, self.hidden.right):
                model = _Counts.of_steps()
                for layer in steps:
                    coder.code(layer.ravel() + np.int32(LARGEST), model)
        coder.code([self.last is not None], _Counts.even(2))
        if self.last is not None:
            sizes, models = _Counts.even(MAX_EXPONENT + 1), _step_models()
            for exponent in self.last.exponents:
                coder.code([exponent], sizes)
            for tap, rows in enumerate(self.last.steps):
                for row in rows[: _rows(tap, len(rows))]:
                    coder.code(row + np.int32(LARGEST), models[tap])
        return without_zeros(_HEADER.pack(version, _checksum(self.applied(weights), version)) + coder.finished())

    @staticmethod
    def from_message(message: bytes, weights: Arrays) -> dict[str, Array]:
        """The weights as the sender has changed them; those that stay are the same arrays.

        Raises:
            BadUpdate: damaged, of another version, or made for another network.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise BadUpdate(f"the weights in the stream are too long: {len(message)} bytes")
        content = with_zeros(message)
        if len(content) < _HEADER.size or (len(content) - _HEADER.size) % 4:
            raise BadUpdate("the weights in the stream are damaged")
        version, checksum = _HEADER.unpack_from(content)
        if version not in (VERSION, TOLD_VERSION):
            raise BadUpdate("the weights in the stream are damaged or of another version")
        words = np.frombuffer(content, "<u4", offset=_HEADER.size).astype(np.uint32)
        try:
            update = _decoded(_Decoder(words), weights, version)
        except (AssertionError, ValueError) as error:  # which is how constriction says so
            raise BadUpdate("the weights in the stream are damaged: they cannot be decoded") from error
        changed = update.applied(weights)
        if _checksum(changed, version) != checksum:
            raise BadUpdate("the weights in the stream are damaged: they are not what was sent")
        return changed


def gain_names(names: Iterable[str]) -> list[str]:
    """Of the biases of each hidden layer's modulation, (2·width,): gains, then shifts."""
    return [f"{layer}.modulation.bias" for layer in _hidden(names)]


def kernel_names(names: Iterable[str]) -> list[str]:
    """Of the kernels of each hidden layer, (width, in, 3, 3)."""
    return [f"{layer}.conv.weight" for layer in _hidden(names)]


def changeable(names: Iterable[str]) -> list[str]:
    """Of all that an update may change, in the order of its checksum."""
    known = set(names)
    return [*gain_names(known), *kernel_names(known), _LAST, _LAST_BIAS, _QUANTISER_BIAS]


class _Counts:
    """How often each symbol has come so far, which is what the next ones are expected to be."""

    def __init__(self, first: NDArray[np.int64]) -> None:
        self._counts = first

    @classmethod
    def even(cls, symbols: int) -> _Counts:
        return cls(np.ones(symbols, np.int64))

    @classmethod
    def of_steps(cls) -> _Counts:
        """Most weights stay, and small steps come more often than large ones."""
        counts = np.ones(2 * LARGEST + 1, np.int64)
        counts[LARGEST - 1 : LARGEST + 2] = _WEIGHT, _OFTEN, _WEIGHT
        return cls(counts)

    def model(self) -> Any:
        return _stream().model.Categorical(self._counts / self._counts.sum(), perfect=False)

    def learn(self, symbols: NDArray[np.int32]) -> None:
        self._counts += _WEIGHT * np.bincount(symbols, minlength=len(self._counts))


class _Encoder:
    """Codes symbols with a model that learns them."""

    def __init__(self) -> None:
        self._coder = _stream().queue.RangeEncoder()

    def code(self, symbols: ArrayLike, model: _Counts) -> None:
        array = np.asarray(symbols, np.int32)
        self._coder.encode(array, model.model())
        model.learn(array)

    def finished(self) -> bytes:
        words: bytes = self._coder.get_compressed().astype("<u4").tobytes()
        return words


class _Decoder:
    """Undoes `_Encoder`."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._coder = _stream().queue.RangeDecoder(words)

    def symbols(self, count: int, model: _Counts) -> NDArray[np.int32]:
        found: NDArray[np.int32] = self._coder.decode(model.model(), count)
        model.learn(found)
        return found

    def symbol(self, model: _Counts) -> int:
        return int(self.symbols(1, model)[0])


def _stream() -> Any:
    """Constriction's coders: streams without weights do without them."""
    from constriction import stream

    return stream


def _whole(change: NDArray[np.float32], step: float) -> NDArray[np.int8]:
    return np.clip(np.round(change / step), -LARGEST, LARGEST).astype(np.int8)


def _step_models() -> list[_Counts]:
    """One for each tap: the middle, the sides and the corners of the kernel count apart."""
    middle, side, corner = (_Counts.of_steps() for _ in range(3))
    return [middle if tap == MIDDLE else corner if tap % 2 == 0 else side for tap in range(TAPS)]


def _rows(tap: int, channels: int) -> int:
    return channels if tap == MIDDLE else channels - 1


def _decoded(coder: _Decoder, weights: Arrays, version: int) -> WeightUpdate:
    told = coder.symbol(_Counts.even(2 * MOST_TOLD + 1)) - MOST_TOLD if version == TOLD_VERSION else 0
    hidden = _decoded_hidden(coder, weights) if coder.symbol(_Counts.even(2)) else None
    return WeightUpdate(hidden, _decoded_last(coder, weights) if coder.symbol(_Counts.even(2)) else None, told)


def _decoded_hidden(coder: _Decoder, weights: Arrays) -> HiddenLayers:
    exponent, rank = coder.symbol(_Counts.even(MAX_EXPONENT + 1)), coder.symbol(_Counts.even(MAX_RANK + 1))
    layers, width = len(gain_names(weights)), weights[_LAST].shape[1]

    def steps(*shape: int) -> NDArray[np.int8]:
        model = _Counts.of_steps()
        found = [coder.symbols(math.prod(shape), model) - LARGEST for _ in range(layers)]
        return np.stack(found).astype(np.int8).reshape(layers, *shape)

    return HiddenLayers(steps(2 * width), steps(width, rank), steps(rank, width), exponent)


def _decoded_last(coder: _Decoder, weights: Arrays) -> LastLayer:
    outputs, channels = weights[_LAST].shape[0], weights[_LAST].shape[1] + 1
    sizes, models = _Counts.even(MAX_EXPONENT + 1), _step_models()
    exponents = np.array([coder.symbol(sizes) for _ in range(channels)], np.uint8)
    steps = np.zeros((TAPS, channels, outputs), np.int8)
    for tap, model in enumerate(models):
        for channel in range(_rows(tap, channels)):
            steps[tap, channel] = coder.symbols(outputs, model) - LARGEST
    return LastLayer(steps, exponents)


def _checksum(weights: Arrays, version: int) -> int:
    """Of what a message of this version may change."""
    names = [name for name in changeable(weights) if version == TOLD_VERSION or name != _QUANTISER_BIAS]
    return zlib.crc32(b"".join(weights[name].astype("<f4").tobytes() for name in names))


def _hidden(names: Iterable[str]) -> list[str]:
    """The hidden layers, from first to last."""
    known = set(names)
    body = (f"restorer.body.{index}" for index in itertools.count())
    return ["restorer.first", *itertools.takewhile(lambda layer: f"{layer}.conv.weight" in known, body)]
