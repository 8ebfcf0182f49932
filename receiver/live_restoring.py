"""Restoring live pictures: the network that each card asks for, or Lanczos where there is no time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import IrnError
from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import Picture
from irn_video.pipeline.engine.following import FAINT, Follower
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.pace import PaceClock, note_for
from irn_video.pipeline.restoring import check_lr_size
from irn_video.pipeline.system.cores import live_threads
from irn_video.pipeline.upscalers import load_for, restoration_for
from irn_video.pipeline.zoo.looks import has_look
from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions

_TELLING, _ENOUGH = 100, 0.9  # frames, and the share of them that is restored where the network has the time
_SHORT = 0.02  # seconds; pictures that come in a bunch are no sign of a slow network


@dataclass(frozen=True)
class _Restorer:
    """What restores the frames of one card."""

    network: Rescaler
    quick: Rescaler
    to: Restoration


@dataclass(frozen=True)
class Predicted:
    """Half-way to a restored frame."""

    arrival: Arrival
    by: Rescaler
    to: Restoration
    received: Received
    fallback: bool


class Restorers:
    """The network that each card asks for; it may change in the middle of a stream."""

    def __init__(self, options: LiveReceiveOptions, dial: LiveDial, say: Callable[[str], None]) -> None:
        self._options, self._dial, self._say = options, dial, say
        self._card: StreamCard | None = None
        self._made: _Restorer | None = None
        self._loaded: dict[tuple[str, str, float, str | None], Rescaler] = {}
        self._said = self.complaint = ""
        self._follower = Follower()

    def predict(self, arrival: Arrival, newer: int) -> Predicted | None:
        """First half; None for a frame that cannot be restored. `newer` frames wait behind it."""
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
        picture = self._follower(arrival.picture) if to.temperature > FAINT else arrival.picture
        return Predicted(arrival, by, to, by.predict(picture, to), late)

    def reverse(self, predicted: Predicted | None) -> tuple[Picture, Arrival, bool] | None:
        """Second half; says whether it was done by Lanczos for lack of time."""
        if predicted is None:
            return None
        arrival = predicted.arrival
        picture = predicted.by.reverse(predicted.received, predicted.to, arrival.stamp.index)
        return picture, arrival, predicted.fallback

    def advice(self, clock: PaceClock) -> str:
        """What would suit a machine on which the network had no time for many frames; else nothing."""
        pace, lr, card, made = clock.pace, clock.lr, self._card, self._made
        if pace is None or lr is None or card is None or made is None:
            return ""
        if pace.came < _TELLING or pace.restored > _ENOUGH * pace.came:
            return ""
        with suppress(IrnError):  # the last frames before a change
            check_lr_size(lr.width, lr.height, card)
            return note_for(pace, pace.came / pace.seconds, made.network, lr, made.to, self._options)
        return ""

    def _load(self, card: StreamCard) -> _Restorer | None:
        # A sender may change to a network that has one look alone.
        look = self._options.look if has_look(card.model, self._options.look) else None
        options, key = replace(self._options, look=look), (card.model, card.model_sha256, card.scale, card.look)
        try:
            network = self._loaded.get(key) or load_for(
                *(card, options.model),
                device=options.device,
                precision=options.precision,
                threads=live_threads(),
                look=options.look,
            )
        except IrnError as error:
            self._refuse(error)
            return None
        what = f"{network.name} on {network.where}, {card.width}x{card.height}"
        if what != self._said:
            self._said = what
            self._say(what)
        self._loaded = {key: network}  # a sender that changes its bit rate only must not cost a load
        quick = Rescaler.load(f"lanczos-x{network.scale:g}", device=options.device, precision=options.precision)
        return _Restorer(network, quick, restoration_for(card, network, replace(options, temperature=None)))

    def _refuse(self, error: IrnError) -> None:
        if str(error) != self.complaint:
            self.complaint = str(error)
            self._say(f"warning: {error}")
