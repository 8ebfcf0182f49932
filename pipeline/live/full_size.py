"""What ordinary H.264 at full size would take for the same PSNR, found beside a running stream.

Groups of frames of the source are encoded as the live sender encodes: with its preset, tune and buffer, at a bit rate
that follows the PSNR to be reached.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
from irn_video.codecs.encoders.h264 import repeatable
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.writing.roundtrip import Planes, picture_planes, through
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import compare

_DB_PER_DOUBLING = 3.3  # about what twice the bits gain; what they do is learned from one group to the next
_SLOPES = (2.0, 12.0)
_LONGEST_STEP = 2.0  # times the bit rate
_LEAST, _MOST = 5_000, 200_000_000  # bit/s
_NEAR_DB = 1.0  # a group that misses the PSNR by more tells nothing
_NEAR_OCTAVES = 0.1  # bit rates so near tell nothing of the slope
_FRAMES = 1000  # of which a mean is taken at most
_SMOOTH = 0.4  # weight of the newest group


@dataclass(frozen=True)
class Coded:
    """A group of frames after encoding: mean PSNR-Y in dB, infinite where nothing was lost, and bytes."""

    psnr_y: float
    bytes: int


@dataclass(frozen=True)
class Steady:
    """What a stream does under conditions that have lasted: mean PSNR-Y in dB, and bits of a frame."""

    psnr_y: float
    bits: float


@dataclass(frozen=True)
class _Seen:
    at: float
    psnr_y: float
    arrived: int
    bytes: int


class SteadyStream:
    """A stream of the last seconds, while conditions stay what they are.

    Args:
        seconds: so long they must have been the same.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now: tuple[object, float, deque[_Seen]] = None, 0.0, deque()

    def add(self, psnr_y: float, arrived: int, size: int, conditions: object) -> None:
        """One more frame: its PSNR-Y in dB, and how many frames and bytes have come so far."""
        now = time.monotonic()
        if conditions != self._now[0]:
            self._now = conditions, now, deque(maxlen=_FRAMES)
        self._now[2].append(_Seen(now, psnr_y, arrived, size))

    def under(self, conditions: object) -> Steady | None:
        """None until enough is known under these conditions."""
        same, since, seen = self._now
        now = time.monotonic()
        recent = [one for one in list(seen) if now - one.at <= self._seconds]
        if same != conditions or now - since < self._seconds or not recent or recent[-1].arrived == recent[0].arrived:
            return None
        bits = 8 * (recent[-1].bytes - recent[0].bytes) / (recent[-1].arrived - recent[0].arrived)
        return Steady(statistics.fmean(one.psnr_y for one in recent), bits)


class FullSizeRate:
    """Follows one stream.

    Args:
        preset: of the encoder.
        rate: frames per second.
        buffer_seconds: of the decoder, see `EncoderSettings`.

    """

    def __init__(self, preset: str, rate: float, buffer_seconds: float) -> None:
        self._preset, self._rate, self._buffer = preset, Fraction(rate).limit_denominator(1001), buffer_seconds
        self._bitrate, self._slope = 0.0, _DB_PER_DOUBLING
        self._before: tuple[float, float] | None = None  # bit rate and PSNR of the last group
        self._found: tuple[object, float | None] = None, None  # under which conditions, kbit/s

    def under(self, conditions: object) -> float | None:
        """kbit/s of full-size H.264 at the PSNR of the stream; None until it was measured under these conditions."""
        measured, kbps = self._found
        return kbps if measured == conditions else None

    def follow(self, pictures: Sequence[Picture], psnr_y: float, kbps: float, conditions: object = None) -> None:
        """One group of frames, from one keyframe to the next.

        Args:
            pictures: of the source.
            psnr_y: mean in dB that they should have.
            kbps: where to begin.
            conditions: under which they have it; under others a new measurement begins.
        """
        if conditions != self._found[0]:
            self._found = conditions, None
        self._bitrate = self._bitrate or 1000 * kbps
        coded = self._coded([_plain(picture) for picture in pictures])
        if math.isinf(coded.psnr_y):  # still pictures without any error
            return
        self._learn(coded.psnr_y)
        missing = psnr_y - coded.psnr_y
        taken = 8 * coded.bytes * float(self._rate) / len(pictures)
        if abs(missing) < _NEAR_DB:
            wanted = taken / 1000 * 2 ** (missing / self._slope)
            before = self._found[1]
            self._found = conditions, wanted if before is None else (1 - _SMOOTH) * before + _SMOOTH * wanted
        step = max(1 / _LONGEST_STEP, min(_LONGEST_STEP, 2 ** (missing / self._slope)))
        self._bitrate = max(_LEAST, min(_MOST, step * self._bitrate))

    def _learn(self, psnr_y: float) -> None:
        if self._before is not None and abs(octaves := math.log2(self._bitrate / self._before[0])) > _NEAR_OCTAVES:
            self._slope = max(_SLOPES[0], min(_SLOPES[1], (psnr_y - self._before[1]) / octaves))
        self._before = self._bitrate, psnr_y

    def _coded(self, pictures: Sequence[Picture]) -> Coded:
        """The group as it is coded after one like it: a stream has no bits saved up for its keyframes."""
        planes = [cast("Planes", picture.planes) for picture in pictures]
        frames, sizes = through(self._encoder(pictures[0], len(pictures)), [*planes, *planes])
        found = [
            compare(p, replace(p, planes=picture_planes(f))).psnr()["psnr_y"]
            for p, f in zip(pictures, frames[len(pictures) :], strict=True)
        ]
        known = [value for value in found if value is not None]
        mean = sum(known) / len(known) if known else math.inf
        return Coded(mean, sum(sizes[len(pictures) :]))

    def _encoder(self, picture: Picture, keyint: int) -> av.VideoCodecContext:
        encoder = av.VideoCodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuv420p"
        encoder.time_base, encoder.framerate, encoder.gop_size = 1 / self._rate, self._rate, keyint
        encoder.bit_rate, encoder.thread_count = round(self._bitrate), 1
        encoder.options = {
            "preset": self._preset,
            "tune": "zerolatency",
            "maxrate": str(round(self._bitrate)),
            "bufsize": str(round(self._bitrate * self._buffer)),
            "x264-params": ":".join(("scenecut=0", *repeatable())),
        }
        return encoder


def _plain(picture: Picture) -> Picture:
    """8-bit 4:2:0 of even size."""
    samples = Samples(Layout.YUV420, 8, picture.color)
    plain = picture if Samples.of(picture) == samples else convert(picture, samples)
    height, width = plain.height // 2, plain.width // 2
    luma, first, second = plain.planes
    return replace(plain, planes=(luma[: 2 * height, : 2 * width], first[:height, :width], second[:height, :width]))
