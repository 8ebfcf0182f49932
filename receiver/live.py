"""Receive a live stream: network → decode → restore → measure and record, each stage in a thread of its own.

Where the network cannot keep up, a frame that has waited while newer ones came is enlarged by Lanczos, which is
quick, or gives way to them, so that what is shown stays near to what is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.errors import LinkFailed
from irn_video.codecs.links.live_reader import Arrival, LiveReader
from irn_video.codecs.links.url import LiveUrl
from irn_video.codecs.picture import Picture
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.flow import ahead, mapped, newest
from irn_video.pipeline.options import check_types
from irn_video.pipeline.pace import PaceClock
from irn_video.pipeline.quality.psnr import PictureError
from irn_video.pipeline.zoo.looks import check_look
from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions
from irn_video.receiver.live_restoring import Restorers
from irn_video.receiver.live_statistics import LiveStatistics, Tally
from irn_video.receiver.originals import FileOriginals, Originals, measured
from irn_video.receiver.recording import Recorder

_WAITING = 16  # decoded pictures


@dataclass(frozen=True)
class LivePicture:
    """One restored frame.

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


def receive_live(
    url: LiveUrl,
    options: LiveReceiveOptions | None = None,
    *,
    originals: Originals | None = None,
    dial: LiveDial | None = None,
    heard: Callable[[Arrival], None] | None = None,
    show: Callable[[LivePicture, LiveStatistics], None] | None = None,
    say: Callable[[str], None] | None = None,
    advise: Callable[[str], None] | None = None,
) -> LiveStatistics:
    """Restore a live stream until it ends.

    Args:
        url: where to listen.
        options: see `LiveReceiveOptions`.
        originals: to measure against, where it is not a file.
        dial: what may change meanwhile.
        heard: called with every frame that arrives, restored or not, in the reader's thread: it must not wait.
        show: called with each restored frame and what has come so far.
        say: called with what was chosen, and with what is wrong, each once.
        advise: called at the end, where the network had no time for many frames, with what would suit this machine.

    Raises:
        LinkFailed: no sender, or none whose frames can be restored.
        IrnError: see its subclasses.
    """
    options, say = options or LiveReceiveOptions(), say or _silent
    check_types(options)
    check_look(options.look)
    dial = dial or LiveDial(options.temperature)
    if options.output is not None:
        check_output(Path(options.output), [Path(options.source)] if options.source else [], options.overwrite)
    with ExitStack() as stack:
        listening = LiveReader(url, wait=options.wait, patience=options.patience, ended=dial.ended)
        reader = stack.enter_context(listening)
        restorers = Restorers(options, dial, say)
        if options.source is not None:
            originals = stack.enter_context(FileOriginals(Path(options.source), say))
        recorder = stack.enter_context(Recorder(options, say)) if options.output is not None else None
        tally, clock = Tally(reader), PaceClock()
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
                error = measured(picture, arrival, originals)
                tally.done(delay, error, fallback)
                clock.tick(tally.arrived - tally.refused, tally.restored - tally.fallback, arrival.picture)
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
    if advise is not None and (text := restorers.advice(clock)):
        advise(text)
    return found


def _told(arrivals: Iterable[Arrival], heard: Callable[[Arrival], None] | None) -> Iterator[Arrival]:
    for arrival in arrivals:
        if heard is not None:
            heard(arrival)
        yield arrival


def _silent(_: str) -> None:
    return None
