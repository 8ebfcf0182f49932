"""Data and code for a machine that has PyTorch alone, and checkpoints brought back."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.commands.packing import main as packing
from irn_video.pipeline.commands.train import main
from irn_video.pipeline.training import mixing
from irn_video.pipeline.training.checkpoint import LOG, load_checkpoint
from irn_video.pipeline.training.config import load_config
from irn_video.pipeline.training.packed import POOL_BATCHES, PackedGroups, PackedTask

NETWORKS = {
    "paper": 'family = "paper"\nblocks = 1\nlatent_std = 0.01\n',
    "codec-aware": 'family = "codec-aware"\nwidth = 8\ndepth = 1\n[codec]\npresets = ["ultrafast"]\nframes = 2\n',
}
# What a machine without network, PyAV and OpenCV has not. It trains in one folder after the other.
BARE = """
import os, sys
for name in ("av", "cv2", "safetensors", "click", "rich", "bjontegaard"):
    sys.modules[name] = None
from irn_video.pipeline.training import packed_run
assert packed_run.__file__.startswith(sys.argv[1]), packed_run.__file__
for folder in sys.argv[1:]:
    os.chdir(folder)
    assert packed_run.main(["--steps", "4", "--log-every", "2", "--device", "cpu"]) == 0
"""


def packed(family: str, photos: Path, folder: Path, pools: int) -> Path:
    """An unpacked archive."""
    folder.mkdir(exist_ok=True)
    config = folder / "config.toml"
    config.write_text(f'name = "x"\ncrop = 32\nbatch = 2\nwarmup = 5\n[network]\n{NETWORKS[family]}')
    archive = folder / "packed.tar"
    options = ["--images", str(photos), "--batches", str(pools * POOL_BATCHES)]
    assert packing(["pack", str(config), str(archive), *options]) == 0
    with tarfile.open(archive) as tar:
        tar.extractall(folder)  # without a filter, which Python 3.11.2 has not
    return folder / "packed"


@pytest.mark.slow
def test_there_and_back(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing, "_GROUPS", 4)  # as many are coded before the first batch
    folders = [tmp_path / family for family in NETWORKS]
    tops = [packed(folder.name, photos, folder, 1) for folder in folders]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}  # only what was packed
    command = [sys.executable, "-c", BARE, *map(str, tops)]
    done = subprocess.run(command, cwd=tops[0], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 steps") == 2
    for folder, top in zip(folders, tops, strict=True):
        with tarfile.open(folder / "run.tar", "w") as tar:
            tar.add(top / "run", "run")
        home = folder / "home"
        unpack = ["unpack", str(folder / "run.tar"), "--out", str(home)]
        assert packing(unpack) == 0
        capsys.readouterr()
        assert packing(unpack) == 1
        assert "--overwrite" in capsys.readouterr().err
        arguments = [str(folder / "config.toml"), "--images", str(photos), "--out", str(home), "--device", "cpu"]
        assert main([*arguments, "--steps", "6", "--log-every", "2"]) == 0
        state = load_checkpoint(home)
        assert state is not None
        assert state["step"] == 6
        assert len((home / LOG).read_text().splitlines()) == 4
        assert (home / "x.safetensors").exists()


def test_prepared_batches_are_those_of_the_task_in_another_order(photos: Path, tmp_path: Path) -> None:
    top = packed("paper", photos, tmp_path, 2)
    assert (top / "train.sh").stat().st_mode & 0o111
    source = PackedGroups.open(top / "data")
    config = load_config(top / "config.toml")
    task = PackedTask(config, source)
    epoch = 2 * POOL_BATCHES
    batches = list(islice(task.batches(0, 0), 2 * epoch))
    pools = torch.cat([source.pool(0, index)["crops"] for index in (0, 1)])

    def histogram(crops: torch.Tensor) -> list[int]:
        return sorted(crops.flatten(1).long().sum(1).tolist())

    assert histogram(torch.cat(batches[:epoch])) == histogram(torch.cat(batches[epoch:])) == histogram(pools)
    assert not torch.equal(torch.cat(batches[:epoch]), torch.cat(batches[epoch:]))
    for start in (5, 40):
        assert torch.equal(next(task.batches(0, start)), batches[start])
    with pytest.raises(TrainingFailed, match="prepared for crop 32, not 64"):
        PackedTask(replace(config, crop=64), source)


def test_what_is_no_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingFailed, match="not a folder of prepared data"):
        PackedGroups.open(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no archive")
    assert packing(["unpack", str(tmp_path / "x.tar"), "--out", str(tmp_path / "r")]) == 1
    assert "not an archive" in capsys.readouterr().err
