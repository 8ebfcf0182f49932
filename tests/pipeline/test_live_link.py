"""A bad network, and what the page is fed with."""

from __future__ import annotations

import io
import socket
import statistics
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.reading.packets import video_bytes
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.commands.stream import main
from irn_video.pipeline.flow import Handover
from irn_video.pipeline.live.full_size import FullSizeRate
from irn_video.pipeline.live.link import Link, LinkConditions
from irn_video.pipeline.live.panes import Recent, number
from irn_video.pipeline.live.wall import Wall
from irn_video.pipeline.quality.psnr import compare

pytestmark = pytest.mark.alone


class Ends:
    """A sender and a receiver around a link."""

    def __init__(self, conditions: LinkConditions) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.settimeout(0.5)
        self.link = Link(self.receiver.getsockname()[1], conditions)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.settimeout(2)
        self.sender.connect(("127.0.0.1", self.link.port))

    def __enter__(self) -> Ends:
        self.link.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.__exit__()
        self.sender.close()
        self.receiver.close()

    def arrivals(self) -> list[tuple[bytes, float]]:
        found = []
        try:
            while True:
                found.append((self.receiver.recv(2000), time.monotonic()))
        except TimeoutError:
            return found


class TestLink:
    def test_a_good_one_passes_everything_in_order(self) -> None:
        with Ends(LinkConditions()) as ends:
            for n in range(50):
                ends.sender.send(bytes([n]))
            assert [data for data, _ in ends.arrivals()] == [bytes([n]) for n in range(50)]

    def test_loss_is_random_and_the_same_each_time(self) -> None:
        kept = []
        for _ in range(2):
            with Ends(LinkConditions(loss=0.25)) as ends:
                for n in range(200):
                    ends.sender.send(bytes([n]))
                kept.append([data for data, _ in ends.arrivals()])
                assert ends.link.lost + ends.link.passed == 200
        assert kept[0] == kept[1]
        assert 25 < 200 - len(kept[0]) < 80

    def test_delay_holds_both_ways(self) -> None:
        with Ends(LinkConditions(delay=0.2)) as ends:
            began = time.monotonic()
            ends.sender.send(b"there")
            data, address = ends.receiver.recvfrom(100)
            assert (data, 0.19 < time.monotonic() - began < 0.45) == (b"there", True)
            ends.receiver.sendto(b"back", address)
            assert ends.sender.recv(100) == b"back"
            assert 0.39 < time.monotonic() - began < 0.9

    def test_a_rate_is_kept_and_too_much_is_lost(self) -> None:
        with Ends(LinkConditions(rate=400_000)) as ends:  # 50 datagrams of 1000 bytes a second, 25 in the queue
            began = time.monotonic()
            for _ in range(100):
                ends.sender.send(bytes(1000))
            arrivals = ends.arrivals()
        assert 24 <= len(arrivals) <= 35
        assert arrivals[-1][1] - began == pytest.approx(len(arrivals) / 50, abs=0.15)

    @pytest.mark.parametrize("bad", [{"loss": 1.5}, {"loss": -0.1}, {"delay": 9}, {"rate": 5}])
    def test_conditions_that_make_no_sense(self, bad: dict[str, Any]) -> None:
        with pytest.raises(BadOption):
            LinkConditions(**bad)


@pytest.fixture(scope="module")
def pictures(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    path: Path = clips.make(
        tmp_path_factory.mktemp("wall") / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="67x45", frames=30
    )
    with VideoReader(path) as reader:
        return list(reader)


class TestWall:
    def test_a_browser_may_begin_at_any_keyframe(self, pictures: list[Picture]) -> None:
        wall = Wall(pictures[0], 3, Fraction(10))
        fragments = [f for n, p in enumerate(pictures) for f in wall.add([p, p, p], 700 + n)]
        assert len(fragments) >= len(pictures) - 1
        starts = [n for n, f in enumerate(fragments) if f.keyframe]
        assert starts[:3] == [0, 10, 20]
        film = io.BytesIO(wall.head + b"".join(f.data for f in fragments[10:]))
        with av.open(film) as container:
            frames = list(container.decode(video=0))
        wall.close()
        assert len(frames) >= len(fragments) - 10
        assert (frames[0].width, frames[0].height) == (68, 3 * 46)
        assert float(frames[0].time or 0) == pytest.approx(wall.seconds(710), abs=0.01)
        whole = frames[0].to_ndarray(format="yuv420p")[: 3 * 46].astype(float)
        for top in (0, 46, 92):
            assert np.abs(whole[top : top + 45, :67] - pictures[10].planes[0]).mean() < 4

    def test_the_name_of_the_codec(self, pictures: list[Picture]) -> None:
        wall = Wall(pictures[0], 1, Fraction(25))
        wall.close()
        assert wall.mime.startswith('video/mp4; codecs="avc1.42c0')


def test_full_size_is_found_at_the_same_quality(clips: Any, tmp_path: Path) -> None:
    """What it should find is known here: the live encoder at a fixed bit rate, over many groups."""
    source, coded = (
        clips.make(tmp_path / "source.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=25),
        tmp_path / "x.mkv",
    )
    with VideoReader(source) as reader:
        pictures = list(reader)
    settings = EncoderSettings(
        bitrate=150_000, preset="veryfast", tune="zerolatency", keyint=len(pictures), buffer_seconds=0.5
    )
    with VideoWriter(coded, settings, VideoFormat.of(pictures[0], Fraction(25), Fraction(1, 25))) as writer:
        for index in range(8 * len(pictures)):
            writer.write(replace(pictures[index % len(pictures)], pts=index, time_base=Fraction(1, 25), duration=1))
    errors = []
    with VideoReader(coded) as reader:
        for index, picture in enumerate(reader):
            errors.append(compare(pictures[index % len(pictures)], picture).psnr()["psnr_y"])
    follower = FullSizeRate("veryfast", 25, 0.5)
    for _ in range(12):
        follower.follow(pictures, statistics.fmean(e for e in errors[len(pictures) :] if e is not None), 400)
    written = 8 * video_bytes(coded) / 1000 / 8
    assert follower.under(None) == pytest.approx(written, rel=0.1)


def test_recent_things_are_found_and_old_ones_forgotten() -> None:
    recent: Recent[str] = Recent(2)
    assert recent.newest() is None
    for index, item in enumerate("abc"):
        recent[index] = item
    assert [recent.get(n) for n in range(3)] == [None, "b", "c"]
    assert (recent.newest(), recent.last(5)) == ("c", ["b", "c"])


def test_a_handover_keeps_the_newest() -> None:
    handover: Handover[int] = Handover(2)
    for n in range(5):
        handover.put(n)
    handover.close()
    assert list(handover) == [3, 4]


def test_numbers_of_settings() -> None:
    assert number("rate", 7, 0, 10) == 7
    assert isinstance(number("loss", 0, 0.0, 1.0), float)
    for value in (True, "5", None, float("nan"), 11, -1, [], {}):
        with pytest.raises(BadOption, match="rate must be from 0 to 10"):
            number("rate", value, 0, 10)


@pytest.mark.parametrize(
    "options",
    [
        ["--loss", "much"],
        ["--loss", "1.5"],
        ["--delay", "50 parsec"],
        ["--rate", "5"],
        ["--bitrate", "none"],
        ["--size", "64x64"],
        ["--model", "irn-x2"],
    ],
)
def test_options_that_make_no_sense(
    options: list[str], clips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = clips.make(tmp_path / "in.mp4", frames=2)
    assert main(["demo", str(clip), "--no-open", *options]) in (1, 2)
    err = capsys.readouterr().err
    assert "rror: " in err
    assert "Traceback" not in err
