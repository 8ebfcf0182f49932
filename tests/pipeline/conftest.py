"""Pictures to train on, studies that nobody had to measure, and demonstrations that go on until they are left."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.pipeline.live.demo import DemoOptions, demonstrate
from irn_video.pipeline.study import workers
from irn_video.pipeline.study.cells import Measurement, measure_cell
from irn_video.pipeline.study.cost import Cost, Stage
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.study.results import MethodFacts, Study
from irn_video.pipeline.study.workers import Failure, one_line
from irn_video.pipeline.system.opencv import cv2
from irn_video.receiver.live_statistics import LiveStatistics
from irn_video.sender.camera import Camera, Taken

Point = Callable[[str, str, float, float], Measurement]
MadeUp = Callable[..., Study]

_COST = Cost(Stage(0.5, 0.75, 10**8), Stage(1.0, 1.25, 10**9), 0.6)
_FACTS = {
    "full": MethodFacts("full", None, 1),
    "lanczos-x2": MethodFacts("lanczos-x2", None, 2),
    "irn": MethodFacts("irn", None, 2, 30, 5000),
}


@pytest.fixture(autouse=True)
def usual_threads() -> Iterator[None]:
    """Training takes all cores; the tests after it share them with others again."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two photographs' worth of smooth texture with edges."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        small = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        large = cv2().resize(small, (320, 240), interpolation=cv2().INTER_CUBIC)
        cv2().circle(large, (160, 120), 67, (255, 255, 255), 3)
        cv2().imwrite(str(folder / name), large)
    return folder


def _point(clip: str, method: str, kbps: float, psnr: float) -> Measurement:
    frames = tuple({"psnr_y": psnr + wobble, "vmaf": 2 * psnr} for wobble in (-0.5, 0.5, 0.0))
    size = round(kbps * 1000 / 8)
    words = "x264 - core 1 - options: bframes=3"
    return Measurement(clip, method, 20.0, None, size, 3, 1.0, 64, 32, frames, _COST, words, "yuv420p")


def _made_up(cheaper: float, clips: int = 3) -> Study:
    points = [
        _point(f"clip{index}.mkv", method, factor * 100 * 2**step, 30 + 3 * step)
        for index in range(clips)
        for method, factor in (("full", 1.0), ("lanczos-x2", 1.25), ("irn", 1 - cheaper))
        for step in range(5)
    ]
    anchors, settings = ("full", "lanczos-x2"), {"codec": "h264", "preset": None}
    return Study(anchors, ("irn",), _FACTS, ("psnr_y", "vmaf"), settings, {"av": "1"}, tuple(points), (), ())


@pytest.fixture(scope="session")
def point() -> Point:
    """One point of a curve: `point(clip, method, kbps, psnr)`."""
    return _point


@pytest.fixture(scope="session")
def made_up() -> MadeUp:
    """`made_up(0.2)`: full size, Lanczos a quarter dearer, and a network that needs a fifth less for the same."""
    return _made_up


class PoolHere:
    """Measures in this process, which has PyTorch already, as `LocalPool` does in others."""

    def __init__(self, workers: int) -> None:
        assert workers == 1

    def measured(self, cells: Mapping[Cell, str]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        for cell in cells:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found: Measurement | Failure = measure_cell(cell, Path(folder))
                except Exception as error:
                    found = Failure(cell.label, one_line(error))
            yield cell, found

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def pool_here() -> type[PoolHere]:
    """In place of `LocalPool`."""
    return PoolHere


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies start no processes."""
    monkeypatch.setattr(workers, "LocalPool", PoolHere)


class StoppableCamera(Camera):
    """Takes pictures until it is told not to."""

    stopped = False

    def __iter__(self) -> Iterator[Taken]:
        return takewhile(lambda _: not self.stopped, super().__iter__())


@dataclass
class Demonstration:
    """One that runs: where its page is, what takes its pictures, and what it found once it has ended."""

    camera: StoppableCamera
    address: str = ""
    found: list[LiveStatistics] = field(default_factory=list)


@contextmanager
def _demonstration(clip: Path, options: DemoOptions) -> Iterator[Demonstration]:
    with StoppableCamera(str(clip), loop=True, seconds=120) as camera:
        shown = Demonstration(camera)

        def run() -> None:
            shown.found.append(demonstrate(camera, options, opened=lambda address: setattr(shown, "address", address)))

        running = threading.Thread(target=run)
        running.start()
        deadline = time.monotonic() + 30
        while not shown.address:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield shown
        finally:
            camera.stopped = True
            running.join(90)
    assert not running.is_alive()


@pytest.fixture
def demonstration() -> Callable[[Path, DemoOptions], AbstractContextManager[Demonstration]]:
    """Runs one in a thread, until it is left."""
    return _demonstration


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A real one, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()
