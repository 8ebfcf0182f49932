"""Several processes that train one network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.training.checkpoint import LOG, load_checkpoint
from irn_video.pipeline.training.config import load_config
from irn_video.pipeline.training.distributed import Team
from irn_video.pipeline.training.run_options import RunOptions
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.trainer import Trainer

CONFIG = """
name = "x"
crop = 32
batch = 4
shards = 2
warmup = 5
learning_rate = 1e-3
[network]
family = "paper"
blocks = 1
latent_std = 0.01
"""


def test_teams_share_shards_evenly() -> None:
    assert list(Team().shards(4)) == [0, 1, 2, 3]
    assert list(Team(rank=1, size=2).shards(4)) == [1, 3]
    with pytest.raises(TrainingFailed, match=r"3 processes cannot share 4 shards.*multiple of 3"):
        Team(rank=0, size=3).shards(4)


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_batches(photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    arguments = [str(config), "--images", str(photos), "--steps", "8", "--device", "cpu", "--precision", "fp32"]
    arguments += ["--log-every", "2", "--out"]
    one, two = tmp_path / "one", tmp_path / "two"
    # The script torchrun is this module.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--log-dir", str(tmp_path / "logs"), "-m", "irn_video.pipeline.commands.train", *arguments, str(two)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("8 steps") == 1  # only the leader reports
    assert done.stderr.count("step 8:") == 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of the two had: Adam makes much of rounding where gradients are nearly zero
    try:
        options = RunOptions(choose_device("cpu", "fp32"), log_every=2)
        source = SequenceSource(find_files((photos,), photos=True), (), 0.0)
        Trainer(load_config(config), source, one, steps=8, options=options).run(lambda _: None)
    finally:
        torch.set_num_threads(threads)
    first, second = load_checkpoint(one), load_checkpoint(two)
    assert first is not None
    assert second is not None
    for name, tensor in first["network"].items():
        assert torch.allclose(tensor, second["network"][name], rtol=0, atol=1e-5), name
    rows = [(folder / LOG).read_text().splitlines() for folder in (one, two)]
    assert len(rows[0]) == len(rows[1]) == 5
    for line, other in zip(*(r[1:] for r in rows), strict=True):
        assert float(line.split(",")[2]) == pytest.approx(float(other.split(",")[2]), rel=1e-5)
