"""How long the web player's receiver takes for a frame, in Chromium on this machine.

python samples/measure web [--models irn-h264-x2,irn-h264-x2-lite] [--sizes 640x360,1280x720] [--webgpu] [--markdown]

WebAssembly with one thread, as on any static server, and with all cores, which needs the headers that isolate a page.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
from irn_video.pipeline.zoo import load_weights
from irn_video.pipeline.zoo.web_export import export_web

from measure.machine import machine, machine_line, warn_if_busy
from measure.options import markdown_option, sizes
from measure.tables import table

PLAYER = Path(__file__).resolve().parents[2] / "receiver" / "web"
_SOFTWARE = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
# Milliseconds of each frame but the first.
_TIMES = """async ({ model, scale, width, height, repeat, on }) => {
  const { Networks } = await import("/irn-player/networks.js");
  const { Restorer } = await import("/irn-player/restorer.js");
  const networks = await Networks.at(new URL("/networks/networks.json", location).href, 60000);
  const restorer = new Restorer({ folder: new URL("/node_modules/onnxruntime-web/dist/", location).href, on });
  const [lrWidth, lrHeight] = [width / scale, height / scale];
  const color = { matrix: "bt709", primaries: "bt709", transfer: "bt709", fullRange: false };
  const { provider } = await restorer.start(await networks.files(model), { width, height, lrWidth, lrHeight, color });
  const data = Uint8Array.from({ length: 1.5 * lrWidth * lrHeight }, (_, index) => (index * index) >> 7);
  const times = [];
  for (let index = 0; index <= repeat; index += 1) {
    const format = { format: "I420", codedWidth: lrWidth, codedHeight: lrHeight, timestamp: index };
    const { frame, ms } = await restorer.restore(new VideoFrame(data, format), { qp: 28, update: null, group: 0 });
    frame.close();
    if (index) times.push(ms);
  }
  restorer.stop();
  return { provider, times };
}"""


class _Handler(SimpleHTTPRequestHandler):
    """The player, its packages and a folder; isolated or not."""

    def __init__(self, *arguments: Any, folder: Path, isolated: bool) -> None:
        self._folder, self._isolated = folder, isolated
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        for prefix, folder in (("/irn-player/", PLAYER), ("/node_modules/", PLAYER / "node_modules")):
            if path.startswith(prefix):
                return str(folder / path.removeprefix(prefix))
        return str(self._folder / path.lstrip("/"))

    def end_headers(self) -> None:
        if self._isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(folder: Path, isolated: bool) -> Iterator[str]:
    """At an address of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder=folder, isolated=isolated))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def measured(
    chromium: str, folder: Path, jobs: list[dict[str, Any]], isolated: bool, arguments: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Each job with what it took."""
    from playwright.sync_api import sync_playwright

    with serving(folder, isolated) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *arguments])
        for job in jobs:
            page = browser.new_page()
            page.set_default_timeout(600_000)
            page.goto(address)
            yield {**job, **page.evaluate(_TIMES, job), "browser": browser.version}
            page.close()
        browser.close()


def rows_of(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Head and lines of the table."""
    rows: list[tuple[str, ...]] = [("network", "restored", "on", "ms for a frame", "frames a second")]
    for item in found:
        middle = sorted(item["times"])[len(item["times"]) // 2]
        size = f"{item['width']}x{item['height']}"
        rows.append((item["model"], size, item["provider"], f"{middle:.0f}", f"{1000 / middle:.1f}"))
    return rows


@click.command("web")
@click.option("--models", default="irn-h264-x2-lite,irn-h264-x2", show_default=True, help="Networks.")
@click.option(
    "--sizes", "wanted", default="640x360,1280x720", show_default=True, callback=sizes, help="Of restored frames."
)
@click.option("--repeat", type=click.IntRange(1), default=7, show_default=True, help="Frames; their median counts.")
@click.option("--webgpu", type=click.Choice(["off", "on", "software"]), default="off", show_default=True,
              help="On the graphics card, or on the one that Chromium emulates.")  # fmt: skip
@markdown_option
def command(models: str, wanted: tuple[tuple[int, int], ...], repeat: int, webgpu: str, markdown: bool) -> None:
    """How long the web player's receiver takes for a frame, in Chromium on this machine."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (PLAYER / "node_modules" / "onnxruntime-web").is_dir():
        raise click.ClickException("needs Chromium, and npm ci --prefix receiver/web")
    warn_if_busy()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "index.html").write_text('<!doctype html><link rel="icon" href="data:,">')
        jobs = []
        for model in models.split(","):
            export_web(model, folder / "networks")
            scale = load_weights(model).card.network.scale
            size = {"repeat": repeat, "on": {"off": "cpu", "on": "gpu", "software": "any"}[webgpu]}
            jobs += [{"model": model, "scale": scale, "width": w, "height": h, **size} for w, h in wanted]
        arguments = {"off": ("--disable-gpu",), "on": ("--enable-unsafe-webgpu",), "software": _SOFTWARE}[webgpu]
        for isolated in (False, True) if webgpu == "off" else (True,):
            found += list(measured(chromium, folder, jobs, isolated, arguments))
    click.echo(table(rows_of(found), markdown=markdown))
    click.echo(f"{machine_line(machine())}; Chromium {found[0]['browser']}; onnxruntime-web {_runtime_version()}")


def _runtime_version() -> str:
    package = json.loads((PLAYER / "node_modules" / "onnxruntime-web" / "package.json").read_text())
    return str(package["version"])
