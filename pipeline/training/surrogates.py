"""Gradients through the encoder, which has none, and a rate that has one.

The value is always that of the real x264. What a gradient finds is one of three:

- straight-through: the encoder counts as adding an error that does not depend on its input.
- surrogate: the encoder counts as shrinking each coefficient of an 8×8 DCT by c² / (c² + (step/2)²), a smooth dead
  zone; the true error is added on top (as in SCALED, arXiv 2602.00198, gradients meet the true coding error).
- projection: the gradient is projected on the coefficients that the decoded picture still holds.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Method = Literal["straight-through", "surrogate", "projection"]
METHODS: tuple[Method, ...] = get_args(Method)
_BLOCK = 8


def step_of(qp: Tensor) -> Tensor:
    """H.264's quantiser step for samples in [0, 1] and an orthonormal transform (H.264, 8.5.9: doubles every 6)."""
    return torch.exp2((qp - 4) / 6) / 255


def through_codec(sent: Tensor, decoded: Tensor, qp: Tensor, method: Method) -> Tensor:
    """The decoded plane, with a gradient to the one that was sent.

    Args:
        sent: (N, 1, h, w), h and w multiples of 8.
        decoded: what the real codec made of it.
        qp: quantiser of each plane, (N,).
        method: see above.
    """
    step = step_of(qp)[:, None, None]
    if method == "straight-through":
        model = sent
    elif method == "surrogate":
        coefficients = dct(sent)
        energy = coefficients.square()
        model = inverse_dct(coefficients * energy / (energy + (step / 2).square()), sent.shape)
    else:
        kept = dct(decoded).abs() > step / 2
        model = inverse_dct(dct(sent) * kept, sent.shape)
    return model + (decoded - model).detach()


def rate_proxy(sent: Tensor, reference: Tensor, qp: Tensor) -> Tensor:
    """Σ log2(1 + |c| / step) over the DCT of what a plane adds to its reference, (N,): follows x264's bits.

    Args:
        sent: (N, 1, h, w).
        reference: the plane before, or zeros for the first.
        qp: (N,).
    """
    coefficients = dct(sent - reference)
    # The mean of a block costs little: neighbours predict it.
    coefficients = torch.cat((torch.zeros_like(coefficients[..., :1]), coefficients[..., 1:]), -1)
    return torch.log2(1 + coefficients.abs() / step_of(qp)[:, None, None]).sum((1, 2))


def dct(planes: Tensor) -> Tensor:
    """(N, 1, h, w) → orthonormal 8×8 DCT-II coefficients, (N, blocks, 64)."""
    blocks = F.unfold(planes, _BLOCK, stride=_BLOCK)  # (N, 64, blocks)
    return (_basis().to(planes) @ blocks).transpose(1, 2)


def inverse_dct(coefficients: Tensor, shape: torch.Size) -> Tensor:
    """Undo `dct` for planes of this shape."""
    blocks = _basis().to(coefficients).T @ coefficients.transpose(1, 2)
    return F.fold(blocks, shape[-2:], _BLOCK, stride=_BLOCK)


@cache
def _basis() -> Tensor:
    """Rows are the 64 two-dimensional DCT-II functions."""
    k = torch.arange(_BLOCK, dtype=torch.float64)
    rows = torch.cos(math.pi / _BLOCK * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / _BLOCK)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).float()
