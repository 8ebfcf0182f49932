"""The page of the blind comparison in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from irn_video.pipeline.blind.entrants import find_clips
from irn_video.pipeline.blind.scores import Scores
from irn_video.pipeline.blind.server import BlindServer, Listener
from irn_video.pipeline.blind.session import Plan

FRAMES = 24
WHO = {"lanzette": 60, "zweifach": 120, "dritter": 180, "source": 230}
"""Luma of the right half of each method's frames; the left half tells the frame, 8 lines on top are white."""

# What each of the two canvases shows on its left and on its right, and the frame that the page says.
SEEN = """() => {
  const levels = (letter) => {
    const canvas = document.querySelector(`[data-letter=${letter}] canvas`);
    const at = (x) => canvas.getContext("2d").getImageData(x * canvas.width, canvas.height / 2, 1, 1).data[1];
    return canvas.checkVisibility() ? [at(0.25), at(0.75)] : null;
  };
  return { a: levels("a"), b: levels("b"), frame: Number(document.documentElement.dataset.frame) };
}"""
WATCH = f"""async (count) => {{
  const seen = [];
  const frames = new Set();
  let rounds = 0;
  for (const until = performance.now() + 20000; (frames.size < count || !rounds) && performance.now() < until;) {{
    await new Promise(requestAnimationFrame);
    const before = seen.at(-1)?.frame;
    seen.push(({SEEN})());
    frames.add(seen.at(-1).frame);
    rounds += seen.at(-1).frame < before;
  }}
  return seen;
}}"""
STATE = "html[data-state={}]"


def level(luma: int) -> float:
    """What a screen shows of limited range."""
    return (luma - 16) * 255 / 219


def who(shown: list[int]) -> str:
    """Whose frame it is."""
    return min(WHO, key=lambda name: abs(level(WHO[name]) - shown[1]))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, clips: Any) -> Path:
    found = tmp_path_factory.mktemp("videos")
    for name, luma in WHO.items():
        pattern = f"color=gray:size=96x48:rate=25,geq=lum='if(lt(Y,8),235,if(lt(X,48),20+8*N,{luma}))':cb=128:cr=128"
        coded = ("-frames:v", FRAMES, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-qp", 0)
        clips.ffmpeg("-f", "lavfi", "-i", pattern, *coded, found / f"{name}.mkv")
    return found


@pytest.fixture
def folder(videos: Path, tmp_path: Path) -> Path:
    """A clip by three methods, with its source."""
    (tmp_path / "blind").mkdir()
    (tmp_path / "blind" / "clip").symlink_to(videos)
    return tmp_path / "blind"


@pytest.fixture
def pair(videos: Path, tmp_path: Path) -> Path:
    """By two."""
    clip = tmp_path / "pair" / "clip"
    clip.mkdir(parents=True)
    for name in ("lanzette.mkv", "zweifach.mkv", "source.mkv"):
        (clip / name).symlink_to(videos / name)
    return clip.parent


class Opened:
    """A page, everything that it has received, and what the command would print."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.received: list[bytes] = []
        self.errors: list[str] = []
        self.finished: list[list[Scores]] = []
        page.on("requestfinished", lambda request: self.received.append(request.url.encode()))
        page.on("response", lambda response: self.received.append(response.body()))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def ready(self, trial: int) -> None:
        self.page.wait_for_selector(f"html[data-ready][data-trial='{trial}']", state="attached")

    def wait(self, what: str) -> None:
        """Until it is true; the page allows no strings as code, as Playwright's own waiting would need."""
        deadline = time.monotonic() + 30
        while not self.page.evaluate(what):
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(20)

    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(SEEN)
        return found

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@contextmanager
def opened(browser: Any, folder: Path, *, width: int = 1400, observer: str = "", **plan: Any) -> Iterator[Opened]:
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    found = Opened(page)
    listener = Listener(found.errors.append, found.finished.append)
    server = BlindServer(folder, Plan(clips=find_clips(folder), question="Which one?", **plan), observer, listener)
    with server.serving() as address:
        page.goto(address)
        page.locator("#begin button").click()
        yield found
        page.close()
    assert found.errors == []


def test_both_play_in_step(browser: Any, pair: Path) -> None:
    """In every picture that is shown both have the same frame, the one that the page says, all the way round."""
    with opened(browser, pair) as shown:
        shown.ready(0)
        seen = shown.page.evaluate(WATCH, 15)
    assert len({one["frame"] for one in seen}) >= 15
    assert any(later["frame"] < sooner["frame"] for sooner, later in pairwise(seen))  # it loops
    for one in seen:
        assert one["a"][0] == pytest.approx(one["b"][0], abs=2)
        assert one["a"][0] == pytest.approx(level(20 + 8 * one["frame"]), abs=4)
    assert {who(one["a"]) for one in seen}.isdisjoint({who(one["b"]) for one in seen})


@pytest.mark.slow
def test_browsers_that_do_not_tell_of_frames_play_in_step_too(browser: Any, pair: Path) -> None:
    context = browser.new_context()
    context.add_init_script("delete HTMLVideoElement.prototype.requestVideoFrameCallback")
    with opened(context, pair) as shown:
        shown.ready(0)
        seen = shown.page.evaluate(WATCH, 10)
    context.close()
    assert len({one["frame"] for one in seen}) >= 10
    assert all(one["a"][0] == pytest.approx(one["b"][0], abs=2) for one in seen)


@pytest.mark.slow
def test_choices_reach_the_file_and_another_command_goes_on(browser: Any, folder: Path) -> None:
    chosen, received = [], []
    for trials in (range(1), range(1, 3)):  # a command that is stopped, and the next
        with opened(browser, folder, observer="Ada", repeats=1) as shown:
            assert shown.page.locator("#observer").input_value() == "Ada"
            for trial in trials:
                shown.ready(trial)
                assert shown.page.locator("#count").text_content() == f"{trial + 1} of 3"
                seen, key = shown.seen(), ("1", "2", "ArrowLeft")[trial]
                chosen.append((who(seen["a"]), who(seen["b"]), "ab"[trial % 2]))
                if trial == 2:
                    received += shown.received
                    words = shown.page.content()
                shown.press(key)
            if trial == 2:
                shown.page.wait_for_selector(STATE.format("results"))
                shown.page.wait_for_selector("#scores tbody")
                table = shown.page.locator("#scores").inner_text()
                assert len(shown.finished) == 1
            else:
                shown.ready(trial + 1)
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert [(line["a"], line["b"], line["choice"]) for line in lines] == chosen
    assert {line["observer"] for line in lines} == {"Ada"}
    assert len({line["session"] for line in lines}) == 1
    assert all(0 < line["seconds"] < 60 for line in lines)
    assert any(b"ftyp" in data for data in received)  # what was received has the videos too
    for name in ("lanzette", "zweifach", "dritter"):
        assert name in table
        assert name not in words
        assert not any(name.encode() in data for data in received)


@pytest.mark.slow
def test_an_answer_can_be_taken_back(browser: Any, pair: Path) -> None:
    with opened(browser, pair) as shown:
        shown.ready(0)
        shown.press("1")
        shown.ready(1)
        shown.press("Backspace")
        shown.ready(0)
        assert shown.page.locator("#note").text_content() == "You have chosen A; choose again."
        shown.page.locator("[data-choice=b]").click()
        shown.ready(1)
        lines = [json.loads(line) for line in (pair / "answers.jsonl").read_text().splitlines()]
    assert [(line["trial"], line["choice"]) for line in lines] == [(0, "a"), (0, "b")]


def test_keys_step_flip_and_show_the_source(browser: Any, pair: Path) -> None:
    with opened(browser, pair) as shown:
        shown.ready(0)
        both = shown.seen()
        shown.press(" ")
        shown.wait("document.querySelector('#video').paused")
        for key, by in ((".", 1), (".", 1), (",", -1)):
            before = shown.seen()["frame"]
            shown.press(key)
            shown.wait(f"document.documentElement.dataset.frame == {(before + by) % FRAMES}")
            seen = shown.seen()
            assert seen["a"][0] == seen["b"][0] == pytest.approx(level(20 + 8 * seen["frame"]), abs=4)
        shown.page.keyboard.down("r")
        assert {who(shown.seen()[letter]) for letter in "ab"} == {"source"}
        assert shown.page.locator("[data-letter=a] figcaption").text_content() == "Source"
        shown.page.keyboard.up("r")
        assert who(shown.seen()["a"]) == who(both["a"])
        shown.press("v")
        assert (who(shown.seen()["a"]), shown.seen()["b"]) == (who(both["a"]), None)
        shown.press("f")
        assert who(shown.seen()["a"]) == who(both["b"])
        shown.page.locator("[data-letter=a] canvas").click()
        assert who(shown.seen()["a"]) == who(both["a"])
        assert shown.page.locator("[data-letter=a] figcaption").text_content() == "A"
        shown.press("?")
        assert shown.page.locator("#keys").is_visible()
        shown.press("1", "Escape")  # no answer while the keys are read
        assert not (pair / "answers.jsonl").exists()


def test_zoom_is_exact_and_both_move_together(browser: Any, pair: Path) -> None:
    """At 1:1 the edge between the halves is where it is in the video, and one sample wide."""
    edge = """(letter) => {
      const canvas = document.querySelector(`[data-letter=${letter}] canvas`);
      const { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1);
      const row = Array.from({ length: canvas.width }, (_, x) => data[4 * x + 1]);
      const at = row.findIndex((value, x) => x > 0 && row[x - 1] > 0 && Math.abs(value - row[x - 1]) > 40);
      return [at - canvas.width / 2, row.filter((value) => value > 0).length];
    }"""
    rows = """(letter) => {
      const canvas = document.querySelector(`[data-letter=${letter}] canvas`);
      const { data } = canvas.getContext("2d").getImageData(canvas.width / 2 + 9, 0, 1, canvas.height);
      const column = Array.from({ length: canvas.height }, (_, y) => data[4 * y + 1]);
      const lit = column.filter((value) => value > 0);
      return [lit.length, lit.findIndex((value) => value < 245)];
    }"""
    with opened(browser, pair) as shown:
        shown.ready(0)
        shown.press(" ")
        shown.wait("document.querySelector('#video').paused")
        while shown.seen()["frame"] != 0:
            shown.press(".")
            shown.page.wait_for_timeout(50)
        for zoom, width in (("1", 96), ("2", 192)):
            shown.page.locator(f"[data-zoom='{zoom}']").click()
            for letter in "ab":
                at, lit = shown.page.evaluate(edge, letter)
                assert abs(at) <= 1
                assert lit == width
                assert shown.page.evaluate(rows, letter) == [width / 2, width / 12]
        shown.page.set_viewport_size({"width": 160, "height": 900})  # now a part is seen
        shown.wait("document.querySelector('canvas').width < 160")
        shown.press("Shift+ArrowRight")
        (moved, _), (other, _) = (shown.page.evaluate(edge, letter) for letter in "ab")
        assert moved == other < -2
        box = shown.page.locator("[data-letter=b] canvas").bounding_box()
        shown.page.mouse.move(box["x"] + 60, box["y"] + 20)
        shown.page.mouse.down()
        shown.page.mouse.move(box["x"] + 80, box["y"] + 20)
        shown.page.mouse.up()
        (dragged, _), (other, _) = (shown.page.evaluate(edge, letter) for letter in "ab")
        assert dragged == other == pytest.approx(moved + 20, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
def test_it_fits_on_screens(browser: Any, pair: Path, width: int) -> None:
    fits = "document.documentElement.scrollWidth <= innerWidth"
    with opened(browser, pair, width=width, repeats=1) as shown:
        shown.ready(0)
        assert shown.page.evaluate(fits)
        assert shown.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        shown.press("v")
        assert shown.page.evaluate(fits)
        shown.press("1")
        shown.page.wait_for_selector("#scores tbody")
        assert shown.page.evaluate(fits)


def test_the_end_of_the_command_is_said(browser: Any, pair: Path) -> None:
    with opened(browser, pair) as shown:
        shown.ready(0)
        shown.page.route("**/answer", lambda route: route.abort())
        shown.press("1")
        shown.page.wait_for_selector("#closed")
        shown.errors.clear()
