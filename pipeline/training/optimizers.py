"""Optimisers: Adam for everything, or Muon for convolutions and Adam for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.task import Rates
from torch import Tensor, nn

# What Adam's rate is where Muon's is 1: Muon's steps have a spectral norm, Adam's a size per weight.
_ADAM_PER_MUON = 0.1


class ConvolutionMuon(torch.optim.Muon):
    """Muon (Jordan et al. 2024) on convolution kernels, each taken as an (out, in·k·k) matrix.

    Its steps do not depend on how the inputs are scaled and correlated, and details are far fainter than edges: on
    restoring H.264, 150 steps gave three times the gain of Adam's (docs/lab-notes.md).
    """

    def __init__(self, groups: Rates, rate: float) -> None:
        self.kernels = [kernel for kernels, _ in groups for kernel in kernels]
        matrices = [[nn.Parameter(kernel.detach().flatten(1).clone()) for kernel in kernels] for kernels, _ in groups]
        super().__init__([{"params": group} for group in matrices], lr=rate, weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every kernel that has a gradient."""
        matrices = [matrix for group in self.param_groups for matrix in group["params"]]
        for kernel, matrix in zip(self.kernels, matrices, strict=True):
            matrix.copy_(kernel.flatten(1))
            matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        super().step(closure)  # type: ignore[no-untyped-call]
        for kernel, matrix in zip(self.kernels, matrices, strict=True):
            kernel.copy_(matrix.view(kernel.shape))
            matrix.grad = None


class Optimizers:
    """The optimisers of a run, stepped together.

    Args:
        config: which, and their constants.
        rates: groups of parameters with a factor on the learning rate.
    """

    def __init__(self, config: TrainConfig, rates: Rates) -> None:
        self._adam_factor = 1.0
        self._factors: list[list[float]] = []
        self.all: list[torch.optim.Optimizer] = []
        rest = rates
        if config.optimizer == "muon":
            self._adam_factor = _ADAM_PER_MUON
            kernels = [([p for p in group if p.dim() == 4], factor) for group, factor in rates]
            kernels = [(group, factor) for group, factor in kernels if group]
            self._add(ConvolutionMuon(kernels, config.learning_rate), [factor for _, factor in kernels])
            rest = [([p for p in group if p.dim() != 4], factor) for group, factor in rates]
        rest = [(group, factor) for group, factor in rest if group]
        adam = torch.optim.Adam(
            [{"params": group} for group, _ in rest],
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
        )
        self._add(adam, [factor * self._adam_factor for _, factor in rest])

    def step(self, rate: float, scaler: torch.amp.GradScaler) -> None:
        """One step at this learning rate."""
        for optimizer, factors in zip(self.all, self._factors, strict=True):
            for group, factor in zip(optimizer.param_groups, factors, strict=True):
                group["lr"] = rate * factor
            scaler.step(optimizer)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Undo the scaling of fp16."""
        for optimizer in self.all:
            scaler.unscale_(optimizer)

    def state_dict(self) -> list[dict[str, Any]]:
        """Of each optimiser."""
        return [optimizer.state_dict() for optimizer in self.all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Undo `state_dict`.

        Raises:
            ValueError: of other optimisers.
        """
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(state)

    def _add(self, optimizer: torch.optim.Optimizer, factors: list[float]) -> None:
        self.all.append(optimizer)
        self._factors.append(factors)


def trained(rates: Rates) -> list[Tensor]:
    """All parameters that learn."""
    return [parameter for parameters, _ in rates for parameter in parameters]
