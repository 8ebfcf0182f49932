"""irn-info: what a stream says of itself, what it weighs, and what it takes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.bitstream.sei import UPDATE_UUID, sei_nal
from irn_video.codecs.reading.packets import survey, video_bytes
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline import inspection
from irn_video.pipeline.adaptation import tuner
from irn_video.pipeline.inspection import Speed, inspect_stream
from irn_video.pipeline.quality.entries import TunedGroup
from irn_video.sender import SendOptions, send

ROOT = Path(__file__).parents[2]


class SomeWeights:
    """In place of a tuner: a message of 60 bytes with the second group of frames."""

    wants_coarser = False

    def __init__(self, *_: object) -> None:
        self.groups: list[TunedGroup] = []
        self._count = 0

    def remember(self, _: object) -> None:
        return None

    def message(self, *_: object) -> bytes:
        self._count += 1
        return b"\x07" * 60 if self._count == 2 else b""


@pytest.fixture(scope="module")
def stream(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames in three groups, tuned, with sound."""
    folder = tmp_path_factory.mktemp("info")
    clips.make(folder / "silent.mkv", frames=12)
    sound = ("-f", "lavfi", "-i", "sine=duration=0.5", "-c:v", "copy", "-c:a", "aac")
    clips.ffmpeg("-i", folder / "silent.mkv", *sound, source := folder / "in.mkv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuner, "Tuner", SomeWeights)
        send(source, folder / "lr.mkv", SendOptions(crf=26, keyint=4, preset="ultrafast", adapt="fast"))
    return folder / "lr.mkv"


def test_packets_are_told_apart(stream: Path) -> None:
    found = survey(stream)
    assert found.groups == (4, 4, 4)
    assert found.frames == 12
    assert found.tuned_bytes == (0, 60 + len(sei_nal(b"", "h264", UPDATE_UUID)), 0)
    assert found.card_bytes > 3 * 50
    assert found.video_bytes + found.card_bytes + sum(found.tuned_bytes) == video_bytes(stream)
    assert found.other_bytes["audio"] > 0
    assert 0 < found.container_bytes < found.file_bytes


def test_what_is_said(stream: Path, run: Any) -> None:
    done = run("info", stream)
    assert done.code == 0
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert lines["video"] == "48x32 h264, yuv420 at 8 bits"
    assert re.fullmatch(r"irn-h264-x2, weights [0-9a-f]{8}: here, the same weights", lines["network"])
    assert lines["restores"].startswith("to 96x64, yuv420 at 8 bits, scale 2")
    assert lines["source"].startswith("in.mkv, ")
    assert lines["sent"].startswith("h264 at CRF 26; temperature ")
    assert lines["length"].startswith("12 frames, ")
    assert lines["length"].endswith("25 a second; 3 keyframes, at most 4 frames apart")
    assert re.match(r"mean [\d.]+, [\d.]+ to [\d.]+, of 12 frames", lines["quantisers"])
    assert lines["tuned"] == "1 of 3 groups of frames, 84 bytes"
    assert re.fullmatch(r"\d+: video \d+, stream cards \d+, tuned weights 84, audio \d+, container \d+", lines["bytes"])
    assert "frames a second restored here" in lines["speed"]


def test_quantisers(stream: Path) -> None:
    with VideoReader(stream, quantiser=True) as reader:
        found = [picture.qp or 0.0 for picture in reader]
    info = inspect_stream(stream, speed=False)
    assert info.quantisers is not None
    assert info.quantisers.mean == pytest.approx(sum(found) / len(found))
    assert (info.quantisers.least, info.quantisers.most) == (min(found), max(found))
    few = inspect_stream(stream, speed=False, frames=2).quantisers
    assert few is not None
    assert few.frames == 2


def test_json_and_its_keys(stream: Path, run: Any) -> None:
    values = json.loads(run("info", stream, "--json", "--no-speed").out)
    assert values["restorable"] is True
    assert values["speed"] is None
    assert values["card"]["model"] == "irn-h264-x2"
    assert values["bytes"]["file"] == stream.stat().st_size
    parts = values["bytes"]
    total = sum(parts[k] for k in ("video", "card", "tuned_weights", "container")) + sum(parts["other_tracks"].values())
    assert total == parts["file"]
    assert values["tuned_groups"] == 1
    page = (ROOT / "docs" / "info.md").read_text()
    for key in (*values, *(f"{name}.{key}" for name in ("video", "quantisers", "bytes") for key in values[name])):
        assert f"`{key}`" in page, key
    for key in ("fps", "needed", "device", "advice", "real_time"):
        assert f"`speed.{key}`" in page


def test_speed() -> None:
    assert Speed(30, 25, "CPU").real_time is True
    assert Speed(24, 25, "CPU").real_time is False
    assert Speed(24, None, "CPU").real_time is None


def test_a_plain_video(moving: Path, run: Any) -> None:
    done = run("info", moving)
    assert done.code == 1
    assert done.out.startswith("video       96x64 h264")
    assert "network" not in done.out
    assert "a plain video, with no stream card inside (irn-send makes" in done.error
    plain = run("info", moving, "--json")
    assert (plain.code, json.loads(plain.out)["card"]) == (1, None)
    received = run("receive", moving, moving.with_name("restored.mp4"))
    assert "irn-info says what it is" in received.error


def test_other_weights(clips: Any, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    send(clips.make(tmp_path / "in.mkv", frames=2), tmp_path / "lr.mkv", SendOptions(preset="ultrafast"))
    card = inspection.find_card(tmp_path / "lr.mkv")
    assert card is not None
    for changed, said in (({"model_sha256": "0" * 16}, "has other weights"), ({"model": "unheard-of"}, "is not here")):
        other = replace(card, **changed)
        monkeypatch.setattr(inspection, "find_card", lambda *_, card=other, **__: card)
        done = run("info", tmp_path / "lr.mkv")
        assert done.code == 0
        assert said in done.out
        assert "speed" not in done.out


def test_not_a_video(tmp_path: Path, run: Any) -> None:
    (tmp_path / "x.mp4").write_text("nothing")
    done = run("info", tmp_path / "x.mp4")
    assert done.code == 1
    assert "x.mp4: FFmpeg cannot read it" in done.error
