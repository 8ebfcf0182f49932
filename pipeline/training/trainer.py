"""The training loop: time-budgeted, resumable, with averaged weights. What is trained, and how, is a `Task`."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.output import atomic_path
from irn_video.pipeline.training.codec_task import CodecTask
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.paper_task import PaperTask
from irn_video.pipeline.training.sequences import SequenceSource
from irn_video.pipeline.training.task import Loss, Task
from irn_video.pipeline.zoo.card import ModelCard, write_model
from irn_video.pipeline.zoo.cost import cost_of
from torch import Tensor, nn

_LOG_EVERY = 50
_SAVE_EVERY_SECONDS = 60
# Longer pauses (a stopped process, a sleeping laptop) do not use up the budget.
_LONGEST_STEP = 5.0
_CHECKPOINT = "checkpoint.pt"
_LOG = "log.csv"


@dataclass(frozen=True)
class Progress:
    """One line of the log.

    Attributes:
        step: steps taken.
        seconds: of training time, earlier runs included.
        loss: mean since the last line.
        quality: since the last line, in the task's words, dB.
        learning_rate: of this step.
        waiting: share of the time spent waiting for data.
    """

    step: int
    seconds: float
    loss: float
    quality: float
    learning_rate: float
    waiting: float


class Trainer:
    """Trains one network; its folder holds the checkpoint and the log.

    Args:
        config: what to train.
        source: what to train on.
        folder: of this run; a checkpoint found there is continued.
        minutes: time budget, earlier runs included; the learning rate reaches zero at its end.
        initial: weights to start from when there is no checkpoint.

    Raises:
        TrainingFailed: no data, a damaged checkpoint or one of another network.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: SequenceSource,
        folder: Path,
        *,
        minutes: float,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        if not source.photos and not source.clips:
            raise TrainingFailed("no pictures and no clips to train on", hint="give --images or --clips")
        torch.manual_seed(config.seed)
        self.config, self.folder, self.budget = config, folder, minutes * 60
        self.task: Task[Any] = (CodecTask if config.network.family == "codec-aware" else PaperTask)(config, source)
        self.network = config.network.build().train()
        if initial is not None:
            self.network.load_state_dict(initial)
        for part in self.task.frozen(self.network):
            part.requires_grad_(False)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema)
        )
        self._trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self._trained, lr=config.learning_rate, betas=(0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train until the budget is used up; an interrupt leaves a checkpoint behind.

        Raises:
            TrainingFailed: the loss is not a number, or a training file cannot be read.
        """
        if self.seconds >= self.budget:
            return
        try:
            self._loop(self.task.batches(self.config.seed + self.step), report)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingFailed("a data worker was stopped", hint="the same command goes on from here") from error
        finally:
            self.save()

    def export(self, path: Path) -> str:
        """Write the averaged weights with a model card; returns their digest."""
        config = self.config
        network = config.network.build()
        network.load_state_dict(self.average.module.state_dict())
        down, up = cost_of(network)
        how, data = self.task.describe()
        budget = (
            f"{self.step} steps of {config.batch} crops of {config.crop}x{config.crop}, {self.seconds / 60:.0f} minutes"
        )
        card = ModelCard(
            name=config.name,
            network=config.network,
            summary=config.summary,
            training=f"{budget}; {how}",
            data=data,
            licence=config.licence,
            scores="not measured yet",
            macs_down=down,
            macs_up=up,
            temperature=config.temperature,
        )
        return write_model(path, card, network.state_dict(), overwrite=True)

    def save(self) -> None:
        """Write the checkpoint; the old one is replaced only by a whole new one."""
        state = {
            "network_spec": asdict(self.config.network),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with atomic_path(self.folder / _CHECKPOINT, overwrite=True) as temporary:
            torch.save(state, temporary)

    def _loop(self, batches: Iterator[Any], report: Callable[[Progress], None]) -> None:
        first = next(batches)  # starts the workers, which is not training time
        sums, waited = torch.zeros(3), 0.0
        mark = saved = clock = time.monotonic()
        batch = first
        while self.seconds < self.budget:
            loss = self._train_step(batch)
            sums += torch.stack((loss.total.detach(), loss.error, loss.reference))
            before = time.monotonic()
            batch = next(batches)
            now = time.monotonic()
            waited += now - before
            self.seconds, clock = self.seconds + min(now - clock, _LONGEST_STEP), now
            if self.step % _LOG_EVERY == 0:
                line = self._progress(sums, waited / (now - mark))
                self._log(line)
                report(line)
                sums, waited, mark = torch.zeros(3), 0.0, now
            if now - saved > _SAVE_EVERY_SECONDS:
                self.save()
                saved = now

    def _train_step(self, batch: Any) -> Loss:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        loss = self.task.loss(self.network, batch)
        if not torch.isfinite(loss.total):
            raise TrainingFailed(
                f"the loss is {loss.total.item()} at step {self.step}", hint="lower learning_rate or gradient_norm"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        nn.utils.clip_grad_norm_(self._trained, self.config.gradient_norm)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return loss

    def _rate(self) -> float:
        rise = min(1.0, (self.step + 1) / max(1, self.config.warmup))
        return self.config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seconds / self.budget)))

    def _progress(self, sums: Tensor, waiting: float) -> Progress:
        loss, error, reference = sums.tolist()
        quality = 10 * math.log10(reference / max(error, 1e-12))
        return Progress(self.step, self.seconds, loss / _LOG_EVERY, quality, self._rate(), waiting)

    def _log(self, line: Progress) -> None:
        path = self.folder / _LOG
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(line)))
            if new:
                writer.writeheader()
            writer.writerow(asdict(line))

    def _resume(self) -> None:
        path = self.folder / _CHECKPOINT
        if not path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            same = state["network_spec"] == asdict(self.config.network)
            if same:
                self.network.load_state_dict(state["network"])
                self.average.load_state_dict(state["average"])
                self.optimizer.load_state_dict(state["optimizer"])
                self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:
            what = f"cannot read the checkpoint: {error}"
            raise TrainingFailed(what, path=path, hint="remove it to start over") from error
        if not same:
            raise TrainingFailed("the checkpoint is of another network", path=path, hint="choose another --out")


def use_all_cores() -> None:
    """Commands leave a core to decoder and encoder; here the data worker is seldom busy."""
    torch.set_num_threads(os.cpu_count() or 1)


def lower_priority() -> None:
    """Let everything else on this machine go first."""
    if hasattr(os, "nice"):
        os.nice(19)
