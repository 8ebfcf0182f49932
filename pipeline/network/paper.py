"""The networks of Xiao et al., "Invertible Image Rescaling", ECCV 2020 (arXiv 2005.05650), for a lossless LR."""

from __future__ import annotations

import math

import torch
from irn_video.pipeline.network.coupling import AffineCoupling
from irn_video.pipeline.network.haar import HaarTransform
from irn_video.pipeline.network.rescaler import InvertibleRescaler, Prediction
from torch import Tensor, nn


class PaperRescaler(InvertibleRescaler):
    """RGB rescaler of scale 2 or 4: per ×2 step one Haar transform and `blocks` coupling layers.

        hr (3) → [Haar → coupling × blocks] per ×2 step → lr (3) | latent (3·(scale² − 1))

    Args:
        scale: 2 or 4.
        blocks: coupling layers per step, 8 in the paper.
        latent_std: standard deviation that the latent was trained to have; 1 in the paper, smaller where the
            recipe starts from the natural scale of Haar details.
    """

    channels = 3

    scale: int

    def __init__(self, scale: int = 2, blocks: int = 8, latent_std: float = 1.0) -> None:
        super().__init__()
        self.scale = self.multiple = scale
        self.latent_std = latent_std
        operations: list[nn.Module] = []
        channels = self.channels
        for _ in range(int(math.log2(scale))):
            operations.append(HaarTransform(channels))
            channels *= 4
            operations.extend(AffineCoupling(channels, self.channels) for _ in range(blocks))
        self.operations = nn.ModuleList(operations)

    def downscale(self, hr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → LR (N, 3, H/scale, W/scale), latent."""
        x = hr
        for operation in self.operations:
            x = operation(x)
        return x[:, : self.channels], x[:, self.channels :]

    def upscale(self, lr: Tensor, latent: Tensor) -> Tensor:
        """LR and latent → (N, 3, H, W)."""
        y = torch.cat((lr, latent), 1)
        for operation in reversed(self.operations):
            y = operation.inverse(y)  # type: ignore[operator]
        return y

    def predict(self, lr: Tensor, qp: Tensor | float | None = None) -> Prediction:
        """The paper's latent does not depend on the LR picture: mean 0, one standard deviation."""
        n, c, h, w = lr.shape
        zeros = lr.new_zeros(n, c * (self.scale**2 - 1), h, w)
        return Prediction(lr, zeros, lr.new_full((), math.log(self.latent_std)))
