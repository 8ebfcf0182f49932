"""The contract of every invertible rescaling network here, and the 8-bit rounding between its two halves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Prediction:
    """What the receiver infers from the LR picture that arrived.

    Attributes:
        lr: the LR picture to invert, (N, C, h, w): the received one, or a restored one.
        mean: mean of the latent given what arrived, of the latent's shape.
        log_std: natural logarithm of its standard deviation, of a shape that expands to the mean's; −∞ for what
            is never drawn.
    """

    lr: Tensor
    mean: Tensor
    log_std: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation of the latent."""
        return self.log_std.exp().to(self.mean.dtype)

    def latent(self, temperature: float, generator: torch.Generator | None = None) -> Tensor:
        """Draw mean + temperature · std · N(0, 1); the mean itself at temperature 0."""
        if temperature == 0:
            return self.mean
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=torch.float32)
        return torch.addcmul(self.mean, noise.to(self.mean.dtype), self.std, value=temperature)


class InvertibleRescaler(nn.Module, ABC):
    """A bijection between an HR picture and (LR picture, latent), with a guess at the latent for the receiver.

    The inverse contract: for every HR tensor whose sides are multiples of `multiple`,
    ``upscale(*downscale(hr)) == hr`` up to float rounding (below 1e-9 in float64), whatever the weights.
    Shapes: hr (N, C, H, W) with samples in [0, 1]; lr (N, C, H/scale, W/scale); latent (N, C·(p² − q²), H/p, W/p) for
    a scale of p/q, which is C·(scale² − 1) channels where it is whole. `downscale` returns LR before rounding;
    `prefilter` and `quantise` make the 8-bit picture of it that is sent. Networks keep no state between calls and may
    be used from several threads.

    Attributes:
        scale: HR samples per LR sample, along each axis; an int but for 3/2.
        channels: C.
        multiple: what H and W must be multiples of.
    """

    scale: float
    channels: int
    multiple: int

    @abstractmethod
    def downscale(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Forward pass: HR → (LR, latent)."""

    def prefilter(self, lr: Tensor, qp: Tensor | float | None = None) -> Tensor:
        """What is sent of an LR picture that is coded with this H.264 quantiser; here, all of it.

        Like rounding it stands between the two halves of the bijection, and `predict` makes up for it.
        """
        return lr

    @abstractmethod
    def upscale(self, lr: Tensor, latent: Tensor) -> Tensor:
        """Reverse pass: (LR, latent) → HR, the exact inverse of `downscale`."""

    @abstractmethod
    def predict(self, lr: Tensor, qp: Tensor | float | None = None) -> Prediction:
        """The latent's distribution given the LR picture that arrived and the quantiser that coded it.

        Args:
            lr: (N, C, h, w).
            qp: mean H.264 quantiser of the picture (0…51), one number or (N,); None for a losslessly carried LR.
        """

    def restore(
        self,
        lr: Tensor,
        qp: Tensor | float | None = None,
        *,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Reverse pass with a sampled latent: LR as received → HR, not clamped."""
        prediction = self.predict(lr, qp)
        return self.upscale(prediction.lr, prediction.latent(temperature, generator))


class _RoundToLevels(torch.autograd.Function):
    """Rounding with the straight-through gradient (IRN, section 3.3)."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, levels: int) -> Tensor:  # noqa: ARG004
        return (samples.clamp(0, 1) * levels).round() / levels

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


def quantise(lr: Tensor, bit_depth: int = 8) -> Tensor:
    """Clamp to [0, 1] and round to `bit_depth` bits; the gradient passes unchanged (straight through)."""
    rounded: Tensor = _RoundToLevels.apply(lr, (1 << bit_depth) - 1)  # type: ignore[no-untyped-call]
    return rounded
