"""Running the cells of a study: those that are not in the store yet, in worker processes, failures noted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.quality.curves import Curve, overlap
from irn_video.pipeline.study.cells import Measurement, measure_cell
from irn_video.pipeline.study.plan import Cell, StudyConfig
from irn_video.pipeline.study.store import Store

OVERLAP = 0.75
"""Share of the smaller range of PSNR-Y that two curves of a clip should have in common."""
_STEP, _ROUNDS = 4.0, 5
_LEAST_SLOPE = 0.02  # dB per unit of CRF
_ORPHAN_SECONDS = 2.0

Advance = Callable[[int, int], None]
"""Called when something is finished: how many cells are done, and how many there are."""


@dataclass(frozen=True)
class Failure:
    """A cell that could not be measured.

    Attributes:
        cell: its label.
        error: why, in one line.
    """

    cell: str
    error: str


@dataclass(frozen=True)
class Outcome:
    """All cells of a study.

    Attributes:
        measurements: by clip, method and rate, in the order of the study.
        failures: of the rest.
        notes: why curves overlap less than they should, one line each.
    """

    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def run_study(config: StudyConfig, store: Store, *, workers: int = 1, advance: Advance | None = None) -> Outcome:
    """Measure every cell that the store does not hold, then add rates until the curves overlap.

    Args:
        config: what to measure.
        store: where finished cells are kept; a study that was stopped goes on from there.
        workers: processes; each has its share of the processor's cores.
        advance: see `Advance`.

    Raises:
        UnwritableOutput: the store cannot be written to.
    """
    cells = list(config.cells())
    found: dict[Cell, Measurement | Failure] = {}
    with closing(_Pool(workers)) as pool:
        _measure(cells, found, store, pool, advance)
        notes: tuple[str, ...] = ()
        for _ in range(_ROUNDS if config.extend and not config.bitrates else 0):
            more, notes = _missing(config, found)
            if not more:
                break
            cells += more
            _measure(more, found, store, pool, advance)
    ordered = sorted(cells, key=lambda cell: _order(config, cell))
    results = [found[cell] for cell in ordered]
    measured = tuple(result for result in results if isinstance(result, Measurement))
    return Outcome(measured, tuple(result for result in results if isinstance(result, Failure)), notes)


def _order(config: StudyConfig, cell: Cell) -> tuple[int, int, float]:
    rate = cell.encoder.crf if cell.encoder.bitrate is None else cell.encoder.bitrate
    return config.clips.index(cell.clip), config.methods.index(cell.method), rate or 0.0


def _measure(
    cells: Sequence[Cell],
    found: dict[Cell, Measurement | Failure],
    store: Store,
    pool: _Pool,
    advance: Advance | None,
) -> None:
    """Fill in `found` for all `cells`, from the store or by measuring."""
    open_cells: dict[Cell, str] = {}
    for cell in cells:
        try:
            digest = cell.digest()
        except (IrnError, OSError) as error:
            found[cell] = Failure(cell.label, _line(error))
            continue
        if (known := store.get(digest)) is not None:
            found[cell] = replace(known, clip=cell.clip.name)
        else:
            open_cells[cell] = digest
    total = len(set(found) | set(open_cells))
    if advance is not None:
        advance(len(found), total)
    for cell, result in pool.measured(list(open_cells)):
        if isinstance(result, Measurement):
            store.put(open_cells[cell], result)
        found[cell] = result
        if advance is not None:
            advance(len(found), total)


def _missing(config: StudyConfig, found: dict[Cell, Measurement | Failure]) -> tuple[list[Cell], tuple[str, ...]]:
    """Cells that bring curves of a clip nearer to each other, and what stands in the way of others."""
    more: list[Cell] = []
    notes: list[str] = []
    for clip in config.clips:
        points = {method: _points(clip, method, found) for method in config.methods}
        curves = {method: Curve.through(rows) for method, rows in points.items() if len(rows) > 1}
        for method, curve in curves.items():
            apart = [c.qualities for name, c in curves.items() if name != method and overlap(curve, c) < OVERLAP]
            wants_higher = any(curve.qualities[-1] < qualities[-1] for qualities in apart)
            wants_lower = any(curve.qualities[0] > qualities[0] for qualities in apart)
            for wanted, towards in ((wants_higher, -_STEP), (wants_lower, _STEP)):
                if not wanted:
                    continue
                encoder = _further(config, _by_crf(clip, method, found), towards)
                cell = None if encoder is None else config.cell(clip, method, encoder)
                if cell is None or cell in found:  # tried, and failed
                    which = "higher" if towards < 0 else "lower"
                    notes.append(f"{clip.name}: {Path(method).stem} has no {which} quality to offer")
                else:
                    more.append(cell)
    return more, tuple(dict.fromkeys(notes))


def _measured(
    clip: Path, method: str, found: dict[Cell, Measurement | Failure]
) -> Iterator[tuple[Cell, Measurement, float]]:
    """Cells of one curve with their mean PSNR-Y."""
    for cell, result in found.items():
        own = (cell.clip, cell.method) == (clip, method)
        if own and isinstance(result, Measurement) and (values := result.values("psnr_y")):
            yield cell, result, statistics.fmean(values)


def _points(clip: Path, method: str, found: dict[Cell, Measurement | Failure]) -> list[tuple[float, float]]:
    """kbit/s and mean PSNR-Y."""
    return [(result.kbps, quality) for _, result, quality in _measured(clip, method, found)]


def _by_crf(clip: Path, method: str, found: dict[Cell, Measurement | Failure]) -> list[tuple[float, float]]:
    """CRF and mean PSNR-Y, by rising CRF."""
    return sorted((cell.encoder.crf or 0.0, quality) for cell, _, quality in _measured(clip, method, found))


def _further(config: StudyConfig, points: Sequence[tuple[float, float]], step: float) -> EncoderSettings | None:
    """One more rate beyond those there are; None at the end of the codec's range, or where more bits buy nothing."""
    (crf, quality), (before, nearby) = points[:2] if step < 0 else points[:-3:-1]
    saturated = step < 0 and quality - nearby < _LEAST_SLOPE * abs(crf - before)
    if saturated or not 0 < crf + step <= make_encoder(config.encoder(crf=crf)).max_crf:
        return None
    return config.encoder(crf=crf + step)


class _Pool:
    """Worker processes that are replaced when one of them dies."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        # Of this process, so that nothing is left of workers that are stopped in the middle.
        self._folder = tempfile.TemporaryDirectory(prefix="irn-study-", ignore_cleanup_errors=True)
        self._executor = self._new()

    def measured(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        """Each cell with its result, as they come.

        When a worker dies all cells in work are lost; each of them is tried once more, alone, so that the one that is
        to blame fails and no other.
        """
        waiting, lost = list(cells), set[Cell]()
        running: dict[Future[Measurement], Cell] = {}
        while waiting or running:
            while waiting and len(running) < self._workers and not (running and lost & {waiting[0], *running.values()}):
                cell = waiting.pop(0)
                running[self._executor.submit(_work, cell, self._folder.name)] = cell
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = False
            for future in done:
                cell, error = running.pop(future), future.exception()
                if error is None:
                    yield cell, future.result()
                elif not isinstance(error, BrokenProcessPool):
                    yield cell, Failure(cell.label, _line(error))
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
                self._executor.shutdown()
                self._executor = self._new()

    def close(self) -> None:
        """Stop the workers, wherever they are."""
        for process in multiprocessing.active_children():
            process.terminate()
        self._executor.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def _new(self) -> ProcessPoolExecutor:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(max(1, cores // self._workers), os.getpid()),
        )


def _begin(threads: int, parent: int) -> None:
    """A worker's start: the parent handles interrupts, and a worker does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import torch

    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(cell: Cell, parent: str) -> Measurement:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        return measure_cell(cell, Path(folder))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
