"""Batches mixed from groups of samples, so that a batch does not come from one sequence."""

from __future__ import annotations

import itertools
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

from irn_video.pipeline.training.task import leave_signals_to_parent
from torch.utils.data import DataLoader, IterableDataset

# Batches are mixed from so many groups, of which one is replaced after so many batches.
_GROUPS = 40
_BATCHES_PER_GROUP = 6


class _Group(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> Any: ...


Group = TypeVar("Group", bound=_Group)


def mixed_batches(
    groups_from: Callable[[int], IterableDataset[Group]],
    join: Callable[[list[Group]], Group],
    *,
    size: int,
    step: int,
    seed: str,
) -> Iterator[Group]:
    """Endless batches of `size` samples from step `step` on; what a step gets does not depend on where one begins.

    Args:
        groups_from: a data set that yields group i, i + 1, … (worker w of W every W-th of them).
        join: concatenates groups along their samples.
        size: samples per batch.
        step: the first step, from 0.
        seed: of the choice of samples.
    """
    data = groups_from(step // _BATCHES_PER_GROUP)
    loader = iter(
        DataLoader(
            data,
            batch_size=None,
            num_workers=max(1, (os.cpu_count() or 1) // 2),
            prefetch_factor=4,
            worker_init_fn=leave_signals_to_parent,
        )
    )
    groups = deque(islice(loader, _GROUPS), maxlen=_GROUPS)
    for index in itertools.count(step):
        if index > step and index % _BATCHES_PER_GROUP == 0:
            groups.append(next(loader))
        rng = random.Random(f"{seed}/batch/{index}")
        chosen = [rng.choice(groups) for _ in range(size)]
        yield join([group[(at := rng.randrange(len(group))) : at + 1] for group in chosen])
