"""How far a command is, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

import click
from irn_video.pipeline.commandline.interrupts import interrupts

if TYPE_CHECKING:
    from irn_video.pipeline.flow import Advance
    from rich.progress import TaskID

_PLAIN_LINE_SECONDS = 5.0


class Phase(Protocol):
    """Begins a phase of the work; returns what to call after each item."""

    def __call__(self, title: str, /, *, counted: bool = True) -> Advance:
        """Whose share alone is shown unless it is `counted`: its items are nothing that people know."""


@contextmanager
def progress(title: str, unit: str = "frames") -> Iterator[Advance]:
    """Yield what to call after each frame: a bar on a terminal, plain lines elsewhere, with rate and time left."""
    with phases(unit) as phase:
        yield phase(title)


@contextmanager
def phases(unit: str = "frames") -> Iterator[Phase]:
    """Yield what begins a phase of the work: called with its title, it returns what to call after each frame.

    There is one bar, that of the phase that was called last. It appears with the first call, not before: whatever is
    said until then stays above it. Once it has begun, a call with nothing done changes nothing.
    """
    interrupts.check()
    with _Bar(unit) if sys.stderr.isatty() else nullcontext(_Lines(unit)) as shown:

        def phase(title: str, /, *, counted: bool = True) -> Advance:
            show = shown.phase(title, counted=counted)

            def advance(done: int, total: int | None) -> None:
                interrupts.check()
                show(done, total)

            return advance

        yield phase


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
    def __init__(self, unit: str) -> None:
        self._unit, self._said = unit, time.monotonic()

    def phase(self, title: str, *, counted: bool) -> Advance:
        pace = _Pace()

        def show(done: int, total: int | None) -> None:
            now, rate = time.monotonic(), pace(done)
            if now - self._said < _PLAIN_LINE_SECONDS or not rate or not (counted or total):
                return
            self._said = now
            of, left = (f" of {total}", f", {max(0, total - done) / rate:.0f} s left") if total else ("", "")
            so_far = f"{done}{of} {self._unit}, {_rate(rate, self._unit)}" if counted else _share(done, total)
            click.echo(f"{title}: {so_far}{left}", err=True)

        return show


class _Bar:
    def __init__(self, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        self._unit = unit
        self._shown: TaskID | None = None
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def phase(self, title: str, *, counted: bool) -> Advance:
        task: TaskID | None = None
        pace = _Pace()

        def show(done: int, total: int | None) -> None:
            nonlocal task, pace
            if task is None:
                pace = _Pace()
                task = self._bars.add_task(title, total=None, count="", rate="", left="")
                self._bars.start()
            elif not done and self._shown == task:
                return
            if self._shown is not None and self._shown != task:
                self._bars.update(self._shown, visible=False)
            self._shown = task
            count = _share(done, total) if not counted else f"{done}/{total}" if total else str(done or "")
            rate = _rate(pace(done), self._unit) if done and counted else ""
            left = "left" if done and total else ""
            self._bars.update(task, completed=done, total=total, count=count, rate=rate, left=left, visible=True)

        return show


def _share(done: int, total: int | None) -> str:
    return f"{100 * done / total:.0f} %" if total else ""


def _rate(per_second: float, unit: str) -> str:
    return f"{per_second:.1f} fps" if unit == "frames" else f"{60 * per_second:.1f} {unit} a minute"
