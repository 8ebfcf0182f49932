"""The page of irn-stream: what it serves to whom, and how it looks and works in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from irn_video.codecs.errors import BadOption, LinkFailed
from irn_video.codecs.scales import SCALES
from irn_video.pipeline.live.demo import _CONTROLS, _FIGURES, DemoOptions
from irn_video.pipeline.live.link import LinkConditions
from irn_video.pipeline.live.server import PageServer
from irn_video.pipeline.live.thinning import thin_out
from irn_video.pipeline.live.wall import Fragment
from irn_video.sender.camera import Camera
from irn_video.sender.live import LiveSendOptions

pytestmark = pytest.mark.alone


def refuse(name: str, value: object) -> None:
    raise BadOption(f"{name} cannot be {value}")


@pytest.fixture
def server() -> PageServer:
    return PageServer(refuse)


def talk(address: str, what: Callable[[Any], Any], **headers: str) -> Any:
    """What `what` makes of a WebSocket."""

    async def run() -> Any:
        async with ClientSession() as session, session.ws_connect(f"{address}/socket", headers=headers) as socket:
            return await asyncio.wait_for(what(socket), 60)

    return asyncio.run(run())


def get(address: str, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    async def run() -> tuple[int, str, dict[str, str]]:
        async with ClientSession() as session, session.get(address + path, headers=headers) as response:
            return response.status, await response.text(), dict(response.headers)

    return asyncio.run(run())


class TestServer:
    def test_the_page_has_every_scale(self, server: PageServer) -> None:
        with server.serving(0) as address:
            page = get(address, "/")[1]
        radios = re.findall(r'name="scale" value="([^"]*)"><span>([^<]*)</span>', page)
        assert radios == [(f"{scale:g}", f"{scale:g}") for scale in SCALES]

    def test_it_serves_its_own_files_and_no_others(self, server: PageServer) -> None:
        with server.serving(0) as address:
            assert address.startswith("http://127.0.0.1:")
            status, text, headers = get(address, "/")
            assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
            assert "default-src 'self'" in headers["Content-Security-Policy"]
            assert "<canvas" in text
            assert get(address, "/page.js")[0] == 200
            for path in ("/server.py", "/../server.py", "/%2e%2e/server.py", "/page/page.js", "/nothing"):
                assert get(address, path)[0] == 404

    @pytest.mark.parametrize(
        "headers",
        [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
    )
    def test_other_sites_are_refused(self, headers: dict[str, str], server: PageServer) -> None:
        with server.serving(0) as address:
            assert get(address, "/", **headers)[0] == 403
            with pytest.raises(WSServerHandshakeError, match="403"):
                talk(address, lambda socket: socket.receive(), **headers)
            port = address.rsplit(":", 1)[1]
            assert get(address, "/", Origin=f"http://localhost:{port}", Host=f"localhost:{port}")[0] == 200

    def test_a_client_that_joins_midway_begins_at_a_keyframe(self, server: PageServer) -> None:
        async def hear(socket: Any) -> list[object]:
            threading.Thread(target=feed).start()
            return [(await socket.receive()).data for _ in range(5)]

        def feed() -> None:
            server.show(Fragment(b"lost", False))
            server.show(Fragment(b"key", True))
            server.tell("note", text="hello")
            server.show(Fragment(b"next", False))

        with server.serving(0) as address:
            server.begin({"width": 2}, b"head")
            heard = talk(address, hear)
        assert json.loads(heard[0]) == {"type": "start", "width": 2}
        assert heard[1:3] == [b"head", b"key"]
        assert json.loads(heard[3]) == {"type": "note", "text": "hello"}
        assert heard[4] == b"next"

    @pytest.mark.parametrize(
        ("message", "answer"),
        [
            ('{"set": "bitrate", "value": 1}', "bitrate cannot be 1"),
            ("{", "no JSON"),
            ("[" * 1000, "no JSON"),
            ('{"set": 5, "value": 1}', "sets nothing"),
            ('{"set": "bitrate"}', "sets nothing"),
            ("null", "sets nothing"),
        ],
    )
    def test_what_cannot_be_set_is_said(self, message: str, answer: str, server: PageServer) -> None:
        async def say(socket: Any) -> str:
            await socket.send_str(message)
            return str((await socket.receive()).data)

        with server.serving(0) as address:
            assert answer in json.loads(talk(address, say))["text"]

    @pytest.mark.parametrize("message", ["x" * 2000, b"binary", ["{}"] * 30])
    def test_too_much_ends_the_connection(self, message: Any, server: PageServer) -> None:
        async def say(socket: Any) -> WSMsgType:
            for part in message if isinstance(message, list) else [message]:
                await (socket.send_bytes(part) if isinstance(part, bytes) else socket.send_str(part))
            async for _ in socket:
                pass
            return socket.close_code

        with server.serving(0) as address:
            assert talk(address, say) in (1008, 1009)
            wait_for(lambda: server.clients == 0)

    def test_a_slow_client_takes_no_memory(self, server: PageServer) -> None:
        """It reads nothing: what waits for it stays bounded."""

        async def sleep(socket: Any) -> None:
            wait_for(lambda: server.clients == 1)
            for _ in range(3000):
                server.show(Fragment(bytes(100_000), True))
                server.tell("frame", index=1)
            await asyncio.sleep(1)
            assert max(client.waiting.qsize() for client in server._clients) <= 200

        with server.serving(0) as address:
            talk(address, sleep)

    def test_only_so_many_may_watch(self, server: PageServer) -> None:
        async def crowd() -> int:
            async with ClientSession() as session:
                kept = [await session.ws_connect(f"{address}/socket") for _ in range(16)]
                with pytest.raises(WSServerHandshakeError, match="503"):
                    await session.ws_connect(f"{address}/socket")
                assert not any(socket.closed for socket in kept)
                return server.clients

        with server.serving(0) as address:
            assert asyncio.run(crowd()) == 16
            wait_for(lambda: server.clients == 0)

    def test_a_taken_port_is_named(self, server: PageServer, port: int) -> None:
        taken = pytest.raises(LinkFailed, match=f"cannot serve at 127.0.0.1:{port}")
        with server.serving(port), taken, PageServer(refuse).serving(port):
            pass


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Elements of tiles that do not hold their text, or lie outside of their tile.
CUT_OFF = """() => [...document.querySelectorAll(".tile")].filter((tile) => tile.checkVisibility()).flatMap((tile) => {
  const room = tile.getBoundingClientRect();
  const holds = (part) => {
    const text = document.createRange();
    text.selectNodeContents(part);
    const { left, right, bottom } = text.getBoundingClientRect();
    return left >= room.left && right <= room.right && bottom <= room.bottom && part.scrollWidth <= part.clientWidth;
  };
  const parts = [...tile.querySelectorAll("dt, dd")].filter((part) => !holds(part)).map((part) => part.textContent);
  return room.right > innerWidth || tile.scrollWidth > tile.clientWidth ? [...parts, tile.textContent] : parts;
})"""
SHOWN = """(names) => [...document.querySelectorAll(names)].filter((found) => found.checkVisibility())
  .map((found) => found.textContent)"""
DEMO = {"panes": ["source", "lanczos", "ours"], "figures": list(_FIGURES), "controls": list(_CONTROLS)}
RECEIVER = {"panes": ["lanczos", "ours"], "figures": [], "controls": ["temperature"]}


class TestLook:
    """The page in a browser, told by hand what is to be seen."""

    @contextmanager
    def opened(self, browser: Any, server: PageServer, start: dict[str, Any], width: int) -> Iterator[Any]:
        with server.serving(0) as address:
            server.begin({"mime": "none", "width": 1280, "height": 720, "rate": 25, **start}, b"")
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.goto(address)
            self.wait(page, "1280")
            yield page
            page.close()

    def tell(
        self, server: PageServer, page: Any, mark: str = "told", counts: dict[str, int] | None = None, **changed: Any
    ) -> None:
        """The longest figures that there may be, but for what is changed; the mark is shown as the network's name."""
        state = {"kbps": {"ours": 12_345, "lanczos": 12_345, "full": 23_456}, "fps": 239.6, "delay_ms": 12_345}
        state |= {"delay_p95_ms": 23_456, "times": 12.3, "loss": 0.125, "settings": {"model": mark}, **changed}
        names = ("restored", "fallback", "late", "missing", "concealed")
        server.tell("state", **state, counts={**dict.fromkeys(names, 2400), **(counts or {})})
        self.wait(page, mark)

    def wait(self, page: Any, text: str) -> None:
        page.locator("#stream").filter(has_text=text).wait_for(state="attached")

    def text(self, page: Any, name: str) -> str:
        return str(page.locator(f"#{name}").text_content()).replace("\u00a0", " ")

    @pytest.mark.parametrize("width", [390, 1280, 1400])
    @pytest.mark.parametrize("start", [DEMO, RECEIVER], ids=["demo", "receiver"])
    def test_no_tile_is_cut_off(self, start: dict[str, Any], width: int, browser: Any, server: PageServer) -> None:
        with self.opened(browser, server, start, width) as page:
            self.tell(server, page)
            assert "12,345" in self.text(page, "tile-rate")
            assert page.evaluate(CUT_OFF) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.evaluate("document.querySelector('.tile').style.width = '40px'")
            assert page.evaluate(CUT_OFF) != []

    def test_a_receivers_page_shows_what_a_receiver_knows(self, browser: Any, server: PageServer) -> None:
        with self.opened(browser, server, RECEIVER, 1400) as page:
            self.tell(server, page, kbps={"ours": 800})
            assert page.evaluate(SHOWN, ".tile dt") == ["Bit rate", "Latency on screen", "Packet loss", "Restored"]
            assert page.evaluate(SHOWN, ".graph h2") == ["Bit rate", "Latency", "Loss and rate"]
            assert page.evaluate(SHOWN, ".controls :is(h2, label)") == ["Receiver", "Temperature"]
            assert page.locator("#stream").text_content() == "1280 × 720 · told"
            assert not any("Lanczos" in text for text in page.evaluate(SHOWN, ".more:not(#more-fps), .graph li"))
        measured = {**RECEIVER, "figures": ["psnr"]}
        with self.opened(browser, PageServer(refuse), measured, 1400) as page:
            assert "PSNR-Y" in page.evaluate(SHOWN, ".graph h2")

    def test_temperature_is_the_receivers_in_the_demo_too(self, browser: Any, server: PageServer) -> None:
        with self.opened(browser, server, DEMO, 1400) as page:
            assert page.evaluate(SHOWN, ".controls h2") == ["Sender", "Receiver", "Emulated link"]
            group = page.locator("[data-control=temperature]").locator("xpath=..")
            assert group.locator("h2").text_content() == "Receiver"

    def test_full_size_is_blank_in_words_until_measured(self, browser: Any, server: PageServer) -> None:
        with self.opened(browser, server, DEMO, 1400) as page:
            rates = {"ours": 300.0, "lanczos": 300.0, "full": None}
            for mark, changed, words in (
                ("first", {"loss": 0.0}, "being measured"),
                ("second", {"loss": 0.02}, "not while packets are lost"),
                ("third", {"loss": 0.0, "counts": {"restored": 0}}, "no frame restored in time"),
            ):
                self.tell(server, page, mark=mark, kbps=rates, **changed)
                assert (self.text(page, "tile-full"), self.text(page, "more-full")) == ("–", words)
            self.tell(server, page, mark="fourth", kbps=rates | {"full": 600.0}, times=1.25)
            assert self.text(page, "tile-full") == "600 kb/s"
            assert self.text(page, "more-full") == "1.3× the bits of a frame, same PSNR"

    def test_the_gain_is_over_frames_that_the_network_restored(self, browser: Any, server: PageServer) -> None:
        """Fallbacks are counted apart, no difference has no winner, and a gain needs frames."""
        with self.opened(browser, server, DEMO, 1400) as page:

            def gained(mark: str, *frames: tuple[float | None, float, bool]) -> tuple[str, str | None]:
                for index, (ours, lanczos, fallback) in enumerate(frames):
                    psnr = {"ours": ours, "lanczos": lanczos}
                    server.tell("frame", index=index, time=0.0, captured=0.0, psnr=psnr, fallback=fallback)
                self.tell(server, page, mark=mark, counts={"restored": len(frames), "fallback": 7, "late": 3})
                return self.text(page, "tile-gain"), page.locator("#tile-gain").get_attribute("data-winner")

            assert gained("only fallbacks", (30.0, 25.0, True)) == ("–", "")
            assert gained("ours", (30.0, 28.0, False), (20.0, 28.0, True), (None, 28.0, False)) == ("+2.0 dB", "ours")
            assert gained("none", *[(27.9, 30.0, False), (30.1, 30.0, False)]) == ("0.0 dB", "")
            assert gained("Lanczos", (20.0, 30.0, False)) == ("−2.5 dB", "lanczos")
            assert self.text(page, "more-fps") == "in 10 s: 7 by Lanczos, 3 late"
            assert self.text(page, "tile-fps") == "240 fps"


def test_a_small_machine_shows_fewer_pictures_and_says_so(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.make(tmp_path / "in.mp4", size="320x192", frames=4, rate=100)
    said: list[str] = []
    for cores, fewer in ((1, True), (1000, False)):
        monkeypatch.setattr("irn_video.pipeline.live.thinning.usable_cores", lambda cores=cores: cores)
        with Camera(str(clip)) as camera:
            thin_out(camera, LiveSendOptions(device="cpu"), say=said.append)
            assert (camera.rate < 60) is fewer
    assert len(said) == 1
    assert "of 100 frames a second" in said[0]


@pytest.mark.timeout(200)
def test_the_page_in_a_browser(
    browser: Any, clips: Any, demonstration: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.make(tmp_path / "in.mp4", size="192x108", frames=50, rate=10)
    errors: list[str] = []
    requests: list[str] = []
    servers: list[PageServer] = []

    def kept(*arguments: Any) -> PageServer:
        servers.append(PageServer(*arguments))
        return servers[0]

    monkeypatch.setattr("irn_video.pipeline.live.demo.PageServer", kept)
    options = DemoOptions(
        send=LiveSendOptions(bitrate=300_000, device="cpu"), conditions=LinkConditions(loss=0.01, delay=0.02)
    )
    with demonstration(clip, options) as shown:

        def opened(width: int, height: int) -> Any:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.on("console", lambda message: errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(shown.address)
            page.wait_for_selector("html[data-state=playing][data-index]", timeout=30_000)
            return page

        def index(page: Any) -> int:
            return int(page.evaluate("document.documentElement.dataset.index"))

        page = opened(1280, 800)
        first = index(page)
        wait_for(lambda: index(page) > first + 10)

        # All three panes are there and differ: the pattern moves under them.
        page.wait_for_selector("#status", state="attached")
        divider = page.locator("#divider")
        before = divider.get_attribute("aria-valuenow")
        divider.press("ArrowRight")
        wait_for(lambda: divider.get_attribute("aria-valuenow") != before)
        graph = "document.querySelector('#graph-psnr canvas, canvas#graph-psnr').toDataURL().length"
        drawn = page.evaluate(graph)
        wait_for(lambda: page.evaluate(graph) != drawn)

        # Controls reach the sender, and what is in force comes back.
        page.locator("#model").select_option("irn-h264-x4")
        wait_for(lambda: page.evaluate("document.querySelector('[name=scale]:checked')?.value") == "4", 15)
        after = index(page)
        wait_for(lambda: index(page) > after + 10, 15)

        # Another client, on a phone, joins midway; closing it frees what it had.
        phone = opened(375, 700)
        started = index(phone)
        wait_for(lambda: index(phone) > started + 5)
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert servers[0].clients == 2
        phone.close()
        wait_for(lambda: servers[0].clients == 1)
        now = index(page)
        wait_for(lambda: index(page) > max(now + 5, 80))  # some of them are missing
        assert not errors
        assert all(url.startswith((shown.address, "blob:")) for url in requests)
        shown.camera.stopped = True
        page.wait_for_selector("html[data-state=ended]", timeout=60_000)
        page.close()
    assert shown.found[0].restored > 50
