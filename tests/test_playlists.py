"""irn-receive takes a playlist, from disk and by HTTP, and says what fails in one line."""

from __future__ import annotations

import random
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.errors import IrnError
from irn_video.codecs.reading import origins
from irn_video.codecs.reading.reader import VideoReader
from irn_video.receiver.playlists import as_video
from irn_video.sender.ladder.ladder import send_ladder
from irn_video.sender.ladder.rungs import Rung
from irn_video.sender.options import SendOptions

FRAMES, SEGMENT = 16, 6
RUNGS = (
    Rung(name="top", model="full", crf=18),
    Rung(name="half", model="lanczos-x2", crf=16),
    Rung(name="quarter", model="lanczos-x4", crf=20),
)
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(scope="module")
def source(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = tmp_path_factory.mktemp("source") / "in.mp4"
    lavfi = ("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25", "-f", "lavfi", "-i", "sine=f=440:r=48000")
    clips.ffmpeg(*lavfi, "-t", FRAMES / 25, "-c:a", "aac", "-c:v", "libx264", "-crf", 10, "-pix_fmt", "yuv420p", clip)
    return clip


@pytest.fixture(scope="module")
def ladder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    master = tmp_path_factory.mktemp("ladder") / "out" / "master.m3u8"
    send_ladder(source, master, SendOptions(keyint=SEGMENT, preset="veryfast"), RUNGS)
    return master


@pytest.fixture
def site(ladder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(ladder.parent, tmp_path / "site")
    return tmp_path / "site" / ladder.name


class Server:
    """Serves a folder, but some paths by other answers."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self.asked.append(handler.path)
                answer = self.answers.get(handler.path)
                file = folder / handler.path.lstrip("/")
                if answer is not None:
                    answer(handler)
                elif file.is_file():
                    say(handler, file.read_bytes())
                else:
                    handler.send_error(404)

            def log_message(handler, *_: object) -> None: ...  # noqa: N805

        class Quiet(ThreadingHTTPServer):
            def handle_error(server, *_: object) -> None: ...  # noqa: N805 - who has hung up has seen enough

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def say(handler: BaseHTTPRequestHandler, content: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


def send_on(to: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server(site: Path) -> Iterator[Server]:
    with Server(site.parent) as running:
        yield running


def pictures(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [picture.planes[0] for picture in reader]


class TestReceiving:
    def test_the_highest_small_rung_with_its_sound(
        self, site: Path, server: Server, source: Path, run: Any, tmp_path: Path
    ) -> None:
        words = ("--source", source, "--lossless", "--codec", "ffv1")
        local, remote = tmp_path / "local.mkv", tmp_path / "remote.mkv"
        assert run("receive", site, local, *words).code == 0
        done = run("receive", f"{server.address}/master.m3u8", remote, *words)
        assert done.code == 0
        assert "lanczos-x2" in done.err
        assert "mean PSNR" in done.out
        assert local.read_bytes() == remote.read_bytes()
        found = pictures(remote)
        assert (len(found), found[0].shape) == (FRAMES, (96, 128))
        error = np.mean([(a.astype(float) - b) ** 2 for a, b in zip(found, pictures(source), strict=True)])
        assert 10 * np.log10(255**2 / error) > 22
        with av.open(str(remote)) as container:
            assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
        assert not any("quarter" in path for path in server.asked)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["local.mkv", "remote.mkv", "site"]

    @pytest.mark.parametrize("rung", ["3", "quarter"])
    def test_the_rung_that_is_named(self, rung: str, site: Path, run: Any, tmp_path: Path) -> None:
        done = run("receive", site, tmp_path / "o.mp4", "--rung", rung)
        assert (done.code, "lanczos-x4" in done.err) == (0, True)

    def test_a_rung_s_own_playlist(self, site: Path, run: Any, tmp_path: Path) -> None:
        done = run("receive", site.with_suffix("") / "quarter" / "index.m3u8", tmp_path / "o.mp4")
        assert (done.code, "lanczos-x4" in done.err) == (0, True)

    def test_where_a_server_sends_on_to(self, server: Server, run: Any, tmp_path: Path) -> None:
        server.answers["/old.m3u8"] = send_on("/master.m3u8")
        server.answers["/master/half/0.m4s"] = send_on(f"{server.address}/master/half/0.m4s?again")
        server.answers["/master/half/0.m4s?again"] = lambda handler: say(
            handler, Path(tmp_path / "site" / "master" / "half" / "0.m4s").read_bytes()
        )
        assert run("receive", f"{server.address}/old.m3u8", tmp_path / "o.mp4").code == 0


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """A byte at a time, for a while."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x")
        threading.Event().wait(0.01)


def silence(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "9")
    handler.end_headers()
    threading.Event().wait(1)


INIT, FIRST = "/master/half/init.mp4", "/master/half/1.m4s"
WRONG: dict[str, tuple[str, Answer, str]] = {
    "a segment that is not there": (FIRST, lambda h: h.send_error(404), "the server says 404"),
    "a rung that is not there": ("/master/half/index.m3u8", lambda h: h.send_error(410), "the server says 410"),
    "an error": ("/master.m3u8", lambda h: h.send_error(500), "the server says 500"),
    "a web page": ("/master.m3u8", lambda h: say(h, b"<html>"), "this is no playlist"),
    "a loop": (FIRST, send_on(FIRST), "302"),
    "files by a redirect": (FIRST, send_on("file:///etc/passwd"), "is not allowed"),
    "FTP by a redirect": (FIRST, send_on("ftp://127.0.0.1/a"), "only http and https"),
    "a short segment": (FIRST, lambda h: say(h, b"short", 500), "only 5 of 500 bytes have come"),
    "a segment without end": (FIRST, lambda h: say(h, b"x", 1 << 40), "it is larger than"),
    "a playlist without end": ("/master.m3u8", lambda h: say(h, b"#EXTM3U\n" + bytes(5 << 20)), "it is larger than"),
    "silence": (FIRST, silence, "the server has stalled"),
    "a trickle": (FIRST, trickle, "the server has stalled"),
    "no HTTP": (FIRST, lambda h: h.wfile.write(b"nonsense\r\n\r\n") and None, "answer is damaged"),
    "rubbish": (FIRST, lambda h: say(h, b"\0" * 5000), "its segments are damaged"),
    "no beginning": (INIT, lambda h: say(h, b"\0" * 500), ""),
    "an address on disk": (
        "/master/half/index.m3u8",
        lambda h: say(h, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
        "may not lead to 'file:///etc/passwd'",
    ),
    "a master in a master": (
        "/master/half/index.m3u8",
        lambda h: say(h, b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"),
        "a master playlist again",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_fails_is_said_in_one_line(
    name: str, server: Server, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answer, said = WRONG[name]
    server.answers[path] = answer
    monkeypatch.setattr(origins, "_SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(origins, "_START_SECONDS", 0.3)
    done = run("receive", f"{server.address}/master.m3u8", tmp_path / "o.mp4", "--rung", "half")
    assert done.code == 1
    assert said in done.error
    assert server.address in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert len(server.asked) < 30


def test_rungs_that_are_not_there_are_listed(site: Path, run: Any, tmp_path: Path) -> None:
    for rung in ("0", "4", "99999999999", "other"):
        done = run("receive", site, tmp_path / "o.mp4", "--rung", rung)
        assert done.code == 2
        assert "there are: 1 top, 2 half, 3 quarter" in done.error
    done = run("receive", site.with_suffix("") / "half" / "index.m3u8", tmp_path / "o.mp4", "--rung", "1")
    assert "no rungs to choose from" in done.error
    done = run("receive", site.with_suffix("") / "half" / "init.mp4", tmp_path / "o.mp4", "--rung", "1")
    assert "--rung is for a playlist" in done.error


def test_a_ladder_without_small_rungs_has_nothing_to_restore(site: Path, run: Any, tmp_path: Path) -> None:
    lines = site.read_text().splitlines()
    site.write_text("\n".join(line for line in lines if "half" not in line and "quarter" not in line))
    done = run("receive", site, tmp_path / "o.mp4")
    assert "no rung carries a stream card" in done.error


def test_a_size_that_lies(site: Path, run: Any, tmp_path: Path) -> None:
    """The pictures of one rung under the name of another, whose card does not fit: said, not believed."""
    tracks = site.with_suffix("")
    master = site.read_text().replace("RESOLUTION=64x48", "RESOLUTION=16384x16384")
    site.write_text(master)
    assert run("receive", site, tmp_path / "o.mp4").code == 0  # the pictures themselves say what they are
    for name in ("init.mp4", "0.m4s", "1.m4s", "2.m4s"):
        shutil.copy(tracks / "quarter" / name, tracks / "half" / name)
    assert "lanczos-x4" in run("receive", site, tmp_path / "p.mp4").err


def test_an_output_needs_a_name_of_its_own(site: Path, run: Any, tmp_path: Path) -> None:
    assert "needs a name here" in run("receive", "http://127.0.0.1/master.m3u8").error
    assert run("receive", site, "--frames", 2).code == 0
    assert (site.parent / "master_restored.mkv").is_file()


def test_nobody_there(run: Any, tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    done = run("receive", f"http://127.0.0.1:{port}/master.m3u8", tmp_path / "o.mp4")
    assert "cannot be reached" in done.error
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_thousand_damaged_segments_crash_nothing(site: Path, tmp_path: Path) -> None:
    """Each is read as far as it can be, or refused; nothing else happens."""
    chance, refused = random.Random(3), list[str]()
    folder = site.with_suffix("") / "quarter"
    whole = {name: (folder / name).read_bytes() for name in ("init.mp4", "0.m4s", "1.m4s", "2.m4s")}
    for _ in range(1000):
        name = chance.choice(list(whole))
        content = bytearray(whole[name])
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(content))
            content[at : at + chance.choice((1, 1, 1, 4, 40))] = chance.randbytes(chance.choice((0, 1, 4)))
        (folder / name).write_bytes(content)
        try:
            with (
                as_video(folder / "index.m3u8", tmp_path / "o.mp4", None, lambda _: lambda *_: None) as video,
                VideoReader(video, quantiser=True, threads=1) as reader,
            ):
                assert sum(1 for _ in reader) <= FRAMES + 2
        except IrnError as error:
            refused.append(str(error))
        (folder / name).write_bytes(whole[name])
    assert 100 < len(refused) < 1000
    assert not any("\n" in line for line in refused)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
