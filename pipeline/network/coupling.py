"""The affine coupling layer (IRN, section 3.2; InvBlockExp in the reference implementation)."""

from __future__ import annotations

import torch
from irn_video.pipeline.network.subnets import DenseBlock
from torch import Tensor, nn


class AffineCoupling(nn.Module):
    """An invertible step on x = (x1 | x2), where x1 is what becomes the LR picture.

        y1 = x1 + F(x2)
        y2 = x2 · exp(s(y1)) + G(y1),   s = 2·sigmoid(H(y1)) − 1, so each step scales by at most e

    Args:
        channels: of x.
        split: of x1.
    """

    def __init__(self, channels: int, split: int) -> None:
        super().__init__()
        self.split = split
        self.F = DenseBlock(channels - split, split)
        self.G = DenseBlock(split, channels - split)
        self.H = DenseBlock(split, channels - split)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → same shape."""
        x1, x2 = x[:, : self.split], x[:, self.split :]
        y1 = x1 + self.F(x2)
        y2 = x2 * torch.exp(self.log_scale(y1)) + self.G(y1)
        return torch.cat((y1, y2), 1)

    def inverse(self, y: Tensor) -> Tensor:
        """Undo `forward`."""
        y1, y2 = y[:, : self.split], y[:, self.split :]
        x2 = (y2 - self.G(y1)) * torch.exp(-self.log_scale(y1))
        x1 = y1 - self.F(x2)
        return torch.cat((x1, x2), 1)

    def log_scale(self, y1: Tensor) -> Tensor:
        """s(y1)."""
        return 2 * torch.sigmoid(self.H(y1)) - 1
