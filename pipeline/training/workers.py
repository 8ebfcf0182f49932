"""Training data made by worker processes, which end when nobody wants more of it."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")


def from_workers(
    data: Dataset[T], *, workers: int, prefetch: int, sampler: range | None = None
) -> Generator[T, None, None]:
    """The items of a data set, in order; the workers end with the generator.

    Left to the garbage collector, a loader can lose the message that ends its workers: a cycle, as an exception and
    its frame make one, takes the queue away first, and a process waits for its children when it exits.

    Args:
        data: gives whole items, by index where there is a sampler.
        workers: how many processes.
        prefetch: how many items each has ready.
        sampler: the indices, in order.
    """
    loader: Any = iter(
        DataLoader(
            data,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=prefetch,
            worker_init_fn=_leave_signals_to_parent,
        )
    )
    try:
        yield from loader
    finally:
        loader._shutdown_workers()


def _leave_signals_to_parent(_worker: int) -> None:
    """Ctrl-C or a service's stop reach all processes, but only the trainer decides what happens then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
