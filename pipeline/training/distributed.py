"""The processes that train one network together, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from irn_video.codecs.errors import TrainingFailed
from torch import Tensor

# Validation and the first data of the slowest process must fit in.
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Team:
    """This process among those that train together; alone by default.

    Attributes:
        rank: from 0; 0 leads, that is, it alone writes.
        size: processes.
        local_rank: among those of this machine.
        local_size: their number.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def shards(self, count: int) -> range:
        """The streams of data of this process.

        Raises:
            TrainingFailed: the processes cannot share `count` streams evenly.
        """
        if count % self.size:
            raise TrainingFailed(
                f"{self.size} processes cannot share {count} shards of data evenly",
                hint=f"set shards in the configuration to a multiple of {self.size}, or start another number",
            )
        return range(self.rank, count, self.size)

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes, the same for each."""
        if self.size > 1:
            device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
            moved = values.to(device)
            dist.all_reduce(moved)
            return moved.to(values.device)
        return values

    def from_leader(self, value: Any) -> Any:
        """What the leading process has."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]


def local_device(device: str) -> str:
    """The device of this process: under torchrun each has a GPU of its own."""
    if "LOCAL_RANK" in os.environ and device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device


@contextmanager
def joined_team(device: torch.device) -> Iterator[Team]:
    """The team that torchrun's variables name, with its connections open; alone without them."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", size))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Team(int(os.environ["RANK"]), size, local_rank, local_size)
    finally:
        dist.destroy_process_group()
