"""The check of a GPU: packed, carried to where little is installed, and run there on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from irn_video.pipeline.commands.packing import main as packing
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.training.checkpoint import load_checkpoint

import gpu_check
from measure import gpu_checks

CONFIG = 'name = "x"\ncrop = 32\nbatch = 2\nwarmup = 5\n[network]\nfamily = "paper"\nblocks = 1\nlatent_std = 0.01\n'
# What such a machine has not, and where the product has to come from.
BARE = """
import os, runpy, sys
for name in ("bjontegaard", "constriction", "ffmpeg", "imageio_ffmpeg", "matplotlib", "pytest", "rich"):
    sys.modules[name] = None
top, *sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    from irn_video.pipeline.engine import rgb
    assert rgb.__file__.startswith(top), rgb.__file__
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "carried-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("carried_along/__init__.py", "answer = 42")
    return path


def extracted(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder)  # without a filter, which Python 3.11.2 has not
    return folder / archive.stem


@pytest.mark.slow
def test_packed_carried_and_run(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is only what the archive brings, everything is measured, and the training begins."""
    (tmp_path / "x.toml").write_text(CONFIG)
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (80, 96, 3), np.uint8)
    assert cv2().imwrite(str(tmp_path / "photos" / "a.png"), noise)
    options = ["--images", str(tmp_path / "photos"), "--batches", "16"]
    assert packing(["pack", str(tmp_path / "x.toml"), str(tmp_path / "data.tar"), *options]) == 0
    data, archive, there = extracted(tmp_path / "data.tar", tmp_path), tmp_path / "gpu.tar", tmp_path / "there"
    capsys.readouterr()
    options = ["--wheel", str(wheel), "--model", "irn-h264-x2", "--train", str(data)]
    assert gpu_check.main(["pack", str(archive), *options]) == 0
    size = f"{archive.stat().st_size / 2**20:.1f} MiB"
    assert capsys.readouterr().out.startswith(f"{archive}: {size} (wheels 0.0, weights 0.3, data ")
    top = extracted(archive, there)
    words = ["--device", "cpu", "--quick", "--model", "irn-h264-x2", "--train", "gpu/train", "--out", "found"]
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(there), str(top / "samples" / "gpu_check.py"), *words],
        cwd=there,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "IRN_VIDEO_HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    result = json.loads((there / "found" / "gpu_check.json").read_text())
    assert set(result) == {
        *("schema", "command", "card", "cuda", "quick", "minutes", "machine", "seconds"),
        *("checks", "planes", "speeds", "training"),
    }
    assert (result["schema"], result["command"], result["card"], result["quick"]) == (1, "gpu_check", None, True)
    assert [row["name"] for row in result["checks"]] == [check.__name__ for check in gpu_checks.CHECKS]
    assert all(row["passed"] for row in (*result["checks"], *result["planes"]))
    (planes,), (speed,) = result["planes"], result["speeds"]
    assert (planes["name"], planes["levels"] <= 1, planes["decibels"] <= 0.005) == ("irn-h264-x2", True, True)
    assert (speed["name"], speed["width"], speed["height"], speed["passed"]) == ("irn-h264-x2", 128, 96, True)
    assert all(speed[f"{what}_fps"] is None or speed[f"{what}_fps"] > 0 for what in ("send", "receive", "down", "up"))
    assert (result["training"]["exit_code"], result["training"]["steps"]) == (0, 2)
    assert packing(["unpack", str(there / "found" / "run.tar"), "--out", str(tmp_path / "mine")]) == 0
    checkpoint = load_checkpoint(tmp_path / "mine")
    assert checkpoint is not None
    assert checkpoint["step"] == 2


def test_what_goes_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that fails or breaks stands in the result, and those after it are made."""

    def too_far(device: str) -> None:
        raise AssertionError(f"2 levels on {device}")

    def breaks(device: str) -> None:
        raise MemoryError

    monkeypatch.setattr(gpu_checks, "CHECKS", (too_far, breaks, lambda _: None))
    options = ["--device", "cpu", "--quick", "--minutes", "0", "--out", str(tmp_path)]
    assert gpu_check.main(options) == 1
    result = json.loads((tmp_path / "gpu_check.json").read_text())
    assert [row["passed"] for row in result["checks"]] == [False, False, True]
    assert [row.get("error") for row in result["checks"]] == [
        "AssertionError: 2 levels on torch",
        "MemoryError: ",
        None,
    ]
    # No time for anything else: all of it is named.
    assert {row["name"] for row in result["planes"]} == {row["name"] for row in result["speeds"]} > {"irn-x2"}
    assert all(row["left_out"] for row in (*result["planes"], *result["speeds"]))
    assert result["training"] is None


def test_no_gpu_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main(["--out", str(tmp_path / "found")]) == 1
    assert capsys.readouterr().err == "error: there is no GPU here (--device cpu --quick tries this without one)\n"
    assert not (tmp_path / "found").exists()


def test_minutes_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Measuring has its share, and training ends before the end."""
    job = gpu_check.Job("cpu", False, 9, (), tmp_path, tmp_path, began=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + 4 * 60)
    assert job.left() == 300
    assert job.left(0.6) == pytest.approx(84)
    called: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(words)
        (tmp_path / "run").mkdir()
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert gpu_check._training(job) == {"exit_code": 0, "steps_before": 0, "steps": 0, "seconds": 0.0}
    assert called[0][-2:] == ["--minutes", "4.67"]


class TestPack:
    def test_only_what_is_needed(self, wheel: Path, tmp_path: Path) -> None:
        archive = tmp_path / "gpu.tar"
        assert gpu_check.main(["pack", str(archive), "--wheel", str(wheel), "--model", "irn-h264-x1"]) == 0
        with tarfile.open(archive) as tar:
            names = {name.removeprefix("gpu/") for name in tar.getnames()}
        assert {wheel.name, "samples/gpu_check.py", "samples/measure/gpu_checks.py"} < names
        assert {f"irn_video/{room}/__init__.py" for room in ("codecs", "pipeline", "sender", "receiver")} < names
        assert [name for name in names if name.endswith(".safetensors")] == [
            "irn_video/pipeline/zoo/weights/irn-h264-x1.safetensors"
        ]
        suffixes = {Path(name).suffix for name in names}
        assert suffixes == {".py", ".whl", ".safetensors"}
        assert not [name for name in names if name.startswith(("tests", "docs", "samples/study", "samples/pictures"))]

    def test_too_large(
        self, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert gpu_check.LIMIT == 64 * 1024 * 1024
        monkeypatch.setattr(gpu_check, "LIMIT", 1 << 20)
        options = ["--wheel", str(wheel), "--model", "irn-h264-x4"]
        assert gpu_check.main(["pack", str(tmp_path / "gpu.tar"), *options]) == 1
        assert "more than 1 MiB; name fewer networks" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == [wheel.name]

    @pytest.mark.parametrize("missing", [["--wheel", "no.whl"], ["--model", "irn-h264-x9"], ["--train", "nowhere"]])
    def test_something_is_missing(self, missing: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert gpu_check.main(["pack", str(tmp_path / "gpu.tar"), *missing]) == 1
        assert f"no such file: {'' if missing[0] == '--model' else missing[1]}" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


def test_a_wheel_is_used_where_it_is_needed(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV is here, so none is unpacked; where it is not, what was carried can be imported."""
    before = list(sys.path)
    with gpu_check._wheels(tmp_path):
        assert not Path(sys.path[-1], "carried_along").exists()
    monkeypatch.setattr(gpu_check, "find_spec", lambda _: None)
    with gpu_check._wheels(tmp_path):
        from carried_along import answer  # type: ignore[import-not-found]

        assert answer == 42
        assert "gpu-check-wheels-" in sys.modules["carried_along"].__file__  # type: ignore[operator]
    assert sys.path == before
