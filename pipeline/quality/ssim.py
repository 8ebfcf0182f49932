"""SSIM, the structural similarity of Wang, Bovik, Sheikh and Simoncelli (IEEE Trans. Image Processing 13(4), 2004)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
"""Side of the Gaussian window in samples; smaller pictures have no SSIM."""
_SIGMA = 1.5
_PEAK = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


def ssim(one: Tensor, other: Tensor) -> float | None:
    """Mean SSIM of two pictures (C, H, W) with samples in 0…255, over channels and all places of the window.

    As in the authors' MATLAB code: a Gaussian window of 11×11 with σ = 1.5 that stays inside the picture,
    K₁ = 0.01, K₂ = 0.03, no reduction of size beforehand. Computed in float64.

    Returns:
        At most 1, which is identical; None for a picture smaller than the window.
    """
    if min(one.shape[-2:]) < WINDOW:
        return None
    x, y = one.double()[:, None], other.double()[:, None]  # (C, 1, H, W)
    mean_x, mean_y = _blurred(x), _blurred(y)
    square_x, square_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variance_x, variance_y = _blurred(x * x) - square_x, _blurred(y * y) - square_y
    covariance = _blurred(x * y) - product
    likeness = (2 * product + _C1) * (2 * covariance + _C2)
    return float((likeness / ((square_x + square_y + _C1) * (variance_x + variance_y + _C2))).mean())


def _blurred(x: Tensor) -> Tensor:
    """(C, 1, H, W) → (C, 1, H − 10, W − 10)."""
    place = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-place.square() / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(x, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
