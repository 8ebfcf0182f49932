"""Stages that overlap: each runs ahead of its consumer in a thread of its own, a few items at most."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def ahead(items: Iterable[Item], depth: int = 2) -> Generator[Iterator[Item], None, None]:
    """Iterate over `items` in a background thread, at most `depth` items ahead.

    An exception of the producer is raised at the consumer, in its place. Leaving the context stops the thread and
    waits for it, so nothing runs on behind an error or an interrupt.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Item | _End) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
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


class Handover(Generic[Item]):
    """From one thread to another: what is not taken in time gives way to what is newer.

    Args:
        depth: how many items may wait.
    """

    def __init__(self, depth: int = 1) -> None:
        self._items: deque[Item] = deque(maxlen=depth)
        self._ready = threading.Condition()
        self._end: _End | None = None

    @property
    def waiting(self) -> int:
        """How many items wait now."""
        return len(self._items)

    def put(self, item: Item) -> None:
        """Never waits."""
        with self._ready:
            self._items.append(item)
            self._ready.notify()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more will come; who iterates gets what waits, and then the error."""
        with self._ready:
            self._end = self._end or _End(error)
            self._ready.notify()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._ready:
                while not self._items and self._end is None:
                    # A timeout lets signals through on platforms where waiting would hold them back.
                    self._ready.wait(_POLL_SECONDS)
                if self._items:
                    item = self._items.popleft()
                elif self._end is not None and self._end.error is not None:
                    raise self._end.error
                else:
                    return
            yield item


@contextmanager
def newest(items: Iterable[Item], depth: int = 1) -> Generator[Handover[Item], None, None]:
    """Like `ahead`, for live pictures: where the consumer is too slow, waiting items give way to newer ones."""
    handover: Handover[Item] = Handover(depth)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    break
                handover.put(item)
            handover.close()
        except BaseException as error:
            handover.close(error)

    thread = threading.Thread(target=produce, name="irn-stage", daemon=True)
    thread.start()
    try:
        yield handover
    finally:
        stopped.set()
        thread.join()


def mapped_by(
    workers: int, function: Callable[[int, Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Like `mapped`, by so many threads at a time; results come in order, and errors in their place."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="irn-worker") as pool:
        try:
            for index, item in enumerate(items):
                waiting.append(pool.submit(function, index, item))
                if len(waiting) > workers:  # one more than can run, so that no worker waits for the consumer
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
