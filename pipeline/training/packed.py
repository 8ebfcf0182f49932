"""Training data prepared on one machine for another that has PyTorch alone: no network, no PyAV, no OpenCV.

    FOLDER/manifest.json            how many batches, how they were made
    FOLDER/shard-0/00000.pt …       pools of samples, a mapping of names to tensors each

Nothing imported here, or by the trainer on its way, needs more than PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.task import Loss, Rates, Task
from irn_video.pipeline.training.tasks import make_task
from torch import Tensor, nn

_MANIFEST = "manifest.json"
POOL_BATCHES = 16


@dataclass(frozen=True)
class Manifest:
    """What prepared data are.

    Attributes:
        family: of the network.
        scale: of the network.
        crop: side of the HR crops.
        samples: per batch of a shard.
        shards: independent streams.
        teacher: whose predictions they hold, empty for none.
        pools: files per shard, of sixteen batches each.
        how, data: for the model card.
    """

    family: str
    scale: float
    crop: int
    samples: int
    shards: int
    teacher: str
    pools: int
    how: str
    data: str


@dataclass(frozen=True)
class PackedGroups:
    """A folder of prepared data.

    Attributes:
        folder: where it is.
        manifest: what it holds.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> PackedGroups:
        """Read the manifest.

        Raises:
            TrainingFailed: there is none, or it is not whole.
        """
        try:
            return cls(folder, Manifest(**json.loads((folder / _MANIFEST).read_text())))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingFailed(
                f"not a folder of prepared data: {error}",
                path=folder,
                hint="python -m irn_video.pipeline.commands.packing makes one",
            ) from error

    def check(self, config: TrainConfig) -> None:
        """Refuse data made for another configuration.

        Raises:
            TrainingFailed: names what differs.
        """
        wanted = _expected(config)
        for name, value in wanted.items():
            if (found := getattr(self.manifest, name)) != value:
                raise TrainingFailed(
                    f"the data was prepared for {name} {found!r}, not {value!r}", path=self.folder, hint="pack it again"
                )

    def pool(self, shard: int, index: int) -> dict[str, Tensor]:
        """One file."""
        path = _pool_path(self.folder, shard, index)
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # PyTorch raises whatever its parsers do
            raise TrainingFailed("cannot read prepared data", path=path, hint="copy it again") from error
        return dict(loaded)


@dataclass(frozen=True)
class PackedTask(Task[Any]):
    """Another task, on prepared data. Each time through, pools and the samples in a pool come in a new order."""

    config: TrainConfig
    source: PackedGroups

    def __post_init__(self) -> None:
        self.source.check(self.config)

    @property
    def quality(self) -> str:
        """That of the other task."""
        return self._task.quality

    def batches(self, shard: int, step: int) -> Generator[Any, None, None]:
        """Batches of samples."""
        size, pools = self.source.manifest.samples, self.source.manifest.pools
        first, skipped = divmod(step, POOL_BATCHES)
        while True:
            epoch, place = divmod(first, pools)
            order = torch.randperm(pools, generator=self._rng(shard, epoch))
            pool = self.source.pool(shard, int(order[place]))
            mixed = torch.randperm(size * POOL_BATCHES, generator=self._rng(shard, first + (1 << 40)))
            for index in mixed.split(size)[skipped:]:
                yield _to_batch({name: tensor[index] for name, tensor in pool.items()})
            first, skipped = first + 1, 0

    def loss(self, network: InvertibleRescaler, batch: Any, rng: torch.Generator) -> Loss:
        """That of the other task."""
        return self._task.loss(network, batch, rng)

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """Those of the other task."""
        return self._task.frozen(network)

    def begin(self, network: InvertibleRescaler) -> None:
        """As the other task does."""
        self._task.begin(network)

    def rates(self, network: InvertibleRescaler) -> Rates:
        """Those of the other task."""
        return self._task.rates(network)

    def describe(self) -> tuple[str, str]:
        """As the other task said when the data was made."""
        manifest = self.source.manifest
        batches = manifest.pools * manifest.shards * POOL_BATCHES
        return manifest.how, f"{manifest.data}, {batches} batches of {manifest.samples} crops prepared"

    @property
    def critic(self) -> nn.Module | None:
        """That of the other task."""
        return self._task.critic

    @cached_property
    def _task(self) -> Task[Any]:
        return make_task(self.config, cast("Any", self.source))

    def _rng(self, shard: int, number: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.config.seed << 50) ^ (shard << 42) ^ number)


def prepare(task: Task[Any], config: TrainConfig, folder: Path, pools: int) -> Iterator[int]:
    """Write `pools` pools of a task's first batches per shard, then the manifest; yields after each pool."""
    for shard in range(config.shards):
        (folder / f"shard-{shard}").mkdir(parents=True)
        with closing(task.batches(shard, 0)) as stream:
            for index in range(pools):
                tensors = [_to_tensors(batch) for batch in islice(stream, POOL_BATCHES)]
                pool = {name: torch.cat([t[name] for t in tensors]) for name in tensors[0]}
                with atomic_path(_pool_path(folder, shard, index)) as temporary:
                    torch.save(pool, temporary)
                yield shard * pools + index + 1
    how, data = task.describe()
    manifest = Manifest(**_expected(config), pools=pools, how=how, data=data)
    with atomic_path(folder / _MANIFEST) as temporary:
        temporary.write_text(json.dumps(asdict(manifest), indent=1) + "\n")


def _expected(config: TrainConfig) -> dict[str, Any]:
    return {
        "family": config.network.family,
        "scale": config.network.scale,
        "crop": config.crop,
        "samples": config.batch // config.shards,
        "shards": config.shards,
        "teacher": config.teacher,
    }


def _pool_path(folder: Path, shard: int, index: int) -> Path:
    return folder / f"shard-{shard}" / f"{index:05}.pt"


def _to_tensors(batch: Any) -> dict[str, Tensor]:
    if isinstance(batch, Tensor):
        return {"crops": batch}
    return {entry.name: getattr(batch, entry.name) for entry in fields(batch)}


def _to_batch(tensors: dict[str, Tensor]) -> Any:
    if tensors.keys() == {"crops"}:
        return tensors["crops"]
    from irn_video.pipeline.training.samples import Samples

    return Samples(**tensors)
