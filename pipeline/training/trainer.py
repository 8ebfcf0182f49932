"""The training loop of the codec-aware networks: time-budgeted, resumable, with averaged weights."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.output import atomic_path
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.samples import CodedSequences, Samples, ShuffleBuffer, plane_errors
from irn_video.pipeline.training.sequences import SequenceSource
from irn_video.pipeline.zoo.card import ModelCard, write_model
from irn_video.pipeline.zoo.cost import cost_of
from torch import Tensor, nn
from torch.utils.data import DataLoader

_BUFFER = 1500
_STEPS_PER_GROUP = 8
_LOG_EVERY = 50
_SAVE_EVERY_SECONDS = 60
# Longer pauses (a stopped process, a sleeping laptop) do not use up the budget.
_LONGEST_STEP = 5.0
# PSNR-YUV weighs luma six to one.
_PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
_STD_LOSS_WEIGHT = 1e-3
_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Progress:
    """One line of the log.

    Attributes:
        step: steps taken.
        seconds: of training time, earlier runs included.
        loss: mean since the last line; 1 is the plain wavelet reconstruction.
        gain_y: luma error of the crops below that of the plain wavelet reconstruction, dB.
        learning_rate: of this step.
        waiting: share of the time spent waiting for data.
    """

    step: int
    seconds: float
    loss: float
    gain_y: float
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
        network = config.network.build()
        if not isinstance(network, CodecAwareRescaler):
            raise TrainingFailed("only codec-aware networks can be trained so far", hint='family = "codec-aware"')
        self.config, self.folder, self.budget = config, folder, minutes * 60
        self._source = source
        self.network = network.train()
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.wavelet.requires_grad_(False)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema)
        )
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, betas=(0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        dataset = CodedSequences(source, config.codec, network, config.crop, config.seed + self.step)
        self._loader = DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4)

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train until the budget is used up; on an interrupt the checkpoint is written before it goes on up."""
        if self.seconds >= self.budget:
            return
        rng = torch.Generator().manual_seed(self.config.seed + self.step)
        buffer = ShuffleBuffer(self._loader, _BUFFER, rng)
        try:
            self._loop(buffer, report)
        finally:
            self.save()

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return {name: value.detach().clone() for name, value in self.average.module.state_dict().items()}

    def export(self, path: Path) -> str:
        """Write the averaged weights with a model card; returns their digest."""
        config = self.config
        network = config.network.build()
        network.load_state_dict(self.weights())
        down, up = cost_of(network)
        card = ModelCard(
            name=config.name,
            network=config.network,
            summary=config.summary,
            training=(
                f"{self.step} steps of {config.batch} crops of {config.crop}x{config.crop} in {self.seconds / 60:.0f} "
                f"minutes, through x264 at CRF {config.codec.crf_min:g} to {config.codec.crf_max:g}"
            ),
            data=f"{len(self._source.photos)} photographs in motion, {len(self._source.clips)} clips",
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
            "config": asdict(self.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with atomic_path(self.folder / _CHECKPOINT, overwrite=True) as temporary:
            torch.save(state, temporary)

    def _loop(self, buffer: ShuffleBuffer, report: Callable[[Progress], None]) -> None:
        sums, waited, mark, saved = torch.zeros(3), 0.0, time.monotonic(), time.monotonic()
        clock = time.monotonic()
        while self.seconds < self.budget:
            before = time.monotonic()
            if self.step % _STEPS_PER_GROUP == 0:
                buffer.refresh()
            batch = buffer.batch(self.config.batch)
            waited += time.monotonic() - before
            sums += self._train_step(batch)
            now = time.monotonic()
            self.seconds, clock = self.seconds + min(now - clock, _LONGEST_STEP), now
            if self.step % _LOG_EVERY == 0:
                error, plain, loss = sums.tolist()
                gain = 10 * math.log10(plain / max(error, 1e-12))
                line = Progress(self.step, self.seconds, loss / _LOG_EVERY, gain, self._rate(), waited / (now - mark))
                self._log(line)
                report(line)
                sums, waited, mark = torch.zeros(3), 0.0, now
            if now - saved > _SAVE_EVERY_SECONDS:
                self.save()
                saved = now

    def _train_step(self, batch: Samples) -> Tensor:
        """One step; returns weighted luma errors of the network and of the plain wavelet, and the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        lr, target = batch.lr.float() / 255, batch.target.float()
        with torch.autocast("cpu", torch.bfloat16):
            prediction = self.network.predict(lr, batch.qp)
        weight = batch.weight * torch.tensor(_PLANE_WEIGHTS)
        errors = plane_errors(torch.cat((prediction.lr, prediction.mean), 1), target) * weight
        plain = plane_errors(torch.cat((lr, torch.zeros_like(prediction.mean)), 1), target) * weight
        loss = errors.sum() / len(batch)
        latent = target[:, self.network.channels :]
        spread = nn.functional.gaussian_nll_loss(prediction.mean.detach(), latent, prediction.std.square(), eps=1e-8)
        if not torch.isfinite(loss):
            raise TrainingFailed(
                f"the loss is {loss.item()} at step {self.step}", hint="lower learning_rate or gradient_norm"
            )
        self.optimizer.zero_grad(set_to_none=True)
        (loss + _STD_LOSS_WEIGHT * spread).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_norm)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return torch.stack((errors.detach().sum(0)[0], plain.sum(0)[0], loss.detach()))

    def _rate(self) -> float:
        rise = min(1.0, (self.step + 1) / max(1, self.config.warmup))
        return self.config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seconds / self.budget)))

    def _log(self, line: Progress) -> None:
        path = self.folder / "log.csv"
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
            same = state["config"]["network"] == asdict(self.config.network)
            if same:
                self.network.load_state_dict(state["network"])
                self.average.load_state_dict(state["average"])
                self.optimizer.load_state_dict(state["optimizer"])
                self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:
            raise TrainingFailed(
                f"cannot read the checkpoint: {error}", path=path, hint="remove it to start over"
            ) from error
        if not same:
            raise TrainingFailed("the checkpoint is of another network", path=path, hint="choose another --out")


def lower_priority() -> None:
    """Let everything else on this machine go first."""
    if hasattr(os, "nice"):
        os.nice(19)
