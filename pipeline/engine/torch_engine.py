"""Codec-aware networks on PyTorch: on GPUs, and wherever one wants bf16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.engine import Draw, Engine, Planes
from irn_video.pipeline.engine.noise import windows
from irn_video.pipeline.network import CodecAwareRescaler, Prediction
from irn_video.pipeline.network.codec_aware import pack, unpack
from irn_video.pipeline.zoo.card import Weights, network_of
from irn_video.pipeline.zoo.tuned import tuned_network
from numpy.typing import NDArray
from torch import Tensor


class TorchEngine(Engine):
    """See `Engine`.

    Args:
        network: on any device.
        device: where it runs, and in what precision.
    """

    workers = 1

    def __init__(self, network: CodecAwareRescaler, device: Device) -> None:
        self.network, self.device, self.where = network.to(device.torch_device), device, str(device)

    @classmethod
    def of(cls, weights: Weights, device: Device) -> TorchEngine:
        """For the weights of a codec-aware network."""
        network = network_of(weights)
        assert isinstance(network, CodecAwareRescaler)
        return cls(network, device)

    def tuned(self, arrays: Mapping[str, NDArray[np.float32]]) -> TorchEngine:
        """The same with other weights."""
        return TorchEngine(tuned_network(self.network, arrays), self.device)

    def downscale(self, planes: Planes, unit: float, qp: float | None) -> Planes:
        """Always in float32, so that every precision sends the same picture."""
        with torch.inference_mode():
            small = self.network.lowpass(self._packed(planes, unit))
            return self._planes(self.network.prefilter(small, qp) * unit)

    def predict(self, planes: Planes, unit: float, qp: float | None, temperature: float) -> tuple[Prediction, float]:
        """By convolutions in the device's precision."""
        with self.device.inference():
            return self.network.predict(self._packed(planes, unit), qp), unit

    def reverse(self, predicted: tuple[Prediction, float], draw: Draw, bits: int | None) -> Planes:
        """In float32."""
        prediction, unit = predicted
        with torch.inference_mode():
            latent = drawn(prediction, draw)
            restored = self.network.upscale(prediction.lr, latent) * unit
            if bits is not None:
                restored = restored.round_().clamp_(0, (1 << bits) - 1).to(torch.uint8 if bits == 8 else torch.int32)
            planes = self._planes(restored)
        if bits in (None, 8):
            return planes
        y, u, v = (plane.astype(np.uint16) for plane in planes)
        return y, u, v

    def _packed(self, planes: Planes, unit: float) -> Tensor:
        """(1, 6, h/2, w/2) in [0, 1]."""
        y, u, v = (_tensor(plane).to(self.device.torch_device).float()[None, None] / unit for plane in planes)
        return pack(y, u, v)

    def _planes(self, packed: Tensor) -> Planes:
        y, u, v = (plane[0, 0].cpu().numpy() for plane in unpack(packed))
        return y, u, v


def drawn(prediction: Prediction, draw: Draw) -> Tensor:
    """Latent of one picture, with the noise that every engine has."""
    mean = prediction.mean
    if not draw.temperature or not mean.shape[1]:
        return mean
    _, channels, height, width = mean.shape
    rows = np.stack(windows(draw.seed, draw.index, channels, height * width))
    noise = torch.from_numpy(rows).to(mean.device).view(1, channels, height, width)
    return torch.addcmul(mean, noise.to(mean.dtype), prediction.std, value=draw.temperature)


def _tensor(plane: NDArray[Any]) -> Tensor:
    samples = plane.astype(np.int32) if plane.dtype == np.uint16 else plane
    return torch.from_numpy(np.ascontiguousarray(samples))
