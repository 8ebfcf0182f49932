"""The Haar transform as a 2×2 convolution (IRN, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# One row per subband over the pixels of a 2×2 cell, row by row: average, then horizontal, vertical and diagonal detail.
_SUBBANDS = (((1, 1), (1, 1)), ((1, -1), (1, -1)), ((1, 1), (-1, -1)), ((1, -1), (-1, 1)))


class HaarTransform(nn.Module):
    """(N, C, H, W) → (N, 4C, H/2, W/2): all averages first, then all horizontal, vertical, diagonal details.

    Weights are ±1 with a division by 4 on the way down, so the averages stay in the range of the pixels and
    the way up needs no factor. They are stored, as in the reference implementation, but never trained.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        weights = torch.tensor(_SUBBANDS, dtype=torch.float32).unsqueeze(1).repeat(channels, 1, 1, 1)
        self.haar_weights = nn.Parameter(weights, requires_grad=False)

    def forward(self, picture: Tensor) -> Tensor:
        """Split into subbands; always in the precision of the picture."""
        n, c, h, w = picture.shape
        with torch.autocast(picture.device.type, enabled=False):
            bands = F.conv2d(picture, self.haar_weights, stride=2, groups=c)  # (N, C·4, H/2, W/2), pixelwise bands
        return bands.view(n, c, 4, h // 2, w // 2).transpose(1, 2).reshape(n, 4 * c, h // 2, w // 2).div_(4)

    def inverse(self, bands: Tensor) -> Tensor:
        """Join subbands, (N, 4C, h, w) → (N, C, 2h, 2w), likewise."""
        n, c4, h, w = bands.shape
        cells = bands.view(n, 4, c4 // 4, h, w).transpose(1, 2).reshape(n, c4, h, w)
        with torch.autocast(bands.device.type, enabled=False):
            return F.conv_transpose2d(cells, self.haar_weights, stride=2, groups=c4 // 4)
