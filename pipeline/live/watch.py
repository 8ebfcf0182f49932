"""A receiver's frames on a page: what it restores beside Lanczos of the same stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadOption
from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import Picture
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.live.panes import Figures, Moment, Screen, number
from irn_video.pipeline.live.server import PageServer
from irn_video.pipeline.restoring import restoration_of
from irn_video.receiver.live import LivePicture
from irn_video.receiver.live_options import LiveDial
from irn_video.receiver.live_statistics import LiveStatistics

_STATE_SECONDS = 0.5
_RATE = Fraction(25)  # only keyframe distance and timestamps of the page's video depend on it


class Watch:
    """A page for one receiver.

    Args:
        host: address to listen at.
        dial: of the receiver: the page turns it.
        measured: the receiver measures its frames.
    """

    def __init__(self, host: str, dial: LiveDial, *, measured: bool = False) -> None:
        self._dial = dial
        self._server = PageServer(self._set, host)
        about = {"networks": [], "controls": ["temperature"], "figures": ["psnr"] if measured else []}
        self._screen = Screen(self._server, _RATE, lambda: about)
        self._figures = Figures()
        self._card: StreamCard | None = None
        self._enlarger: tuple[Rescaler, Restoration] | None = None
        self._ended = threading.Event()

    @contextmanager
    def running(self, port: int) -> Iterator[str]:
        """Serve until left; gives the address to open.

        Raises:
            LinkFailed: see `PageServer.serving`.
        """
        telling = threading.Thread(target=self._tell, name="irn-figures", daemon=True)
        with self._server.serving(port) as address, self._screen.running():
            telling.start()
            try:
                yield address
            finally:
                self._ended.set()
                telling.join()

    def show(self, picture: LivePicture, so_far: LiveStatistics) -> None:
        """One more, for `receive_live`."""
        self._figures.seen(picture, so_far)
        arrival = picture.arrival
        if arrival.card != self._card:
            self._card, self._enlarger = arrival.card, None
        if self._server.clients:
            psnr = picture.error.psnr()["psnr_y"] if picture.error is not None else None
            panes = {"lanczos": self._enlarged(arrival), "ours": picture.picture}
            self._screen.show(Moment(panes, {"ours": psnr}, arrival, picture.fallback))

    def say(self, text: str) -> None:
        """Something to read."""
        self._server.tell("note", text=text)

    def _enlarged(self, arrival: Arrival) -> Picture:
        if self._enlarger is None:
            card = arrival.card
            self._enlarger = (
                Rescaler.load(f"lanczos-x{card.scale:g}"),
                restoration_of(card, temperature=None, seed=None),
            )
        rescaler, to = self._enlarger
        return rescaler.reverse(rescaler.predict(arrival.picture, to), to)

    def _set(self, name: str, value: object) -> None:
        if name != "temperature":
            raise BadOption(f"{name[:40]} cannot be set here")
        self._dial.temperature = number(name, value, 0.0, 1.0)

    def _tell(self) -> None:
        while not self._ended.wait(_STATE_SECONDS):
            temperature = self._dial.temperature
            if temperature is None and self._card is not None:
                temperature = self._card.latent_std
            settings = {"temperature": temperature, "model": self._card.model if self._card else None}
            self._server.tell("state", **self._figures.state(), settings=settings)
