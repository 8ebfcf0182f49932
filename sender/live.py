"""Send a video live: frames in real time → downscale → encode → network, each stage in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Protocol, Self

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.codecs.links.link_report import LinkReport
from irn_video.codecs.links.live_writer import LiveWriter
from irn_video.codecs.links.url import LiveUrl
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import ahead, newest
from irn_video.pipeline.options import DeviceOptions, EncoderOptions, check_types
from irn_video.pipeline.system.cores import live_threads
from irn_video.pipeline.zoo.tiers import network_of, networks_of
from irn_video.sender.camera import Taken
from irn_video.sender.congestion import CongestionControl, suitable_scale
from irn_video.sender.options import SendOptions
from irn_video.sender.planning import SendPlan, plan_of
from irn_video.sender.sending import card_of


@dataclass(frozen=True, kw_only=True)
class LiveSendOptions(EncoderOptions, DeviceOptions):
    """How to send live: `LiveSendOptions(bitrate=400_000)`.

    The inherited fields are those of `EncoderSettings` and `DeviceOptions`; the codec is `h264` or `h265`.

    Attributes:
        model: see `SendOptions`; None for scale 1.5, 2 or 4, whichever suits the bit rate and is of the tier.
        tier: see `SendOptions`; it counts where there is no model.
        congestion: send with less while the receiver reports loss or a queue.
        bitrate: bit/s; kept over every `buffer_seconds`.
        buffer_seconds: the smaller, the steadier the rate and the shorter the delay, and the worse the keyframes.
        keyint: distance of keyframes in frames, where receivers join and recover; None for a second.
    """

    model: str | None = None
    tier: str | None = None
    congestion: bool = True
    bitrate: int = 800_000
    buffer_seconds: float = 0.5
    preset: str = "veryfast"
    tune: str | None = "zerolatency"


class LiveControl:
    """What may be changed while a sender works, from any thread; it follows at the next keyframe.

    Attributes:
        options: those in force; `bitrate`, `model`, `tier` and `congestion` may be replaced.
        sending: what is sent with now, bit/s and network; None before the first frame.

    Raises:
        BadOption: an option of another type than it should have, here and in what changes them.
    """

    def __init__(self, options: LiveSendOptions | None = None) -> None:
        self.options = options or LiveSendOptions()
        check_types(self.options)
        self.sending: tuple[int, Rescaler] | None = None

    def set_bitrate(self, bitrate: int) -> None:
        """In bit/s.

        Raises:
            BadOption: too low.
        """
        changed = self._with(bitrate=bitrate)
        if bitrate < 1000:
            raise BadOption(f"a bit rate of {bitrate} bit/s makes no sense", hint="write 400k")
        self.options = changed

    def set_model(self, model: str | None) -> None:
        """See `LiveSendOptions`; the sender keeps its network if it cannot use this one, and says so."""
        self.options = self._with(model=model)

    def set_tier(self, tier: str | None) -> None:
        """See `LiveSendOptions`; a model that was set is so no longer.

        Raises:
            BadOption: no such tier, or none of its networks is here.
        """
        network_of(2, tier)
        self.options = self._with(model=None, tier=tier)

    def set_congestion(self, congestion: bool) -> None:
        """See `LiveSendOptions`."""
        self.options = self._with(congestion=congestion)

    def _with(self, **changed: object) -> LiveSendOptions:
        options = replace(self.options, **changed)  # type: ignore[arg-type]  # checked next
        check_types(options)
        return options


@dataclass(frozen=True)
class LiveSent:
    """What was sent.

    Attributes:
        frames: sent.
        skipped: left out, because this machine was too slow.
        bytes: of the video packets.
        seconds: how long it took.
    """

    frames: int
    skipped: int
    bytes: int
    seconds: float


class Pictures(Protocol):
    """A `Camera`, or one that shares its frames."""

    info: VideoInfo
    rate: Fraction

    def __iter__(self) -> Iterator[Taken]: ...


def send_live(
    camera: Pictures, url: LiveUrl, control: LiveControl | None = None, *, say: Callable[[str], None] | None = None
) -> LiveSent:
    """Send frames into the network as they are taken.

    Args:
        camera: where they come from.
        url: where a receiver listens.
        control: how to send, now and later.
        say: called with what was chosen, and with each change of the network.

    Raises:
        LinkFailed: nobody is there, or the receiver has gone.
        IrnError: see its subclasses.
    """
    control = control or LiveControl()
    setups = _Setups(camera, control, say or _silent)
    if say is not None:
        rescaler = setups.now.rescaler
        say(f"{rescaler.name} on {rescaler.where}, {float(camera.rate):g} frames a second to {url}")
    start, sent, last, size = time.monotonic(), 0, -1, 0
    with (
        newest(camera, depth=1) as taken,
        ahead(setups.shrunk(taken), depth=1) as small,
        suppress(KeyboardInterrupt),  # the way to end a live stream
        _Line(url, camera.rate) as line,
    ):
        for item in small:
            size = line.write(item)
            for report in line.reports():
                setups.congestion.heard(report, time.monotonic())
            sent, last = sent + 1, item.stamp.index
    return LiveSent(sent, last + 1 - sent, size, time.monotonic() - start)


@dataclass(frozen=True)
class _Setup:
    """How frames are sent until something changes."""

    rescaler: Rescaler
    plan: SendPlan
    settings: EncoderSettings
    card: StreamCard


@dataclass(frozen=True)
class _Small:
    """An LR frame, and how it is to be sent."""

    lr: Picture
    stamp: Stamp
    setup: _Setup


class _Setups:
    """The setup of each picture: it changes with the control and with the receiver's reports, at keyframes."""

    def __init__(self, camera: Pictures, control: LiveControl, say: Callable[[str], None]) -> None:
        self._camera, self._control, self._say = camera, control, say
        self._loaded: dict[str, Rescaler] = {}
        self._since = 0
        self.congestion = CongestionControl(control.options.bitrate)
        self._wanted = control.options.model
        self.now = self._made(self._name(self._wanted, None), control.options.bitrate)

    def shrunk(self, taken: Iterable[Taken]) -> Iterator[_Small]:
        """Each frame at its small size."""
        for count, item in enumerate(taken):
            if (count - self._since) % self._keyint == 0 and count:
                self._follow(count)
            setup = self.now
            self._control.sending = setup.settings.bitrate or 0, setup.rescaler
            yield _Small(setup.rescaler.downscale(item.picture, setup.plan.lr, setup.plan.qp), item.stamp, setup)

    @property
    def _keyint(self) -> int:
        return self._control.options.keyint or max(1, round(self._camera.rate))

    def _follow(self, count: int) -> None:
        options = self._control.options
        self.congestion.limit(options.bitrate)
        bitrate = self.congestion.bitrate if options.congestion else options.bitrate
        model = self._name(options.model, self.now.rescaler.scale if self._wanted is None else None, bitrate)
        if (model, bitrate) == (self.now.rescaler.name, self.now.settings.bitrate) and options.model == self._wanted:
            return
        self._wanted = options.model
        try:
            changed = self._made(model, bitrate)
        except IrnError as error:
            self._say(f"warning: {error}")
            self._control.set_model(self.now.rescaler.name)
            return
        if changed.rescaler is not self.now.rescaler:
            self._say(f"{changed.rescaler.name} from now on, at {bitrate / 1000:.0f} kb/s")
        self.now, self._since = changed, count

    def _name(self, model: str | None, scale: float | None, bitrate: int | None = None) -> str:
        if model is not None:
            return model
        info, options = self._camera.info, self._control.options
        bits = (bitrate or options.bitrate) / (info.width * info.height * float(self._camera.rate))
        suitable = suitable_scale(bits, scale)
        return network_of(suitable if suitable in networks_of(options.tier) else 2, options.tier)

    def _made(self, model: str, bitrate: int) -> _Setup:
        options, info = self._control.options, self._camera.info
        rescaler = self._loaded.get(model) or Rescaler.load(
            model, device=options.device, precision=options.precision, threads=live_threads()
        )
        if rescaler.wants_lossless:
            raise BadOption(
                f"{rescaler.name} cannot be sent live: it needs a lossless stream", hint="choose irn-h264-x2"
            )
        self._loaded[model] = rescaler
        settings = replace(options.encoder, bitrate=bitrate, keyint=self._keyint)
        plan = plan_of(info, rescaler, settings)
        card = card_of(info, rescaler, plan.carried, SendOptions(**asdict(settings)), findable=False)
        if self._camera.rate != info.frame_rate:  # thinned out: indices are not those of the file
            card = replace(card, frames=None)
        return _Setup(rescaler, plan, settings, card)


class _Line:
    """A `LiveWriter` that is opened with the first frame, whose size and samples it takes."""

    def __init__(self, url: LiveUrl, rate: Fraction) -> None:
        self._url, self._rate = url, rate
        self._writer: LiveWriter | None = None
        self._setup: _Setup | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, item: _Small) -> int:
        """Send; returns all bytes so far."""
        setup = item.setup
        if self._writer is None:
            self._writer = LiveWriter(self._url, setup.settings, card=setup.card, lr=item.lr, frame_rate=self._rate)
        elif setup is not self._setup:
            self._writer.change(setup.settings, card=setup.card, lr=item.lr)
        self._setup = setup
        self._writer.write(item.lr, item.stamp)
        return self._writer.bytes

    def reports(self) -> Iterator[LinkReport]:
        """What the receiver has said."""
        return self._writer.reports() if self._writer is not None else iter(())


def _silent(_: str) -> None:
    return None
