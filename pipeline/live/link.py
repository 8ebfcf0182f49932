"""A bad network on one machine: datagrams are lost, delayed and held to a rate on their way."""

from __future__ import annotations

import heapq
import itertools
import random
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from irn_video.codecs.errors import BadOption

_LONGEST = 65_536
_QUEUE_SECONDS = 0.5  # a router that holds more than this drops what comes
_POLL_SECONDS = 0.02
_HERE = "127.0.0.1"


@dataclass(frozen=True)
class LinkConditions:
    """What a network does to what passes.

    Attributes:
        loss: share of the datagrams that are lost at random, 0 to 0.9.
        delay: seconds each takes, each way, 0 to 5.
        rate: bit/s that pass, what is too much waits and then is lost; 0 for no limit.

    Raises:
        BadOption: out of range.
    """

    loss: float = 0.0
    delay: float = 0.0
    rate: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 0.9:
            raise BadOption(f"a loss of {self.loss:g} makes no sense", hint="write 1% or 0.01, at most 90%")
        if not 0 <= self.delay <= 5:
            raise BadOption(f"a delay of {self.delay:g} s makes no sense", hint="write 50ms, at most 5s")
        if self.rate and not 10_000 <= self.rate <= 10**10:
            raise BadOption(f"a link of {self.rate} bit/s makes no sense", hint="write 800k, or 0 for no limit")


@dataclass(order=True)
class _Waiting:
    due: float
    order: int
    data: bytes = field(compare=False)


class Link(threading.Thread):
    """Passes datagrams from its own port on to another of this machine, and answers back.

    Args:
        to: port of the receiver.
        conditions: at first.
        seed: of the losses.

    Attributes:
        port: where the sender sends to.
        conditions: in force; may be replaced at any time.
        passed, lost: datagrams so far.
        passed_bytes: of those passed.
    """

    def __init__(self, to: int, conditions: LinkConditions, *, seed: int = 0) -> None:
        super().__init__(name="irn-link", daemon=True)
        self.conditions = conditions
        self.passed = self.lost = self.passed_bytes = 0
        self._to, self._chance = to, random.Random(seed)
        self._front, self._back = _socket(), _socket()
        self.port = int(self._front.getsockname()[1])
        self._sender: object = None
        self._onward: list[_Waiting] = []
        self._return: list[_Waiting] = []
        self._order = itertools.count()
        self._free = 0.0  # when the last bit that was let in has passed
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self.join()
        self._front.close()
        self._back.close()

    def run(self) -> None:
        """Pass datagrams on until closed."""
        while not self._closed.is_set():
            ready, _, _ = select.select([self._front, self._back], [], [], self._nap())
            now = time.monotonic()
            if self._front in ready:
                data, self._sender = self._front.recvfrom(_LONGEST)
                self._let_in(data, now)
            if self._back in ready:
                answer = self._back.recv(_LONGEST)
                heapq.heappush(self._return, _Waiting(now + self.conditions.delay, next(self._order), answer))
            self._let_out(time.monotonic())

    def _nap(self) -> float:
        heads = [queue[0].due for queue in (self._onward, self._return) if queue]
        return min(_POLL_SECONDS, max(0.0, min(heads) - time.monotonic())) if heads else _POLL_SECONDS

    def _let_in(self, data: bytes, now: float) -> None:
        conditions = self.conditions
        start = max(now, self._free) if conditions.rate else now
        if self._chance.random() < conditions.loss or start - now > _QUEUE_SECONDS:
            self.lost += 1
            return
        self._free = start + (8 * len(data) / conditions.rate if conditions.rate else 0.0)
        heapq.heappush(self._onward, _Waiting(self._free + conditions.delay, next(self._order), data))

    def _let_out(self, now: float) -> None:
        while self._onward and self._onward[0].due <= now:
            data = heapq.heappop(self._onward).data
            self._back.sendto(data, (_HERE, self._to))
            self.passed += 1
            self.passed_bytes += len(data)
        while self._return and self._return[0].due <= now:
            answer = heapq.heappop(self._return).data
            if isinstance(self._sender, tuple):
                self._front.sendto(answer, self._sender)


def free_port() -> int:
    """A UDP port of this machine that nobody uses now."""
    with _socket() as found:
        return int(found.getsockname()[1])


def _socket() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind((_HERE, 0))
    return found
