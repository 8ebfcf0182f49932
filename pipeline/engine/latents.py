"""Latents drawn on PyTorch, with the noise that every engine has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from irn_video.pipeline.engine.engine import Draw
from irn_video.pipeline.engine.noise import field, windows
from irn_video.pipeline.network import Prediction
from torch import Tensor


@dataclass(frozen=True)
class NoiseField:
    """Noise on a device, for pictures of one size.

    Attributes:
        samples: of each channel of a latent.
        values: of which windows are taken, (n,).
    """

    samples: int
    values: Tensor

    def windows(self, places: Tensor) -> Tensor:
        """As `noise.windows`, in one step for all channels: (C,) places → (C, samples)."""
        return self.values.unfold(0, self.samples, 1).index_select(0, places)


class NoiseFields:
    """Fields of noise that stay on a device.

    Args:
        device: where they are kept, those of the last two seeds or sizes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._kept = device, lru_cache(maxsize=2)(self._made)

    def __call__(self, seed: int, samples: int) -> NoiseField:
        """See `NoiseField`."""
        return self._kept(seed, samples)

    def _made(self, seed: int, samples: int) -> NoiseField:
        return NoiseField(samples, torch.from_numpy(field(seed, samples).copy()).to(self._device))


def drawn(prediction: Prediction, draw: Draw) -> Tensor:
    """Latent of one picture, (1, C, h, w)."""
    mean = prediction.mean
    if not draw.temperature or not mean.shape[1]:
        return mean
    rows = np.stack(windows(draw.seed, draw.index, mean.shape[1], mean[0, 0].numel()))
    return with_noise(prediction, torch.from_numpy(rows).to(mean.device), draw.temperature)


def with_noise(prediction: Prediction, noise: Tensor, temperature: float) -> Tensor:
    """Mean and so much of the spread of a latent (1, C, h, w), for noise (C, h·w)."""
    mean = prediction.mean
    return torch.addcmul(mean, noise.view_as(mean).to(mean.dtype), prediction.std, value=temperature)
