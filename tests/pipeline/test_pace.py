"""What a machine that restores too slowly is told, and that others are told nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.bitstream.stamp import Stamp
from irn_video.codecs.errors import BadWeights
from irn_video.codecs.links.live_reader import Arrival
from irn_video.pipeline import pace as paces
from irn_video.pipeline.commands.stream import main as stream
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.inspection import inspect_stream
from irn_video.pipeline.options import DeviceOptions
from irn_video.pipeline.pace import Pace, PaceClock, advice, advice_for
from irn_video.pipeline.restoring import restoration_of
from irn_video.pipeline.upscalers import card_for
from irn_video.receiver import ReceiveOptions, live, receive
from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions
from irn_video.receiver.live_restoring import Restorers
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.sender import SendOptions, send

# Of two cores: 12 frames a second, 0.15 CPU seconds for each, of which the network took 0.125.
SLOW = Pace(came=120, restored=120, seconds=10.0, cpu_seconds=18.0)
LINE = re.compile(
    r"[\d.]+ of 1000 frames a second restored here; (sent with --tier (lite|fast) it would keep up \(about [\d.e+]+\)|"
    r"no tier would keep up \((lite|fast): about [\d.]+\), (Lanczos would|nor would Lanczos) \(about [\d.]+\).*)"
)


class TestGuesses:
    def test_the_network_takes_its_share_alone(self) -> None:
        assert SLOW.fps == 12
        assert SLOW.fps_with(0.125, 0.125) == pytest.approx(12)
        assert SLOW.fps_with(0.025, 0.125) == pytest.approx(36)  # a third of the CPU time
        assert SLOW.fps_with(0.0, 0.125) == pytest.approx(72)  # what is left takes a sixth
        assert SLOW.fps_with(0.275, 0.125) == pytest.approx(6)

    def test_frames_without_the_network_count(self) -> None:
        """Live, where half of the frames went by Lanczos: the network would need its time for all of them."""
        live = Pace(came=250, restored=125, seconds=10.0, cpu_seconds=18.0)
        assert live.fps == 12.5
        assert live.fps_with(0.12, 0.12) == pytest.approx(25 * 18 / (18 + 125 * 0.12))
        assert live.fps_with(0.05, 0.12) > 25

    def test_errors_of_measurement(self) -> None:
        """What the network takes alone may seem more than all that was taken."""
        assert SLOW.fps_with(0.2, 0.2) == pytest.approx(12)  # much stood still, or it had taken longer
        assert 0 < SLOW.fps_with(0.0, 0.2) == pytest.approx(12 * 20)

    @pytest.mark.parametrize(
        ("needed", "costs", "plain", "words"),
        [
            (23, {"fast": 0.05, "lite": 0.02}, 0.005, "sent with --tier fast it would keep up (about 24)"),
            (25, {"fast": 0.05, "lite": 0.02}, 0.005, "sent with --tier lite it would keep up (about 40)"),
            (
                50,
                {"fast": 0.05, "lite": 0.02},
                0.005,
                "no tier would keep up (lite: about 40), Lanczos would (about 60)",
            ),
            (25, {}, 0.005, "no tier would keep up, Lanczos would (about 60)"),
            (
                *(120, {"lite": 0.02}, 0.005),
                "no tier would keep up (lite: about 40), nor would Lanczos (about 60): send smaller frames",
            ),
        ],
    )
    def test_advice(self, needed: float, costs: dict[str, float], plain: float, words: str) -> None:
        """The best tier that would do."""
        assert advice(SLOW, needed, 0.125, costs, plain) == words


class TestClock:
    def test_from_the_first_frame_to_the_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = {"monotonic": 5.0, "process_time": 1.0}
        for name in now:
            monkeypatch.setattr(paces.time, name, lambda name=name: now[name])
        clock = PaceClock()
        assert clock.pace is None
        clock.tick(17, 1, None)  # type: ignore[arg-type]  # nothing looks at it
        assert clock.pace is None
        now |= {"monotonic": 5.9, "process_time": 2.0}
        clock.tick(40, 11, None)  # type: ignore[arg-type]
        assert clock.pace is None
        now |= {"monotonic": 9.0, "process_time": 8.0}
        clock.tick(117, 41, None)  # type: ignore[arg-type]
        assert clock.pace == Pace(100, 40, 4.0, 7.0)


@pytest.fixture(scope="module")
def hurried(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream of more frames a second than anything restores, for a network that has quicker ones beside it."""
    folder = tmp_path_factory.mktemp("pace")
    clips.make(folder / "in.mkv", size="192x128", frames=12, rate=1000)
    send(folder / "in.mkv", folder / "lr.mkv", SendOptions(tier="base", preset="ultrafast", device="cpu"))
    return folder / "lr.mkv"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pace can be told from short clips."""
    monkeypatch.setattr(paces, "_LEAST_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
class TestReceive:
    def test_too_slow(self, hurried: Path, run: Any, tmp_path: Path) -> None:
        done = run("receive", hurried, tmp_path / "out.mkv", "--device", "cpu", "--json")
        assert done.code == 0, done.err
        (note,) = [line for line in done.err.splitlines() if line.startswith("note: ")]
        assert LINE.fullmatch(note.removeprefix("note: "))
        report = json.loads(done.out)
        assert report["advice"] == note.removeprefix("note: ")
        assert not report["warnings"]
        assert not done.warnings

    def test_quiet(self, hurried: Path, run: Any, tmp_path: Path) -> None:
        done = run("receive", hurried, tmp_path / "out.mkv", "--device", "cpu", "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")

    def test_quick_enough(self, clips: Any, run: Any, tmp_path: Path) -> None:
        clips.make(tmp_path / "in.mkv", rate="1/5")
        assert run("send", tmp_path / "in.mkv", tmp_path / "lr.mkv", "--tier", "base").code == 0
        done = run("receive", tmp_path / "lr.mkv", tmp_path / "out.mkv", "--json")
        assert "note: " not in done.err
        assert json.loads(done.out)["advice"] is None
        assert not inspect_stream(tmp_path / "lr.mkv").as_json()["speed"]["advice"]

    def test_what_has_no_tier(self, hurried: Path, tmp_path: Path) -> None:
        options = ReceiveOptions(upscaler="lanczos", device="cpu", codec="ffv1")
        said = receive(hurried, tmp_path / "out.mkv", options).report.advice
        assert "tier" not in said

    def test_a_broken_network_breaks_nothing(
        self, hurried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: object) -> None:
            raise BadWeights("cut short")

        monkeypatch.setattr(paces, "_quicker", broken)
        found = receive(hurried, tmp_path / "out.mkv", ReceiveOptions(device="cpu"))
        assert found.written.frames == 12
        assert re.fullmatch(r"[\d.]+ of 1000 frames a second restored here", found.report.advice)

    def test_info_says_it_too(self, hurried: Path, run: Any) -> None:
        (line,) = [
            line for line in run("info", hurried, "--device", "cpu").out.splitlines() if line.startswith("speed")
        ]
        assert re.search(r"the stream has 1000: too slow for real time; (sent with --tier|no tier would keep up)", line)


@pytest.mark.parametrize(
    ("came", "restored", "told"), [(120, 60, True), (120, 107, True), (120, 109, False), (90, 10, False)]
)
def test_live(came: int, restored: int, told: bool, hurried: Path, clips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said where many frames went without the network, and there were enough to tell."""
    options = LiveReceiveOptions(device="cpu")
    restorers = Restorers(options, LiveDial(), lambda _: None)
    card = card_for(inspect_stream(hurried, speed=False).video, ReceiveOptions())
    frame = clips.read(hurried)[0]
    assert restorers.predict(Arrival(frame, card, Stamp(1, 0, 0), b"", True, 0.0), 0) is not None
    clock = PaceClock()
    clock.tick(0, 0, frame)
    monkeypatch.setattr(PaceClock, "pace", Pace(came, restored, 4.0, 7.0))
    said = restorers.advice(clock)
    assert bool(said) is told
    assert said.startswith(f"{restored / 4:.3g} of {came / 4:.3g} frames a second restored here; " if told else "")
    clock.tick(1, 1, replace(frame, planes=tuple(plane[:16, :16] for plane in frame.planes)))
    assert not restorers.advice(clock)  # of another size than the last card says


@pytest.mark.parametrize("said", ["", "sent with --tier lite it would keep up (about 27)"])
def test_the_live_command_says_it(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def received(*_: object, advise: Any, **__: object) -> LiveStatistics:
        if said:
            advise(said)
        return LiveStatistics()

    monkeypatch.setattr(live, "receive_live", received)
    assert stream(["receive", "udp://127.0.0.1:9", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ([f"note: {said}"] if said else [])
    assert json.loads(captured.out)["advice"] == (said or None)


def test_weights_that_were_tuned_fit_no_other(hurried: Path, clips: Any) -> None:
    info = inspect_stream(hurried, speed=False).video
    options = ReceiveOptions(device="cpu")
    card = card_for(info, options)
    to = restoration_of(card, temperature=None, seed=None)
    rescaler = Rescaler.load(card.model, device="cpu")
    tuned = replace(clips.read(hurried)[0], update=b"damaged")
    assert advice_for(SLOW, 25, rescaler, tuned, to, DeviceOptions(device="cpu"))
    assert not rescaler.warnings


def test_nothing_is_guessed_of_a_gpu(hurried: Path, clips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ReceiveOptions(device="cpu")
    card = card_for(inspect_stream(hurried, speed=False).video, options)
    to = restoration_of(card, temperature=None, seed=None)
    rescaler = Rescaler.load(card.model, device="cpu")
    frame = clips.read(hurried)[0]
    assert advice_for(SLOW, 25, rescaler, frame, to, options)
    monkeypatch.setattr(type(rescaler), "where", "NVIDIA H100, bf16")
    assert not advice_for(SLOW, 25, rescaler, frame, to, options)
