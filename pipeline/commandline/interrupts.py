"""SIGINT and SIGTERM, handled in one place."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Hook: TypeAlias = Callable[[sys.UnraisableHookArgs], object]

# Signals that follow this soon after the first (a nervous Ctrl-C) must not disturb the cleaning up.
_GRACE_SECONDS = 2.0


class Interrupts:
    """SIGINT and SIGTERM raise KeyboardInterrupt, while a command runs.

    Some libraries swallow it while they are imported, so `check` raises it again.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    def __bool__(self) -> bool:
        """Whether a signal has come."""
        return self._last is not None

    def check(self) -> None:
        """Raise what has been swallowed."""
        if self:
            raise KeyboardInterrupt

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals inside, where that is possible: only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        hook, sys.unraisablehook = sys.unraisablehook, self._ignored(sys.unraisablehook)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in old.items():
                signal.signal(number, handler)
            self._last = None

    @staticmethod
    def _ignored(hook: Hook) -> Hook:
        """Says what Python has to ignore, as in destructors, but for interrupts, which `check` brings back."""

        def ignored(found: sys.UnraisableHookArgs) -> None:
            if not isinstance(found.exc_value, KeyboardInterrupt):
                hook(found)

        return ignored

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._last
        if before is None or now - before > _GRACE_SECONDS:
            self._last = now
            raise KeyboardInterrupt


interrupts = Interrupts()
