"""How far a command is, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click
from irn_video.pipeline.commandline.interrupts import interrupts

if TYPE_CHECKING:
    from irn_video.pipeline.flow import Advance

_PLAIN_LINE_SECONDS = 5.0


@contextmanager
def progress(title: str, unit: str = "frames") -> Iterator[Advance]:
    """Yield what to call after each frame: a bar on a terminal, plain lines elsewhere, with rate and time left."""
    interrupts.check()
    with _bar(title, unit) if sys.stderr.isatty() else nullcontext(_Lines(title, unit)) as show:

        def advance(done: int, total: int | None) -> None:
            interrupts.check()
            show(done, total)

        yield advance


class _Pace:
    """Items a second; those that were there at the first call, from an earlier run, do not count."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._before: int | None = None

    def __call__(self, done: int) -> float:
        if self._before is None:
            self._before = max(0, done - 1)
        return (done - self._before) / max(1e-9, time.monotonic() - self._start)


class _Lines:
    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._pace = _Pace()
        self._said = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now, rate = time.monotonic(), self._pace(done)
        if now - self._said < _PLAIN_LINE_SECONDS or not rate:
            return
        self._said = now
        of, left = (f" of {total}", f", {max(0, total - done) / rate:.0f} s left") if total else ("", "")
        click.echo(f"{self._title}: {done}{of} {self._unit}, {_rate(rate, self._unit)}{left}", err=True)


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    pace = _Pace()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, rate="")

        def advance(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total, rate=_rate(pace(done), unit))

        yield advance


def _rate(per_second: float, unit: str) -> str:
    return f"{per_second:.1f} fps" if unit == "frames" else f"{60 * per_second:.1f} {unit} a minute"
