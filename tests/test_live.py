"""irn-stream: real processes, real sockets on loopback, lost and mutated packets."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.sei import STAMP_UUID, find_payloads, insert_nal, sei_nal
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption, LinkFailed
from irn_video.codecs.links.live_reader import Arrival, LiveReader
from irn_video.codecs.links.live_writer import LiveWriter
from irn_video.codecs.links.url import LiveUrl
from irn_video.codecs.picture import VideoFormat
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.commands.stream import main
from irn_video.pipeline.live.link import Link, LinkConditions
from irn_video.pipeline.pace import PaceClock
from irn_video.receiver.live import receive_live
from irn_video.receiver.live_options import LiveReceiveOptions
from irn_video.receiver.live_restoring import Restorers
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.receiver.originals import FileOriginals
from irn_video.sender.camera import Camera
from irn_video.sender.live import LiveControl, LiveSendOptions, LiveSent, send_live

pytestmark = pytest.mark.alone

SEND = LiveSendOptions(model="lanczos-x2", bitrate=300_000, keyint=5, device="cpu", congestion=False)


@pytest.fixture(scope="module")
def clip(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = clips.make(tmp_path_factory.mktemp("live") / "in.mp4", size="128x96", frames=50)
    return path


def send(source: Path | str, url: str, options: LiveSendOptions = SEND, **camera: Any) -> LiveSent:
    with Camera(str(source), **camera) as pictures:
        return send_live(pictures, LiveUrl.parse(url), LiveControl(options))


class Received(threading.Thread):
    """A receiver in this process."""

    def __init__(self, url: str, options: LiveReceiveOptions) -> None:
        super().__init__(daemon=True)
        self.url, self.options = LiveUrl.parse(url), options
        self.statistics: LiveStatistics | None = None
        self.error: Exception | None = None
        self.said: list[str] = []
        self.advice: list[str] = []
        self.sizes: set[tuple[int, int]] = set()
        self.start()

    def run(self) -> None:
        try:
            self.statistics = receive_live(
                self.url,
                self.options,
                show=lambda shown, _: self.sizes.add((shown.picture.width, shown.picture.height)),
                say=self.said.append,
                advise=self.advice.append,
            )
        except Exception as error:
            self.error = error

    def result(self) -> LiveStatistics:
        self.join(60)
        assert self.error is None, self.error
        assert self.statistics is not None
        return self.statistics


class Proxy(threading.Thread):
    """Passes UDP packets on, as `through` changes them; None loses one."""

    def __init__(self, to: int, through: Callable[[bytes], bytes | None]) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port = int(self.socket.getsockname()[1])
        self.to, self.through, self.open = to, through, True
        self.passed = self.lost = 0
        self.start()

    def run(self) -> None:
        while self.open:
            try:
                packet = self.through(self.socket.recv(65536))
            except TimeoutError:
                continue
            if packet is None:
                self.lost += 1
            else:
                self.passed += 1
                self.socket.sendto(packet, ("127.0.0.1", self.to))
        self.socket.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def listening(port: int) -> None:
    """Wait until somebody does."""
    deadline = time.monotonic() + 20
    while not any(f":{port:04X} " in Path(f"/proc/net/{kind}").read_text() for kind in ("udp", "tcp")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def options(**changed: Any) -> LiveReceiveOptions:
    return replace(LiveReceiveOptions(wait=20, patience=1, device="cpu"), **changed)


class TestUrl:
    def test_both_ends(self) -> None:
        url = LiveUrl.parse("udp://127.0.0.1:5000")
        assert url == LiveUrl("udp", "127.0.0.1", 5000)
        assert str(url) == "udp://127.0.0.1:5000"
        assert str(LiveUrl.parse("tcp://example.org:1/")) == "tcp://example.org:1"
        assert str(LiveUrl.parse("rtp://[::1]:5")) == "rtp://[::1]:5"
        assert LiveUrl.parse("srt://[::1]:5").host == "::1"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "udp://",
            "udp://127.0.0.1",
            "http://a:1",
            "udp://a:1?x=y",
            "udp://a:99999",
            "tcp://a:1/b",
            "udp://[::1:5",
        ],
    )
    def test_others(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(BadOption, match="address"):
            LiveUrl.parse(text)
        assert main(["receive", text]) == 2
        assert "Traceback" not in capsys.readouterr().err


class TestStamp:
    @pytest.mark.parametrize("syntax", ["h264", "hevc"])
    def test_there_and_back(self, syntax: Any) -> None:
        stamp = Stamp(0, 123, 1_700_000_000_000_000, 1_700_000_000_000_001)
        slice_unit = b"\x00\x00\x01" + (b"\x65" if syntax == "h264" else b"\x26\x01") + b"data"
        for whole in (stamp, replace(stamp, source=7)):
            assert Stamp.find(insert_nal(slice_unit, whole.nal(syntax), syntax)) == whole

    @pytest.mark.parametrize(
        "payload",
        [b"", b"x", b"00000000 1", b"0000000g 1 1", b"00000000 -1 1", b"1" * 300]
        + [b"00000000 1 1 1" + place for place in (b" ", b" -1", b" 1 1", b" " + b"9" * 16, b" x")],
    )
    def test_nonsense_is_none(self, payload: bytes) -> None:
        assert Stamp.find(sei_nal(payload, "h264", STAMP_UUID)) is None
        assert find_payloads(sei_nal(payload, "h264", STAMP_UUID)) == []


@pytest.mark.parametrize("scheme", ["udp", "tcp", "rtp", "srt"])
def test_every_picture_arrives_restored_and_measured(scheme: str, clip: Path, port: int, tmp_path: Path) -> None:
    url = f"{scheme}://127.0.0.1:{port}"
    receiver = Received(url, options(source=clip, output=tmp_path / "out.mkv"))
    listening(port)
    sent = send(clip, url)
    found = receiver.result()
    assert sent.frames + sent.skipped == 50
    assert found.restored + found.late == found.arrived == sent.frames
    assert found.restored > 25
    assert (found.sessions, found.refused, found.concealed) == (1, 0, 0)
    assert found.missing <= sent.skipped
    assert found.psnr_y is not None
    assert found.psnr_y > 20
    assert found.delay_ms is not None
    assert 0 < found.delay_ms < 1500
    assert found.bytes == pytest.approx(sent.bytes, rel=0.02)
    info = probe(tmp_path / "out.mkv")
    assert (info.width, info.height, info.frames) == (128, 96, found.restored)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_captions_arrive(clips: Any, clip: Path, port: int, tmp_path: Path) -> None:
    pictures = [replace(p, captions=bytes((0xFD, 1, i))) for i, p in enumerate(clips.read(clip))]
    source, url = tmp_path / "in.mp4", f"tcp://127.0.0.1:{port}"
    with VideoWriter(source, EncoderSettings(), VideoFormat.of(pictures[0], Fraction(25))) as writer:
        for picture in pictures:
            writer.write(picture)
    receiver = Received(url, options(output=tmp_path / "out.mkv"))
    listening(port)
    send(source, url)
    arrived = receiver.result().restored
    found = [picture.captions for picture in clips.read(tmp_path / "out.mkv")]
    assert len(found) == arrived > 5
    assert found == sorted(set(found))
    assert set(found) <= {picture.captions for picture in pictures}


def test_the_bit_rate_is_kept(clip: Path, port: int) -> None:
    url = f"udp://127.0.0.1:{port}"
    receiver = Received(url, options())
    listening(port)
    sent = send(clip, url, replace(SEND, bitrate=150_000), loop=True, seconds=3)
    receiver.result()
    assert 8 * sent.bytes / 3 < 1.1 * 150_000 + 0.5 * 150_000 / 3


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_lost_packets(share: float, clip: Path, port: int, stack: ExitStack) -> None:
    chance = random.Random(0)
    proxy = Proxy(port, lambda packet: None if chance.random() < share else packet)
    stack.callback(setattr, proxy, "open", False)
    receiver = Received(f"udp://127.0.0.1:{port}", options(source=clip))
    listening(port)
    settings = replace(SEND, bitrate=600_000)
    sent = send(clip, f"udp://127.0.0.1:{proxy.port}", settings, loop=True, seconds=4)
    found = receiver.result()
    assert proxy.lost > 0
    assert receiver.sizes == {(128, 96)}
    # Every index is accounted for, but for those before the first keyframe that came and after the last picture.
    assert sent.frames + sent.skipped - 15 <= found.arrived + found.missing <= sent.frames + sent.skipped
    assert found.arrived > 0.6 * sent.frames
    assert found.concealed + found.missing > 0


def test_a_sender_that_restarts_with_other_pictures(clips: Any, clip: Path, port: int, tmp_path: Path) -> None:
    url = f"udp://127.0.0.1:{port}"
    other = clips.make(tmp_path / "other.mp4", size="64x48", frames=30)
    receiver = Received(url, options(patience=4, output=tmp_path / "out.mkv"))
    listening(port)
    first = send(clip, url)
    second = send(other, url, replace(SEND, model="bicubic-x4"))
    found = receiver.result()
    assert found.sessions == 2
    assert receiver.sizes == {(128, 96), (64, 48)}
    assert found.arrived > first.frames + 0.5 * second.frames
    assert any("ends here: the frames have changed to 64x48" in text for text in receiver.said)
    assert any("bicubic-x4" in text for text in receiver.said)
    assert probe(tmp_path / "out.mkv").width == 128


def test_joining_late(clip: Path, port: int) -> None:
    url = f"udp://127.0.0.1:{port}"
    sender = threading.Thread(target=send, args=(clip, url), kwargs={"loop": True, "seconds": 4})
    sender.start()
    time.sleep(1.5)
    found = Received(url, options()).result()
    sender.join()
    assert 25 < found.arrived < 90
    assert found.concealed == 0


class TestHostile:
    """A sender that means harm, or nothing."""

    def send(self, clip: Path, url: str, card: StreamCard, nal: bytes | None = None) -> None:
        with VideoReader(clip) as reader:
            pictures = list(reader)
        settings = EncoderSettings(bitrate=300_000, tune="zerolatency", keyint=5)
        with LiveWriter(LiveUrl.parse(url), settings, card=card, lr=pictures[0], frame_rate=Fraction(25)) as writer:
            if nal is not None:
                writer._nal = nal
            for index, picture in enumerate(pictures):
                writer.write(picture, Stamp(1, index, time.time_ns() // 1000))
                time.sleep(0.02)

    @pytest.fixture
    def card(self, clip: Path) -> StreamCard:
        color = probe(clip).color
        return StreamCard(
            model="lanczos-x2",
            model_sha256="",
            scale=2,
            width=256,
            height=192,
            pad_right=0,
            pad_bottom=0,
            layout="yuv420",
            bit_depth=8,
            color=color,
            codec="h264",
            crf=None,
            bitrate=300_000,
            lossless=False,
            latent_std=0.0,
            seed=0,
            source_name="",
            source_bytes=0,
            source_sha256="",
            frames=None,
        )

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"width": 16384, "height": 16384}, "describes frames of 16384x16384"),
            ({"model": "nobody-knows-it"}, "is not here"),
            ({"scale": 16, "width": 2048, "height": 1536}, "has other weights|of scale"),
        ],
    )
    def test_cards_that_do_not_fit(
        self, changed: dict[str, Any], message: str, card: StreamCard, clip: Path, port: int
    ) -> None:
        url = f"udp://127.0.0.1:{port}"
        receiver = Received(url, options())
        listening(port)
        self.send(clip, url, replace(card, **changed))
        receiver.join(30)
        assert isinstance(receiver.error, LinkFailed)
        assert len(receiver.said) == 1
        assert "\n" not in receiver.said[0]
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(receiver.said[0])

    def test_a_card_that_is_none(self, card: StreamCard, clip: Path, port: int) -> None:
        url = f"udp://127.0.0.1:{port}"
        receiver = Received(url, options())
        listening(port)
        self.send(clip, url, card, sei_nal(b'{"version": 2', "h264"))
        receiver.join(30)
        assert isinstance(receiver.error, LinkFailed)

    @pytest.mark.slow
    def test_mutated_packets(self, clip: Path, port: int, stack: ExitStack) -> None:
        """Ten thousand: no crash or growth, no picture of another size, and the next whole stream is restored."""
        chance = random.Random(1)
        proxy = Proxy(port, lambda packet: mutated(packet, chance))
        stack.callback(setattr, proxy, "open", False)
        receiver = Received(f"udp://127.0.0.1:{port}", options(patience=2))
        listening(port)
        junk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stack.callback(junk.close)
        url = f"udp://127.0.0.1:{proxy.port}"
        sender = threading.Thread(target=send, args=(clip, url), kwargs={"loop": True, "seconds": 6})
        sender.start()
        for count in range(10_000):
            junk.sendto(mutated(bytes([0x47]) + chance.randbytes(187), chance) or b"", ("127.0.0.1", port))
            if count % 20 == 0:
                time.sleep(0.01)
            if count == 3000:
                before = resident()
        sender.join()
        assert resident() - before < 64 << 20
        proxy.through = lambda packet: packet
        send(clip, url)
        found = receiver.result()
        assert found.restored > 20
        assert (128, 96) in receiver.sizes


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def mutated(packet: bytes, chance: random.Random) -> bytes | None:
    """Some bits turned, or cut short, or nothing."""
    data = bytearray(packet)
    for _ in range(chance.choice((0, 0, 1, 3))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.05:
        return None
    return bytes(data[: chance.randrange(1, len(data))]) if chance.random() < 0.05 else bytes(data)


@pytest.mark.slow
def test_two_processes(clip: Path, port: int, tmp_path: Path) -> None:
    url, program = f"udp://127.0.0.1:{port}", [sys.executable, "-m", "irn_video.pipeline.commands.stream"]
    options = [str(tmp_path / "out.mkv"), "--source", str(clip), "--json", "--device", "cpu"]
    receiver = subprocess.Popen(
        [*program, "receive", url, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    listening(port)
    sent = subprocess.run(
        [*program, "send", str(clip), url, "--loop", "--seconds", "3", "--json", "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    out, err = receiver.communicate(timeout=60)
    assert receiver.returncode == 0, err
    found = json.loads(out)
    assert json.loads(sent.stdout)["frames"] >= found["arrived"] > 30
    assert found["psnr_y"] > 20
    assert "advice" in found
    assert "irn-h264-x1.5 on CPU" in err  # for so many bits a pixel
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_interrupt_keeps_the_recording(clip: Path, port: int, tmp_path: Path) -> None:
    url, program = f"udp://127.0.0.1:{port}", [sys.executable, "-m", "irn_video.pipeline.commands.stream"]
    receiver = subprocess.Popen(
        [*program, "receive", url, str(tmp_path / "out.mkv"), "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    listening(port)
    sender = threading.Thread(target=send, args=(clip, url), kwargs={"loop": True, "seconds": 4})
    sender.start()
    time.sleep(2.5)
    receiver.send_signal(signal.SIGINT)
    out, err = receiver.communicate(timeout=30)
    sender.join()
    assert receiver.returncode == 0, err
    assert "frames restored" in out
    assert (probe(tmp_path / "out.mkv").frames or 0) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_nobody_sends(scheme: str, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receive", f"{scheme}://127.0.0.1:{port}", "--wait", "1"]) == 1
    assert f"{scheme}://127.0.0.1:{port}: nobody has sent anything in time" in capsys.readouterr().err


def test_nobody_listens(clip: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", str(clip), f"tcp://127.0.0.1:{port}", "--model", "lanczos-x2"]) == 1
    assert f"cannot send to tcp://127.0.0.1:{port}: Connection refused" in capsys.readouterr().err


def test_it_listens_at_the_given_address_alone(clip: Path, port: int) -> None:
    receiver = Received(f"udp://127.0.0.1:{port}", options(wait=2))
    listening(port)
    bound = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    assert f"0100007F:{port:04X}" in bound
    assert f"00000000:{port:04X}" not in bound
    receiver.join(20)


def test_networks_that_need_a_lossless_stream_are_refused(clip: Path, port: int) -> None:
    with pytest.raises(BadOption, match="lossless"):
        send(clip, f"udp://127.0.0.1:{port}", replace(SEND, model="irn-x2"))


def test_a_buffer_needs_a_rate() -> None:
    with pytest.raises(BadOption, match="buffer"):
        make_encoder(EncoderSettings(crf=20, buffer_seconds=1))


def test_reader_gives_up_on_a_taken_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(LinkFailed, match=r"cannot listen at tcp.*in use"):
            LiveReader(LiveUrl.parse(f"tcp://127.0.0.1:{port}"), wait=1)


class TestControl:
    """What changes while a stream runs."""

    def test_a_narrow_link_makes_the_sender_send_less(self, clip: Path, port: int, stack: ExitStack) -> None:
        link = stack.enter_context(Link(port, LinkConditions(rate=200_000)))
        receiver = Received(f"udp://127.0.0.1:{port}", options(patience=2))
        control = LiveControl(replace(SEND, bitrate=600_000, keyint=25, congestion=True))
        with Camera(str(clip), loop=True, seconds=9) as camera:
            send_live(camera, LiveUrl.parse(f"udp://127.0.0.1:{link.port}"), control)
        found = receiver.result()
        assert link.lost > 0
        assert control.sending is not None
        assert control.sending[0] < 250_000
        assert found.arrived > 60

    def test_the_scale_changes_without_a_restart(self, clip: Path, port: int) -> None:
        """From half to a quarter and back: one session, pictures of one size, nothing lost."""
        url = f"udp://127.0.0.1:{port}"
        receiver = Received(url, options(source=clip))
        control = LiveControl(SEND)
        listening(port)
        wishes = {1: "lanczos-x4", 1.5: "lanczos-x1.5", 2: "bicubic-x2", 2.6: "nobody-knows-it", 3: "lanczos-x2"}
        for at, name in wishes.items():
            threading.Timer(at, control.set_model, [name]).start()
        said: list[str] = []
        with Camera(str(clip), loop=True, seconds=4) as camera:
            sent = send_live(camera, LiveUrl.parse(url), control, say=said.append)
        found = receiver.result()
        assert receiver.sizes == {(128, 96)}
        assert found.sessions == 1
        assert found.arrived == sent.frames
        assert (found.concealed, found.refused) == (0, 0)
        assert found.psnr_y is not None
        names = [text.split(" on ")[0] for text in receiver.said]
        assert names == ["lanczos-x2", "lanczos-x4", "lanczos-x1.5", "bicubic-x2", "lanczos-x2"]
        assert any("warning" in text and "nobody-knows-it" in text for text in said)

    def test_low_rates_choose_scale_4(self, clips: Any, port: int, tmp_path: Path) -> None:
        clip = clips.make(tmp_path / "in.mp4", size="640x352", frames=30)
        receiver = Received(f"udp://127.0.0.1:{port}", options())
        time.sleep(0.5)
        control = LiveControl(LiveSendOptions(bitrate=100_000, device="cpu", preset="ultrafast"))
        threading.Timer(1.5, control.set_bitrate, [30_000]).start()
        with Camera(str(clip), loop=True, seconds=4) as camera:
            send_live(camera, LiveUrl.parse(f"udp://127.0.0.1:{port}"), control)
        receiver.result()
        assert [text.split(" on ")[0] for text in receiver.said] == ["irn-h264-x2", "irn-h264-x4"]
        assert receiver.sizes == {(640, 352)}


def test_lanczos_where_the_network_has_no_time(clips: Any, port: int, tmp_path: Path) -> None:
    """A network too slow for the pictures: all are shown or counted, and none is late by much."""
    clip = clips.make(tmp_path / "in.mp4", size="640x352", frames=120, rate=60)
    receiver = Received(f"udp://127.0.0.1:{port}", options())
    listening(port)
    sent = send(clip, f"udp://127.0.0.1:{port}", replace(SEND, model="irn-h264-x2-base", preset="ultrafast", keyint=60))
    found = receiver.result()
    assert found.fallback > 3
    assert found.restored > 0.8 * found.arrived
    assert found.restored + found.late == found.arrived <= sent.frames
    assert found.delay_p95_ms is not None
    assert found.delay_p95_ms < 1500


@pytest.mark.parametrize("said", ["", "sent with --tier lite it would keep up"])
def test_what_would_do_is_said_at_the_end(said: str, clip: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks: list[PaceClock] = []
    monkeypatch.setattr(Restorers, "advice", lambda _, clock: clocks.append(clock) or said)
    receiver = Received(f"udp://127.0.0.1:{port}", options())
    listening(port)
    send(clip, f"udp://127.0.0.1:{port}", seconds=1)
    receiver.result()
    assert receiver.advice == ([said] if said else [])
    assert clocks[0].lr is not None
    assert clocks[0].lr.width == 64


def test_pictures_are_thinned_out(clip: Path) -> None:
    with Camera(str(clip), fps=10) as camera:
        assert camera.rate == Fraction(25, 2)
        assert [taken.stamp.index for taken in camera] == list(range(25))


def arrival(place: int | None) -> Arrival:
    """As much of one as originals look at."""
    return Arrival(None, None, Stamp(1, 0, 0, source=place), b"", False, 0.0)  # type: ignore[arg-type]


class TestOriginals:
    """What is measured is the frame that was sent, whatever was left out before it."""

    @pytest.fixture
    def quick(self, clips: Any, tmp_path: Path) -> Path:
        path: Path = clips.make(tmp_path / "in.mp4", size="64x48", frames=20, rate=200)
        return path

    @pytest.mark.parametrize("camera", [{"fps": 67}, {"fps": 67, "loop": True, "seconds": 0.3}])
    def test_thinned_and_looped_frames_are_found(self, camera: dict[str, Any], quick: Path) -> None:
        with Camera(str(quick), **camera) as taken, FileOriginals(quick, print) as originals:
            places = []
            for item in taken:
                found = originals.original(arrival(item.stamp.source))
                assert found is not None
                assert all((a == b).all() for a, b in zip(found.planes, item.picture.planes, strict=True))
                places.append(item.stamp.source)
        assert places[:6] == [0, 3, 6, 9, 12, 15]
        assert "loop" not in camera or places[7:9] == [1, 4]

    def test_a_far_place_is_reached_step_by_step_and_none_costs_more(
        self, quick: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("irn_video.receiver.originals._AT_ONCE", 6)
        with FileOriginals(quick, print) as originals:
            found = [originals.original(arrival(place)) is not None for place in (12, 13, 14, 14, 0, 5)]
            assert found == [False, False, True, True, True, True]
            assert [originals.original(arrival(10**14)) for _ in range(5)] == [None] * 5
            assert originals._length == 20
            assert originals.original(arrival(2)) is not None

    def test_frames_without_a_place_are_not_measured_and_that_is_said_once(self, quick: Path) -> None:
        said: list[str] = []
        with FileOriginals(quick, said.append) as originals:
            assert [originals.original(arrival(None)) for _ in range(3)] == [None] * 3
        assert len(said) == 1
        assert "does not say which frames" in said[0]

    def test_a_thinned_stream_joined_late_is_measured_rightly(self, clip: Path, port: int, stack: ExitStack) -> None:
        """All datagrams of the first half second are lost, then one in fifty."""
        chance = random.Random(0)
        proxy = Proxy(port, lambda packet: packet if time.monotonic() > joined and chance.random() > 0.02 else None)
        stack.callback(setattr, proxy, "open", False)
        receiver = Received(f"udp://127.0.0.1:{port}", options(source=clip))
        listening(port)
        joined = time.monotonic() + 0.5
        rate = replace(SEND, bitrate=2_000_000)
        sent = send(clip, f"udp://127.0.0.1:{proxy.port}", rate, loop=True, seconds=3, fps=12)
        found = receiver.result()
        assert 5 < found.arrived < sent.frames
        assert found.psnr_y > 24  # 18 against the frames beside them


def test_a_pattern_is_sent_as_it_comes(port: int) -> None:
    receiver = Received(f"udp://127.0.0.1:{port}", options())
    time.sleep(0.5)
    sent = send("test:", f"udp://127.0.0.1:{port}", size="128x96", fps=20, seconds=2)
    found = receiver.result()
    assert 25 <= sent.frames + sent.skipped <= 70  # it runs while the sender gets ready
    assert found.arrived == sent.frames


class TestCommand:
    def test_an_sdp_file_for_players(self, clip: Path, port: int, tmp_path: Path) -> None:
        path = tmp_path / "stream.sdp"
        command = ["send", str(clip), f"rtp://127.0.0.1:{port}", "--model", "lanczos-x2", "--seconds", "0.2"]
        assert main([*command, "--sdp", str(path)]) == 0
        assert f"m=video {port} RTP/AVP 33" in path.read_text()
        assert main(command) == 2
        assert main([*command, "--sdp", str(path)]) == 1
        assert main([*command, "--sdp", str(path), "-y"]) == 0

    def test_commands_on_standard_input(self, clip: Path, port: int) -> None:
        program = [
            sys.executable,
            "-m",
            "irn_video.pipeline.commands.stream",
            "send",
            str(clip),
            f"udp://127.0.0.1:{port}",
        ]
        done = subprocess.run(
            [*program, "--model", "lanczos-x2", "--control", "--loop", "--seconds", "3"],
            input="scale 3\nmodel bicubic-x2\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "'scale 3' is no command" in done.stderr
        assert "bicubic-x2" in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ["send", "-", "udp://127.0.0.1:9", "--control"],
            ["send", "test:", "udp://127.0.0.1:9", "--loop"],
            ["send", "test:", "udp://127.0.0.1:9", "--size", "big"],
            ["send", "nothing.mp4", "udp://127.0.0.1:9"],
            ["receive", "udp://127.0.0.1:9", "--display"],
        ],
    )
    def test_what_cannot_be(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert main(arguments) in (1, 2)
        err = capsys.readouterr().err
        assert err.count("rror: ") == 1
        assert "Traceback" not in err

    def test_a_page_for_a_receiver(self, clip: Path, port: int) -> None:
        """The pictures, Lanczos beside them, and no control but the temperature."""
        import asyncio

        from aiohttp import ClientSession

        program = [sys.executable, "-m", "irn_video.pipeline.commands.stream", "receive", f"udp://127.0.0.1:{port}"]
        receiver = subprocess.Popen([*program, "--web", "0", "--device", "cpu"], stderr=subprocess.PIPE, text=True)
        assert receiver.stderr is not None
        address = receiver.stderr.readline().removeprefix("open ").strip()
        sender = threading.Thread(
            target=send, args=(clip, f"udp://127.0.0.1:{port}"), kwargs={"loop": True, "seconds": 6}
        )
        sender.start()

        async def watch() -> tuple[dict[str, Any], set[str]]:
            start, kinds = {}, set()
            async with ClientSession() as session, session.ws_connect(f"{address}/socket") as socket:
                await socket.send_str('{"set": "temperature", "value": 0.5}')
                async for message in socket:
                    found = json.loads(message.data) if isinstance(message.data, str) else {"type": "video"}
                    kinds.add(found["type"])
                    start = found if found["type"] == "start" else start
                    if found["type"] == "state" and found["settings"]["temperature"] == 0.5 and "frame" in kinds:
                        break
            return start, kinds

        start, kinds = asyncio.run(asyncio.wait_for(watch(), 20))
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(20) == 0
        sender.join()
        receiver.stderr.close()
        assert start["panes"] == ["lanczos", "ours"]
        assert start["controls"] == ["temperature"]
        assert kinds >= {"start", "video", "frame", "state"}
