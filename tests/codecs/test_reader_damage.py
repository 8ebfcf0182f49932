"""Damage on the way must be counted, and must never stop or hang the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irn_video.codecs.errors import UnreadableVideo
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.video_info import ReadDamage


@pytest.fixture(scope="module")
def stream(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of MPEG-TS with a keyframe every ten pictures."""
    return tools.clip(
        tmp_path_factory.mktemp("ts") / "clip.ts", "-pix_fmt", "yuv420p", "-g", 10, frames=50, size="160x120"
    )


def read(path: Path) -> tuple[int, ReadDamage]:
    with VideoReader(path) as reader:
        return len(list(reader)), reader.damage


def test_lost_packets_are_told_and_survived(stream: Path, tmp_path: Path) -> None:
    data = bytearray(stream.read_bytes())
    rng = np.random.default_rng(3)
    kept = [data[i : i + 188] for i in range(0, len(data), 188) if i < 188 * 10 or rng.random() > 0.03]
    lossy = tmp_path / "lossy.ts"
    lossy.write_bytes(b"".join(kept))
    pictures, damage = read(lossy)
    assert pictures >= 40
    assert damage
    assert damage.corrupt_packets
    assert "\n" not in damage.describe()


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes(stream: Path, tmp_path: Path, seed: int) -> None:
    data = np.frombuffer(stream.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    data[rng.integers(2000, len(data), 100)] ^= 0x55
    broken = tmp_path / "broken.ts"
    broken.write_bytes(data.tobytes())
    pictures, damage = read(broken)
    assert pictures >= 30
    assert damage


@pytest.mark.parametrize("extension", ["mkv", "mp4", "ts"])
def test_truncated(tools: Any, stream: Path, tmp_path: Path, extension: str) -> None:
    whole = tmp_path / f"whole.{extension}"
    tools.ffmpeg("-i", stream, "-c", "copy", *(("-movflags", "+faststart") if extension == "mp4" else ()), whole)
    cut = tmp_path / f"cut.{extension}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    pictures, damage = read(cut)
    assert 15 <= pictures < 45
    assert damage.truncated
    assert "ends early" in damage.describe()
    pictures, damage = read(whole)
    assert pictures == 50
    assert not damage


def test_streams_that_turn_up_late(tools: Any, stream: Path, tmp_path: Path) -> None:
    """As in a recording of a broadcast, with a programme of more languages after another."""
    packets = [
        b"\x47" + (0x4000 | pid).to_bytes(2) + b"\x10\x00\x00\x01\xe0" + bytes(2) + b"\x80\x80\x05\x21\x00\x01\x00\x01"
        for pid in range(0x300, 0x340)
    ]
    late = tmp_path / "late.ts"
    late.write_bytes(stream.read_bytes() + 2 * b"".join(packet.ljust(188, b"\0") for packet in packets))
    pictures, _ = read(late)
    assert pictures == 50


def test_stopping_early_is_no_damage(tools: Any, stream: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.ts"
    cut.write_bytes(stream.read_bytes()[:-100])
    with VideoReader(cut, frames=3) as reader:
        assert len(list(reader)) == 3
        assert not reader.damage.truncated


def test_nothing_but_damage(mp4: Path, tmp_path: Path) -> None:
    data = bytearray(mp4.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(UnreadableVideo, match="no frame can be decoded"):
        VideoReader(broken)


def test_describe() -> None:
    assert ReadDamage(1, 2, True).describe() == "1 damaged packet, 2 concealed frames, the file ends early"
    assert not ReadDamage()
