"""The web player in a real browser: whether it restores what irn-receive does, how it plays, and what it says else."""

from __future__ import annotations

import base64
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.picture import Picture
from irn_video.pipeline.commands.models import main as models
from irn_video.pipeline.zoo import load_weights
from irn_video.pipeline.zoo.weight_update import HiddenLayers, WeightUpdate, gain_names
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send, sending

NETWORK, CHEAPER = "irn-h264-x2", "irn-h264-x2-lite"
SOME = (0, 1, 4, 6, 9, 11)
"""Frames that are compared: of both groups, and of all types."""
WEB = Path(__file__).parents[2] / "receiver" / "web"
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
  "mediabunny": "/node_modules/mediabunny/dist/bundles/mediabunny.min.mjs",
  "hls.js": "/node_modules/hls.js/dist/hls.min.mjs",
  "onnxruntime-web/": "/node_modules/onnxruntime-web/dist/"}}</script>
<script type="module" src="/irn-player/irn_video.js"></script>
<style>irn-video { width: 384px; height: 216px }</style><body></body>"""
SHOW = """async (attributes) => {
  document.querySelector("irn-video")?.remove();
  const player = document.createElement("irn-video");
  const { track, ...rest } = attributes;
  if (track) {
    const element = Object.assign(document.createElement("track"), { src: track, kind: "subtitles" });
    player.append(element);
  }
  for (const [name, value] of Object.entries({ muted: "", controls: "", ...rest })) player.setAttribute(name, value);
  document.body.append(player);
  while (player.state === "loading") await new Promise((resolve) => setTimeout(resolve, 20));
  return [player.state, player.why];
}"""
FRAMES = """async (times) => {
  const player = document.querySelector("irn-video");
  const found = [];
  for (const time of times) {
    const next = player.planes();
    player.video.currentTime = time;
    const { planes, ...rest } = await next;
    found.push({ ...rest, y: [...planes.y], u: [...planes.u], v: [...planes.v] });
  }
  return found;
}"""


class Tuned:
    """Sends the same tuned weights with each group of frames."""

    wants_coarser = False

    def __init__(self, update: WeightUpdate) -> None:
        self.groups: list[Any] = []
        self._message = update.to_message(load_weights(NETWORK).arrays)

    def remember(self, picture: Picture) -> None: ...

    def message(self, group: object, coarser: object = None) -> bytes:
        return self._message


def update() -> WeightUpdate:
    """A strong one, so that it is seen whether it is used."""
    arrays = load_weights(NETWORK).arrays
    layers, width = len(gain_names(arrays)), arrays["restorer.last.weight"].shape[1]
    steps = np.random.default_rng(3).integers(-4, 5, (layers, 2 * width)).astype(np.int8)
    nothing = np.zeros((layers, width, 0), np.int8)
    return WeightUpdate(HiddenLayers(steps, nothing, nothing.reshape(layers, 0, width), 6), told=4)


def card_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The next stream's card says something else."""

    def payload(card: StreamCard) -> bytes:
        return base64.b64encode(json.dumps({**json.loads(card.to_json()), **changes}).encode())

    monkeypatch.setattr(StreamCard, "to_payload", payload)


class Handler(SimpleHTTPRequestHandler):
    """Files as they are; parts of them below /ranged/, hardly anything of them below /stalled/."""

    folder: Path
    packages: Path
    waiting = threading.Event()

    def translate_path(self, path: str) -> str:
        path = path.split("?")[0].removeprefix("/ranged")
        for prefix, folder in (("/irn-player/", WEB), ("/node_modules/", self.packages)):
            if path.startswith(prefix):
                return str(folder / path.removeprefix(prefix))
        return str(self.folder / path.lstrip("/"))

    def do_GET(self) -> None:
        if self.path.startswith("/stalled/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x")
            self.wfile.flush()
            self.waiting.wait(30)
        elif self.path.startswith("/ranged/") and (
            wanted := re.match(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        ):
            self._part(Path(self.translate_path(self.path)).read_bytes(), int(wanted[1]), wanted[2])
        else:
            super().do_GET()

    def _part(self, content: bytes, first: int, last: str) -> None:
        end = min(int(last) + 1 if last else len(content), len(content))
        self.send_response(206)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
        self.send_header("Content-Length", str(end - first))
        self.end_headers()
        self.wfile.write(content[first:end])

    def log_message(self, *_: object) -> None: ...

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return


@contextmanager
def serving(folder: Path, packages: Path) -> Iterator[str]:
    waiting = threading.Event()
    handler = type("Bound", (Handler,), {"folder": folder, "packages": packages, "waiting": waiting})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        waiting.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def folder(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a static server would have it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text(PAGE)
    clips.make(folder / "source.mp4", size="192x108", frames=12, rate=10)
    clips.make(folder / "fast.mp4", size="192x108", frames=480, rate=240)
    options = SendOptions(model=NETWORK, crf=28, keyint=6, quantisers=True)
    send(folder / "source.mp4", folder / "plain.mp4", options)
    send(folder / "fast.mp4", folder / "fast_lr.mp4", replace(options, preset="ultrafast"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "_tuner", lambda *_: Tuned(update()))
        send(folder / "source.mp4", folder / "tuned.mp4", options)
    for name, changes in (
        ("version.mp4", {"version": 9}),
        ("lying.mp4", {"width": 1920, "height": 1080}),
        ("unknown.mp4", {"model": "somebody-elses"}),
        ("others.mp4", {"model_sha256": "0123456789abcdef"}),
    ):
        with pytest.MonkeyPatch.context() as patch:
            card_with(patch, **changes)
            send(folder / "source.mp4", folder / name, options)
    for name in (NETWORK, CHEAPER):
        assert models(["export", name, "--web", str(folder / "networks")]) == 0
    damage(folder)
    playlists(folder)
    (folder / "words.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:10.000\nHello\n")
    return folder


def damage(folder: Path) -> None:
    for name in ("forged", "short", "nonsense"):
        (folder / name).mkdir()
        for file in (folder / "networks").iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    weights = folder / "forged" / f"{NETWORK}.weights"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    (folder / "short" / f"{NETWORK}.onnx").write_bytes(b"")
    (folder / "nonsense" / "networks.json").write_text("[")
    content = bytearray((folder / "plain.mp4").read_bytes())
    random = np.random.default_rng(1)
    at = content.find(b"mdat") + 1500
    content[at : at + 4000] = random.integers(0, 256, 4000, np.uint8).tobytes()
    (folder / "corrupt.mp4").write_bytes(content)
    endless = bytearray((folder / "plain.mp4").read_bytes())
    endless[endless.find(b"stts") + 12] = 0x30  # 805 million samples
    (folder / "endless.mp4").write_bytes(endless)
    (folder / "noise.mp4").write_bytes(random.integers(0, 256, 20_000, np.uint8).tobytes())


def playlists(folder: Path) -> None:
    """A master playlist with an ordinary rendition above the one that is restored, and some that are damaged."""
    head = "#EXTM3U\n#EXT-X-VERSION:7\n"
    rung = '#EXT-X-STREAM-INF:BANDWIDTH={},CODECS="avc1.64000b",RESOLUTION={}\n{}/index.m3u8\n'
    for name, source in (("full", "source.mp4"), ("small", "tuned.mp4")):
        (folder / name).mkdir()
        options = {"hls_time": "0.6", "hls_playlist_type": "vod", "hls_segment_type": "fmp4"}
        where = str(folder / name / "index.m3u8")
        with av.open(str(folder / source)) as video, av.open(where, "w", format="hls", options=options) as output:
            stream = output.add_stream_from_template(video.streams.video[0])
            for packet in video.demux(video.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    small = rung.format(100_000, "96x54", "small")
    (folder / "master.m3u8").write_text(head + rung.format(900_000, "192x108", "full") + small)
    (folder / "gone.m3u8").write_text(head + rung.format(900_000, "192x108", "gone") + small)
    shutil.copytree(folder / "small", folder / "cut")
    (folder / "cut" / "index1.m4s").write_bytes(b"")
    (folder / "cut.m3u8").write_text(head + rung.format(100_000, "96x54", "cut"))


@pytest.fixture(scope="module")
def address(folder: Path, node_modules: Path) -> Iterator[str]:
    with serving(folder, node_modules) as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page whose scripts must not fail, whatever happens."""
    errors: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    assert not errors


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def restored(folder: Path, name: str, clips: Any) -> list[Picture]:
    """By irn-receive, at temperature 0."""
    output = folder / f"restored_{name}.mkv"
    if not output.exists():
        receive(folder / name, output, ReceiveOptions(codec="ffv1", temperature=0.0))
    pictures: list[Picture] = clips.read(output)
    return pictures


def compare(page: Any, folder: Path, name: str, clips: Any) -> None:
    everything = restored(folder, name, clips), clips.read(folder / "source.mp4")
    expected, sources = ([pictures[at] for at in SOME] for pictures in everything)
    times = [picture.pts_seconds for picture in expected]
    found = page.evaluate(FRAMES, [time + 0.02 for time in times])
    assert [item["time"] for item in found] == pytest.approx(times, abs=0.001)
    for item, theirs, source in zip(found, expected, sources, strict=True):
        for plane, other, original in zip(("y", "u", "v"), theirs.planes, source.planes, strict=True):
            mine = np.array(item[plane], np.uint8).reshape(other.shape)
            assert np.mean(np.abs(mine.astype(int) - other) <= 1) >= 0.999
            assert psnr(mine, original) == pytest.approx(psnr(other, original), abs=0.05)


class TestRestoring:
    def test_the_clips_are_good_for_telling(self, folder: Path, clips: Any) -> None:
        """With the general network in place of tuned weights the comparison would fail."""
        one, other = (restored(folder, name, clips) for name in ("plain.mp4", "tuned.mp4"))
        assert np.mean(np.abs(one[3].planes[0].astype(int) - other[3].planes[0]) <= 1) < 0.99

    def test_is_what_irn_receive_restores(self, page: Any, folder: Path, clips: Any) -> None:
        """Tuned weights, the quantiser that the network is told, and that of each frame included."""
        assert page.evaluate(SHOW, {"src": "ranged/tuned.mp4"}) == ["restored", f"{NETWORK}, WebAssembly, 1 thread"]
        compare(page, folder, "tuned.mp4", clips)

    @pytest.mark.slow
    @pytest.mark.timeout(200)
    def test_so_does_webgpu(self, chromium: str, address: str, folder: Path, clips: Any) -> None:
        """On the graphics card that Chromium emulates."""
        from playwright.sync_api import sync_playwright

        arguments = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_page()
            page.set_default_timeout(150_000)
            page.goto(address)
            if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
                pytest.skip("this Chromium emulates no graphics card")
            assert page.evaluate(SHOW, {"src": "tuned.mp4", "on": "any"}) == ["restored", f"{NETWORK}, WebGPU"]
            expected = restored(folder, "tuned.mp4", clips)[7]
            (found,) = page.evaluate(FRAMES, [expected.pts_seconds + 0.02])
            mine = np.array(found["y"], np.uint8).reshape(expected.planes[0].shape)
            assert np.mean(np.abs(mine.astype(int) - expected.planes[0]) <= 1) >= 0.999
            browser.close()


TROUBLE = {
    "a 404": ({"src": "nothing.mp4"}, r"the server has no nothing\.mp4 \(404\)", False),
    "an ordinary video": ({"src": "source.mp4"}, "an ordinary video, not made by irn-send", True),
    "noise": ({"src": "noise.mp4"}, ".", False),
    "a card of another version": ({"src": "version.mp4"}, "version 9; a newer player is needed", True),
    "a lying size": ({"src": "lying.mp4"}, "the card is of pictures of 960×540, these are 96×54", True),
    "a network that is not there": ({"src": "unknown.mp4"}, "the server has no network somebody-elses", True),
    "other weights": ({"src": "others.mp4"}, f"other weights of {NETWORK}", True),
    "no list of networks": ({"networks": "no/networks.json"}, r"the server has no networks\.json \(404\)", True),
    "a list that is none": ({"networks": "nonsense/networks.json"}, "is no list of networks", True),
    "a wrong digest": ({"networks": "forged/networks.json"}, rf"{NETWORK}\.weights is not what its digest says", True),
    "a file that is too short": ({"networks": "short/networks.json"}, "is not what its digest says", True),
    "a server that stalls": ({"networks": "stalled/networks.json", "patience": "0.3"}, "the server stalls", True),
    "no video, it stalls": ({"src": "stalled/clip.mp4", "patience": "0.3"}, "the server stalls", False),
    "a table without end": ({"src": "endless.mp4", "patience": "0.5"}, ".", False),
    "no runtime": ({"runtime": "nowhere/"}, ".", True),
}


class TestTrouble:
    @pytest.mark.parametrize("name", TROUBLE)
    def test_is_said_and_the_video_plays_on(self, name: str, page: Any) -> None:
        attributes, why, plays = TROUBLE[name]
        state, said = page.evaluate(SHOW, {"src": "plain.mp4", **attributes})
        assert state == "plain"
        assert re.search(why, said), said
        player = page.locator("irn-video")
        assert said in player.evaluate("(player) => player.shadowRoot.querySelector('.badge').textContent")
        assert player.evaluate("(player) => player.shadowRoot.querySelector('canvas').hidden")
        if plays:
            player.evaluate("(player) => player.video.play()")
            page.wait_for_function("document.querySelector('irn-video').video.currentTime > 0.1")

    def test_a_corrupt_file_is_played_as_far_as_it_goes(self, page: Any) -> None:
        page.evaluate(SHOW, {"src": "corrupt.mp4"})
        page.evaluate("document.querySelector('irn-video').video.play().catch(() => {})")
        page.wait_for_timeout(1500)
        assert page.evaluate("document.querySelector('irn-video').state") in ("restored", "plain")

    def test_without_webcodecs_it_is_a_plain_video(self, browser: Any, address: str) -> None:
        page = browser.new_page()
        page.add_init_script("delete window.VideoDecoder")
        page.goto(address)
        state, why = page.evaluate(SHOW, {"src": "plain.mp4"})
        assert (state, "no WebCodecs" in why) == ("plain", True)
        page.wait_for_function("document.querySelector('irn-video').video.videoWidth === 96")
        page.close()


class TestPlaying:
    def test_keys_and_buttons(self, page: Any) -> None:
        page.evaluate(SHOW, {"src": "plain.mp4", "late": "keep", "track": "words.vtt", "split": "0.25"})
        clip = page.evaluate("document.querySelector('irn-video').shadowRoot.querySelector('canvas').style.clipPath")
        assert clip == "inset(0px 0px 0px 25%)"  # left of it the plain picture is seen
        player, video = page.locator("irn-video"), "document.querySelector('irn-video').video"
        player.focus()
        page.keyboard.press("Home")
        page.keyboard.press("k")
        page.wait_for_function(f"!{video}.paused")
        page.keyboard.press("k")
        assert page.evaluate(f"{video}.paused")
        page.keyboard.press("m")
        assert not page.evaluate(f"{video}.muted")
        page.keyboard.press("c")
        page.wait_for_function("document.querySelector('irn-video').shadowRoot.querySelector('.captions').textContent")
        assert player.locator(".captions").inner_text() == "Hello"
        page.keyboard.press("f")
        page.wait_for_function("document.fullscreenElement?.localName === 'irn-video'")
        page.keyboard.press("f")
        page.wait_for_function("!document.fullscreenElement")
        player.get_by_label("Position").fill("0.5")
        page.wait_for_function(f"Math.abs({video}.currentTime - 0.5) < 0.01")
        player.get_by_label("Play").click()
        page.wait_for_function(f"!{video}.paused")

    def test_pictures_keep_step_and_loop(self, page: Any) -> None:
        page.evaluate(SHOW, {"src": "plain.mp4", "late": "keep", "loop": ""})
        found = page.evaluate("""async () => {
          const player = document.querySelector("irn-video");
          const found = [];
          player.addEventListener("picture", ({ detail }) => found.push([detail.time, player.video.currentTime]));
          await player.video.play();
          while (found.filter(([time], at) => at && time < found[at - 1][0]).length < 2) {
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          player.video.pause();
          return found;
        }""")
        assert all(time <= now + 0.01 for time, now in found)
        assert len({time for time, _ in found}) >= 6  # of twelve

    @pytest.mark.slow
    @pytest.mark.alone
    def test_it_drops_to_a_cheaper_network_then_to_plain(self, page: Any) -> None:
        page.evaluate(SHOW, {"src": "fast_lr.mp4", "loop": ""})
        said = page.evaluate("""async () => {
          const player = document.querySelector("irn-video");
          const said = [];
          player.addEventListener("change", () => said.push([player.state, player.why]));
          await player.video.play();
          while (said.filter(([state]) => state === "plain").length < 2) {
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          player.video.pause();
          await player.planes();
          said.push([player.state, player.why]);
          return said;
        }""")
        *said, still, same = said
        assert still == same
        assert still[0] == "restored"
        assert still[1].startswith("this picture, while the video stands still")
        states, words = zip(*said, strict=True)
        assert states == ("plain", "restored", "plain")
        assert all("to restore and lasts 4 ms" in why for why in words)
        assert words[1].startswith(CHEAPER)


@pytest.mark.slow
class TestPlaylists:
    def test_the_rendition_that_can_be_restored_is(self, page: Any, folder: Path, clips: Any) -> None:
        state, _ = page.evaluate(SHOW, {"src": "master.m3u8"})
        assert state == "restored"
        compare(page, folder, "tuned.mp4", clips)
        page.wait_for_function("document.querySelector('irn-video').video.videoWidth === 96")

    def test_plainly_any_is_played(self, page: Any) -> None:
        assert page.evaluate(SHOW, {"src": "master.m3u8", "plain": ""}) == ["plain", "restoring is switched off"]
        page.wait_for_function("document.querySelector('irn-video').video.videoWidth > 0")

    @pytest.mark.parametrize("name", ["gone", "cut"])
    def test_without_a_rung_or_a_segment_it_goes_on(self, name: str, page: Any) -> None:
        page.evaluate(SHOW, {"src": f"{name}.m3u8", "late": "keep", "patience": "2"})
        page.evaluate("document.querySelector('irn-video').video.play().catch(() => {})")
        page.wait_for_timeout(1500)
        state, why = page.evaluate("(({ state, why }) => [state, why])(document.querySelector('irn-video'))")
        assert state == "restored" or (state == "plain" and why)
        page.wait_for_function("document.querySelector('irn-video').video.currentTime > 0.1")
