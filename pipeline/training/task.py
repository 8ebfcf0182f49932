"""What a trainer needs to know about the networks it trains: where batches come from and what is lost."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from irn_video.pipeline.network import InvertibleRescaler
from torch import Tensor, nn

Rates = list[tuple[list[nn.Parameter], float]]


@dataclass(frozen=True)
class Loss:
    """The loss of a batch.

    Attributes:
        total: to be minimised, a scalar.
        error: sum of weighted squared errors, detached; with `reference` it tells how good the network is.
        reference: the same sum for the reference that `Task.quality` names.
        parts: what `total` is made of, by name, so that a loss that is not a number can be traced.
    """

    total: Tensor
    error: Tensor
    reference: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class OnDevice(Protocol):
    """A batch: a tensor, or a dataclass of tensors with a method `to`."""

    def to(self, device: torch.device, /) -> OnDevice:
        """The same on another device."""
        ...


Batch = TypeVar("Batch", bound=OnDevice)


class Task(Protocol, Generic[Batch]):
    """One way to train."""

    @property
    def critic(self) -> nn.Module | None:
        """A network of the task's own, which learns beside the other and is kept in the checkpoint; most have none."""
        return None

    @property
    def quality(self) -> str:
        """What 10 · log10(reference / error) means, for the log."""
        ...

    def batches(self, shard: int, step: int) -> Generator[Batch, None, None]:
        """Endless batches of config.batch // config.shards samples from step `step` (0-based) on.

        A pure function of config.seed, shard and step, so that a resumed run sees what an uninterrupted one would.
        """
        ...

    def loss(self, network: InvertibleRescaler, batch: Batch, rng: torch.Generator) -> Loss:
        """Forward pass and loss, called under the trainer's autocast.

        Args:
            network: on the device of the batch.
            batch: one of `batches`.
            rng: for anything random, such as latent draws; on the CPU, seeded from seed, shard and step.
        """
        ...

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """Parts of the network that this task does not train."""
        return []

    def begin(self, network: InvertibleRescaler) -> None:
        """Change what has to be another in a network of other training that a run starts from."""
        return

    def rates(self, network: InvertibleRescaler) -> Rates:
        """Groups of parameters that require a gradient, each with a factor on config.learning_rate."""
        return everything(network)

    def describe(self) -> tuple[str, str]:
        """How and on what, for the model card."""
        ...


def everything(network: nn.Module) -> Rates:
    """One group of all parameters that require a gradient, at the configured rate."""
    return [([p for p in network.parameters() if p.requires_grad], 1.0)]
