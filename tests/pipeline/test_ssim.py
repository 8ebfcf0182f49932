"""SSIM against its definition, written out place by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from irn_video.pipeline.quality.ssim import ssim
from numpy.typing import NDArray


def by_definition(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Equation 13 of the paper with weighted moments, one window after the other."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for top in range(one.shape[0] - 10):
        for left in range(one.shape[1] - 10):
            x, y = (p[top : top + 11, left : left + 11] for p in (one, other))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


@pytest.mark.parametrize("size", [(11, 11), (16, 23)])
def test_agrees_with_the_definition(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (3, *size)).astype(float)
    other = np.clip(one + rng.normal(0, 20, one.shape), 0, 255).round()
    expected = np.mean([by_definition(a, b) for a, b in zip(one, other, strict=True)])
    assert ssim(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(expected, abs=1e-9)


def test_flat_pictures_differ_in_luminance_alone() -> None:
    dark, light = torch.full((1, 20, 20), 100.0), torch.full((1, 20, 20), 120.0)
    c1 = 2.55**2
    assert ssim(dark, light) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-9)


def test_identical_pictures() -> None:
    picture = torch.rand(3, 12, 12) * 255
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-12)


def test_smaller_than_the_window() -> None:
    assert ssim(torch.zeros(3, 10, 40), torch.zeros(3, 10, 40)) is None
