"""Who measures cells: processes of this machine. A cluster does it in `irn_video.pipeline.study.cluster`."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from irn_video.pipeline.study.cells import Measurement, measure_cell
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.system.cores import usable_cores

_ORPHAN_SECONDS = 2.0


@dataclass(frozen=True)
class Failure:
    """A cell that could not be measured.

    Attributes:
        cell: its label.
        error: why, in one line.
    """

    cell: str
    error: str


class Pool(Protocol):
    """Workers."""

    def measured(self, cells: Mapping[Cell, str]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        """Each cell, given with its digest, with its result, as they come."""

    def close(self) -> None:
        """Stop whatever is still in work."""


class LocalPool:
    """Processes of this machine, replaced when one of them dies; each has its share of the processor's cores."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        # Made by the workers, and removed by this process when they are stopped in the middle, or by them if it dies.
        self._folder = Path(tempfile.gettempdir()) / f"irn-study-{secrets.token_hex(8)}"
        self._executor = self._new()

    def measured(self, cells: Mapping[Cell, str]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        """See `Pool`.

        When a worker dies all cells in work are lost; each of them is tried once more, alone, so that the one that is
        to blame fails and no other.
        """
        waiting, lost = list(cells), set[Cell]()
        running: dict[Future[Measurement], Cell] = {}
        while waiting or running:
            broken = False
            while waiting and len(running) < self._workers and not (running and lost & {waiting[0], *running.values()}):
                try:
                    future = self._executor.submit(_work, waiting[0], self._folder)
                except BrokenProcessPool:  # a worker died since; what is in work will say so
                    broken = True
                    break
                running[future] = waiting.pop(0)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                cell, error = running.pop(future), future.exception()
                if error is None:
                    yield cell, future.result()
                elif not isinstance(error, BrokenProcessPool):
                    yield cell, Failure(cell.label, one_line(error))
                elif cell in lost:
                    broken = True
                    yield cell, Failure(cell.label, "the process that measured it died")
                else:
                    broken = True
                    lost.add(cell)
                    waiting.insert(0, cell)
            if broken:
                waiting[:0] = running.values()
                lost |= set(running.values())
                running.clear()
                self._stop()
                self._executor = self._new()

    def close(self) -> None:
        """Stop the workers, wherever they are."""
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self) -> None:
        # An executor that breaks waits for all of its workers, but does not tell one that is just being started.
        for process in multiprocessing.active_children():
            process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(max(1, usable_cores() // self._workers), os.getpid(), self._folder),
        )


def _begin(threads: int, parent: int, folder: Path) -> None:
    """A worker's start: the parent handles interrupts, and neither a worker nor its files outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_ORPHAN_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    folder.mkdir(mode=0o700, exist_ok=True)
    threading.Thread(target=watch, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _work(cell: Cell, parent: Path) -> Measurement:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        return measure_cell(cell, Path(folder))


def one_line(error: BaseException) -> str:
    """What an error says."""
    return " ".join(str(error).split()) or type(error).__name__
