"""Batches mixed from groups of samples, so that a batch does not come from one sequence."""

from __future__ import annotations

import itertools
import os
import random
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from typing import Any, Protocol, TypeVar

from irn_video.pipeline.training.workers import from_workers
from torch.utils.data import IterableDataset

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
) -> Generator[Group, None, None]:
    """Endless batches of `size` samples from step `step` on; what a step gets does not depend on where one begins.

    Args:
        groups_from: a data set that yields group i, i + 1, … (worker w of W every W-th of them).
        join: concatenates groups along their samples.
        size: samples per batch.
        step: the first step, from 0.
        seed: of the choice of samples.
    """
    made = from_workers(groups_from(step // _BATCHES_PER_GROUP), workers=max(1, (os.cpu_count() or 1) // 2), prefetch=4)
    with closing(made):
        groups = deque(islice(made, _GROUPS), maxlen=_GROUPS)
        for index in itertools.count(step):
            if index > step and index % _BATCHES_PER_GROUP == 0:
                groups.append(next(made))
            rng = random.Random(f"{seed}/batch/{index}")
            chosen = [rng.choice(groups) for _ in range(size)]
            yield join([group[(at := rng.randrange(len(group))) : at + 1] for group in chosen])
