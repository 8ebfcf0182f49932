"""A change of a receiver's weights, in whole steps, and its bytes in the stream."""

from __future__ import annotations

import copy
import struct
import zlib
from dataclasses import dataclass
from typing import Any, TypeVar

import constriction
import numpy as np
import torch
from irn_video.codecs.errors import BadUpdate
from irn_video.codecs.sei import with_zeros, without_zeros
from irn_video.pipeline.network import CodecAwareRescaler
from numpy.typing import NDArray
from torch import nn

VERSION = 1
MAX_MESSAGE_BYTES = 65_536
LARGEST = 15
"""Steps that a weight may change, either way."""
MAX_EXPONENT = 15
COARSEST = 2.0
"""Base-2 logarithm of the step of exponent 0."""
TAPS = 9
MIDDLE = TAPS // 2
Module = TypeVar("Module", bound=nn.Module)

_HEADER = struct.Struct("<BI")  # version, checksum of the changed weights
_OFTEN, _WEIGHT = 40, 6  # what a model expects before it has seen anything, and how fast it learns


@dataclass(frozen=True)
class WeightUpdate:
    """A change of the last layer of a codec-aware network.

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

    def applied(self, network: CodecAwareRescaler) -> CodecAwareRescaler:
        """A network with the changed layer, which shares everything else with `network`."""
        last = network.restorer.last
        assert last.bias is not None
        change = torch.from_numpy(self.change)
        taps = change[:, :-1].permute(2, 1, 0).reshape(last.weight.shape)
        with torch.no_grad():
            weight = last.weight + taps.to(last.weight)
            bias = last.bias + change[MIDDLE, -1].to(last.bias)
        layer = copy.copy(last)
        layer._parameters = {"weight": nn.Parameter(weight, False), "bias": nn.Parameter(bias, False)}
        restorer = _with(network.restorer, "last", layer)
        return _with(network, "restorer", restorer)

    def to_message(self, network: CodecAwareRescaler) -> bytes:
        """Bytes without zeros, for an SEI message."""
        encoder, sizes, models = (
            constriction.stream.queue.RangeEncoder(),
            _Counts.even(MAX_EXPONENT + 1),
            _step_models(),
        )
        for exponent in self.exponents[:, None].astype(np.int32):
            encoder.encode(exponent, sizes.model())
            sizes.learn(exponent)
        for tap, rows in enumerate(self.steps):
            for row in rows[: _rows(tap, len(rows))]:
                symbols = row.astype(np.int32) + LARGEST
                encoder.encode(symbols, models[tap].model())
                models[tap].learn(symbols)
        head = _HEADER.pack(VERSION, _checksum(self.applied(network)))
        return without_zeros(head + encoder.get_compressed().astype("<u4").tobytes())

    @staticmethod
    def from_message(message: bytes, network: CodecAwareRescaler) -> CodecAwareRescaler:
        """The network as the sender has changed it.

        Raises:
            BadUpdate: damaged, of another version, or made for another network.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise BadUpdate(f"the weights in the stream are too long: {len(message)} bytes")
        content, last = with_zeros(message), network.restorer.last
        if len(content) < _HEADER.size or (len(content) - _HEADER.size) % 4 or content[0] != VERSION:
            raise BadUpdate("the weights in the stream are damaged or of another version")
        words = np.frombuffer(content, "<u4", offset=_HEADER.size).astype(np.uint32)
        try:
            steps, exponents = _decoded(words, last.in_channels + 1, last.out_channels)
        except (AssertionError, ValueError) as error:  # which is how constriction says so
            raise BadUpdate("the weights in the stream are damaged: they cannot be decoded") from error
        changed = WeightUpdate(steps, exponents).applied(network)
        if _checksum(changed) != _HEADER.unpack_from(content)[1]:
            raise BadUpdate("the weights in the stream are damaged: they are not what was sent")
        return changed


class _Counts:
    """How often each symbol has come so far, which is what the next ones are expected to be."""

    def __init__(self, first: NDArray[np.int64]) -> None:
        self._counts = first

    @classmethod
    def even(cls, symbols: int) -> _Counts:
        return cls(np.ones(symbols, np.int64))

    def model(self) -> Any:
        return constriction.stream.model.Categorical(self._counts / self._counts.sum(), perfect=False)

    def learn(self, symbols: NDArray[np.int32]) -> None:
        self._counts += _WEIGHT * np.bincount(symbols, minlength=len(self._counts))


def _step_models() -> list[_Counts]:
    """One for each tap: the middle, the sides and the corners of the kernel count apart."""

    def fresh() -> _Counts:
        counts = np.ones(2 * LARGEST + 1, np.int64)
        counts[LARGEST - 1 : LARGEST + 2] = _WEIGHT, _OFTEN, _WEIGHT
        return _Counts(counts)

    middle, side, corner = fresh(), fresh(), fresh()
    return [middle if tap == MIDDLE else corner if tap % 2 == 0 else side for tap in range(TAPS)]


def _rows(tap: int, channels: int) -> int:
    return channels if tap == MIDDLE else channels - 1


def _decoded(words: NDArray[np.uint32], channels: int, outputs: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    decoder, sizes = constriction.stream.queue.RangeDecoder(words), _Counts.even(MAX_EXPONENT + 1)
    exponents = np.zeros(channels, np.uint8)
    for channel in range(channels):
        exponent = decoder.decode(sizes.model(), 1)
        sizes.learn(exponent)
        exponents[channel] = exponent[0]
    steps, models = np.zeros((TAPS, channels, outputs), np.int8), _step_models()
    for tap, model in enumerate(models):
        for channel in range(_rows(tap, channels)):
            symbols = decoder.decode(model.model(), outputs)
            model.learn(symbols)
            steps[tap, channel] = symbols - LARGEST
    return steps, exponents


def _checksum(network: CodecAwareRescaler) -> int:
    last = network.restorer.last
    assert last.bias is not None
    arrays = (value.detach().cpu().numpy().astype("<f4").tobytes() for value in (last.weight, last.bias))
    return zlib.crc32(b"".join(arrays))


def _with(module: Module, name: str, child: nn.Module) -> Module:
    """A module that differs from another in one child."""
    changed = copy.copy(module)
    changed._modules = {**module._modules, name: child}
    return changed
