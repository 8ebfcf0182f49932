from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irn_video.codecs.bitstream.vui import h264_chroma_siting
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import ColorSpec, Layout
from irn_video.codecs.reading.reader import probe


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("siting", [0, 2, 3, 4, 5, 6])  # left is what H.264 means when it says nothing
def test_siting_survives_writing_and_reading(tools: Any, tmp_path: Path, extension: str, siting: int) -> None:
    color = ColorSpec(matrix=1, primaries=1, transfer=1, full_range=False, chroma_siting=siting)
    path = tmp_path / f"x.{extension}"
    tools.write(path, tools.draw(2, color=color))
    assert probe(path).color == color


@pytest.mark.parametrize(("layout", "depth"), [(Layout.YUV420, 10), (Layout.YUV444, 8), (Layout.YUV422, 10)])
def test_other_profiles(tools: Any, tmp_path: Path, layout: Layout, depth: int) -> None:
    color = ColorSpec(full_range=True, chroma_siting=3)
    settings = EncoderSettings(preset="slow", lossless=depth == 8)
    tools.write(tmp_path / "x.mp4", tools.draw(2, 70, 50, layout, depth, color=color), settings)
    assert probe(tmp_path / "x.mp4").color == (color if layout is Layout.YUV420 else replace(color, chroma_siting=0))


def test_scaling_lists_and_interlacing(tools: Any, tmp_path: Path) -> None:
    clip = tools.clip(
        tmp_path / "x.mkv",
        *("-pix_fmt", "yuv420p", "-chroma_sample_location", "topleft", "-flags", "+ilme"),
        *("-x264-params", "cqm=jvt:interlaced=1:chromaloc=2:sar=33/34:overscan=show"),
    )
    assert probe(clip).color.chroma_siting == 3


def test_jpeg_is_centered(tools: Any, tmp_path: Path) -> None:
    assert probe(tools.clip(tmp_path / "x.avi", "-c:v", "mjpeg")).color.chroma_siting == 2


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x01", b"\0\0\1\x67\x64"]))
def test_any_bytes(data: bytes, head: bytes) -> None:
    assert 0 <= h264_chroma_siting(head + data) <= 6


def test_nothing() -> None:
    assert h264_chroma_siting(None) == 0
