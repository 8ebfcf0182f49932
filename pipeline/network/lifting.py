"""An invertible half-band split whose low-pass does not alias, by lifting (Sweldens 1996).

The Haar pair is followed by lifting steps with antisymmetric taps, which keep the average centred between its two
samples, so an LR picture made this way is not shifted:

    s = (even + odd) / 2           d = (even − odd) / 2
    d += Σ t₁ₖ · (s[n+k] − s[n−k])
    s += Σ t₂ₖ · (d[n+k] − d[n−k])
    d += …
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Least-squares fit of both low-passes, of analysis and synthesis, to the Lanczos-8 kernel: nearly a brick wall.
# Wavelets with a softer edge cost bits (docs/lab-notes.md has the comparison).
BRICK_WALL_TAPS = (
    (0.124939, -0.059672, 0.035856, -0.022626, 0.014488, -0.008709, 0.004821),
    (0.235666, -0.105729, 0.063132, -0.040754, 0.026697, -0.017176, 0.010883),
    (0.124601, -0.059903, 0.035621, -0.022790, 0.014342, -0.008793, 0.004767),
)


class LiftedSplit(nn.Module):
    """One-dimensional split into low- and high-pass halves along an axis, and back.

    Args:
        taps: one row per lifting step; odd rows change the details, even rows the averages.
    """

    def __init__(self, taps: tuple[tuple[float, ...], ...] = BRICK_WALL_TAPS) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.tensor(taps))

    def split(self, even: Tensor, odd: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Samples at even and odd places along `dim` → (averages, details), all of one shape."""
        s, d = (even + odd) / 2, (even - odd) / 2
        for step, taps in enumerate(self.taps):
            if step % 2 == 0:
                d = d + _antisymmetric(s, taps, dim)
            else:
                s = s + _antisymmetric(d, taps, dim)
        return s, d

    def average(self, even: Tensor, odd: Tensor, dim: int) -> Tensor:
        """The averages of `split`, without the details that no average depends on."""
        s, d = (even + odd) / 2, (even - odd) / 2
        for step in range(len(self.taps) // 2):
            d = d + _antisymmetric(s, self.taps[2 * step], dim)
            s = s + _antisymmetric(d, self.taps[2 * step + 1], dim)
        return s

    def join(self, s: Tensor, d: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Undo `split`: (averages, details) → (even, odd)."""
        for step in reversed(range(len(self.taps))):
            if step % 2 == 0:
                d = d - _antisymmetric(s, self.taps[step], dim)
            else:
                s = s - _antisymmetric(d, self.taps[step], dim)
        return s + d, s - d


def _antisymmetric(x: Tensor, taps: Tensor, dim: int) -> Tensor:
    """Σ taps[k−1] · (x[n+k] − x[n−k]) along `dim` (−1 or −2), edges replicated."""
    reach, size = len(taps), x.shape[dim]
    padding = (reach, reach, 0, 0) if dim == -1 else (0, 0, reach, reach)
    padded = F.pad(x, padding, mode="replicate")
    total = torch.zeros_like(x)
    learning = taps.requires_grad and torch.is_grad_enabled()
    for k in range(1, reach + 1):
        ahead, behind = padded.narrow(dim, reach + k, size), padded.narrow(dim, reach - k, size)
        if learning or not x.is_cpu:  # a GPU's taps stay there: to read one would wait for it
            total = torch.addcmul(total, ahead - behind, taps[k - 1])
        else:  # in place: half the time
            tap = float(taps[k - 1])
            total.add_(ahead, alpha=tap).sub_(behind, alpha=tap)
    return total
