"""The training loop: budgets and schedules, exact resuming, kills, numbers that are not finite."""

from __future__ import annotations

import csv
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.commands.train import main
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training import trainer as trainer_module
from irn_video.pipeline.training.checkpoint import CHECKPOINT, LOG, VALIDATION, forget_after, load_checkpoint
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.guard import interrupts_held
from irn_video.pipeline.training.progress import Progress
from irn_video.pipeline.training.run_options import RunOptions
from irn_video.pipeline.training.schedule import Budget, learning_rate
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.task import Loss, Rates, Task, everything
from irn_video.pipeline.training.trainer import Trainer
from irn_video.pipeline.zoo import read_model
from torch import Tensor

SPEC = NetworkSpec("paper", blocks=1, latent_std=0.01)
TINY = TrainConfig("tiny", SPEC, crop=32, batch=2, warmup=5, learning_rate=1e-3, ema=0.9)
FP32 = RunOptions(choose_device("cpu", "fp32"), log_every=10)


@pytest.fixture
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


def collect(trainer: Trainer) -> list[Progress]:
    lines: list[Progress] = []
    trainer.run(lines.append)
    return lines


def losses(folder: Path) -> dict[int, float]:
    with (folder / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["step"] for row in rows}) == len(rows)
    return {int(row["step"]): float(row["loss"]) for row in rows}


def assert_same_state(one: Path, other: Path, tolerance: float = 0.0) -> None:
    states = [load_checkpoint(folder) for folder in (one, other)]
    first, second = states
    assert first is not None
    assert second is not None
    assert first["step"] == second["step"]
    for part in ("network", "average"):
        for name, tensor in first[part].items():
            assert torch.allclose(tensor, second[part][name], rtol=0, atol=tolerance), name


def wait_for(process: ForkServerProcess, path: Path) -> None:
    """Until a process that runs has made a file."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestSchedule:
    def test_the_rate_halves_at_the_steps(self) -> None:
        config = replace(TINY, schedule="steps", halve_at=(10, 20), warmup=0, learning_rate=1.0)
        rates = [learning_rate(config, step, 0.5) for step in (0, 9, 10, 19, 20, 99)]
        assert rates == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

    def test_the_cosine_follows_steps_where_they_are_limited(self) -> None:
        budget = Budget(100, 60.0)
        assert budget.progress(50, 10.0) == 0.5
        assert learning_rate(replace(TINY, warmup=0), 50, 0.5) == pytest.approx(5e-4)
        assert budget.spent(100, 0)
        assert budget.spent(1, 60)
        assert not budget.spent(99, 59)
        assert budget.left(40, 50.0, 0.1) == pytest.approx(6)
        assert Budget(None, 60.0).progress(50, 15.0) == 0.25
        assert Budget(100, None).left(40, 50.0, 2) == 120


class TestResuming:
    def test_a_continued_run_equals_an_uninterrupted_one(
        self, source: SequenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        collect(Trainer(TINY, source, one, steps=35, options=FP32))
        first = Trainer(TINY, source, other, steps=35, options=FP32)

        def stop(line: Progress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            first.run(stop)
        assert first.step == 10
        # Stopped in between lines of the log too.
        update = Trainer._update

        def interrupted(self: Trainer, sums: Tensor, seconds: float) -> None:
            update(self, sums, seconds)
            if self.step == 17:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Trainer, "_update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect(Trainer(TINY, source, other, steps=35, options=FP32))
        monkeypatch.undo()
        last = Trainer(TINY, source, other, steps=35, options=FP32)
        assert last.step == 17
        collect(last)
        assert losses(one) == losses(other)
        assert_same_state(one, other)

    def test_a_killed_run_goes_on_as_if_nothing_had_happened(
        self, photos: Path, tmp_path: Path, forked: Callable[..., ForkServerProcess]
    ) -> None:
        config = tmp_path / "config.toml"
        config.write_text(
            'name = "x"\ncrop = 32\nbatch = 2\n[network]\nfamily = "paper"\nblocks = 1\nlatent_std = 0.01\n'
        )
        arguments = [str(config), "--images", str(photos), "--steps", "30", "--device", "cpu", "--precision", "fp32"]
        arguments += ["--log-every", "2", "--save-every", "0.15"]
        one, other = tmp_path / "one", tmp_path / "other"
        process = forked("train", [*arguments, "--out", other], tmp_path / "log")
        wait_for(process, other / CHECKPOINT)
        time.sleep(0.1)
        process.kill()
        process.join()
        state = load_checkpoint(other)
        assert state is not None
        assert 0 < state["step"] < 30
        assert main([*arguments, "--out", str(one)]) == main([*arguments, "--out", str(other)]) == 0
        expected = losses(one)
        assert len(expected) == 15
        assert losses(other) == pytest.approx(expected, rel=1e-6)
        assert_same_state(one, other, 1e-6)
        assert not list(other.glob(".*.part*"))

    def test_an_interrupt_leaves_a_checkpoint(
        self, photos: Path, tmp_path: Path, forked: Callable[..., ForkServerProcess]
    ) -> None:
        config = tmp_path / "config.toml"
        config.write_text('name = "x"\ncrop = 32\nbatch = 2\n[network]\nfamily = "paper"\nblocks = 1\n')
        run, log = tmp_path / "run", tmp_path / "log"
        arguments = [config, "--log-every", 1, "--images", photos, "--out", run, "--minutes", 10, "--device", "cpu"]
        process = forked("train", arguments, log)
        wait_for(process, run / LOG)
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(60)
        assert process.exitcode == 130, log.read_text()
        state = load_checkpoint(run)
        assert state is not None
        assert state["step"] == max(losses(run))
        assert not list(run.glob(".*.part*"))

    def test_a_used_up_budget_only_writes_the_weights(self, source: SequenceSource, tmp_path: Path) -> None:
        collect(Trainer(TINY, source, tmp_path, steps=3, options=FP32))
        again = Trainer(TINY, source, tmp_path, steps=3, options=FP32)
        assert collect(again) == []
        model = read_model(tmp_path / "x.safetensors") if again.export(tmp_path / "x.safetensors") else None
        assert model is not None
        assert "3 steps of 2 crops" in model.card.training

    def test_checkpoints_are_checked(self, source: SequenceSource, tmp_path: Path) -> None:
        (tmp_path / CHECKPOINT).write_bytes(b"rubbish")
        with pytest.raises(TrainingFailed, match="checkpoint"):
            Trainer(TINY, source, tmp_path, minutes=1)
        (tmp_path / CHECKPOINT).unlink()
        Trainer(TINY, source, tmp_path, minutes=1).save()
        with pytest.raises(TrainingFailed, match="another network"):
            Trainer(replace(TINY, network=replace(SPEC, blocks=2)), source, tmp_path, minutes=1)

    def test_logs_forget_what_will_be_done_again(self, tmp_path: Path) -> None:
        log = tmp_path / LOG
        log.write_text("step,seconds,loss\r\n10,1.0,3\r\n20,2.0,2\r\n30,3.0,1\r\n40,")
        forget_after(log, 20)
        assert log.read_text() == "step,seconds,loss\n10,1.0,3\n20,2.0,2\n"
        forget_after(tmp_path / VALIDATION, 20)
        assert not (tmp_path / VALIDATION).exists()


def test_interrupts_wait_for_the_end_of_an_update() -> None:
    done = []

    def update() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        update()
    assert done


def test_nothing_to_train_on_and_no_budget(source: SequenceSource, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="--images"):
        Trainer(TINY, SequenceSource((), (), 0.3), tmp_path, minutes=1)
    with pytest.raises(TrainingFailed, match="no budget"):
        Trainer(TINY, source, tmp_path)


@dataclass(frozen=True)
class Stub(Task[Tensor]):
    """A task that breaks at step 2 where it is told to."""

    breaks: str
    factor: float = 1.0
    quality = "dB"

    def batches(self, shard: int, step: int) -> Iterator[Tensor]:
        while True:
            batch = torch.full((2, 3, 32, 32), 0.5)
            yield batch / 0 if self.breaks == "data" and step == 2 else batch
            step += 1

    def loss(self, network: InvertibleRescaler, batch: Tensor, rng: torch.Generator) -> Loss:
        lr, latent = network.downscale(batch)
        parts = {"guide": lr.square().mean(), "latent": latent.square().mean()}
        if self.breaks == "loss":
            parts["latent"] = parts["latent"] / 0
        if self.breaks == "gradient":  # sqrt'(0) is infinite
            parts["latent"] = (network.operations[1].F.conv5.bias * 0).sqrt().sum()  # type: ignore[index, union-attr]
        return Loss(sum(parts.values(), torch.zeros(())), torch.ones(()), torch.ones(()), parts)

    def rates(self, network: InvertibleRescaler) -> Rates:
        everywhere = everything(network)[0][0]
        return [(everywhere[:2], self.factor), (everywhere[2:], 1.0)]

    def describe(self) -> tuple[str, str]:
        return "", ""


class TestGuard:
    @pytest.mark.parametrize(
        ("breaks", "message"),
        [
            ("data", r"step 2, shard 0: the data is not finite \(samples\)"),
            ("loss", r"step 0, shard 0: the loss is nan \(latent is nan\).*lower learning_rate"),
            ("gradient", r"step 0: the gradient of operations\.1\.F\.conv5\.bias is not finite"),
        ],
    )
    def test_names_step_and_cause(
        self, breaks: str, message: str, source: SequenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trainer_module, "make_task", lambda *_: Stub(breaks))
        trainer = Trainer(TINY, source, tmp_path, steps=5, options=FP32)
        with pytest.raises(TrainingFailed, match=message):
            collect(trainer)
        assert all(p.isfinite().all() for p in trainer.network.parameters())
        state = load_checkpoint(tmp_path)
        assert state is not None
        assert state["step"] == (2 if breaks == "data" else 0)

    def test_spoilt_weights(self, source: SequenceSource, tmp_path: Path) -> None:
        trainer = Trainer(TINY, source, tmp_path, steps=5, options=FP32)
        with torch.no_grad():
            trainer.network.operations[1].G.conv1.bias[0] = float("nan")  # type: ignore[index, union-attr]
        with pytest.raises(TrainingFailed, match=r"the weight operations\.1\.G\.conv1\.bias is not finite"):
            collect(trainer)


def test_groups_learn_at_their_own_rate(
    source: SequenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "make_task", lambda *_: Stub("", factor=0.0))
    trainer = Trainer(TINY, source, tmp_path, steps=3, options=FP32)
    before = [p.detach().clone() for p in trainer.network.parameters() if p.requires_grad]
    collect(trainer)
    after = [p for p in trainer.network.parameters() if p.requires_grad]
    assert all(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))


def test_validation_comes_at_the_end_and_is_logged(source: SequenceSource, tmp_path: Path) -> None:
    seen = []

    def validator(network: InvertibleRescaler, device: object) -> list[dict[str, object]]:
        assert not network.training
        seen.append(network)
        return [{"name": "mean", "psnr_y": 30.0}]

    options = replace(FP32, validator=validator, validate_every=0.0)
    collect(Trainer(TINY, source, tmp_path, steps=2, options=options))
    lines = (tmp_path / VALIDATION).read_text().splitlines()
    assert lines[0] == "step,seconds,name,psnr_y"
    assert lines[-1].startswith("2,")
    assert lines[-1].endswith("mean,30.0")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_short_run_learns(precision: str, source: SequenceSource, tmp_path: Path) -> None:
    options = replace(FP32, device=choose_device("cpu", precision), log_every=5)
    lines = collect(Trainer(replace(TINY, learning_rate=3e-3), source, tmp_path, steps=15, options=options))
    assert lines[-1].loss < lines[0].loss
