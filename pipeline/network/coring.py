"""Coring: the sender takes out of the LR picture the faint detail that its quantiser would hardly carry."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.basis import dct_of_blocks
from irn_video.pipeline.network.constants import CORING_SHIFTS, CORING_SIDE, quantiser_step
from torch import Tensor, nn


class Coring(nn.Module):
    """Shrinks weak coefficients of an 8×8 DCT: those of magnitude a below the threshold T to a³/T².

    T is `strength` quantiser steps. What is that faint and changes from picture to picture costs bits again and again,
    and all the more with x264's psychovisual optimisation, which spends them on keeping a picture's noise.

    Args:
        strength: in steps of the quantiser.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.register_buffer("basis", torch.from_numpy(dct_of_blocks(CORING_SIDE)).float(), persistent=False)
        self.basis: Tensor

    def forward(self, plane: Tensor, qp: float | Tensor) -> Tensor:
        """(N, 1, H, W) with samples in [0, 1], H.264 quantiser (a number or of one element) → the same, cored."""
        threshold = self.strength * quantiser_step(qp) / 255
        cored = [self._cored(plane, threshold, *shift) for shift in CORING_SHIFTS]
        return torch.stack(cored).mean(0)

    def _cored(self, plane: Tensor, threshold: float | Tensor, down: int, right: int) -> Tensor:
        height, width = plane.shape[2:]
        edges = (right, -(width + right) % CORING_SIDE, down, -(height + down) % CORING_SIDE)
        whole: Tensor = F.pad(plane, edges, mode="replicate")
        blocks: Tensor = whole.unflatten(3, (-1, CORING_SIDE)).unflatten(2, (-1, CORING_SIDE))
        blocks = blocks.transpose(3, 4)  # (N, 1, h, w, 8, 8)
        # As matrices: a convolution of stride 8 takes six times as long.
        coefficients = blocks.flatten(4) @ self.basis.T
        gain = (coefficients.abs() / threshold).clamp(max=1).square()
        gain[..., 0] = 1  # the means of the blocks stay
        blocks = ((coefficients * gain) @ self.basis).unflatten(4, (CORING_SIDE, CORING_SIDE))
        whole = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
        return whole[..., down : down + height, right : right + width]
