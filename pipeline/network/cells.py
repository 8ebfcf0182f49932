"""What a receiver's convolutions see of a packed picture: cells in a basis that training gets on with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.basis import AROUND, BRIGHTNESS, CONTRAST, CellBasis
from torch import Tensor, nn


class CellTransform(nn.Module):
    """DCT of the cells of a packed picture, each coefficient scaled to about unit variance; the means made local.

    (N, 6, h, w) in [0, 1] → (N, 6·fold² + 3, h/fold, w/fold): for luma the cells have (2·fold)² samples, for Cb and
    Cr fold². The lowest coefficient of a cell becomes its difference to the local mean of its plane, and the three
    local means are appended, since bf16 would round a level or two of 255 away beside the brightness.

    Args:
        fold: packed samples of a cell along each axis.
    """

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold
        basis = CellBasis.of(fold)
        self.means = list(basis.means)
        self.register_buffer("basis", torch.from_numpy(basis.rows)[:, :, None, None], persistent=False)
        self.register_buffer("scales", torch.from_numpy(basis.scales)[:, None, None], persistent=False)
        self.register_buffer("sizes", torch.from_numpy(basis.sizes)[:, None, None], persistent=False)
        self.basis: Tensor
        self.scales: Tensor
        self.sizes: Tensor

    @property
    def channels(self) -> int:
        """Of the result."""
        return len(self.basis) + 3

    def forward(self, packed: Tensor) -> Tensor:
        """Transform; always in the precision of the picture."""
        with torch.autocast(packed.device.type, enabled=False):
            cells = F.pixel_unshuffle(packed, self.fold)
            coefficients = F.conv2d(cells, self.basis)
            # Place by place: a list of places would have to be brought to a GPU, picture by picture.
            means = torch.stack([coefficients[:, place] for place in self.means], 1) / self.sizes  # (N, 3, h, w)
            local = F.avg_pool2d(means, AROUND, 1, AROUND // 2, count_include_pad=False)
            scaled = coefficients * self.scales
            for place, mean in zip(self.means, ((means - local) * CONTRAST).unbind(1), strict=True):
                scaled[:, place] = mean
            return torch.cat((scaled, (local - 0.5) * BRIGHTNESS), 1)
