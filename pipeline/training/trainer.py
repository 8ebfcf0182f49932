"""The training loop: resumable, with averaged weights, in one process or several. What is trained is a `Task`.

A step is a pure function of the checkpoint, the configuration and its number, so a run that was killed and goes on from
its checkpoint equals one that was not. (With a budget in minutes the learning rate depends on the clock.)
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.training.checkpoint import (
    CHECKPOINT,
    LOG,
    VALIDATION,
    append_row,
    forget_after,
    load_checkpoint,
    remove_leftovers,
    save_checkpoint,
)
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.distributed import Team
from irn_video.pipeline.training.growing import start_from
from irn_video.pipeline.training.guard import gradient_fault, interrupts_held, loss_fault
from irn_video.pipeline.training.optimizers import Optimizers, trained
from irn_video.pipeline.training.packed import PackedGroups, PackedTask
from irn_video.pipeline.training.progress import Progress
from irn_video.pipeline.training.run_options import RunOptions
from irn_video.pipeline.training.schedule import Budget, learning_rate
from irn_video.pipeline.training.task import Loss, Task
from irn_video.pipeline.training.tasks import make_task
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from irn_video.pipeline.training.sequences import SequenceSource
    from irn_video.pipeline.zoo import LoadedModel

# Longer pauses (a stopped process, a sleeping laptop) do not use up the budget.
_LONGEST_STEP = 60.0
_LEAST_SCALE = 1.0
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class _LossModule(nn.Module):
    """A network and its loss as one module, which is what DistributedDataParallel wraps."""

    def __init__(self, task: Task[Any], network: InvertibleRescaler) -> None:
        super().__init__()
        self.task, self.network, self.critic = task, network, task.critic

    def forward(self, batch: Any, rng: torch.Generator) -> Loss:
        return self.task.loss(self.network, batch, rng)


class Trainer:
    """Trains one network; its folder holds the checkpoint and the logs.

    Args:
        config: what to train.
        source: what to train on.
        folder: of this run; a checkpoint found there is continued.
        minutes: time budget, earlier runs included.
        steps: budget in steps, instead of that of the configuration; at least one of the three is needed.
        start: network to start from when there is no checkpoint.
        options: how to run.
        team: the processes that train together.

    Raises:
        TrainingFailed: no data, no budget, a damaged checkpoint, or one or a start of another network.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: SequenceSource | PackedGroups,
        folder: Path,
        *,
        minutes: float | None = None,
        steps: int | None = None,
        start: LoadedModel | None = None,
        options: RunOptions | None = None,
        team: Team | None = None,
    ) -> None:
        self.config, self.folder = config, folder
        self.options, self.team = options or RunOptions(), team or Team()
        self.shards = self.team.shards(config.shards)
        self.budget = Budget(steps or config.steps or None, minutes * 60 if minutes is not None else None)
        if self.budget == Budget(None, None):
            raise TrainingFailed("no budget", hint="give minutes or steps")
        self.task = _task_on(config, source)
        torch.manual_seed(config.seed)
        self.network = config.network.build().train()
        if start is not None:
            start_from(self.network, config.network, start)
            self.task.begin(self.network)
        self._start = f"{start.card.name} {start.sha256[:8]}" if start else ""
        self.network.to(self._device)
        if self._device.type == "cuda":  # on the CPU it gains nothing for dense blocks
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.task.critic is not None:
            self.task.critic.to(self._device)
        for part in self.task.frozen(self.network):
            part.requires_grad_(False)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema)
        )
        rates = self.task.rates(self.network)
        self._trained = trained(rates)
        if config.optimizer == "muon" and self.options.device.precision == "fp16":
            raise TrainingFailed("Muon does not train in fp16", hint="use --precision bf16 or fp32")
        self.optimizers = Optimizers(config, rates)
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=self.options.device.precision == "fp16")
        self.step, self.seconds = 0, 0.0
        self._sums = torch.zeros(3, dtype=torch.float64)  # loss, error and reference since the last line of the log
        self._step_seconds = 0.0
        if self.team.leads:
            folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self._loss = self._wrapped()

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train until the budget is used up; an interrupt or a failure leaves a checkpoint behind.

        Raises:
            TrainingFailed: a number is not finite, or a training file cannot be read.
        """
        if self.budget.spent(self.step, self.seconds):
            return
        try:
            with ExitStack() as stack:
                self._loop(
                    [stack.enter_context(closing(self.task.batches(shard, self.step))) for shard in self.shards], report
                )
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingFailed("a data worker was stopped", hint="the same command goes on from here") from error
        finally:
            self.save()

    def seconds_left(self) -> float:
        """To the end of the budget, at the pace since the last line of the log."""
        return self.budget.left(self.step, self.seconds, self._step_seconds)

    def averaged(self) -> InvertibleRescaler:
        """A copy of the network with the averaged weights, on the CPU and in evaluation mode."""
        network = self.config.network.build()
        network.load_state_dict(self.average.module.state_dict())
        return network

    def export(self, path: Path) -> str:
        """Write the averaged weights with a model card; returns their digest."""
        from irn_video.pipeline.zoo.card import ModelCard, write_model
        from irn_video.pipeline.zoo.cost import cost_of

        config, network = self.config, self.averaged()
        down, up = cost_of(network)
        how, data = self.task.describe()
        if self._start:
            how += f"; started from {self._start}"
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
        weights = network.half().state_dict() if config.half else network.state_dict()
        return write_model(path, card, weights, overwrite=True)

    def save(self) -> None:
        """Write the checkpoint; the old one is replaced only by a whole new one."""
        if not self.team.leads:
            return
        state = {
            "network_spec": asdict(self.config.network),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "critic": None if self.task.critic is None else self.task.critic.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "scaler": self.scaler.state_dict(),
            "start": self._start,
            "step": self.step,
            "seconds": self.seconds,
            "sums": self._sums,
        }
        with interrupts_held():
            save_checkpoint(self.folder, state)

    def validate(self) -> None:
        """Measure the averaged weights and add a line for each clip to validation.csv."""
        if self.options.validator is None or not self.team.leads:
            return
        for row in self.options.validator(self.averaged(), self.options.device):
            append_row(self.folder / VALIDATION, {"step": self.step, "seconds": round(self.seconds), **row})

    @property
    def _device(self) -> torch.device:
        return self.options.device.torch_device

    def _loop(self, batches: list[Generator[Any, None, None]], report: Callable[[Progress], None]) -> None:
        """Steps until the budget is used up, with endless batches of each shard."""
        groups: Iterator[tuple[Any, ...]] = zip(*batches, strict=True)
        group = next(groups)  # starts the workers, which is not training time
        mark = saved = validated = before = time.monotonic()
        mark_step, waited = self.step, 0.0
        while not self.budget.spent(self.step, self.seconds):
            losses = [self._gradients(shard, batch) for shard, batch in zip(self.shards, group, strict=True)]
            now = time.monotonic()
            *sums, seconds = self._agreed(losses, min(now - before, _LONGEST_STEP))
            before = now
            self._check(group, losses, sums[0])
            line = None
            with interrupts_held():
                self._update(torch.stack(sums), float(seconds))
                if self.step % self.options.log_every == 0:
                    self._step_seconds = (now - mark) / (self.step - mark_step)
                    line = self._log(waited / (now - mark))
                    mark, mark_step, waited = now, self.step, 0.0
            if line is not None:
                report(line)
            asked = time.monotonic()
            group = next(groups)
            waited += time.monotonic() - asked
            if now - saved > self.options.save_every:
                self.save()
                saved = now
            if now - validated > self.options.validate_every:
                self.validate()
                before = mark = validated = time.monotonic()
                mark_step, waited = self.step, 0.0
        self.validate()

    def _gradients(self, shard: int, batch: Any) -> Loss:
        """Add the gradient of one shard's batch; the last shard's shares those of all processes."""
        seed = _seed(self.config.seed, shard, self.step)
        torch.manual_seed(seed)  # for what does not draw from the generator of the loss
        last = shard == self.shards[-1]
        waiting = isinstance(self._loss, DistributedDataParallel) and not last
        with self._loss.no_sync() if waiting else nullcontext():  # type: ignore[operator]
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not torch.float32):
                loss: Loss = self._loss(batch.to(self._device), torch.Generator().manual_seed(seed))
            self.scaler.scale(loss.total / len(self.shards)).backward()
        return loss

    def _agreed(self, losses: list[Loss], elapsed: float) -> Tensor:
        """Loss, error, reference and seconds of this step, the same in every process."""
        rows = [torch.stack((loss.total.detach(), loss.error, loss.reference)).double().cpu() for loss in losses]
        loss, error, reference = torch.stack(rows).sum(0)
        seconds = loss.new_tensor(elapsed if self.team.leads else 0.0)
        return self.team.total(torch.stack((loss / self.config.shards, error, reference, seconds)))

    def _check(self, group: tuple[Any, ...], losses: list[Loss], total: Tensor) -> None:
        """Stop at a loss that is not a number, before it reaches the weights."""
        if total.isfinite():
            return
        for shard, batch, loss in zip(self.shards, group, losses, strict=True):
            if fault := loss_fault(batch, loss, self.network):
                raise TrainingFailed(f"step {self.step}, shard {shard}: {fault[0]}", hint=fault[1])
        raise TrainingFailed(f"step {self.step}: the loss is not finite in another process")

    def _update(self, sums: Tensor, seconds: float) -> None:
        """One step of the optimiser."""
        if self.scaler.is_enabled():
            self.optimizers.unscale(self.scaler)
        norm = nn.utils.get_total_norm([p.grad for p in self._trained if p.grad is not None])
        # In fp16, gradients overflow now and then; the scaler skips the step and scales less.
        if not norm.isfinite() and (not self.scaler.is_enabled() or self.scaler.get_scale() < _LEAST_SCALE):
            what, hint = gradient_fault(self.network)
            raise TrainingFailed(f"step {self.step}: {what}", hint=hint)
        nn.utils.clip_grads_with_norm_(self._trained, self.config.gradient_norm, norm)
        self.optimizers.step(self._rate(), self.scaler)
        self.scaler.update()
        self._loss.zero_grad(set_to_none=True)
        self.average.update_parameters(self.network)
        self._sums += sums
        self.step += 1
        self.seconds += seconds

    def _rate(self) -> float:
        return learning_rate(self.config, self.step, self.budget.progress(self.step, self.seconds))

    def _log(self, waiting: float) -> Progress:
        loss, error, reference = self._sums.tolist()
        self._sums.zero_()
        quality = 10 * math.log10(reference / max(error, 1e-12))
        line = Progress(self.step, self.seconds, loss / self.options.log_every, quality, self._rate(), waiting)
        if self.team.leads:
            append_row(self.folder / LOG, asdict(line))
        return line

    def _wrapped(self) -> nn.Module:
        """The loss as a module, compiled and shared between processes as asked for."""
        if self.options.compiled:
            for name in ("downscale", "predict", "upscale"):
                setattr(self.network, name, torch.compile(getattr(self.network, name)))
        module = _LossModule(self.task, self.network)
        return DistributedDataParallel(module, broadcast_buffers=False) if self.team.size > 1 else module

    def _resume(self) -> None:
        """Go on from the leader's checkpoint, if it has one."""
        state = self.team.from_leader(load_checkpoint(self.folder) if self.team.leads else None)
        if state is not None:
            self._restore(state)
        if self.team.leads:
            remove_leftovers(self.folder)
            for name in (LOG, VALIDATION):
                forget_after(self.folder / name, self.step)

    def _restore(self, state: dict[str, Any]) -> None:
        path = self.folder / CHECKPOINT
        if state.get("network_spec") != asdict(self.config.network):
            raise TrainingFailed("the checkpoint is of another network", path=path, hint="choose another --out")
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            if self.task.critic is not None:
                self.task.critic.load_state_dict(state["critic"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            # Not in the checkpoints of version 0.1.0.
            self._sums, self._start = state.get("sums", self._sums), str(state.get("start", ""))
            if self.scaler.is_enabled() and state.get("scaler"):
                self.scaler.load_state_dict(state["scaler"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingFailed(
                f"the checkpoint does not fit: {error}", path=path, hint="remove it to start over"
            ) from error

    @property
    def _dtype(self) -> torch.dtype:
        return _DTYPES[self.options.device.precision]


def _task_on(config: TrainConfig, source: SequenceSource | PackedGroups) -> Task[Any]:
    if isinstance(source, PackedGroups):
        return PackedTask(config, source)
    if not source.photos and not source.clips:
        raise TrainingFailed("no images and no clips to train on", hint="give --images or --clips")
    return make_task(config, source)


def use_all_cores(team: Team) -> None:
    """Commands leave a core to decoder and encoder; here the data worker is seldom busy."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // team.local_size))


def lower_priority() -> None:
    """Let everything else on this machine go first."""
    if hasattr(os, "nice"):
        os.nice(19)


def _seed(*parts: int) -> int:
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1
