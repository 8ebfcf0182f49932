"""Codec-aware networks on PyTorch: on GPUs, and wherever one wants bf16."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from irn_video.pipeline.engine.cuda_graphs import Runner
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.engine import Draw, Engine, Planes
from irn_video.pipeline.engine.latents import NoiseFields, with_noise
from irn_video.pipeline.engine.noise import moved, places
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import sampled_channels
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.zoo.card import Weights, network_of
from irn_video.pipeline.zoo.tuned import tuned_network
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Arrived:
    """An LR picture of which nothing was inferred yet: what is, is one function with the reverse pass.

    Attributes:
        engine: with the network that is to infer it, perhaps a tuned one.
        planes: as decoded.
        unit: see `Engine`.
        qp: as the network takes it.
    """

    engine: TorchEngine
    planes: Planes
    unit: float
    qp: float


class TorchEngine(Engine):
    """See `Engine`.

    Args:
        network: on any device.
        device: where it runs, and in what precision.
        captures: see `Runner`.
    """

    def __init__(self, network: CodecAwareRescaler, device: Device, captures: bool | None = None) -> None:
        self.network, self.device, self.where = device.placed(network), device, str(device)
        self.workers = device.workers
        self._run, self._fields = Runner(device.torch_device, captures), NoiseFields(device.torch_device)

    @classmethod
    def of(cls, weights: Weights, device: Device) -> TorchEngine:
        """For the weights of a codec-aware network."""
        network = network_of(weights)
        assert isinstance(network, CodecAwareRescaler)
        return cls(network, device)

    def tuned(self, arrays: Mapping[str, NDArray[np.float32]]) -> TorchEngine:
        """The same with other weights, never captured: they are those of a few seconds."""
        tuned = TorchEngine(tuned_network(self.network, arrays), self.device, captures=False)
        tuned._fields = self._fields
        return tuned

    def downscale(self, planes: Planes, unit: float, qp: float | None, bits: int | None) -> Planes:
        """Always in float32, so that every precision sends the same picture."""

        def small(y: Tensor, u: Tensor, v: Tensor, *quantiser: Tensor) -> tuple[Tensor, ...]:
            packed = self.network.lowpass(_packed((y, u, v), unit))
            return _planes(self.network.prefilter(packed, *quantiser) * unit, bits)

        y, u, v = self._run(("down", unit, bits), small, *planes, *([] if qp is None else [_number(qp)]))
        return y, u, v

    def predict(self, planes: Planes, unit: float, qp: float | None, temperature: float) -> Arrived:
        """Nothing yet."""
        return Arrived(self, planes, unit, qp or 0.0)

    def reverse(self, predicted: Arrived, draw: Draw, bits: int | None) -> Planes:
        """The network by convolutions in the device's precision, the rest in float32."""
        return predicted.engine._restored(predicted, draw, bits)

    def _restored(self, arrived: Arrived, draw: Draw, bits: int | None) -> Planes:
        unit, cell, seen = arrived.unit, self.network.fold, [_number(arrived.qp)]
        samples = math.prod(-(-side // cell) for side in arrived.planes[1].shape)
        noisy = draw.temperature > 0 and self.network.latent_channels > 0
        field = self._fields(draw.seed, samples) if noisy and draw.origins is None else None
        if field is not None:
            seen.append(places(draw.seed, draw.index, self.network.latent_channels))
        elif noisy:
            seen.append(self._moved(draw, samples))

        def restored(y: Tensor, u: Tensor, v: Tensor, qp: Tensor, *drawn: Tensor) -> tuple[Tensor, ...]:
            with self.device.autocast(cached=False):
                prediction = self.network.predict(_packed((y, u, v), unit), qp)
            latent = prediction.mean
            if noisy:
                noise = drawn[0] if field is None else field.windows(*drawn)
                latent = with_noise(prediction, noise, draw.temperature)
            return _planes(self.network.upscale(prediction.lr, latent) * unit, bits)

        key = "up", unit, bits, (draw.seed, draw.temperature, field is None) if noisy else None
        y, u, v = self._run(key, restored, *arrived.planes, *seen)
        return y, u, v

    def _moved(self, draw: Draw, samples: int) -> NDArray[np.float32]:
        """Noise of all channels of a latent, (C, samples), none where nothing is drawn."""
        assert draw.origins is not None
        noise, scale = np.zeros((self.network.latent_channels, samples), np.float32), self.network.scale
        for channel, drawn in zip(sampled_channels(scale), moved(draw.seed, draw.origins, scale), strict=True):
            noise[channel] = drawn.reshape(-1)
        return noise


def rounded(codes: Tensor, bits: int) -> Tensor:
    """Float32 code values, rounded and clipped to so many bits, 8 to 16."""
    return codes.round().clamp_(0, (1 << bits) - 1).to(torch.uint8 if bits == 8 else torch.uint16)


def _packed(planes: tuple[Tensor, Tensor, Tensor], unit: float) -> Tensor:
    """(1, 6, h/2, w/2) in [0, 1]."""
    y, u, v = (plane.float()[None, None] / unit for plane in planes)
    return pack(y, u, v)


def _planes(packed: Tensor, bits: int | None) -> tuple[Tensor, ...]:
    return tuple(plane[0, 0] if bits is None else rounded(plane[0, 0], bits) for plane in unpack(packed))


def _number(value: float) -> NDArray[Any]:
    return np.array([value], np.float32)
