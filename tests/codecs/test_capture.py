"""Live inputs: patterns and pipes; devices as far as a machine without any can tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.errors import BadOption, IrnError, MissingFile, UnreadableVideo
from irn_video.codecs.reading.capture import Capture, CaptureOptions, is_file


def first(capture: Capture, count: int) -> list[tuple[int, int]]:
    pictures = iter(capture)
    return [(p.width, p.height) for p in (next(pictures) for _ in range(count))]


def test_a_pattern_of_a_size_and_a_rate() -> None:
    with Capture("test:", CaptureOptions("96x64", 30)) as capture:
        assert (capture.paced, capture.again) == (True, False)
        assert capture.info.frame_rate == 30
        assert first(capture, 3) == [(96, 64)] * 3


def test_what_ffmpeg_makes() -> None:
    with Capture("lavfi:color=red:size=32x16:rate=50") as capture:
        assert first(capture, 2) == [(32, 16)] * 2


def test_a_file(clips: Any, tmp_path: Path) -> None:
    with Capture(str(clips.make(tmp_path / "a:b.mp4", frames=4))) as capture:
        assert (capture.paced, capture.again) == (False, True)
        assert len(list(capture)) == 4


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".nut"])
def test_a_pipe(suffix: str, clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = os.dup(0)
    try:
        with clips.make(tmp_path / f"in{suffix}", frames=5).open("rb") as file:
            os.dup2(file.fileno(), 0)
            with Capture("-") as capture:
                assert (capture.paced, capture.again) == (False, False)
                assert len(list(capture)) == 5
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("v4l2:/dev/nothing-here", UnreadableVideo, "/dev/nothing-here"),
        ("x11grab::4711", UnreadableVideo, "display"),
        ("lavfi:nonsense", UnreadableVideo, "nonsense"),
        ("nothing.mp4", MissingFile, "no such file"),
    ],
)
def test_what_is_not_there(name: str, kind: type[IrnError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        Capture(name)
    assert "\n" not in str(caught.value)


def test_options_that_make_no_sense(clips: Any, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="no size"):
        CaptureOptions("huge")
    with pytest.raises(BadOption, match="devices"):
        Capture(str(clips.make(tmp_path / "in.mp4", frames=2)), CaptureOptions(rate=5))


def test_files_are_told_from_the_rest() -> None:
    assert is_file("in.mp4")
    assert is_file("C:\\in.mp4")
    assert not is_file("-")
    assert not is_file("test:")
    assert not is_file("dshow:video=Camera")
