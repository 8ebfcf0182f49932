"""What is shown beside each restored frame, and how well each of them does: the feed of the page."""

from __future__ import annotations

import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock
from typing import Generic, TypeVar

from irn_video.codecs.errors import BadOption
from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import Picture
from irn_video.pipeline.flow import Handover
from irn_video.pipeline.live.server import PageServer
from irn_video.pipeline.live.wall import Wall
from irn_video.receiver.live import LivePicture
from irn_video.receiver.live_statistics import LiveStatistics

Item = TypeVar("Item")
Number = TypeVar("Number", int, float)

_RECENT = 60  # delays
_LOW = 0.95
_COUNTS = ("restored", "fallback", "late", "missing", "concealed")
_COUNTED_SECONDS = 10.0


class Recent(Generic[Item]):
    """The last few things by their index, across threads."""

    def __init__(self, count: int) -> None:
        self._count, self._lock = count, Lock()
        self._items: OrderedDict[int, Item] = OrderedDict()

    def __setitem__(self, index: int, item: Item) -> None:
        with self._lock:
            self._items[index] = item
            while len(self._items) > self._count:
                self._items.popitem(last=False)

    def get(self, index: int) -> Item | None:
        """None for one that was not there, or is there no more."""
        with self._lock:
            return self._items.get(index)

    def newest(self) -> Item | None:
        """None as long as there is nothing."""
        with self._lock:
            return next(reversed(self._items.values()), None)

    def last(self, count: int) -> list[Item]:
        """At most so many, oldest first."""
        with self._lock:
            return list(self._items.values())[-count:]


@dataclass(frozen=True)
class Moment:
    """Pictures of one moment.

    Attributes:
        panes: by name, in the order in which they are stacked.
        psnr: PSNR-Y in dB by name, of those that were measured.
        arrival: what the last pane was restored from.
        fallback: see `LivePicture`.
    """

    panes: Mapping[str, Picture]
    psnr: Mapping[str, float | None]
    arrival: Arrival
    fallback: bool


class Screen:
    """Feeds a page with moments; those that it has no time for are not shown.

    Args:
        server: of the page.
        rate: frames per second.
        about: what the page has to know besides, with each new video.
    """

    def __init__(self, server: PageServer, rate: Fraction, about: Callable[[], Mapping[str, object]]) -> None:
        self._server, self._rate, self._about = server, rate, about
        self._moments: Handover[Moment] = Handover(2)
        self._wall: Wall | None = None
        self._shape: Sequence[object] = ()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Encode in a thread of its own, until left."""
        thread = threading.Thread(target=self._run, name="irn-screen", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._moments.close()
            thread.join()

    def show(self, moment: Moment) -> None:
        """One more; never waits."""
        self._moments.put(moment)

    def _run(self) -> None:
        for moment in self._moments:
            self._draw(moment)
        if self._wall is not None:
            self._wall.close()
        self._server.tell("end", text="The stream is over.")

    def _draw(self, moment: Moment) -> None:
        """Where the size changes, or the sender starts anew, a new video begins."""
        first = next(iter(moment.panes.values()))
        shape = first.width, first.height, tuple(moment.panes), moment.arrival.stamp.session
        if self._wall is None or shape != self._shape:
            self._wall, self._shape = self._begin(moment, first), shape
        index = moment.arrival.stamp.index
        for fragment in self._wall.add(list(moment.panes.values()), index):
            self._server.show(fragment)
        self._server.tell(
            "frame",
            index=index,
            time=self._wall.seconds(index),
            captured=moment.arrival.stamp.captured / 1000,
            psnr={name: _rounded(value) for name, value in moment.psnr.items()},
            fallback=moment.fallback,
        )

    def _begin(self, moment: Moment, first: Picture) -> Wall:
        if self._wall is not None:
            self._wall.close()
        wall = Wall(first, len(moment.panes), self._rate)
        about = {"mime": wall.mime, "width": wall.width, "height": wall.height, "rate": float(self._rate)}
        self._server.begin({**about, "panes": list(moment.panes), **self._about()}, wall.head)
        return wall


class Meter:
    """What the last few seconds brought, of something that is counted."""

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds
        self._counts: list[tuple[float, float]] = []

    def rate(self, count: float) -> float | None:
        """Per second; None until that is known."""
        more, span = self._grown(count)
        return more / span if span > self._seconds / 4 else None

    def more(self, count: float) -> float:
        """How much has come; never below 0."""
        return max(0, self._grown(count)[0])

    def _grown(self, count: float) -> tuple[float, float]:
        """By how much, in how many seconds."""
        now = time.monotonic()
        self._counts = [(at, value) for at, value in self._counts if now - at <= self._seconds] + [(now, count)]
        since, before = self._counts[0]
        return count - before, now - since


class Figures:
    """How a receiver does, in the words of the page."""

    def __init__(self) -> None:
        self.found = LiveStatistics()
        self._bits, self._pictures, self._packets, self._lost = Meter(), Meter(), Meter(), Meter()
        self._counts = {name: Meter(_COUNTED_SECONDS) for name in _COUNTS}
        self._delays: deque[float] = deque(maxlen=_RECENT)

    def seen(self, picture: LivePicture, so_far: LiveStatistics) -> None:
        """One more frame."""
        self.found = so_far
        self._delays.append(1000 * picture.delay)

    def state(self, **rates: float | None) -> dict[str, object]:
        """All but the settings: rates of the last two seconds, counts of the last ten; call it at a steady pace.

        `restored` and `fps` are of the frames that the network restored, `fallback` of those that Lanczos enlarged
        for lack of time.

        Args:
            rates: of other streams, in kbit/s.
        """
        found, delays = self.found, sorted(self._delays)
        counts = {name: getattr(found, name) for name in _COUNTS} | {"restored": found.restored - found.fallback}
        bits = self._bits.rate(8 * found.bytes)
        packets, lost = self._packets.rate(found.packets), self._lost.rate(found.lost_packets)
        return {
            "kbps": {"ours": None if bits is None else bits / 1000, **rates},
            "fps": self._pictures.rate(counts["restored"]),
            "delay_ms": statistics.median(delays) if delays else None,
            "delay_p95_ms": delays[int(_LOW * (len(delays) - 1))] if delays else None,
            "loss": lost / (packets + lost) if packets is not None and lost is not None and packets + lost else None,
            "counts": {name: meter.more(counts[name]) for name, meter in self._counts.items()},
        }


def number(name: str, value: object, least: Number, most: Number) -> Number:
    """A setting between two bounds, and of their type.

    Raises:
        BadOption: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadOption(f"{name} must be from {least:g} to {most:g}, not {str(value)[:20]}")
    return type(least)(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
