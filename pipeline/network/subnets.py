"""The functions inside the coupling layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GROWTH = 32
_SLOPE = 0.2
_GAIN = 0.1


class DenseBlock(nn.Module):
    """Five 3×3 convolutions, each fed with all that came before (IRN, section 3.2, after ESRGAN).

    (N, in, h, w) → (N, out, h, w). Xavier weights times 0.1 and a zero last layer: a coupling layer starts as
    the identity.
    """

    def __init__(self, channels_in: int, channels_out: int, growth: int = GROWTH) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_in + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(channels_in + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(channels_in + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(channels_in + 4 * growth, channels_out, 3, padding=1)
        self.relu = nn.LeakyReLU(_SLOPE, inplace=True)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            nn.init.xavier_normal_(conv.weight)
            with torch.no_grad():
                conv.weight *= _GAIN
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.conv5.weight)
        nn.init.zeros_(self.conv5.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; under autocast the input is converted once, not for each convolution."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x1 = self.relu(self.conv1(x))
        x2 = self.relu(self.conv2(torch.cat((x, x1), 1)))
        x3 = self.relu(self.conv3(torch.cat((x, x1, x2), 1)))
        x4 = self.relu(self.conv4(torch.cat((x, x1, x2, x3), 1)))
        out: Tensor = self.conv5(torch.cat((x, x1, x2, x3, x4), 1))
        return out
