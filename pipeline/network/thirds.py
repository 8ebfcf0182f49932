"""An invertible split of three samples into two of a smaller picture and one detail, by lifting.

Three samples at a time are turned by an orthogonal matrix: the DCT of three samples, whose two lower coefficients
become two samples again. Lifting steps then make the low-pass a brick wall at two thirds of the band, as those of
`lifting.py` do at half of it:

    a = (x₀ + x₁ + x₂) / 3      b = (x₀ − x₂) / √6      d = (2·x₁ − x₀ − x₂) / (3·√2)
    s₀ = a + b                  s₁ = a − b
    d += Σ pₖ · (s₀[n+k] + s₁[n−k])
    s₀ += Σ uₖ · d[n+k]         s₁ += Σ uₖ · d[n−k]
    d += …

The averages lie a quarter of their distance inside the first and the last of the three samples and mirror each other
about the middle one, so that a small picture made this way is not shifted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.constants import THIRDS_DETAIL, THIRDS_EDGE
from torch import Tensor, nn

# Least-squares fit of both low-passes, of analysis and synthesis, to the Lanczos-8 kernel stretched by 3/2.
THIRDS_TAPS = (
    (-0.002582, -0.007091, -0.019098, -0.047354, -0.049173, 0.086256, 0.024524, 0.011635, 0.002884),
    (-0.015823, -0.043163, -0.101977, -0.311505, 0.210221, 0.163654, 0.066432, 0.027022, 0.010071),
    (-0.000997, -0.006164, -0.016839, -0.041596, -0.061915, 0.078112, 0.033093, 0.011802, 0.004503),
)


class ThirdsSplit(nn.Module):
    """One-dimensional split of a length 3·n into 2·n averages and n details, and back.

    Args:
        taps: one row per lifting step, k from −reach to reach; odd rows change the details, even rows the averages.
    """

    def __init__(self, taps: tuple[tuple[float, ...], ...] = THIRDS_TAPS) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.tensor(taps))

    def split(self, x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) → averages, two thirds as long along `dim` (−1 or −2), and details, a third as long."""
        s0, s1, d = _turned(*_every(x, 3, dim))
        for step, taps in enumerate(self.taps):
            if step % 2 == 0:
                d = d + _lifted(s0, taps, dim) + _lifted(s1, taps.flip(0), dim)
            else:
                s0, s1 = s0 + _lifted(d, taps, dim), s1 + _lifted(d, taps.flip(0), dim)
        return _interleaved((s0, s1), dim), d

    def join(self, averages: Tensor, d: Tensor, dim: int) -> Tensor:
        """Undo `split`."""
        s0, s1 = _every(averages, 2, dim)
        for step, taps in reversed(list(enumerate(self.taps))):
            if step % 2 == 0:
                d = d - _lifted(s0, taps, dim) - _lifted(s1, taps.flip(0), dim)
            else:
                s0, s1 = s0 - _lifted(d, taps, dim), s1 - _lifted(d, taps.flip(0), dim)
        return _interleaved(_turned_back(s0, s1, d), dim)


def _turned(left: Tensor, middle: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three samples → two averages and a detail."""
    sides = left + right
    mean, edge = (sides + middle) / 3, (left - right) * THIRDS_EDGE
    return mean + edge, mean - edge, (middle - sides / 2) * THIRDS_DETAIL


def _turned_back(s0: Tensor, s1: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Undo `_turned`."""
    mean, edge, detail = (s0 + s1) / 2, (s0 - s1) * (0.25 / THIRDS_EDGE), d / (3 * THIRDS_DETAIL)
    sides = mean - detail
    return sides + edge, mean + 2 * detail, sides - edge


def _every(x: Tensor, count: int, dim: int) -> tuple[Tensor, ...]:
    """Samples at each of `count` places that take turns along `dim`."""
    return tuple(x[..., place::count] if dim == -1 else x[..., place::count, :] for place in range(count))


def _interleaved(parts: tuple[Tensor, ...], dim: int) -> Tensor:
    """Undo `_every`."""
    return torch.stack(parts, -1).flatten(-2) if dim == -1 else torch.stack(parts, -2).flatten(-3, -2)


def _lifted(x: Tensor, taps: Tensor, dim: int) -> Tensor:
    """Σ taps[reach + k] · x[n+k] along `dim`, edges replicated."""
    reach = len(taps) // 2
    padding, shape = ((reach, reach, 0, 0), (1, 1, 1, -1)) if dim == -1 else ((0, 0, reach, reach), (1, 1, -1, 1))
    planes = x.flatten(0, 1)[:, None]
    filtered = F.conv2d(F.pad(planes, padding, mode="replicate"), taps.reshape(shape).to(x.dtype))
    return filtered.view_as(x)
