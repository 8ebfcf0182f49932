"""Send a video live: pictures in real time → downscale → encode → network, each stage in a thread of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

from irn_video.codecs.card import StreamCard
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption
from irn_video.codecs.live import LiveUrl, LiveWriter
from irn_video.codecs.picture import Picture
from irn_video.codecs.reader import VideoReader
from irn_video.codecs.stamp import Stamp
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import Advance, ahead, mapped
from irn_video.pipeline.zoo import DEFAULT_MODEL
from irn_video.sender.sending import SendOptions, card_of, plan_of

_FALLBACK_RATE = Fraction(25)
_LATE_PERIODS = 2  # a picture that comes later than this is left out, so that the next ones are in time
_SESSIONS = 1 << 32


@dataclass(frozen=True)
class LiveSendOptions:
    """How to send live.

    Attributes:
        model: see `SendOptions`.
        bitrate: bit/s; kept over every `buffer_seconds`.
        buffer_seconds: the smaller, the steadier the rate and the shorter the delay, and the worse the keyframes.
        preset: of the encoder.
        codec: `h264` or `h265`.
        keyint: distance of keyframes in pictures, where receivers join and recover; None for a second.
        loop: begin anew at the end.
        seconds: stop after so long; None at the end of the input.
        device, precision: see `SendOptions`.
    """

    model: str = DEFAULT_MODEL
    bitrate: int = 800_000
    buffer_seconds: float = 0.5
    preset: str = "veryfast"
    codec: str = "h264"
    keyint: int | None = None
    loop: bool = False
    seconds: float | None = None
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class LiveSent:
    """What was sent.

    Attributes:
        pictures: sent.
        skipped: left out, because this machine was too slow.
        bytes: of the video packets.
        seconds: how long it took.
    """

    pictures: int
    skipped: int
    bytes: int
    seconds: float


def send_live(
    source: Path | str,
    url: LiveUrl,
    options: LiveSendOptions | None = None,
    *,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
) -> LiveSent:
    """Play a video into the network in real time.

    Args:
        source: any video that FFmpeg reads.
        url: where a receiver listens.
        options: see `LiveSendOptions`.
        advance: see `Advance`.
        say: called with what was chosen, once, before the work starts.

    Raises:
        LinkFailed: nobody is there, or the receiver has gone.
        IrnError: see its subclasses.
    """
    options, source = options or LiveSendOptions(), Path(source)
    rescaler = Rescaler.load(options.model, device=options.device, precision=options.precision)
    if rescaler.wants_lossless:
        raise BadOption(f"{rescaler.name} cannot be sent live: it needs a lossless stream", hint="choose irn-h264-x2")
    with VideoReader(source) as reader:
        info = reader.info
    rate = info.frame_rate or _FALLBACK_RATE
    settings = _settings(options, rate)
    plan = plan_of(info, rescaler, settings)
    card = card_of(info, rescaler, plan.carried, SendOptions(options.model, encoder=settings))
    if say is not None:
        say(f"{rescaler.name} on {rescaler.where}, {float(rate):g} pictures a second to {url}")

    def shrunk(_: int, item: tuple[Picture, Stamp]) -> tuple[Picture, Stamp]:
        return rescaler.downscale(item[0], plan.lr, plan.qp), item[1]

    start, sent, last, size = time.monotonic(), 0, -1, 0
    with (
        ahead(_pictures(source, options.loop), depth=4) as pictures,
        ahead(_taken(pictures, rate, options.seconds), depth=1) as taken,
        ahead(mapped(shrunk, taken), depth=1) as small,
        suppress(KeyboardInterrupt),  # the way to end a live stream
        _Line(url, settings, card, rate) as line,
    ):
        for lr, stamp in small:
            size = line.write(lr, stamp)
            sent, last = sent + 1, stamp.index
            if advance is not None:
                advance(sent, None if options.loop else info.frames)
    return LiveSent(sent, last + 1 - sent, size, time.monotonic() - start)


def _settings(options: LiveSendOptions, rate: Fraction) -> EncoderSettings:
    return EncoderSettings(
        codec=options.codec,
        bitrate=options.bitrate,
        preset=options.preset,
        tune="zerolatency",
        keyint=options.keyint or max(1, round(rate)),
        buffer_seconds=options.buffer_seconds,
    )


class _Line:
    """A `LiveWriter` that is opened with the first picture, whose size and samples it takes."""

    def __init__(self, url: LiveUrl, settings: EncoderSettings, card: StreamCard, rate: Fraction) -> None:
        self._url, self._settings, self._card, self._rate = url, settings, card, rate
        self._writer: LiveWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, lr: Picture, stamp: Stamp) -> int:
        """Send; returns all bytes so far."""
        if self._writer is None:
            self._writer = LiveWriter(self._url, self._settings, card=self._card, lr=lr, frame_rate=self._rate)
        self._writer.write(lr, stamp)
        return self._writer.bytes


def _pictures(source: Path, loop: bool) -> Iterator[Picture]:
    while True:
        with VideoReader(source) as reader:
            yield from reader
        if not loop:
            return


def _taken(pictures: Iterator[Picture], rate: Fraction, seconds: float | None) -> Iterator[tuple[Picture, Stamp]]:
    """Each picture at its time, as a camera would give it; those that come too late are left out."""
    start, session = time.monotonic(), secrets.randbelow(_SESSIONS)
    for index, picture in enumerate(pictures):
        due = start + float(index / rate)
        if seconds is not None and due - start >= seconds:
            return
        if (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        elif -wait > float(_LATE_PERIODS / rate):
            continue
        yield picture, Stamp(session, index, time.time_ns() // 1000)
