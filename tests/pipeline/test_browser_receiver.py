"""The receiver in the browser: what is served for it, and whether it restores what the other receiver does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from irn_video.codecs.errors import BadOption
from irn_video.codecs.links.live_reader import Arrival
from irn_video.pipeline.commands.stream import main
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.live.demo import DemoOptions
from irn_video.pipeline.live.runtime import BrowserRuntime
from irn_video.pipeline.live.server import PageServer, SmallPicture
from irn_video.pipeline.live.small_stream import SmallStream
from irn_video.pipeline.restoring import restoration_of
from irn_video.sender.live import LiveSendOptions

NETWORK = "irn-h264-x2"
PAGES = (
    "/browser.html",
    "/browser.js",
    "/irn-player/restorer.js",
    "/ort/ort.wasm.min.mjs",
    f"/networks/{NETWORK}.onnx",
)

# The middle of the first of the pattern's bars, read from a copy of what is shown.
RED = """() => {
  const copy = document.createElement("canvas");
  const context = copy.getContext("2d");
  context.drawImage(document.getElementById("picture"), 0, 0);
  return [...context.getImageData(12, 90, 1, 1).data].slice(0, 3);
}"""


def refuse(name: str, value: object) -> None:
    raise BadOption(f"{name} cannot be {value}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What looks like onnxruntime-web."""
    found = tmp_path / "dist"
    (found / "ort.folder.mjs").mkdir(parents=True)
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.wasm", "ort.min.js", "ort.min.js.map", "secret.js"):
        (found / name).write_bytes(name.encode())
    (tmp_path / "ort.outside.js").write_bytes(b"outside")
    return found


@pytest.fixture
def server(folder: Path) -> PageServer:
    return PageServer(refuse, "127.0.0.1", BrowserRuntime(folder, [NETWORK]))


def get(address: str, path: str) -> tuple[int, bytes, dict[str, str]]:
    async def run() -> tuple[int, bytes, dict[str, str]]:
        async with ClientSession() as session, session.get(address + path) as response:
            return response.status, await response.read(), dict(response.headers)

    return asyncio.run(run())


def talk(address: str, what: Callable[[Any], Any], **headers: str) -> Any:
    """What `what` makes of the socket with the LR stream."""

    async def run() -> Any:
        async with ClientSession() as session, session.ws_connect(f"{address}/lr", headers=headers) as socket:
            return await asyncio.wait_for(what(socket), 60)

    return asyncio.run(run())


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def picture(data: bytes, keyframe: bool, stream: str = "stream") -> SmallPicture:
    return SmallPicture(stream, f"head of {data.decode()}", data, keyframe)


@pytest.mark.alone
class TestServing:
    def test_nothing_of_it_is_there_unless_asked_for(self) -> None:
        with PageServer(refuse).serving(0) as address:
            for path in (*PAGES, "/lr"):
                assert get(address, path)[0] == 404
            with pytest.raises(WSServerHandshakeError, match="404"):
                talk(address, lambda socket: socket.receive())

    def test_its_pages_are_isolated_and_the_other_stays_strict(self, server: PageServer) -> None:
        with server.serving(0) as address:
            for path in PAGES:
                status, _, headers = get(address, path)
                assert status == 200, path
                assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert (
                    "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:"
                    in headers["Content-Security-Policy"]
                )
            for path in ("/", "/page.js"):
                _, _, headers = get(address, path)
                assert "script-src" not in headers["Content-Security-Policy"]
                assert "Cross-Origin-Embedder-Policy" not in headers

    def test_files_and_networks_that_are_offered_and_no_others(self, server: PageServer, folder: Path) -> None:
        with server.serving(0) as address:
            status, content, headers = get(address, "/ort/ort-wasm-simd-threaded.wasm")
            assert (status, content) == (200, b"ort-wasm-simd-threaded.wasm")
            assert headers["Content-Type"] == "application/wasm"
            assert get(address, "/ort/ort.wasm.min.mjs")[2]["Content-Type"] == "text/javascript"
            graph = get(address, f"/networks/{NETWORK}.onnx")[1]
            assert b"restored_y" in graph
            assert get(address, f"/networks/{NETWORK}.onnx")[1] == graph
            tricks = ["secret.js", "ort.min.js.map", "ort.folder.mjs", "ort.outside.js", "../ort.outside.js"]
            tricks += ["%2e%2e/ort.outside.js", "..%2fort.outside.js", "%2e%2e%2fort.outside.js", "", "."]
            for name in [*tricks, str(folder / "ort.min.js"), "ort.min.js/", "ort.min.js%00"]:
                assert get(address, f"/ort/{name}")[0] == 404, name
            for name in ("irn-h264-x4", "nothing", "../x", "%2e%2e%2fx", "lanczos-x2", str(folder)):
                assert get(address, f"/networks/{name}.onnx")[0] == 404, name

    @pytest.mark.parametrize("content", [None, "empty", "file"])
    def test_a_folder_that_is_not_onnxruntime_web_is_named(self, content: str | None, tmp_path: Path) -> None:
        named = tmp_path / "dist"
        if content == "empty":
            named.mkdir()
        elif content == "file":
            named.touch()
        with pytest.raises(BadOption, match="npm install onnxruntime-web") as caught:
            BrowserRuntime(named, [])
        assert str(caught.value).startswith(str(named))
        assert "\n" not in str(caught.value)

    def test_the_command_says_it_in_one_line(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        named = str(tmp_path / "dist")
        assert main(["demo", "test:", "--no-open", "--fps", "5", "--onnxruntime", named]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"error: {named}: no such folder with onnxruntime-web (npm install")


@pytest.mark.alone
class TestStream:
    def test_a_browser_hears_the_stream_then_a_keyframe(self, server: PageServer) -> None:
        async def hear(socket: Any) -> list[object]:
            wait_for(lambda: server.restoring == 1)
            for each in (picture(b"lost", False), picture(b"key", True), picture(b"next", False)):
                server.send_small(each)
            server.send_small(picture(b"other", True, "another stream"))
            return [(await socket.receive()).data for _ in range(8)]

        with server.serving(0) as address:
            heard = talk(address, hear)
            assert server.clients == 0
        assert heard[:3] == ["stream", "head of key", b"key"]
        assert heard[3:5] == ["head of next", b"next"]
        assert heard[5:] == ["another stream", "head of other", b"other"]

    @pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
    def test_other_sites_are_refused(self, headers: dict[str, str], server: PageServer) -> None:
        with server.serving(0) as address, pytest.raises(WSServerHandshakeError, match="403"):
            talk(address, lambda socket: socket.receive(), **headers)

    @pytest.mark.parametrize("message", ["{}", "x" * 2000, b"binary"])
    def test_whatever_is_said_ends_the_connection(self, message: str | bytes, server: PageServer) -> None:
        async def say(socket: Any) -> int:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            return int(socket.close_code)

        with server.serving(0) as address:
            assert talk(address, say) in (1008, 1009)
            wait_for(lambda: server.restoring == 0)

    def test_a_slow_browser_takes_no_memory_and_goes_on_at_a_keyframe(self, server: PageServer) -> None:
        async def sleep(socket: Any) -> list[object]:
            wait_for(lambda: server.restoring == 1)
            for index in range(3000):
                server.send_small(SmallPicture("stream", str(index), bytes(100_000), index % 10 == 0))
            await asyncio.sleep(1)
            assert max(client.waiting.qsize() for client in server._restoring) <= 103
            server.send_small(picture(b"lost", False))
            heads = [(await socket.receive()).data for _ in range(41)][1::2]
            server.send_small(picture(b"lost", False))
            server.send_small(picture(b"key", True))
            while (head := (await socket.receive()).data) != "head of key":
                heads += [head] if isinstance(head, str) else []
            return heads

        with server.serving(0) as address:
            heads = talk(address, sleep)
        gaps = [second for first, second in pairwise(heads) if int(second) != int(first) + 1]
        assert all(int(index) % 10 == 0 for index in gaps)

    def test_only_so_many_may_restore(self, server: PageServer) -> None:
        async def crowd() -> None:
            async with ClientSession() as session:
                kept = [await session.ws_connect(f"{address}/lr") for _ in range(16)]
                with pytest.raises(WSServerHandshakeError, match="503"):
                    await session.ws_connect(f"{address}/lr")
                assert not any(socket.closed for socket in kept)

        with server.serving(0) as address:
            asyncio.run(crowd())
            wait_for(lambda: server.restoring == 0)


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> dict[int, Arrival]:
    """What has arrived at a demonstration, by its index."""
    found: dict[int, Arrival] = {}
    heard = SmallStream.heard

    def kept(stream: SmallStream, arrival: Arrival) -> None:
        found[arrival.stamp.index] = arrival
        heard(stream, arrival)

    monkeypatch.setattr(SmallStream, "heard", kept)
    return found


@pytest.fixture(scope="session")
def onnxruntime_web(node_modules: Path) -> Path:
    """The package of that name."""
    return node_modules / "onnxruntime-web" / "dist"


def psnr_y(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / error))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_browser_restores_what_the_receiver_does(
    chromium: str, onnxruntime_web: Path, clips: Any, demonstration: Any, tmp_path: Path, arrivals: dict[int, Arrival]
) -> None:
    from playwright.sync_api import sync_playwright

    clip = clips.make(tmp_path / "in.mp4", size="192x108", frames=50, rate=10)
    sources = [source.planes[0] for source in clips.read(clip)]
    errors: list[str] = []
    requests: list[str] = []
    taken: list[tuple[int, np.ndarray]] = []
    send = LiveSendOptions(bitrate=300_000, device="cpu", congestion=False)
    options = DemoOptions(send=send, temperature=0.0, onnxruntime=onnxruntime_web)
    with demonstration(clip, options) as shown, sync_playwright() as playwright:
        address = shown.address
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 375, "height": 700})
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{address}/browser.html")
        page.wait_for_selector("html[data-state=playing][data-index]", timeout=60_000)
        assert page.evaluate("crossOriginIsolated")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        wait_for(lambda: page.evaluate(RED)[0] > 240)  # the first frames may be coarse
        _, green, blue = page.evaluate(RED)
        assert max(green, blue) < 12  # 24 in green would be BT.601's red read as BT.709's
        for _ in range(10):
            found = page.evaluate(
                "restoredPlanes().then(({index, planes}) => "
                "({index, width: planes.width, height: planes.height, y: [...planes.y]}))"
            )
            assert (found["width"], found["height"]) == (192, 108)
            taken.append((found["index"], np.array(found["y"], np.uint8).reshape(108, 192)))
        wait_for(lambda: "fps" in page.locator("#tile-fps").inner_text())
        assert page.locator("#tile-provider").inner_text().startswith(("WebGPU", "WebAssembly"))

        # Another network and scale: the page that shows all of it has them changed.
        other = browser.new_page()
        other.goto(address)
        assert other.locator("#browser-link").get_attribute("href") == "/browser.html"
        other.wait_for_selector("#browser-link", state="visible", timeout=30_000)
        other.locator("#model").select_option("irn-h264-x4")
        page.wait_for_selector("text=48 × 28 to 192 × 108", timeout=20_000)
        other.close()
        page.wait_for_selector("html[data-state=playing]", timeout=30_000)
        large = page.evaluate("restoredPlanes().then(({planes}) => [planes.width, planes.height, planes.u.length])")
        assert large == [192, 108, 96 * 54]
        browser.close()
    assert not errors
    assert all(url.startswith((address, "blob:")) for url in requests)
    assert len({index for index, _ in taken}) == 10
    rescaler = Rescaler.load(arrivals[taken[0][0]].card.model, device="cpu")
    for index, mine in taken:
        arrival = arrivals[index]
        source = sources[arrival.stamp.source or 0]  # frames that the sender has no time for are not counted
        to = restoration_of(arrival.card, temperature=0.0, seed=None)
        theirs = rescaler.reverse(rescaler.predict(arrival.picture, to), to, index).planes[0]
        assert psnr_y(source, theirs) > 20
        assert psnr_y(source, mine) == pytest.approx(psnr_y(source, theirs), abs=0.05)
        assert np.abs(mine.astype(int) - theirs).max() <= 2
