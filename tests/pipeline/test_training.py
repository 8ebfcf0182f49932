"""Training: configurations, data made by the real encoder, resuming, and a run that learns."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadConfig, MissingFile, TrainingFailed
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.opencv import cv2
from irn_video.pipeline.training.cli import main
from irn_video.pipeline.training.config import CodecConfig, TrainConfig, load_config
from irn_video.pipeline.training.samples import CodedSequences, plane_errors
from irn_video.pipeline.training.sequences import SequenceSource, find_files, photo_sequence
from irn_video.pipeline.training.trainer import Progress, Trainer
from irn_video.pipeline.zoo import read_model

TINY = TrainConfig(
    "tiny",
    NetworkSpec("codec-aware", width=16, depth=1),
    codec=CodecConfig(crf_min=18, crf_max=30, presets=("ultrafast",), frames=4),
    crop=64,
    batch=4,
    warmup=10,
    ema=0.9,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs' worth of smooth texture with edges."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        small = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        large = cv2().resize(small, (960, 720), interpolation=cv2().INTER_CUBIC)
        cv2().circle(large, (480, 360), 200, (255, 255, 255), 9)
        cv2().imwrite(str(folder / name), large)
    return folder


@pytest.fixture
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


def test_sequences_move_and_keep_their_size(source: SequenceSource) -> None:
    sequence = photo_sequence(source.photos[0], random.Random(3), 4)
    shapes = {tuple(plane.shape for plane in picture) for picture in sequence}
    assert len(shapes) == 1
    (luma, cb, cr) = shapes.pop()
    assert cb == cr == (luma[0] // 2, luma[1] // 2)
    assert luma[0] % 8 == luma[1] % 8 == 0
    assert not np.array_equal(sequence[0][0], sequence[-1][0])


def test_samples_come_from_the_real_encoder(source: SequenceSource) -> None:
    network = CodecAwareRescaler(8, 1)
    group = next(iter(CodedSequences(source, TINY.codec, network, TINY.crop, seed=1)))
    side = TINY.crop // 4
    assert group.lr.shape[1:] == (6, side, side)
    assert group.target.shape[1:] == (24, side, side)
    assert 5 < float(group.qp.min()) <= float(group.qp.max()) <= 51
    error = (group.lr.float() / 255 - group.target[:, :6].float()).square().mean()
    assert 1e-6 < float(error) < 1e-2  # coded, not copied, and aligned


def test_subband_errors_are_those_of_the_planes() -> None:
    """Parseval: the wavelet is close enough to orthonormal that both agree within two percent."""
    network = CodecAwareRescaler(8, 1)
    hr, other = torch.rand(2, 2, 6, 64, 64)
    with torch.no_grad():
        bands = [torch.cat(network.downscale(x), 1) for x in (hr, other)]
    squared = (hr - other).square().mean((2, 3))
    planes = torch.stack((squared[:, :4].mean(1), squared[:, 4], squared[:, 5]), 1)
    assert torch.allclose(plane_errors(*bands), planes, rtol=0.02)


def collect(trainer: Trainer) -> list[Progress]:
    lines: list[Progress] = []
    trainer.run(lines.append)
    return lines


@pytest.mark.slow
def test_a_short_run_learns_and_can_be_continued(source: SequenceSource, tmp_path: Path) -> None:
    trainer = Trainer(replace(TINY, learning_rate=3e-3), source, tmp_path, minutes=0.25)
    lines = collect(trainer)
    assert lines[-1].quality > 0.05
    assert trainer.seconds >= 15
    again = Trainer(TINY, source, tmp_path, minutes=0.25)
    assert (again.step, again.seconds) == (trainer.step, trainer.seconds)
    for a, b in zip(again.network.parameters(), trainer.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert collect(again) == []  # the budget is used up
    with (tmp_path / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(lines)
    path = tmp_path / "tiny.safetensors"
    digest = trainer.export(path)
    model = read_model(path)
    assert model.sha256 == digest
    assert "x264" in model.card.training


def test_the_sender_stays_fixed(source: SequenceSource, tmp_path: Path) -> None:
    trainer = Trainer(TINY, source, tmp_path, minutes=0.02)
    collect(trainer)
    assert torch.equal(trainer.network.wavelet.taps, CodecAwareRescaler(8, 1).wavelet.taps)  # type: ignore[union-attr]


def test_paper_networks_train(source: SequenceSource, tmp_path: Path) -> None:
    spec = NetworkSpec("paper", blocks=1, latent_std=0.01)
    config = TrainConfig("paper", spec, crop=32, batch=2, warmup=1, learning_rate=1e-3)
    trainer = Trainer(config, source, tmp_path, minutes=0.03)
    before = [p.detach().clone() for p in trainer.network.parameters()]
    collect(trainer)
    assert trainer.step > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.network.parameters(), strict=True))


def test_checkpoints_are_checked(source: SequenceSource, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"rubbish")
    with pytest.raises(TrainingFailed, match="checkpoint"):
        Trainer(TINY, source, tmp_path, minutes=1)
    (tmp_path / "checkpoint.pt").unlink()
    Trainer(TINY, source, tmp_path, minutes=1).save()
    with pytest.raises(TrainingFailed, match="another network"):
        Trainer(replace(TINY, network=NetworkSpec("codec-aware", width=24, depth=1)), source, tmp_path, minutes=1)


def test_broken_training_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(TrainingFailed, match=r"x\.png"):
        photo_sequence(tmp_path / "x.png", random.Random(0), 2)


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="--images"):
        Trainer(TINY, SequenceSource((), (), 0.3), tmp_path, minutes=1)


GOOD = 'name = "x"\n[network]\nfamily = "codec-aware"\nwidth = 8\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        (GOOD.replace("width", "widht"), "unknown key network.widht.*did you mean width"),
        ("batch = 4\n", "name is missing|network is missing"),
        (GOOD.replace("8", '"8"'), "network.width must be of type int"),
        (GOOD.replace("codec-aware", "magic"), "must be one of"),
        ("crop = 100\n" + GOOD, "crop must be a multiple of 8"),
        ("learning_rate = -1.0\n" + GOOD, "learning_rate"),
        (GOOD + "[codec]\ncrf_min = 30\ncrf_max = 20\n", "crf_min"),
        (GOOD + "[codec]\npresets = []\n", "list of strings"),
        ('name = "x"\nnetwork = 3\n', "must be a table"),
    ],
)
def test_bad_configurations_name_the_fault(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=message):
        load_config(path)


def test_missing_configuration(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "samples" / "configs").glob("*.toml")), ids=str)
def test_shipped_configurations_load(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_command_refuses_missing_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(GOOD)
    assert main([str(config), "--images", str(tmp_path / "none"), "--out", str(tmp_path / "run")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_interrupt_leaves_a_checkpoint(photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('name = "x"\ncrop = 64\nbatch = 2\n[network]\nfamily = "paper"\nblocks = 1\n')
    run = tmp_path / "run"
    command = [sys.executable, "-m", "irn_video.pipeline.training.cli", str(config)]
    command += ["--images", str(photos), "--out", str(run), "--minutes", "10"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (run / "log.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] >= 50
    assert not list(run.glob(".*.part*"))
