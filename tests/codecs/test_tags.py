"""Tags of every container, through one rewrite and back, and a warning for those alone that are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.writing.quicktime import add_metadata
from irn_video.receiver import receive
from irn_video.sender import SendOptions, send

PHONE = {
    "com.apple.quicktime.make": "Pear",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950/",
    "com.android.version": "14",
}
ORDINARY = {"title": "Tïtle", "comment": "my own comment", "location": "+48.8577+002.2950/"}
LANCZOS = SendOptions(model="lanczos-x2")


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def boxes(path: Path) -> bytes:
    """All of a small file but its samples."""
    content, found, start = path.read_bytes(), b"", 0
    while start < len(content):
        size = int.from_bytes(content[start : start + 4])
        found += b"" if content[start + 4 : start + 8] == b"mdat" else content[start : start + size]
        start += size
    return found


@pytest.fixture(scope="module")
def phone(tools: Any, mp4: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As phones write it: the usual tags and QuickTime's."""
    path = tmp_path_factory.mktemp("phone") / "in.mp4"
    given = [option for key, value in ORDINARY.items() for option in ("-metadata", f"{key}={value}")]
    tools.ffmpeg("-i", mp4, "-c", "copy", *given, "-metadata", "location-eng=+48.8577+002.2950/", path)
    assert add_metadata(path, PHONE, iso=True)
    assert tags(path).items() >= {**PHONE, **ORDINARY, "location-eng": ORDINARY["location"]}.items()
    return path


@pytest.mark.parametrize("extension", ["mp4", "mov"])
def test_those_of_phones(tools: Any, phone: Path, tmp_path: Path, extension: str) -> None:
    lr, restored = tmp_path / f"lr.{extension}", tmp_path / f"restored.{extension}"
    assert not send(phone, lr, LANCZOS).report.warnings
    assert not receive(lr, restored).report.warnings
    expected = PHONE | ORDINARY
    assert tags(restored).items() >= expected.items()
    assert tags(lr).items() >= (expected | {"comment": tags(lr)["comment"]}).items()
    assert tags(lr)["comment"].startswith("irn-video card ")
    # Where players other than FFmpeg look.
    assert b"\xa9cmt" in boxes(restored)
    assert b"\xa9nam" in boxes(restored)
    remuxed = tmp_path / f"remuxed.{extension}"
    tools.ffmpeg("-i", lr, "-c", "copy", remuxed)
    assert find_card(remuxed) == find_card(lr)
    assert tags(remuxed)["comment"] == tags(lr)["comment"]


def test_any_name_passes_through_mp4(tools: Any, mp4: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    tools.ffmpeg("-i", mp4, "-c", "copy", "-metadata", "shoe_size=43", "-metadata", "title=T", source)
    assert not send(source, tmp_path / "lr.mp4", LANCZOS).report.warnings
    receive(tmp_path / "lr.mp4", tmp_path / "restored.mkv")
    found = {key.lower(): value for key, value in tags(tmp_path / "restored.mkv").items()}
    assert (found["shoe_size"], found["title"]) == ("43", "T")


def test_from_matroska_none_comes_twice(phone: Path, tmp_path: Path) -> None:
    """FFmpeg writes names in capitals there, and `location-eng` as `LOCATION-eng`."""
    send(phone, tmp_path / "lr.mkv", LANCZOS)
    receive(tmp_path / "lr.mkv", tmp_path / "restored.mp4")
    assert {key.lower() for key in PHONE | ORDINARY} <= tags(tmp_path / "restored.mp4").keys()
    assert b"eng" not in boxes(tmp_path / "restored.mp4").partition(b"mdta")[2]


def test_only_what_is_lost_is_warned_of(phone: Path, tmp_path: Path) -> None:
    """MPEG-TS has no tags, but the card keeps the comment."""
    lost = "tags that this container cannot carry: "
    sent = send(phone, tmp_path / "lr.ts", LANCZOS).report.warnings
    assert [warning for warning in sent if warning.startswith(lost)] == [
        lost + ", ".join(sorted({*PHONE, "location", "title"}))
    ]
    back = receive(tmp_path / "lr.ts", tmp_path / "restored.ts").report.warnings
    assert [warning for warning in back if warning.startswith(lost)] == [lost + "comment"]


@pytest.mark.parametrize("rate", ["25", "30000/1001"])
@pytest.mark.parametrize("extension", ["mov", "mp4", "ts"])
def test_timecode(tools: Any, tmp_path: Path, extension: str, rate: str) -> None:
    source = tools.clip(tmp_path / "in.mov", "-pix_fmt", "yuv420p", "-timecode", "01:02:03:04", rate=rate)
    sent = send(source, tmp_path / f"lr.{extension}", LANCZOS).report.warnings
    with av.open(str(tmp_path / f"lr.{extension}")) as container:
        codes = [stream.metadata.get("timecode") for stream in container.streams]
    if extension == "ts":
        assert sent == ("data stream 1 (eng) is not carried over",)
    else:
        assert codes == ["01:02:03:04", "01:02:03:04"]
        assert not sent


def test_files_built_otherwise_are_left_alone(tools: Any, mp4: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.mp4"
    tools.ffmpeg("-i", mp4, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path)
    for was in (path.read_bytes(), b"", b"\0\0\0\0moov" + bytes(100)):
        path.write_bytes(was)
        assert not add_metadata(path, PHONE, iso=True)
        assert path.read_bytes() == was


def test_an_index_in_front_is_added_to_as_well(tools: Any, mp4: Path, tmp_path: Path) -> None:
    path = tmp_path / "first.mp4"
    tools.ffmpeg("-i", mp4, "-c", "copy", "-movflags", "faststart", path)
    size, before = path.stat().st_size, tools.read(path)
    assert add_metadata(path, PHONE, iso=True)
    with av.open(str(path)) as container:
        assert PHONE.items() <= container.metadata.items()
    assert path.stat().st_size > size
    assert [p.planes[0].tobytes() for p in tools.read(path)] == [p.planes[0].tobytes() for p in before]
