"""Closed captions in the video: each stays with its frame, through every codec that has room for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.reader import VideoReader
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

FRAMES = 12
# CEA-608: a pop-on caption is loaded twice over, then shown (twice over, as receivers expect it).
CODES = [(0x14, 0x20), (0x14, 0x20), (0x14, 0x70), (0x14, 0x70), (0x48, 0x45), (0x4C, 0x4C), (0x4F, 0), (0x14, 0x2F)]


def odd(byte: int) -> int:
    return byte | 0x80 * (byte.bit_count() % 2 == 0)


def captions_at(index: int) -> bytes:
    """Field 1 says something, field 2 counts frames; nothing for one frame, more than one message holds for another."""
    first, second = CODES[index] if index < len(CODES) else (0, 0)
    both = bytes((0xFC, odd(first), odd(second), 0xFD, odd(index), odd(0)))
    return {9: b"", 10: both + bytes((0xFE, 0, 0)) * 38}.get(index, both)


@pytest.fixture(scope="module")
def captioned(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captions") / "in.mp4"
    drawn = [replace(picture, captions=captions_at(i)) for i, picture in enumerate(tools.draw(FRAMES))]
    tools.write(path, drawn, EncoderSettings(preset="medium"))  # with frames that are coded in another order
    return path


def captions_of(path: Path) -> list[bytes]:
    with VideoReader(path) as reader:
        return [picture.captions for picture in reader]


def said(tools: Any, path: Path, folder: Path) -> str:
    """What FFmpeg's own decoder of captions reads."""
    tools.ffmpeg("-f", "lavfi", "-i", f"movie={path}[out0+subcc]", "-map", "0:s", folder / "said.srt")
    return (folder / "said.srt").read_text()


def test_each_stays_with_its_frame(captioned: Path) -> None:
    assert captions_of(captioned) == [captions_at(index) for index in range(FRAMES)]


def test_another_decoder_reads_them(tools: Any, captioned: Path, tmp_path: Path) -> None:
    assert "HELLO" in said(tools, captioned, tmp_path)


@pytest.mark.parametrize(("extension", "codec"), [("mp4", "h264"), ("ts", "h264"), ("mkv", "h265")])
def test_both_commands_carry_them(tools: Any, captioned: Path, tmp_path: Path, extension: str, codec: str) -> None:
    lr, restored = tmp_path / f"lr.{extension}", tmp_path / f"restored.{extension}"
    sent = send(captioned, lr, SendOptions(model="lanczos-x2", codec=codec, preset="veryfast"))
    back = receive(lr, restored, ReceiveOptions(codec=codec, preset="veryfast"))
    assert captions_of(lr) == captions_of(restored) == captions_of(captioned)
    assert "HELLO" in said(tools, restored, tmp_path)
    assert not sent.report.warnings
    assert not back.report.warnings


def test_those_of_mpeg_2(tools: Any, captioned: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.ts"
    tools.ffmpeg("-i", captioned, "-c:v", "mpeg2video", "-bf", 2, "-q:v", 2, source)
    expected = captions_of(source)
    assert expected[:9] == [captions_at(index) for index in range(9)]
    send(source, tmp_path / "lr.mp4", SendOptions(model="lanczos-x2"))
    assert captions_of(tmp_path / "lr.mp4") == expected


@pytest.mark.parametrize("codec", ["av1", "ffv1"])
def test_no_room_is_said_once(captioned: Path, tmp_path: Path, codec: str) -> None:
    sent = send(captioned, tmp_path / "lr.mkv", SendOptions(model="lanczos-x2", codec=codec))
    assert [w for w in sent.report.warnings if "captions" in w] == [
        f"closed captions in the video are not carried over: {codec} has no room"
    ]


def test_tuned_streams_carry_them(captioned: Path, tmp_path: Path) -> None:
    send(captioned, tmp_path / "lr.mp4", SendOptions(adapt="0.1"))
    assert captions_of(tmp_path / "lr.mp4") == captions_of(captioned)
