"""Running the cells of a study: those that are not in the store yet, by a pool of workers, failures noted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.quality.curves import Curve, overlap
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.levels import shown_rates
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.study.plan import Cell, StudyConfig
from irn_video.pipeline.study.store import Store
from irn_video.pipeline.study.workers import Failure, LocalPool, Pool, one_line

OVERLAP = 0.75
"""Share of the smaller range of PSNR-Y that two curves of a clip should have in common."""
SAME_RATE = 0.02
"""Bit rates that differ by no more, in their natural logarithm, are equal: two per cent."""
_STEP, _ROUNDS = 4.0, 5
_MORE_EXPECTED = 3  # cells of each clip and method beyond the ladder: one for the overlap, two to be shown
_LEAST_SLOPE = 0.02  # dB per unit of CRF

Advance = Callable[[int, int], None]
"""Called when something is finished: how many cells are done, and how many there are.

How many there will be is an estimate until all are done, but one that stays: it never rises, and neither number starts
over. When more cells turn out to be needed than were expected, those that are done count less.
"""


class Progress:
    """Tells an `Advance` of the whole of several rounds, each of which knows only its own cells.

    Args:
        advance: what to tell, or None.
        expected: how many cells all rounds will probably have.
    """

    def __init__(self, advance: Advance | None, expected: int) -> None:
        self._advance, self._expected, self._done = advance, max(1, expected), 0

    def __call__(self, done: int, known: int) -> None:
        """`done` of all cells that are `known` so far."""
        shown = self._expected * done // max(known, self._expected)
        self._done = max(self._done, min(shown, self._expected - 1))
        self._tell()

    def finish(self) -> None:
        """There are no more rounds."""
        self._done = self._expected
        self._tell()

    def _tell(self) -> None:
        if self._advance is not None:
            self._advance(self._done, self._expected)


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


def run_study(
    config: StudyConfig, store: Store, *, pool: Pool | None = None, advance: Advance | None = None
) -> Outcome:
    """Measure every cell that the store does not hold, then add rates until the curves overlap, and some for pictures.

    Args:
        config: what to measure.
        store: where finished cells are kept; a study that was stopped goes on from there.
        pool: who measures; closed at the end. One process of this machine without it.
        advance: see `Advance`.

    Raises:
        UnwritableOutput: the store cannot be written to.
    """
    cells = list(config.cells())
    found: dict[Cell, Measurement | Failure] = {}
    extends = config.extend and not config.bitrates
    more_expected = _MORE_EXPECTED * len(config.clips) * len(config.methods) if extends else 0
    progress = Progress(advance, len(cells) + more_expected)
    with closing(pool or LocalPool(1)) as pool:
        measure_cells(cells, found, store, pool, progress)
        notes: tuple[str, ...] = ()
        for _ in range(_ROUNDS if extends else 0):
            more, notes = _missing(config, found)
            if not more:
                break
            cells += more
            measure_cells(more, found, store, pool, progress)
        if extends and (more := _level(config, found)):
            cells += more
            measure_cells(more, found, store, pool, progress)
    progress.finish()
    ordered = sorted(cells, key=lambda cell: _order(config, cell))
    results = [found[cell] for cell in ordered]
    measured = tuple(result for result in results if isinstance(result, Measurement))
    return Outcome(measured, tuple(result for result in results if isinstance(result, Failure)), notes)


def _order(config: StudyConfig, cell: Cell) -> tuple[int, int, float]:
    rate = cell.encoder.crf if cell.encoder.bitrate is None else cell.encoder.bitrate
    return config.clips.index(cell.clip), config.methods.index(cell.method), rate or 0.0


def measure_cells(
    cells: Sequence[Cell],
    found: dict[Cell, Measurement | Failure],
    store: Store,
    pool: Pool,
    progress: Progress,
) -> None:
    """Fill in `found` for all `cells`, from the store or by measuring.

    Raises:
        UnwritableOutput: the store cannot be written to.
    """
    open_cells: dict[Cell, str] = {}
    for cell in cells:
        try:
            digest = cell.digest()
        except (IrnError, OSError) as error:
            found[cell] = Failure(cell.label, one_line(error))
            continue
        if (known := store.get(digest)) is not None:
            found[cell] = replace(known, clip=cell.clip.name)
        else:
            open_cells[cell] = digest
    total = len(set(found) | set(open_cells))
    progress(len(found), total)
    for cell, result in pool.measured(open_cells):
        if isinstance(result, Measurement):
            store.put(open_cells[cell], result)
        found[cell] = result
        progress(len(found), total)


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
                    notes.append(f"{clip.name}: {method.label} has no {which} quality to offer")
                else:
                    more.append(cell)
    return more, tuple(dict.fromkeys(notes))


def _level(config: StudyConfig, found: dict[Cell, Measurement | Failure]) -> list[Cell]:
    """Cells of each method at the bit rates that the clip's frames are shown at, so that they can be compared."""
    more: list[Cell] = []
    scales = {method.label: method.scale for method in config.methods}
    for clip in config.clips:
        curves = {method.label: Curve.through(_points(clip, method, found)) for method in config.methods}
        for wanted in map(math.log, shown_rates(curves, scales)):
            for method in config.methods:
                points = sorted(
                    (math.log(one.kbps), cell.encoder.crf or 0.0) for cell, one, _ in _measured(clip, method, found)
                )
                rates, crfs = [rate for rate, _ in points], [crf for _, crf in points]
                if points and rates[0] < wanted < rates[-1] and min(abs(rate - wanted) for rate in rates) > SAME_RATE:
                    crf = round(float(np.interp(wanted, rates, crfs)), 1)
                    more.append(config.cell(clip, method, config.encoder(crf=crf)))
    return [cell for cell in dict.fromkeys(more) if cell not in found]


def _measured(
    clip: Path, method: Method, found: dict[Cell, Measurement | Failure]
) -> Iterator[tuple[Cell, Measurement, float]]:
    """Cells of one curve with their mean PSNR-Y."""
    for cell, result in found.items():
        own = (cell.clip, cell.method) == (clip, method)
        if own and isinstance(result, Measurement) and (values := result.values("psnr_y")):
            yield cell, result, statistics.fmean(values)


def _points(clip: Path, method: Method, found: dict[Cell, Measurement | Failure]) -> list[tuple[float, float]]:
    """kbit/s and mean PSNR-Y."""
    return [(result.kbps, quality) for _, result, quality in _measured(clip, method, found)]


def _by_crf(clip: Path, method: Method, found: dict[Cell, Measurement | Failure]) -> list[tuple[float, float]]:
    """CRF and mean PSNR-Y, by rising CRF."""
    return sorted((cell.encoder.crf or 0.0, quality) for cell, _, quality in _measured(clip, method, found))


def _further(config: StudyConfig, points: Sequence[tuple[float, float]], step: float) -> EncoderSettings | None:
    """One more rate beyond those there are; None at the end of the codec's range, or where more bits buy nothing."""
    (crf, quality), (before, nearby) = points[:2] if step < 0 else points[:-3:-1]
    saturated = step < 0 and quality - nearby < _LEAST_SLOPE * abs(crf - before)
    if saturated or not 0 < crf + step <= make_encoder(config.encoder(crf=crf)).max_crf:
        return None
    return config.encoder(crf=crf + step)
