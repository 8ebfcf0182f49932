"""A link of the demonstration, sender and receiver included, and the camera that both links share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.links.url import LiveUrl
from irn_video.codecs.picture import Picture
from irn_video.pipeline.flow import Handover
from irn_video.pipeline.live.link import Link, LinkConditions, free_port
from irn_video.pipeline.live.panes import Recent
from irn_video.receiver.live import LivePicture, receive_live
from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.sender.camera import Camera, Taken
from irn_video.sender.live import LiveControl, Pictures, send_live

HERE = "127.0.0.1"
KEPT = 100  # pictures of the source and of the other link, while a picture is under way
JOIN_SECONDS = 10.0
_PATIENCE = 5.0  # seconds; a machine that is busy with something else is no end


class Share(threading.Thread):
    """One camera for several senders; keeps what was taken last, for who measures."""

    def __init__(self, camera: Camera) -> None:
        super().__init__(name="irn-camera", daemon=True)
        self._camera, self._out = camera, list[Handover[Taken]]()
        self._closed = threading.Event()
        self.taken: Recent[Picture] = Recent(KEPT)
        self.error: Exception | None = None

    def tap(self) -> Pictures:
        """One more user of the frames."""
        out: Handover[Taken] = Handover(2)
        self._out.append(out)
        return _Tap(self._camera, out)

    def run(self) -> None:
        """Hand out what the camera takes, until it ends or `close` is called."""
        try:
            for taken in self._camera:
                self.taken[taken.stamp.index] = taken.picture
                for out in self._out:
                    out.put(taken)
                if self._closed.is_set():
                    break
        except Exception as error:
            self.error = error
        for out in self._out:
            out.close()

    def close(self) -> None:
        """Stop."""
        self._closed.set()

    def original(self, arrival: Arrival) -> Picture | None:
        """See `Originals`."""
        return self.taken.get(arrival.stamp.index)


class _Tap:
    """A camera's frames as one of its users sees them."""

    def __init__(self, camera: Camera, out: Handover[Taken]) -> None:
        self.info, self.rate, self._out = camera.info, camera.rate, out

    def __iter__(self) -> Iterator[Taken]:
        return iter(self._out)


class Lane:
    """Sender, link and receiver, each in a thread of its own."""

    def __init__(
        self,
        share: Share,
        control: LiveControl,
        conditions: LinkConditions,
        dial: LiveDial,
        show: Callable[[LivePicture, LiveStatistics], None],
        say: Callable[[str], None],
        heard: Callable[[Arrival], None] | None = None,
    ) -> None:
        port = free_port()
        self.control, self.error = control, None
        self.link = Link(port, conditions)
        self._dial = dial
        options = LiveReceiveOptions(wait=30, patience=_PATIENCE, device=control.options.device)
        options = replace(options, precision=control.options.precision)
        camera = share.tap()

        def receive() -> None:
            url = LiveUrl("udp", HERE, port)
            receive_live(url, options, originals=share, dial=dial, heard=heard, show=show, say=say)

        def send() -> None:
            send_live(camera, LiveUrl("udp", HERE, self.link.port), control, say=say)

        self.threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in (receive, send)]
        self.errors: list[Exception] = []

    @property
    def alive(self) -> bool:
        """The receiver still works."""
        return self.threads[0].is_alive()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything at work, until the context is left."""
        with self.link:
            for thread in self.threads:
                thread.start()
            try:
                yield
            finally:
                self._dial.ended.set()
                for thread in self.threads:
                    thread.join(JOIN_SECONDS)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.errors.append(error)
