"""Stages that overlap: each runs ahead of its consumer in a thread of its own, a few items at most."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Advance = Callable[[int, int | None], None]
"""Called after each picture: how many are done, and how many there are, None if that is not known."""

_POLL_SECONDS = 0.1


class _End:
    """The last thing in a queue: how the producer ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[Item], depth: int = 2) -> AbstractContextManager[Iterator[Item]]:
    """Iterate over `items` in a background thread, at most `depth` items ahead.

    An exception of the producer is raised at the consumer, in its place. Leaving the context stops the thread and
    waits for it, so nothing runs on behind an error or an interrupt.
    """
    return _stage(items, depth, drop=False)


def newest(items: Iterable[Item], depth: int = 1) -> AbstractContextManager[Iterator[Item]]:
    """Like `ahead`, for live pictures: where the consumer is too slow, waiting items give way to newer ones."""
    return _stage(items, depth, drop=True)


@contextmanager
def _stage(items: Iterable[Item], depth: int, *, drop: bool) -> Generator[Iterator[Item], None, None]:
    ready: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Item | _End) -> None:
        giving_way = drop and not isinstance(item, _End)
        while not stopped.is_set():
            try:
                ready.put(item, block=not giving_way, timeout=_POLL_SECONDS)
            except queue.Full:
                with suppress(queue.Empty):
                    if giving_way:
                        ready.get_nowait()
                continue
            return

    def produce() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(_End(None))
        except BaseException as error:
            put(_End(error))

    thread = threading.Thread(target=produce, name="irn-stage", daemon=True)
    thread.start()
    try:
        yield _drain(ready, thread)
    finally:
        stopped.set()
        thread.join()


def mapped(function: Callable[[int, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function(index, item)` for each item."""
    for index, item in enumerate(items):
        yield function(index, item)


def _drain(ready: queue.Queue[Item | _End], thread: threading.Thread) -> Iterator[Item]:
    while True:
        try:
            # A timeout lets signals through on platforms where a blocking get would hold them back.
            item = ready.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if not thread.is_alive() and ready.empty():
                raise RuntimeError("a stage has died without saying why") from None
            continue
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item


class Handover(Generic[Item]):
    """From one thread to another: what is not taken in time gives way to what is newer.

    Args:
        depth: how many items may wait.
    """

    def __init__(self, depth: int = 1) -> None:
        self._items: deque[Item] = deque(maxlen=depth)
        self._ready = threading.Condition()
        self._closed = False

    def put(self, item: Item) -> None:
        """Never waits."""
        with self._ready:
            self._items.append(item)
            self._ready.notify()

    def close(self) -> None:
        """Nothing more will come."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._ready:
                while not self._items and not self._closed:
                    self._ready.wait(_POLL_SECONDS)
                if not self._items:
                    return
                item = self._items.popleft()
            yield item
