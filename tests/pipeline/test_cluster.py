"""Cells measured by a real Dask scheduler and its workers, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.errors import StudyFailed
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.study.cells import measure_cell
from irn_video.pipeline.study.cluster import ClusterPool, _work
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.study.plan import Cell, StudyConfig
from irn_video.pipeline.study.results import read_results

OPTIONS = ["--frames", "2", "--models", "irn-h264-x2", "--anchors", "full", "--crf", "20,26,32,38", "--no-extend"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def started(stack: ExitStack, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + str(arguments[0]), *map(str, arguments[1:])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **environment},
    )

    def stop() -> None:
        process.kill()
        process.wait()

    stack.callback(stop)
    return process


def worker(stack: ExitStack, address: str, folder: Path) -> subprocess.Popen[bytes]:
    """One process, so that killing it is the end of it."""
    options = ["--no-nanny", "--nthreads", 1, "--no-dashboard", "--local-directory", folder]
    return started(stack, "dask_worker", address, "--host", "127.0.0.1", *options)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def scheduler(stack: ExitStack, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """One, and its address."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    served = started(stack, "dask_scheduler", *options, DASK_TEMPORARY_DIRECTORY=str(folder))
    return served, f"tcp://127.0.0.1:{port}"


def cluster(stack: ExitStack, folder: Path, workers: int) -> Any:
    """A scheduler and its workers as threads of this process, which has PyTorch already; spoken to by TCP."""
    import dask  # takes a second
    from distributed import LocalCluster

    stack.enter_context(dask.config.set(temporary_directory=str(folder)))
    options = {"processes": False, "threads_per_worker": 1, "protocol": "tcp", "dashboard_address": ":0"}
    return stack.enter_context(LocalCluster("study", workers, **options))


@pytest.mark.slow
def test_two_workers_one_of_which_is_killed(
    moving: Path, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = cluster(stack, tmp_path / "near", 1)
    killed = worker(stack, served.scheduler_address, tmp_path / "far")
    others = served.scheduler.workers
    wait_for(lambda: len(others) == 2)
    ours = next(iter(served.workers.values())).address

    def kill_at_work() -> None:
        """With its first cell in work: it is loading PyTorch, while the other one measures."""
        wait_for(lambda: [found for found in others.values() if found.address != ours and found.processing])
        killed.send_signal(signal.SIGKILL)

    killing = threading.Thread(target=kill_at_work)
    killing.start()
    monkeypatch.chdir(tmp_path)
    clip = os.path.relpath(moving, tmp_path)
    assert main([clip, *OPTIONS, "--out", "out", "--cluster", served.scheduler_address]) == 0
    killing.join()
    assert killed.wait(10) == -signal.SIGKILL
    found = read_results(tmp_path / "out").measurements
    assert len(found) == 8
    config = StudyConfig((moving,), frames=2)
    for far in found:
        near = measure_cell(config.cell(moving, Method(far.method), config.encoder(crf=far.crf)), tmp_path)
        assert far.bytes == near.bytes
        assert list(far.frames) == [pytest.approx(frame, abs=1e-4) for frame in near.frames]


@pytest.mark.slow
def test_a_scheduler_that_dies_is_one_line(
    moving: Path, tmp_path: Path, stack: ExitStack, capfd: pytest.CaptureFixture[str]
) -> None:
    served, address = scheduler(stack, tmp_path / "scheduler")
    worker(stack, address, tmp_path / "worker")
    command = [
        sys.executable,
        "-m",
        "irn_video.pipeline.commands.study",
        str(moving),
        *OPTIONS,
        "--cluster",
        address,
    ]
    study = subprocess.Popen([*command, "--out", tmp_path / "out"], stderr=subprocess.PIPE, text=True)
    stack.callback(study.kill)
    wait_for(lambda: list((tmp_path / "out" / "cells").glob("*.json")))
    served.kill()
    _, said = study.communicate(timeout=120)
    assert study.returncode == 1
    assert [line for line in said.splitlines() if line.startswith("error:")] == [
        f"error: the scheduler at {address} is gone (start it and run the same command to go on)"
    ]
    assert "Traceback" not in said


def test_nobody_there(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("irn_video.pipeline.study.cluster._CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    for given, code, message in (
        (address, 1, f"no cluster at {address}"),
        ("nonsense://x", 2, "no address of a scheduler"),
    ):
        assert main([str(moving), *OPTIONS, "--out", str(tmp_path / "out"), "--cluster", given]) == code
        said = capsys.readouterr().err
        assert message in said
        assert "Traceback" not in said
    options = [*OPTIONS, "--out", str(tmp_path / "out"), "--cluster", address, "--workers", "2"]
    assert main([str(moving), *options]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_no_workers(stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irn_video.pipeline.study.cluster._WORKERS_SECONDS", 1)
    with pytest.raises(StudyFailed, match="no cluster at"):
        ClusterPool(cluster(stack, tmp_path, 0).scheduler_address)


def test_a_worker_with_another_clip_refuses(moving: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copy(moving, copy)
    config = StudyConfig((copy,))
    cell: Cell = config.cell(copy, Method("full"), config.encoder(crf=20))
    digest = cell.digest()
    copy.write_bytes(moving.read_bytes() + b"\0")
    with pytest.raises(StudyFailed, match="another clip"):
        _work(cell, digest)
