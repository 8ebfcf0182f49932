"""What a trainer needs to know about the networks it trains: where batches come from and what is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from irn_video.pipeline.network import InvertibleRescaler
from torch import Tensor, nn


def leave_signals_to_parent(_worker: int) -> None:
    """For data workers: Ctrl-C reaches the whole process group, but only the trainer decides what happens then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Loss:
    """The loss of a batch.

    Attributes:
        total: to be minimised, a scalar.
        error: sum of weighted squared errors, detached; with `reference` it tells how good the network is.
        reference: the same sum for the reference that `Task.quality` names.
    """

    total: Tensor
    error: Tensor
    reference: Tensor


class Task(Protocol, Generic[Batch]):
    """One way to train.

    Attributes:
        quality: what 10 · log10(reference / error) means, for the log.
    """

    quality: str

    def batches(self, seed: int) -> Iterator[Batch]:
        """Endless batches; `seed` makes a resumed run go on with other data."""
        ...

    def loss(self, network: InvertibleRescaler, batch: Batch) -> Loss:
        """Forward pass and loss."""
        ...

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """Parts of the network that this task does not train."""
        ...

    def describe(self) -> tuple[str, str]:
        """How and on what, for the model card."""
        ...
