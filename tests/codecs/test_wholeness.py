from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from irn_video.codecs.reading.wholeness import ends_early, lacks_index


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm", "avi", "ts"])
def test_whole_and_cut(tools: Any, tmp_path: Path, extension: str) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(extension, "libx264")
    clip = tools.clip(tmp_path / f"clip.{extension}", "-c:v", codec, "-pix_fmt", "yuv420p")
    assert not ends_early(clip)
    assert not lacks_index(clip)
    cut = tmp_path / f"cut.{extension}"
    cut.write_bytes(clip.read_bytes()[:-100])
    assert ends_early(cut)


def test_missing_index(mp4: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(mp4.read_bytes()[:2000])
    assert lacks_index(cut)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=64), st.sampled_from([b"", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"\0\0\0\1mdat", b"RIFF"]))
@example(b"\x01\x10" + bytes(5), b"\x1a\x45\xdf\xa3")  # a header longer than any file
def test_survives_any_bytes(tmp_path: Path, data: bytes, head: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(head + data)
    assert ends_early(path) in (True, False)
    assert lacks_index(path) in (True, False)
