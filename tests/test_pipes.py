"""Videos through standard input and output, Y4M files, numbered pictures, and the player."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from irn_video.codecs.errors import BadOption, ClosedPipe, MissingFile, OutputRefused, UnreadableVideo
from irn_video.codecs.pipes import PIPE, Sink
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.inputs import as_file, exact_rate
from irn_video.codecs.reading.numbered import numbered_files
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.planes import Samples, convert
from irn_video.receiver import ReceiveOptions, receive
from irn_video.receiver.playing import play
from irn_video.sender import SendOptions, send

LANCZOS = SendOptions(model="lanczos-x2", overwrite=True)


def piped(command: str, *arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, as a shell runs it."""
    words = [sys.executable, "-m", f"irn_video.pipeline.commands.{command}", *map(str, arguments)]
    return subprocess.run(words, input=data, capture_output=True, check=False, timeout=100)


def planes(path: Path) -> list[bytes]:
    with VideoReader(path) as reader:
        return [plane.tobytes() for picture in reader for plane in picture.planes]


@pytest.fixture(scope="module")
def y4m(clips: Any, moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("y4m") / "moving.y4m"
    clips.ffmpeg("-i", moving, path)
    return path


@pytest.fixture(scope="module")
def lr(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lr") / "lr.mp4"
    send(moving, path, LANCZOS)
    return path


@pytest.fixture(scope="module")
def frames(clips: Any, moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    clips.ffmpeg("-i", moving, "-start_number", 7, folder / "f%03d.png")
    return folder


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lets a file be what is piped in."""
    opened = []

    def take(path: Path) -> None:
        opened.append(path.open("rb"))
        monkeypatch.setattr("sys.stdin", type("Text", (), {"buffer": opened[-1]}))
        monkeypatch.setattr("irn_video.codecs.pipes.os.isatty", lambda _: False)

    yield take
    for file in opened:
        file.close()


def test_y4m_in_and_out_of_pipes(y4m: Path, moving: Path, tmp_path: Path) -> None:
    sent = piped("send", "-", tmp_path / "lr.mp4", "--no-advice", data=y4m.read_bytes())
    assert sent.returncode == 0, sent.stderr
    card = find_card(tmp_path / "lr.mp4")
    assert card is not None
    assert (card.source_name, card.source_bytes, card.frames) == ("", 0, None)
    send(moving, tmp_path / "direct.mp4", SendOptions())
    assert planes(tmp_path / "lr.mp4") == planes(tmp_path / "direct.mp4")
    back = piped("receive", tmp_path / "lr.mp4", "-")
    assert back.returncode == 0, back.stderr
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "-", "-f", "framemd5", "-"]
    seen = subprocess.run(words, input=back.stdout, capture_output=True, check=True, timeout=60)
    assert len([line for line in seen.stdout.splitlines() if not line.startswith(b"#")]) == 8
    assert back.stdout.startswith(b"YUV4MPEG2 W96 H64 F25:1 ")
    (tmp_path / "back.y4m").write_bytes(back.stdout)
    receive(tmp_path / "direct.mp4", tmp_path / "file.y4m")
    assert (tmp_path / "file.y4m").read_bytes() == back.stdout
    receive(tmp_path / "direct.mp4", tmp_path / "lossless.mkv", ReceiveOptions(codec="ffv1"))
    assert planes(tmp_path / "back.y4m") == planes(tmp_path / "lossless.mkv")


@pytest.mark.parametrize("container", ["matroska", "mpegts", "mp4"])
def test_from_one_command_to_the_next(moving: Path, tmp_path: Path, container: str) -> None:
    sent = piped("send", moving, "-", "--model", "lanczos-x2", "--no-advice", "--format", container)
    assert sent.returncode == 0, sent.stderr
    send(moving, tmp_path / "lr.mp4", LANCZOS)
    back = piped("receive", "-", tmp_path / "back.y4m", "--source", moving, data=sent.stdout)
    assert back.returncode == 0, back.stderr
    assert b"PSNR: Y" in back.stdout
    receive(tmp_path / "lr.mp4", tmp_path / "direct.y4m")
    assert planes(tmp_path / "back.y4m") == planes(tmp_path / "direct.y4m")


def test_what_goes_out_can_be_read_as_it_comes(lr: Path, tmp_path: Path) -> None:
    for container in ("matroska", "mpegts", "mp4"):
        back = piped("receive", lr, "-", "--format", container, "--quiet")
        assert (back.returncode, back.stderr) == (0, b"")
        path = tmp_path / container
        path.write_bytes(back.stdout)
        assert len(planes(path)) == 3 * 8


def test_a_closed_pipe_is_no_failure(lr: Path) -> None:
    words = [sys.executable, "-m", "irn_video.pipeline.commands.receive", str(lr), "-", "--quiet"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=100)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_errors_of_pipes(lr: Path, moving: Path, tmp_path: Path, run: Any, stdin: Any, monkeypatch: Any) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"no video at all\n" * 50)
    for name, words in (("empty", "nothing came"), ("text", "FFmpeg cannot read it")):
        stdin(tmp_path / name)
        ended = run("receive", "-", tmp_path / "out.mp4")
        assert ended.code == 1
        assert words in ended.error
        assert "irn-video-" not in ended.error
    assert "cannot both go to standard output" in run("receive", lr, "-", "--json").error
    assert "the output needs a name" in run("send", "-").error
    monkeypatch.setattr("irn_video.codecs.pipes.os.isatty", lambda _: True)
    assert "a terminal cannot show a video" in run("receive", lr, "-").error
    assert "nothing is piped in" in run("send", "-", tmp_path / "out.mp4").error
    assert "have no room" in run("send", moving, tmp_path / "out.y4m").error
    assert "MP4 and MOV" in run("receive", lr, tmp_path / "out.mkv", "--fragmented").error
    assert "unknown format 'avi'" in run("receive", lr, tmp_path / "out", "--format", "avi").error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "text"]


def test_a_pipe_is_read_once_or_kept(y4m: Path, stdin: Any) -> None:
    stdin(y4m)
    with as_file(PIPE, again=False) as path:
        assert path == PIPE
    with as_file(PIPE, again=True) as path:
        assert path.read_bytes() == y4m.read_bytes()
    assert not path.parent.exists()


@pytest.mark.parametrize("options", [{"verify": True}, {"start": 0.1}, {"psnr": 24.0}])
def test_a_pipe_that_is_needed_again(y4m: Path, tmp_path: Path, stdin: Any, options: dict[str, Any]) -> None:
    stdin(y4m)
    sent = send(PIPE, tmp_path / "lr.mp4", SendOptions(**({"model": "lanczos-x2"} | options)))
    send(y4m, tmp_path / "direct.mp4", SendOptions(**({"model": "lanczos-x2"} | options)))
    assert planes(tmp_path / "lr.mp4") == planes(tmp_path / "direct.mp4")
    assert sent.card.source_name == ""


def test_the_index_comes_first_or_in_fragments(moving: Path, lr: Path, tmp_path: Path) -> None:
    for name in ("lr.mp4", "lr.mov"):
        send(moving, tmp_path / name, LANCZOS)
        assert boxes(tmp_path / name)[:2] == [b"ftyp", b"moov"]
    for name in ("f.mp4", "f.mov"):
        send(moving, tmp_path / name, SendOptions(model="lanczos-x2", fragmented=True, keyint=4))
        found = boxes(tmp_path / name)
        assert found.index(b"moov") < found.index(b"moof") < found.index(b"mdat")
        assert found.count(b"moof") == 2
        result = receive(tmp_path / name, tmp_path / f"back-{name}")
        assert result.written.frames == 8
    receive(lr, tmp_path / "back.mp4")
    assert boxes(tmp_path / "back.mp4")[:2] == [b"ftyp", b"moov"]


def boxes(path: Path) -> list[bytes]:
    """Types of the boxes of an MP4 file."""
    content, found, at = path.read_bytes(), [], 0
    while at < len(content):
        found.append(content[at + 4 : at + 8])
        at += int.from_bytes(content[at : at + 4])
    return [kind for kind in found if kind not in (b"free", b"wide")]


def test_numbered_pictures_both_ways(frames: Path, tmp_path: Path) -> None:
    options = SendOptions(model="irn-h264-x2", rate=23.976)
    send(frames / "f%03d.png", tmp_path / "lr.mp4", options)
    with VideoReader(tmp_path / "lr.mp4") as reader:
        assert (reader.info.frame_rate, reader.info.frames) == (Fraction(24000, 1001), 8)
    send(frames, tmp_path / "folder.mp4", options)
    assert (tmp_path / "folder.mp4").read_bytes() == (tmp_path / "lr.mp4").read_bytes()
    (tmp_path / "out").mkdir()
    result = receive(
        tmp_path / "lr.mp4", tmp_path / "out" / "%04d.png", ReceiveOptions(source=frames / "f%03d.png", temperature=0)
    )
    assert result.source == frames / "f%03d.png"
    assert len(result.report.frames) == 8
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [f"{n:04d}.png" for n in range(1, 9)]
    receive(tmp_path / "lr.mp4", tmp_path / "same.y4m", ReceiveOptions(temperature=0))
    with as_file(tmp_path / "out", again=True, rate=24) as written, VideoReader(written) as mine:
        pictures = list(mine)
    with VideoReader(tmp_path / "same.y4m") as exact:
        for picture, other in zip(pictures, exact, strict=True):
            assert planes_of(convert(other, Samples.of(picture))) == planes_of(picture)


def test_y4m_has_no_times(clips: Any, tmp_path: Path) -> None:
    uneven = "setpts='if(gte(N,4),N+6,N)/25/TB'"
    source = clips.make(tmp_path / "in.mkv", "-vf", uneven, "-fps_mode", "vfr", "-c:v", "ffv1", rate="30000/1001")
    send(source, tmp_path / "lr.mkv", LANCZOS)
    result = receive(tmp_path / "lr.mkv", tmp_path / "back.y4m")
    assert any("even rate" in warning for warning in result.report.warnings)
    assert len(planes(tmp_path / "back.y4m")) == 3 * 8
    even = clips.make(tmp_path / "even.mkv", "-c:v", "ffv1", rate="30000/1001")
    send(even, tmp_path / "lr.mkv", LANCZOS)
    assert not receive(tmp_path / "lr.mkv", tmp_path / "even.y4m").report.warnings
    assert b" F30000:1001 " in (tmp_path / "even.y4m").read_bytes()[:60]


def test_pictures_of_more_bits(clips: Any, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "in.mkv", "-pix_fmt", "yuv444p10le", "-c:v", "ffv1", frames=2)
    send(source, tmp_path / "lr.mkv", SendOptions(model="lanczos-x2", codec="h265"))
    receive(tmp_path / "lr.mkv", tmp_path / "%d.png")
    with VideoReader(tmp_path / "1.png") as reader:
        assert reader.info.bit_depth == 16


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_other_kinds_of_pictures(clips: Any, moving: Path, tmp_path: Path, kind: str) -> None:
    clips.ffmpeg("-i", moving, tmp_path / f"%d.{kind}")
    with as_file(tmp_path, again=True, rate=25) as path, VideoReader(path) as reader:
        pictures = list(reader)
    for number, picture in enumerate(pictures, 1):
        with VideoReader(tmp_path / f"{number}.{kind}") as single:
            assert planes_of(next(iter(single))) == planes_of(picture)
    assert len(pictures) == 8


def planes_of(picture: Any) -> Sequence[bytes]:
    return [plane.tobytes() for plane in picture.planes]


def test_errors_of_pictures(frames: Path, moving: Path, lr: Path, tmp_path: Path) -> None:
    output = tmp_path / "lr.mp4"
    holes = tmp_path / "holes"
    holes.mkdir()
    for number in (1, 2, 4):
        (holes / f"{number}.png").write_bytes((frames / "f007.png").read_bytes())
    for source, rate, kind, words in (
        (frames / "f%03d.png", None, BadOption, "no frame rate"),
        (frames / "f%03d.png", 0, BadOption, "makes no sense"),
        (frames / "g%03d.png", 24, MissingFile, "no such pictures"),
        (tmp_path / "none" / "%d.png", 24, MissingFile, "no such pictures"),
        (holes / "%d.png", 24, MissingFile, "number 3 is missing"),
        (lr.parent, 24, UnreadableVideo, "without pictures"),
        (moving, 24, BadOption, "for numbered pictures"),
    ):
        with pytest.raises(kind, match=words):
            send(source, output, SendOptions(model="lanczos-x2", rate=rate))
    (holes / "5.jpg").write_bytes(b"")
    with pytest.raises(BadOption, match="2 kinds"):
        send(holes, output, SendOptions(model="lanczos-x2", rate=24))
    (holes / "5.jpg").unlink()
    (holes / "3.png").write_bytes(b"not a picture")
    send(holes / "%d.png", output, SendOptions(model="lanczos-x2", rate=24))
    with pytest.raises(BadOption, match="PNG alone"):
        receive(lr, tmp_path / "%d.jpg")
    with pytest.raises(OutputRefused, match="4 such pictures exist"):
        receive(lr, holes / "%d.png")
    assert len(list(holes.iterdir())) == 4
    receive(lr, holes / "%d.png", ReceiveOptions(overwrite=True, frames=2))
    assert sorted(numbered_files(holes / "%d.png")) == [1, 2]


def test_rates() -> None:
    assert exact_rate(23.976) == exact_rate(24000 / 1001) == Fraction(24000, 1001)
    assert exact_rate(59.94) == Fraction(60000, 1001)
    assert (exact_rate(24), exact_rate(25.0), exact_rate(12.5)) == (24, 25, Fraction(25, 2))


def test_a_sink_takes_all() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as out:
        assert Sink(writing).write(b"abc") == 3
        assert out.read(3) == b"abc"
    with pytest.raises(ClosedPipe):
        Sink(writing).write(b"abc")
    os.close(writing)


def test_playing(clips: Any, lr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A player that keeps what it is given, and one that is closed at once."""
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    player, got, said = tmp_path / "mpv", tmp_path / "got.mkv", list[str]()
    player.write_text(f"#!/bin/sh\ncat > {got}\n")
    player.chmod(0o755)
    play(lr, say=said.append)
    assert said == ["shown by mpv"]
    receive(lr, tmp_path / "direct.y4m")
    clips.ffmpeg("-i", got, tmp_path / "got.y4m")
    assert planes(tmp_path / "got.y4m") == planes(tmp_path / "direct.y4m")
    player.write_text("#!/bin/sh\nexec <&-\n")
    play(lr)


def test_playing_without_a_player(lr: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Screen:
        def show(self, picture: Any) -> bool:
            shown.append(picture)
            return len(shown) == 5

    monkeypatch.setattr("irn_video.receiver.playing.Window", Screen)
    monkeypatch.setattr("irn_video.receiver.playing.shutil.which", lambda _: None)
    monkeypatch.setenv("DISPLAY", ":99")
    assert "without sound" in run("receive", lr, "--play").err
    assert [(picture.width, picture.height) for picture in shown] == [(96, 64)] * 5
    assert "writes nothing" in run("receive", lr, "out.mp4", "--play").error
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "no screen" in run("receive", lr, "--play").error
