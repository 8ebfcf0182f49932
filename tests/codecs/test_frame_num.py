"""Closing the gaps in `frame_num`, with a real encoder and decoder."""

from __future__ import annotations

import random
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import Flags
from av.packet import Packet
from irn_video.codecs.bitstream.frame_num import FrameNumbers
from irn_video.codecs.encoders.h264 import repeatable
from irn_video.codecs.reading.pixels import pack

KEYINT = 25  # frame_num of x264 has four bits here, so it begins anew within each group of pictures


def encoded(options: dict[str, str], pictures: int = 75) -> list[bytes]:
    """Access units of moving noise, one a picture."""
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 25), Fraction(25), KEYINT
    encoder.options = {"tune": "zerolatency", "x264-params": ":".join(("scenecut=0", *repeatable()))} | options
    noise = np.random.default_rng(1).integers(60, 200, (48, 64), np.uint8)
    units = []
    for index in range(pictures):
        planes = (np.roll(noise, index, 1), *(np.full((24, 32), 128, np.uint8) for _ in range(2)))
        frame = pack(planes, "yuv420p")
        frame.pts = index
        units += [bytes(packet) for packet in encoder.encode(frame)]
    assert len(units) == pictures
    return units


def shown(units: dict[int, bytes]) -> list[int]:
    """Indices of the pictures that a decoder shows."""
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.thread_type, decoder.thread_count = "SLICE", 1
    decoder.flags |= Flags.low_delay.value | Flags.output_corrupt.value
    found = []
    for index, unit in units.items():
        packet = Packet(unit)
        packet.pts = index
        found += [frame.pts for frame in decoder.decode(packet)]
    return [pts for pts in found if pts is not None]


@pytest.fixture(scope="module", params=[{}, {"preset": "slow", "bf": "0"}, {"x264-params": "slices=3:cabac=0"}])
def units(request: pytest.FixtureRequest) -> list[bytes]:
    return encoded(request.param)


def closed(units: dict[int, bytes]) -> dict[int, bytes]:
    numbers = FrameNumbers()
    return {index: numbers.closed(unit) for index, unit in units.items()}


def test_a_whole_stream_stays_as_it_is(units: list[bytes]) -> None:
    whole = dict(enumerate(units))
    assert closed(whole) == whole


@pytest.mark.parametrize("lost", [{16}, {25}, {10, 25}, {3, 4, 5}, {16, 41, 50}, {*range(20, 30)}])
def test_all_that_come_are_shown(units: list[bytes], lost: set[int]) -> None:
    came = {index: unit for index, unit in enumerate(units) if index not in lost}
    assert shown(closed(came)) == list(came)


@pytest.mark.parametrize("lost", [16, 25])
def test_without_it_they_are_not(lost: int) -> None:
    """Once this fails, FFmpeg does it by itself."""
    came = {index: unit for index, unit in enumerate(encoded({})) if index != lost}
    assert len(shown(came)) < len(came) - 5


def test_anything_may_come(units: list[bytes]) -> None:
    chance = random.Random(1)
    numbers = FrameNumbers()
    for count in range(10_000):
        unit = bytearray(units[count % len(units)])
        for _ in range(chance.choice((0, 1, 20))):
            unit[chance.randrange(len(unit))] = chance.randrange(256)
        cut = bytes(unit[: chance.randrange(len(unit))]) if chance.random() < 0.5 else bytes(unit)
        assert abs(len(numbers.closed(cut)) - len(cut)) < 100


def test_joining_late_changes_nothing_before_the_keyframe(units: list[bytes]) -> None:
    late = dict(list(enumerate(units))[5:60])
    assert closed(late) == late
