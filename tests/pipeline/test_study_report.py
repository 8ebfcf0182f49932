"""irn-study: what it concludes and how it reports."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from irn_video.codecs.errors import StudyFailed
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.conclusions import Mean, compare, hulls, mean_of
from irn_video.pipeline.study.report import verdict, write_report
from irn_video.pipeline.study.results import Study, read_results, statistics_of, write_results
from irn_video.pipeline.study.sections import crops
from irn_video.pipeline.study.workers import Failure

Point = Callable[[str, str, float, float], Measurement]
MadeUp = Callable[..., Study]


def values(plot: Path) -> list[str]:
    """What a plot tells whoever points at its values, in its order."""
    return [title.text or "" for title in ElementTree.parse(plot).getroot().iter("{http://www.w3.org/2000/svg}title")]


class TestConclusions:
    def test_a_fifth_less_is_minus_twenty_per_cent(self, made_up: MadeUp) -> None:
        study = made_up(0.2)
        found = compare(study, "clip0.mkv", "irn", "full", "psnr_y")
        values = (found.rate, found.akima, found.lower, found.upper)
        assert values == pytest.approx((-20.0,) * 4, abs=1e-6)
        assert found.quality is not None
        assert found.quality > 0.5
        assert found.overlap == pytest.approx(1)
        ours = hulls(study, "psnr_y", ["irn"])["clip0.mkv"]
        assert ours.saving == pytest.approx(-20, abs=1e-6)
        assert ours.against(replace(ours, saving=-10.0)) == pytest.approx(100 * (0.8 / 0.9 - 1))
        middle = len(ours.curve.rates) // 2
        assert (ours.curve.rates[middle], ours.curve.qualities[middle]) == pytest.approx((320, 36), rel=1e-3)

    def test_means_have_students_margin(self) -> None:
        found = mean_of([-10.0, -20.0, -30.0])
        assert found.mean == -20
        assert found.margin == pytest.approx(4.30265 * 10 / 3**0.5, rel=1e-4)
        assert mean_of([-10.0, -20.0]) == Mean(-15.0, None)  # two clips say too little of others
        assert mean_of([-10.0, None]).mean is None

    def test_statistics_of_pictures(self) -> None:
        found = statistics_of([30.0, 32.0, 31.0, 35.0])
        assert (found.mean, found.min, found.low) == (32, 30, 30)
        assert found.harmonic == pytest.approx(statistics.harmonic_mean([30, 32, 31, 35]))
        assert found.flicker == pytest.approx(statistics.pstdev([2, -1, 4]))


class TestReport:
    def test_results_come_back_and_make_the_same_report(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = replace(made_up(0.2, clips=2), failures=(Failure("a cell", "no reason"),), notes=("a note",))
        write_results(tmp_path, study)
        write_report(tmp_path, study)
        before = (tmp_path / "report.html").read_bytes()
        assert read_results(tmp_path) == study
        assert main(["report", str(tmp_path)]) == 1  # a cell had failed
        assert (tmp_path / "report.html").read_bytes() == before
        assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + 30
        header, *lines = (tmp_path / "comparisons.csv").read_text().splitlines()
        assert header == "clip,model,anchor,metric,rate,akima,lower,upper,quality,overlap"
        assert len(lines) == 2 * 2 * (2 + 2)  # clips, metrics; the network and each anchor against the other anchors

    def test_the_verdict_comes_first(self, made_up: MadeUp) -> None:
        hull, first, lanczos = verdict(made_up(0.2))
        assert first.startswith("irn against full, bit rate at equal quality: PSNR-Y −20.0 % ± 0.0, VMAF −20.0 %")
        assert lanczos.startswith("irn against lanczos-x2, bit rate at equal quality: PSNR-Y −36.0 %")
        assert "−20.0 % ± 0.0 against full size, −20.0 % ± 0.0 against the hull of full size and lanczos-x2" in hull

    def test_it_needs_no_network_and_trusts_no_name(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        evil = "<script>alert(1)</script>.mkv"
        write_report(tmp_path, replace(study, notes=(evil,), settings={"codec": evil}))
        page = (tmp_path / "report.html").read_text()
        assert "<script" not in page
        assert not re.search(r"(src|href|data)=(?!'data:|'#)", page)
        assert "url(" not in page
        assert "data:image/svg+xml" in page

    def test_crops_say_how_far_apart_their_bit_rates_are(self, made_up: MadeUp) -> None:
        study = made_up(0.2, clips=1)
        rates = {"full": 400.0, "lanczos-x2": 404.0, "irn": 380.0}
        points = [replace(p, crop="x", bytes=round(rates[p.method] * 125)) for p in study.middle_points("clip0.mkv")]
        section = "".join(crops(replace(study, measurements=tuple(points), sources={"clip0.mkv": "x"})))
        found = dict(re.findall(r"<figcaption>(\S+)<br>(.*?)</figcaption>", section))
        assert found == {
            "full": "400 kb/s, 36.00 dB",
            "lanczos-x2": "404 kb/s (<span>+1.0 %</span>), 36.00 dB",
            "irn": "380 kb/s (<span class=bad>−5.0 %</span>), 36.00 dB",
        }

    def test_plots_tell_their_values(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        named = [replace(p, method="<irn>") if p.method == "irn" else p for p in study.measurements]
        facts = {**study.methods, "<irn>": study.methods["irn"]}
        write_report(tmp_path, replace(study, models=("<irn>",), methods=facts, measurements=tuple(named)))
        curves = values(tmp_path / "plots" / "clip0.mkv-curves.svg")
        assert len(curves) == 2 * 3 * 5  # metrics, methods, rates
        assert curves[:2] == ["full\nkbit/s: 100\nPSNR-Y, dB: 30", "full\nkbit/s: 200\nPSNR-Y, dB: 33"]
        assert curves[-1] == "<irn>\nkbit/s: 1280\nVMAF: 84"
        over_time = values(tmp_path / "plots" / "clip0.mkv-time.svg")
        assert over_time[:2] == [f"full, 400 kb/s\nframe: {n}\nPSNR-Y, dB: {q}" for n, q in ((0, 35.5), (1, 36.5))]

    def test_it_speaks_of_frames(self, made_up: MadeUp, tmp_path: Path) -> None:
        write_report(tmp_path, made_up(0.2, clips=1))
        page = (tmp_path / "report.html").read_text()
        assert "send: frames a second" in page
        assert "picture" not in page

    @pytest.mark.parametrize("text", [None, "{", "{}", '{"schema": 99}', '{"schema": 1, "anchors": 3}'])
    def test_damaged_results_are_one_line(self, text: str | None, tmp_path: Path) -> None:
        if text is not None:
            (tmp_path / "results.json").write_text(text)
        with pytest.raises(StudyFailed, match=r"results\.json"):
            read_results(tmp_path)


def test_two_studies_are_compared(
    made_up: MadeUp, point: Point, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cheaper in (("a", 0.0), ("b", 0.25)):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, made_up(cheaper, clips=1))
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    full, _, irn = capsys.readouterr().out.splitlines()
    assert full == "full clip0.mkv: PSNR-Y +0.0 %, VMAF +0.0 %"
    assert irn == "irn clip0.mkv: PSNR-Y −25.0 %, VMAF −25.0 %"
    renamed = replace(made_up(0), measurements=(point("other.mkv", "full", 100, 30),))
    write_results(tmp_path / "b", renamed)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    assert "no clip and method in common" in capsys.readouterr().err


def plots(page: Any) -> list[Any]:
    """The documents of a report's plots."""
    return [frame for frame in page.frames if frame.url.startswith("data:image/svg+xml")]


class TestBrowser:
    """The report in a real browser."""

    @pytest.fixture(scope="class")
    @staticmethod
    def browser(chromium: str) -> Iterator[Any]:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            yield started
            started.close()

    @pytest.fixture(scope="class")
    @staticmethod
    def folder(tmp_path_factory: pytest.TempPathFactory, moving: Path) -> Path:
        """A small study that was really measured."""
        tmp_path = tmp_path_factory.mktemp("study")
        options = ["--models", "bicubic-x2", "--anchors", "full,lanczos", "--crf", "20,26,32,38", "--metrics", "psnr"]
        assert main([str(moving), *options, "--frames", "3", "--workers", "1", "--out", str(tmp_path)]) == 0
        return tmp_path

    @pytest.mark.slow
    def test_it_renders_without_an_error_or_a_request(self, browser: Any, folder: Path) -> None:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        errors: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:40]))
        page.goto((folder / "report.html").as_uri())
        assert not errors
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        pictures = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth)")
        assert len(pictures) == 3  # the crops
        assert all(pictures)
        assert len(plots(page)) == 4  # curves, time, hull, cost
        headings = page.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
        assert headings[:3] == ["Bit rate at equal quality", "Crossovers", "Hull"]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")  # a phone

    @pytest.mark.slow
    def test_a_value_is_seen_while_it_is_pointed_at(self, browser: Any, folder: Path) -> None:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto((folder / "report.html").as_uri())
        firsts = [plot.locator(".value").first for plot in plots(page)]
        circle = next(first for first in firsts if "kbit/s" in first.text_content())
        opacity = "e => getComputedStyle(e).fillOpacity"
        assert circle.evaluate(opacity) == "0"
        circle.hover()
        assert circle.evaluate(opacity) == "0.3"

    @pytest.mark.slow
    def test_the_slider_moves_the_border(self, browser: Any, folder: Path) -> None:
        page = browser.new_page()
        page.goto((folder / "report.html").as_uri())
        source = page.locator(".pair .source").first
        slider = page.locator("input[type=range]").first
        for share, clipped in ((0, "100%"), (100, "0%"), (25, "75%")):
            slider.fill(str(share))
            shown = source.evaluate("e => getComputedStyle(e).clipPath")
            assert clipped in shown or (share == 100 and shown.startswith("inset(0px"))
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.input_value() == "26"
