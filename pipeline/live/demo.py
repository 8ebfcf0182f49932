"""The live demonstration on one machine: a source, a bad network, and a page that shows what arrives.

Two whole links run side by side, one with a network and one with Lanczos, over the same conditions and at the same bit
rate, so that what the page compares is what two users would see.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadOption, LinkFailed
from irn_video.pipeline.live.full_size import FullSizeRate, SteadyStream
from irn_video.pipeline.live.lanes import HERE, JOIN_SECONDS, KEPT, Lane, Share
from irn_video.pipeline.live.link import LinkConditions
from irn_video.pipeline.live.panes import Figures, Meter, Moment, Recent, Screen, number
from irn_video.pipeline.live.runtime import BrowserRuntime
from irn_video.pipeline.live.server import PageServer
from irn_video.pipeline.live.small_stream import SmallStream
from irn_video.pipeline.zoo import NETWORKS, list_models
from irn_video.pipeline.zoo.tiers import network_of
from irn_video.receiver.live import LivePicture
from irn_video.receiver.live_options import LiveDial
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.sender.camera import Camera
from irn_video.sender.live import LiveControl, LiveSendOptions

OURS, LANCZOS, SOURCE = "ours", "lanczos", "source"
_STATE_SECONDS = 0.5
_STEADY_SECONDS = 3.0  # conditions that changed less long ago have no figures yet
_NEAR_OCTAVES = 0.25  # bit rates that are no other conditions, unless somebody has asked for them
_FULL_SIZE_PAUSE = 8.0  # of what one group takes, once there is a figure
_BITRATES = 20_000, 50_000_000
_FIGURES = ("rate", "psnr", "lanczos", "full")
_CONTROLS = ("bitrate", "model", "scale", "temperature", "loss", "delay", "rate", "congestion")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """How to demonstrate.

    Attributes:
        send: of the link with the network.
        conditions: of both links, at first.
        host, port: of the page.
        temperature: of the latents; None for the network's own.
        onnxruntime: the folder `dist` of npm's onnxruntime-web, for browsers that restore the frames themselves.
    """

    send: LiveSendOptions = field(default_factory=LiveSendOptions)
    conditions: LinkConditions = field(default_factory=LinkConditions)
    host: str = HERE
    port: int = 0
    temperature: float | None = None
    onnxruntime: Path | None = None


def demonstrate(
    camera: Camera,
    options: DemoOptions | None = None,
    *,
    opened: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> LiveStatistics:
    """Run both links and the page until the camera ends or the user does.

    Args:
        camera: what is shown.
        options: see `DemoOptions`.
        opened: called with the address of the page once it is served.
        say: called with what the sender and the receiver have to say.

    Raises:
        LinkFailed: the page cannot be served.
        BadOption: `onnxruntime` is no such folder.
        IrnError: of sender and receiver, see there.
    """
    options = options or DemoOptions()
    demo = _Demo(camera, options, say or _silent)
    with ExitStack() as stack:
        address = stack.enter_context(demo.server.serving(options.port))
        stack.enter_context(demo.running())
        if opened is not None:
            opened(address)
        demo.watch()
    return demo.figures.found


class _Demo:
    """What the threads share. Each of them writes its own fields."""

    def __init__(self, camera: Camera, options: DemoOptions, say: Callable[[str], None]) -> None:
        self._say_too = say
        self.figures = Figures()
        self._networks = {e.card.name: e.card.network.scale for e in list_models() if _is_live(e.card.network.family)}
        folder = options.onnxruntime
        self._runtime = BrowserRuntime(folder, list(self._networks)) if folder is not None else None
        self.server = PageServer(self.set, options.host, self._runtime)
        small = SmallStream(self.server)
        self._share = Share(camera)
        self._dial = LiveDial(options.temperature)
        control, other = (
            LiveControl(options.send),
            LiveControl(replace(options.send, model="lanczos-x2", congestion=False)),
        )
        conditions = options.conditions
        self._ours = Lane(self._share, control, conditions, self._dial, self._restored, self._say, small.heard)
        self._other = Lane(self._share, other, conditions, LiveDial(), self._enlarged, _silent)
        self._screen = Screen(self.server, camera.rate, self._about)
        self._enlargements: Recent[LivePicture] = Recent(KEPT)
        self._other_bytes, self._other_rate = 0, Meter()
        self._steady, self._rate = SteadyStream(_STEADY_SECONDS), float(camera.rate)
        self._full = FullSizeRate(options.send.preset, self._rate, options.send.buffer_seconds)
        self._group = max(1, round(camera.rate))
        self._card: StreamCard | None = None
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything but the page."""
        side = threading.Thread(target=self._follow_full_size, name="irn-full-size", daemon=True)
        with self._screen.running(), self._ours.running(), self._other.running():
            side.start()
            self._share.start()
            try:
                yield
            finally:
                self._ended.set()
                self._share.close()
                side.join(JOIN_SECONDS)

    def watch(self) -> None:
        """Tell the page how it goes, until it is over.

        Raises:
            IrnError: what has ended it.
        """
        with suppress(KeyboardInterrupt):  # the way to end a live stream
            while self._ours.alive:
                time.sleep(_STATE_SECONDS)
                self._keep_equal()
                self.server.tell("state", **self._state())
                if errors := [*self._ours.errors, *self._other.errors]:
                    raise errors[0]
        if self._share.error is not None:
            raise self._share.error
        if not self.figures.found.restored:
            raise LinkFailed("no frame has arrived", hint="is the link too slow? try --rate 0 and a lower --bitrate")

    def set(self, name: str, value: object) -> None:
        """A browser wants something else.

        Raises:
            BadOption: what cannot be.
        """
        control = self._ours.control
        match name:
            case "bitrate":
                control.set_bitrate(number(name, value, *_BITRATES))
            case "model" if value in self._networks:
                control.set_model(str(value))
            case "scale" if value in NETWORKS:
                control.set_model(network_of(number(name, value, 1.0, 4.0), control.options.tier))
            case "temperature":
                self._dial.temperature = number(name, value, 0.0, 1.0)
            case "congestion" if isinstance(value, bool):
                control.set_congestion(value)
            case "loss":
                self._set_link(loss=number(name, value, 0.0, 0.5))
            case "delay":
                self._set_link(delay=number(name, value, 0.0, 2.0))
            case "rate":
                self._set_link(rate=number(name, value, 0, 10**9))
            case _:
                raise BadOption(f"{name[:40]} cannot be {str(value)[:40]}")

    def _set_link(self, **changed: float) -> None:
        for lane in (self._ours, self._other):
            lane.link.conditions = replace(lane.link.conditions, **changed)  # type: ignore[arg-type]

    def _restored(self, picture: LivePicture, so_far: LiveStatistics) -> None:
        self.figures.seen(picture, so_far)
        self._card = _settled(picture.arrival.card, self._card)
        if (value := _psnr_y(picture)) is not None and not picture.fallback:
            self._steady.add(value, so_far.arrived, so_far.bytes, self._conditions())
        index = picture.arrival.stamp.index
        original, other = self._share.taken.get(index), self._enlargements.get(index)
        shown = other or self._enlargements.newest()
        if original is None or shown is None or not self.server.clients:
            return
        panes = {SOURCE: original, LANCZOS: shown.picture, OURS: picture.picture}
        self._screen.show(Moment(panes, {OURS: value, LANCZOS: _psnr_y(other)}, picture.arrival, picture.fallback))

    def _enlarged(self, picture: LivePicture, so_far: LiveStatistics) -> None:
        self._enlargements[picture.arrival.stamp.index] = picture
        self._other_bytes = so_far.bytes

    def _follow_full_size(self) -> None:
        """As long as somebody looks, and a small part of the time: it has no hurry."""
        while not self._ended.wait(_STATE_SECONDS):
            group, conditions = self._share.taken.last(self._group), self._conditions()
            steady = self._steady.under(conditions)
            if not self.server.clients or len(group) < self._group or steady is None:
                continue
            began = time.monotonic()
            sending = self._ours.control.sending
            begin = sending[0] if sending is not None else self._ours.control.options.bitrate
            self._full.follow(group, steady.psnr_y, begin / 1000, conditions)
            if self._full.under(conditions) is not None:
                self._ended.wait(_FULL_SIZE_PAUSE * (time.monotonic() - began))

    def _conditions(self) -> object:
        """What the PSNR depends on, but for the frames themselves: where it changes, what was measured is over."""
        lost = self.figures.found.lost_packets
        return self._ours.control.options, self._card, self._ours.link.conditions, self._dial.temperature, lost

    def _keep_equal(self) -> None:
        """Lanczos is sent at the bit rate and the scale of the network."""
        if self._ours.control.sending is not None:
            bitrate, rescaler = self._ours.control.sending
            self._other.control.set_bitrate(bitrate)
            self._other.control.set_model(f"lanczos-x{rescaler.scale:g}")

    def _state(self) -> dict[str, object]:
        control, conditions = self._ours.control, self._ours.link.conditions
        bitrate, rescaler = control.sending or (control.options.bitrate, None)
        temperature = self._dial.temperature
        if temperature is None and self._card is not None:
            temperature = self._card.latent_std
        other, full = self._other_rate.rate(8 * self._other_bytes / 1000), self._full.under(self._conditions())
        return {
            **self.figures.state(lanczos=other, full=full),
            "times": None if full is None else self._times(full),
            "settings": {
                "bitrate": bitrate,
                "model": rescaler.name if rescaler else None,
                "scale": rescaler.scale if rescaler else None,
                "temperature": temperature,
                "loss": conditions.loss,
                "delay": conditions.delay,
                "rate": conditions.rate,
                "congestion": control.options.congestion,
            },
        }

    def _times(self, full: float) -> float | None:
        """How many times the bits of a frame as it is sent one at full size has, of a stream of so many kbit/s."""
        steady = self._steady.under(self._conditions())
        return 1000 * full / (steady.bits * self._rate) if steady is not None and steady.bits else None

    def _about(self) -> dict[str, object]:
        networks = [{"name": name, "scale": scale} for name, scale in self._networks.items()]
        return {
            "networks": networks,
            "controls": list(_CONTROLS),
            "figures": list(_FIGURES),
            "browser": self._runtime is not None,
        }

    def _say(self, text: str) -> None:
        self.server.tell("note", text=text)
        self._say_too(text)


def _settled(card: StreamCard, before: StreamCard | None) -> StreamCard:
    """With the bit rate from before, where it is nearly that: congestion control never rests."""
    if before is None or not (card.bitrate and before.bitrate):
        return card
    near = abs(math.log2(card.bitrate / before.bitrate)) < _NEAR_OCTAVES
    return replace(card, bitrate=before.bitrate) if near else card


def _is_live(family: str) -> bool:
    return family == "codec-aware"


def _psnr_y(picture: LivePicture | None) -> float | None:
    return picture.error.psnr()["psnr_y"] if picture is not None and picture.error is not None else None


def _silent(_: str) -> None:
    return None
