"""RCAN (Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018).

A plain super-resolution network, the peer of the invertible ones at the receiver: it enlarges an LR picture made by
bicubic resampling. Not invertible, hence no `InvertibleRescaler`. Names of modules are those of the official
checkpoints (`head.0.weight`, `body.3.body.7.body.0.weight`, …), so these load unchanged.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

GROUPS, BLOCKS, WIDTH, REDUCTION = 10, 20, 64, 16
"""The published sizes: residual groups, blocks in each, feature channels, squeeze of the attention."""
SCALES = (2, 4)
_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
_RANGE = 255.0


class ChannelAttention(nn.Module):
    """Weighs every channel by what its mean says (section 3.3)."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(width, width // reduction, 1), nn.ReLU(), nn.Conv2d(width // reduction, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) → same shape."""
        weights: Tensor = self.conv_du(x.mean((2, 3), keepdim=True))  # (N, width, 1, 1)
        return x * weights


class AttentionBlock(nn.Module):
    """Residual channel attention block, RCAB (section 3.4)."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), ChannelAttention(width, reduction)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) → same shape."""
        step: Tensor = self.body(x)
        return step + x


class ResidualGroup(nn.Module):
    """Blocks and a convolution, with a skip around them (section 3.2)."""

    def __init__(self, width: int, reduction: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(AttentionBlock(width, reduction) for _ in range(blocks)), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) → same shape."""
        step: Tensor = self.body(x)
        return step + x


class Rcan(nn.Module):
    """LR picture → HR picture, both R′G′B′ in [0, 1].

        lr (3) → − mean → conv → [groups → conv] + skip → pixel shuffle per ×2 step → conv → + mean → hr (3)

    Args:
        scale: 2 or 4.
        groups, blocks, width, reduction: sizes, those of the paper unless given.
    """

    def __init__(
        self,
        scale: int = 2,
        *,
        groups: int = GROUPS,
        blocks: int = BLOCKS,
        width: int = WIDTH,
        reduction: int = REDUCTION,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.sub_mean, self.add_mean = _mean_shift(-1), _mean_shift(1)
        self.head = nn.Sequential(_conv(3, width))
        self.body = nn.Sequential(
            *(ResidualGroup(width, reduction, blocks) for _ in range(groups)), _conv(width, width)
        )
        steps: list[nn.Module] = []
        for _ in range(int(math.log2(scale))):
            steps += [_conv(width, 4 * width), nn.PixelShuffle(2)]
        self.tail = nn.Sequential(nn.Sequential(*steps), _conv(width, 3))

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, h, w) → (N, 3, scale·h, scale·w), not clamped."""
        x = self.head(self.sub_mean(lr * _RANGE))  # (N, width, h, w); the weights are for samples in 0…255
        x = x + self.body(x)
        hr: Tensor = self.add_mean(self.tail(x)) / _RANGE
        return hr


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def _mean_shift(sign: int) -> nn.Conv2d:
    """Take away or give back the mean colour of DIV2K; stored as a 1×1 convolution, as the official code does."""
    shift = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        shift.weight.copy_(torch.eye(3)[:, :, None, None])
        assert shift.bias is not None
        shift.bias.copy_(sign * _RANGE * torch.tensor(_DIV2K_MEAN))
    return shift.requires_grad_(False)
