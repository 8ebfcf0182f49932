"""Receive a live stream: network → decode → restore → measure and record, each stage in a thread of its own.

Where the network cannot keep up, a picture that has waited while newer ones came is enlarged by Lanczos, which is
quick, or gives way to them, so that what is shown stays near to what is taken.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.errors import IrnError, LinkFailed
from irn_video.codecs.links.links import LiveUrl
from irn_video.codecs.links.live import CLOCK, Arrival, LiveReader
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.output import check_output
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.flow import ahead, mapped, newest
from irn_video.pipeline.options import DeviceOptions, LatentOptions
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import PictureError, compare
from irn_video.pipeline.restoring import check_lr_size, restoration_of
from irn_video.pipeline.upscalers import load_for
from irn_video.receiver.receiving import ReceiveOptions

_RECENT = 10_000  # pictures whose delays are remembered
_LOW = 0.95
_WAITING = 16  # decoded pictures
_SHORT = 0.02  # seconds; pictures that come in a bunch are no sign of a slow network


@dataclass(frozen=True, kw_only=True)
class LiveReceiveOptions(LatentOptions, DeviceOptions):
    """How to receive live: `LiveReceiveOptions(output="restored.mkv")`.

    Attributes:
        source: what is being sent, to measure against; pictures are matched by their index.
        output: a file to record the restored pictures to; None for none.
        overwrite: replace an existing recording.
        model: weights file or name, where the card's name is not enough.
        fallback: what becomes of a picture that the network has no time for: `lanczos` or `drop`.
        wait: seconds to wait for a sender.
        patience: seconds without a packet after which the stream has ended.
        seconds: stop after so long; None at the end of the stream.
    """

    source: Path | str | None = None
    output: Path | str | None = None
    overwrite: bool = False
    model: str | None = None
    fallback: str = "lanczos"
    wait: float = 60.0
    patience: float = 3.0
    seconds: float | None = None


@dataclass(frozen=True)
class LiveStatistics:
    """What has come, and what became of it.

    Attributes:
        arrived: pictures decoded.
        restored: of them, shown at full size.
        fallback: of the restored, those that were enlarged by Lanczos because the network had no time.
        late: of them, left out because newer ones had come.
        refused: of them, not restored because their card does not fit them, or names a network that is not here.
        concealed: of them, those in which the decoder has made up for lost packets.
        missing: pictures between the first and the last that never came, those that the sender left out among them.
        packets, lost_packets: of MPEG-TS, see `LinkCounts`.
        sessions: runs of the sender.
        bytes: of the video packets.
        seconds: from the first picture to the last.
        delay_ms, delay_p95_ms: from capture to restoration, median and 95th percentile; right if both clocks are.
        stall_ms: the longest time without a new picture.
        psnr_y: mean in dB; None if not measured.
    """

    arrived: int = 0
    restored: int = 0
    fallback: int = 0
    late: int = 0
    refused: int = 0
    concealed: int = 0
    missing: int = 0
    packets: int = 0
    lost_packets: int = 0
    sessions: int = 0
    bytes: int = 0
    seconds: float = 0.0
    delay_ms: float | None = None
    delay_p95_ms: float | None = None
    stall_ms: float = 0.0
    psnr_y: float | None = None

    @property
    def kbps(self) -> float:
        """kbit/s of video packets."""
        return self.bytes * 8 / 1000 / self.seconds if self.seconds else 0.0

    @property
    def fps(self) -> float:
        """Restored pictures a second."""
        return self.restored / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class LivePicture:
    """One restored picture.

    Attributes:
        picture: at full size.
        arrival: what it was restored from.
        fallback: by Lanczos, for lack of time.
        delay: seconds since it was taken; right if both clocks are.
        error: against the source; None if it is not measured.
    """

    picture: Picture
    arrival: Arrival
    fallback: bool
    delay: float
    error: PictureError | None


class Originals(Protocol):
    """Where the pictures are that were sent."""

    def original(self, arrival: Arrival) -> Picture | None:
        """The one that has arrived; None where it is not known."""


class LiveDial:
    """What may be changed while a receiver works, from any thread.

    Attributes:
        temperature: of the latents; None for what the stream card says.
        ended: set it to end the stream.
    """

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature
        self.ended = threading.Event()


def receive_live(
    url: LiveUrl,
    options: LiveReceiveOptions | None = None,
    *,
    originals: Originals | None = None,
    dial: LiveDial | None = None,
    heard: Callable[[Arrival], None] | None = None,
    show: Callable[[LivePicture, LiveStatistics], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> LiveStatistics:
    """Restore a live stream until it ends.

    Args:
        url: where to listen.
        options: see `LiveReceiveOptions`.
        originals: to measure against, where it is not a file.
        dial: what may change meanwhile.
        heard: called with every picture that arrives, restored or not, in the reader's thread: it must not wait.
        show: called with each restored picture and what has come so far.
        say: called with what was chosen, and with what is wrong, each once.

    Raises:
        LinkFailed: no sender, or none whose pictures can be restored.
        IrnError: see its subclasses.
    """
    options, say = options or LiveReceiveOptions(), say or _silent
    dial = dial or LiveDial(options.temperature)
    if options.output is not None:
        check_output(Path(options.output), [Path(options.source)] if options.source else [], options.overwrite)
    with ExitStack() as stack:
        listening = LiveReader(url, wait=options.wait, patience=options.patience, ended=dial.ended)
        reader = stack.enter_context(listening)
        restorers = _Restorers(options, dial, say)
        if options.source is not None:
            originals = stack.enter_context(_Source(Path(options.source)))
        recorder = stack.enter_context(_Recorder(options, say)) if options.output is not None else None
        tally = _Tally(reader)
        depth = _WAITING if options.fallback == "lanczos" else 2
        arrived = stack.enter_context(newest(tally.counted(_told(reader, heard)), depth))
        halfway = mapped(lambda _, arrival: restorers.predict(arrival, arrived.waiting), arrived)
        predicted = stack.enter_context(ahead(halfway, depth=1))
        large = stack.enter_context(ahead(mapped(lambda _, item: restorers.reverse(item), predicted), depth=1))
        stack.callback(reader.stop)
        with suppress(KeyboardInterrupt):  # the way to end a live stream: what was recorded stays
            for item in large:
                if item is None:
                    tally.refused += 1
                    continue
                picture, arrival, fallback = item
                delay = time.time() - arrival.stamp.captured / 1e6
                error = _measured(picture, arrival, originals)
                tally.done(delay, error, fallback)
                if recorder is not None:
                    recorder.write(picture, arrival)
                if show is not None:
                    show(LivePicture(picture, arrival, fallback, delay, error), tally.statistics())
                if dial.ended.is_set():
                    break
                if options.seconds is not None and tally.seconds >= options.seconds:
                    break
        found = tally.statistics()
    if not found.restored:
        raise LinkFailed(f"nothing that came from {url} could be restored", hint=restorers.complaint or None)
    return found


def _told(arrivals: Iterable[Arrival], heard: Callable[[Arrival], None] | None) -> Iterator[Arrival]:
    for arrival in arrivals:
        if heard is not None:
            heard(arrival)
        yield arrival


def _measured(restored: Picture, arrival: Arrival, originals: Originals | None) -> PictureError | None:
    original = originals.original(arrival) if originals is not None else None
    if original is None or (original.width, original.height) != (restored.width, restored.height):
        return None
    return compare(convert(original, Samples.of(restored)), restored)


@dataclass
class _Tally:
    """Counts, across the threads: each field is written by one of them."""

    reader: LiveReader
    arrived: int = 0
    restored: int = 0
    fallback: int = 0
    refused: int = 0
    concealed: int = 0
    missing: int = 0
    bytes: int = 0
    sessions: set[int] = field(default_factory=set)
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _began: float | None = None
    _ended: float = 0.0
    _last: Stamp | None = None
    _shown: float | None = None
    _stall: float = 0.0
    _psnr: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def seconds(self) -> float:
        return 0.0 if self._began is None else self._ended - self._began

    def counted(self, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
        for arrival in arrivals:
            now, stamp = time.monotonic(), arrival.stamp
            self._began = now if self._began is None else self._began
            self._ended = now
            if self._last is not None and self._last.session == stamp.session:
                self.missing += max(0, stamp.index - self._last.index - 1)
            self._last = stamp
            self.sessions.add(stamp.session)
            self.arrived += 1
            self.bytes += len(arrival.data)
            self.concealed += arrival.picture.corrupt
            yield arrival

    def done(self, delay: float, error: PictureError | None, fallback: bool) -> None:
        now = time.monotonic()
        self._stall = max(self._stall, now - (self._shown or now))
        self._shown = now
        self.restored += 1
        self.fallback += fallback
        self.delays.append(delay)
        if error is not None and (psnr := error.psnr()["psnr_y"]) is not None:
            self._psnr[0] += psnr
            self._psnr[1] += 1

    def statistics(self) -> LiveStatistics:
        delays, counts = sorted(self.delays), self.reader.counts
        return LiveStatistics(
            arrived=self.arrived,
            restored=self.restored,
            fallback=self.fallback,
            packets=counts.received,
            lost_packets=counts.lost,
            late=max(0, self.arrived - self.restored - self.refused),
            refused=self.refused,
            concealed=self.concealed,
            missing=self.missing,
            sessions=len(self.sessions),
            bytes=self.bytes,
            seconds=self.seconds,
            delay_ms=1000 * statistics.median(delays) if delays else None,
            delay_p95_ms=1000 * delays[int(_LOW * (len(delays) - 1))] if delays else None,
            stall_ms=1000 * self._stall,
            psnr_y=self._psnr[0] / self._psnr[1] if self._psnr[1] else None,
        )


@dataclass(frozen=True)
class _Restorer:
    """What restores the pictures of one card."""

    network: Rescaler
    quick: Rescaler
    to: Restoration


@dataclass(frozen=True)
class _Predicted:
    """Half-way to a restored picture."""

    arrival: Arrival
    by: Rescaler
    to: Restoration
    received: Received
    fallback: bool


class _Restorers:
    """The network that each card asks for; it may change in the middle of a stream."""

    def __init__(self, options: LiveReceiveOptions, dial: LiveDial, say: Callable[[str], None]) -> None:
        self._options, self._dial, self._say = options, dial, say
        self._card: StreamCard | None = None
        self._made: _Restorer | None = None
        self._loaded: dict[tuple[str, str, int], Rescaler] = {}
        self._said = self.complaint = ""

    def predict(self, arrival: Arrival, newer: int) -> _Predicted | None:
        """First half; None for a picture that cannot be restored. `newer` pictures wait behind it."""
        try:
            check_lr_size(arrival.picture.width, arrival.picture.height, arrival.card)
        except IrnError as error:
            self._refuse(error)
            return None
        if arrival.card != self._card:
            self._card, self._made = arrival.card, self._load(arrival.card)
        if self._made is None:
            return None
        made, to = self._made, self._made.to
        late = self._options.fallback == "lanczos" and newer > 0 and time.monotonic() - arrival.at > _SHORT
        late = late and made.network.name != made.quick.name
        by = made.quick if late else made.network
        if self._dial.temperature is not None:
            to = replace(to, temperature=self._dial.temperature)
        return _Predicted(arrival, by, to, by.predict(arrival.picture, to), late)

    def reverse(self, predicted: _Predicted | None) -> tuple[Picture, Arrival, bool] | None:
        """Second half; says whether it was done by Lanczos for lack of time."""
        if predicted is None:
            return None
        arrival = predicted.arrival
        picture = predicted.by.reverse(predicted.received, predicted.to, arrival.stamp.index)
        return picture, arrival, predicted.fallback

    def _load(self, card: StreamCard) -> _Restorer | None:
        options, key = self._options, (card.model, card.model_sha256, card.scale)
        try:
            network = self._loaded.get(key) or load_for(
                card, options.model, device=options.device, precision=options.precision
            )
        except IrnError as error:
            self._refuse(error)
            return None
        what = f"{network.name} on {network.where}, {card.width}x{card.height}"
        if what != self._said:
            self._said = what
            self._say(what)
        self._loaded = {key: network}  # a sender that changes its bit rate only must not cost a load
        quick = Rescaler.load(f"lanczos-x{network.scale}", device=options.device, precision=options.precision)
        return _Restorer(network, quick, restoration_of(card, temperature=None, seed=options.seed))

    def _refuse(self, error: IrnError) -> None:
        if str(error) != self.complaint:
            self.complaint = str(error)
            self._say(f"warning: {error}")


class _Source:
    """Pictures of the source, found by their index; a looped one begins anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0
        self._reader = VideoReader(path)

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def original(self, arrival: Arrival) -> Picture | None:
        """None where the source has no such picture."""
        count = arrival.card.frames
        return self._at(arrival.stamp.index % count if count else arrival.stamp.index)

    def _at(self, index: int) -> Picture | None:
        if index < self._next:
            self._reader.close()
            self._reader, self._next = VideoReader(self._path), 0
        for picture in self._reader:
            self._next += 1
            if self._next > index:
                return picture
        return None


class _Recorder:
    """Writes restored pictures to a file at the times at which they were taken, until their size changes."""

    def __init__(self, options: LiveReceiveOptions, say: Callable[[str], None]) -> None:
        assert options.output is not None
        self._path, self._overwrite, self._say = Path(options.output), options.overwrite, say
        self._writer: VideoWriter | None = None
        self._samples: tuple[object, ...] = ()
        self._first: Stamp | None = None
        self._over = False

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None and kind is None:
            self._writer.finish()
        elif self._writer is not None:
            self._writer.abort()

    def write(self, picture: Picture, arrival: Arrival) -> None:
        """One more, unless the recording is over."""
        samples = picture.width, picture.height, picture.layout, picture.bit_depth
        if self._writer is None:
            self._writer, self._samples, self._first = self._open(picture), samples, arrival.stamp
        if samples != self._samples and not self._over:
            self._over = True
            self._say(f"warning: {self._path} ends here: the pictures have changed to {picture.width}x{picture.height}")
        if not self._over and self._first is not None:
            since = arrival.stamp.captured - self._first.captured
            pts = round(Fraction(since, 1_000_000) / CLOCK)
            self._writer.write(replace(picture, pts=pts, time_base=CLOCK, duration=0))

    def _open(self, picture: Picture) -> VideoWriter:
        return VideoWriter(
            self._path,
            ReceiveOptions().encoder,
            width=picture.width,
            height=picture.height,
            layout=picture.layout,
            bit_depth=picture.bit_depth,
            color=picture.color,
            time_base=CLOCK,
            frame_rate=None,
            overwrite=self._overwrite,
        )


def _silent(_: str) -> None:
    return None
