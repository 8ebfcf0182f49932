"""Figures of the live pages: of what, over which time, and under which conditions they hold."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from irn_video.pipeline.live.demo import DemoOptions, _Demo, _settled
from irn_video.pipeline.live.full_size import FullSizeRate, Steady, SteadyStream
from irn_video.pipeline.live.panes import Figures
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.sender.camera import Camera
from irn_video.sender.live import LiveControl, LiveSendOptions, _Setups


def test_a_figure_holds_under_its_conditions_alone(moving: Path, clips: Any) -> None:
    pictures = clips.read(moving)
    follower = FullSizeRate("ultrafast", 25, 0.5)
    for _ in range(3):
        follower.follow(pictures[:4], 30.0, 100, "these")
    assert follower.under("these") is not None
    assert follower.under("others") is None
    follower.follow(pictures[:4], 99.0, 100, "others")  # out of reach at once: measured, but nothing found
    assert follower.under("others") is None
    assert follower.under("these") is None


def test_a_stream_is_known_once_conditions_have_lasted() -> None:
    stream = SteadyStream(0.05)
    stream.add(30.0, 1, 9_000, "these")
    assert stream.under("these") is None
    time.sleep(0.06)
    assert stream.under("these") is None  # of the last moments there is none
    stream.add(40.0, 10, 20_000, "these")
    assert stream.under("these") is None  # nor a rate
    stream.add(42.0, 12, 20_250, "these")
    assert stream.under("these") == Steady(41.0, 1000.0)
    assert stream.under("others") is None
    stream.add(20.0, 13, 21_000, "others")
    assert stream.under("these") is None
    assert stream.under("others") is None


def test_counts_are_of_the_last_seconds_and_lanczos_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("irn_video.pipeline.live.panes.time.monotonic", lambda: now[0])
    figures = Figures()

    def after(seconds: float, restored: int, fallback: int, late: int) -> dict[str, Any]:
        now[0] += seconds
        figures.found = LiveStatistics(restored=restored, fallback=fallback, late=late)
        return figures.state()

    after(0, 0, 0, 0)
    state = after(1, 30, 20, 1)
    assert state["counts"] == {"restored": 10, "fallback": 20, "late": 1, "missing": 0, "concealed": 0}
    assert state["fps"] == 10
    assert after(9.5, 40, 25, 0)["counts"]["restored"] == 5
    assert after(9.5, 41, 25, 0)["counts"] == dict.fromkeys(state["counts"], 0) | {"restored": 1}


def test_what_changes_ends_the_figure_for_full_size(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting of the page, a card with another bit rate, and a packet that is lost; small steps do not."""
    send = LiveSendOptions(model="lanczos-x2", bitrate=300_000, device="cpu")
    with Camera(str(clips.make(tmp_path / "in.mp4", frames=2))) as camera:
        demo = _Demo(camera, DemoOptions(send=send), print)
        card = _Setups(camera, LiveControl(send), print).now.card
    demo._card = _settled(card, None)

    def measured() -> Any:
        demo._full._found = demo._conditions(), 500.0
        return demo._state()["kbps"]["full"]  # type: ignore[index]

    def now() -> Any:
        return demo._state()["kbps"]["full"]  # type: ignore[index]

    settings = {"bitrate": 500_000, "model": "irn-h264-x2", "scale": 4, "temperature": 0.5, "loss": 0.02}
    for name, value in {**settings, "delay": 0.1, "rate": 10**6, "congestion": False}.items():
        assert measured() == 500
        demo.set(name, value)
        assert now() is None, name
    assert measured() == 500
    demo.figures.found = LiveStatistics(lost_packets=1)
    assert now() is None
    monkeypatch.setattr(demo._steady, "under", lambda conditions: Steady(30.0, 10_000))
    assert measured() == 500
    assert demo._state()["times"] == 2  # 500 kb/s at 25 frames a second are 20 000 bits a frame
    for bitrate, stays in ((290_000, True), (270_000, True), (200_000, False)):
        assert measured() == 500
        demo._card = _settled(replace(card, bitrate=bitrate), demo._card)
        assert (now() == 500) is stays
