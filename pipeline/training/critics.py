"""What adversarial training needs whatever is judged: the relativistic losses and the difference of features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of the critics' leaky ReLUs."""
_LEAST_FEATURE = 1e-3


def without_weights_gradient(critic: nn.Module, *pictures: Tensor) -> Any:
    """What a critic says of pictures, with a gradient to them and none to its weights."""
    frozen = {name: weight.detach() for name, weight in critic.named_parameters()}
    return torch.func.functional_call(critic, frozen, pictures)


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Small where `better` is judged more real than `worse` is on average, and the other way round (ESRGAN, 3.2)."""
    better, worse = better.float(), worse.float()
    return F.softplus(worse.mean() - better).mean() + F.softplus(worse - better.mean()).mean()


def difference(features: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean absolute difference relative to the mean size, averaged over layers (Wang et al. 2018, pix2pixHD)."""
    ratios = [
        (have - want.detach()).abs().float().mean() / (want.detach().abs().float().mean() + _LEAST_FEATURE)
        for have, want in zip(features, wanted, strict=True)
    ]
    return torch.stack(ratios).mean()
