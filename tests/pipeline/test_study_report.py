"""irn-study: what it concludes and how it reports."""

from __future__ import annotations

import csv
import json
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from irn_video.codecs.errors import StudyFailed
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.study import workers
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.conclusions import Mean, compare, hull_savings, hulls, mean_of
from irn_video.pipeline.study.report import write_report
from irn_video.pipeline.study.results import Study, read_results, statistics_of, write_results
from irn_video.pipeline.study.showing import crops
from irn_video.pipeline.study.verdict import best_there, verdict
from irn_video.pipeline.study.workers import Failure

Point = Callable[[str, str, float, float], Measurement]
MadeUp = Callable[..., Study]


SVG = "{http://www.w3.org/2000/svg}"


def values(plot: Path) -> list[str]:
    """What a plot tells whoever points at its values, in its order."""
    groups = [g for g in ElementTree.parse(plot).getroot().iter(SVG + "g") if "value" in (g.get("class") or "").split()]
    return ["\n".join(row.text or "" for row in list(group.iter(SVG + "tspan"))[::-1]) for group in groups]


class TestConclusions:
    def test_a_fifth_less_is_minus_twenty_per_cent(self, made_up: MadeUp) -> None:
        study = made_up(0.2)
        found = compare(study, "clip0.mkv", "irn", "full", "psnr_y")
        values = (found.rate, found.akima, found.lower, found.upper)
        assert values == pytest.approx((-20.0,) * 4, abs=1e-6)
        assert found.quality is not None
        assert found.quality > 0.5
        assert found.overlap == pytest.approx(1)
        ours = hulls(study, "psnr_y")["clip0.mkv"].ours
        assert ours.saving == pytest.approx(-20, abs=1e-6)
        assert ours.against(replace(ours, saving=-10.0)) == pytest.approx(100 * (0.8 / 0.9 - 1))
        middle = len(ours.curve.rates) // 2
        assert (ours.curve.rates[middle], ours.curve.qualities[middle]) == pytest.approx((320, 36), rel=1e-3)

    def test_hulls_end_where_the_cheapest_curve_does(self, made_up: MadeUp) -> None:
        """No cliff, and nothing is averaged that was not measured; who is dearer at its end shortens nothing."""
        study = made_up(0.2)

        def without(method: str, *qualities: float) -> Study:
            kept = [p for p in study.measurements if p.method != method or p.frames[2]["psnr_y"] not in qualities]
            return replace(study, measurements=tuple(kept))

        for shorter, reached in (
            (study, (30, 42)),
            (without("irn", 30, 33), (36, 42)),
            (without("irn", 42), (30, 39)),
            (without("lanczos-x2", 30, 42), (30, 42)),
        ):
            found = hulls(shorter, "psnr_y")["clip0.mkv"]
            assert found.qualities == pytest.approx(reached)
            for hull in (found.ours, found.peers):
                assert hull is not None
                assert (hull.curve.qualities[0], hull.curve.qualities[-1]) == pytest.approx(reached)
            assert found.ours.saving == pytest.approx(-20, abs=1e-6)
            assert max(abs(b / a - 1) for a, b in pairwise(found.ours.curve.rates)) < 0.03  # no jump

    def test_words_say_which_is_best_at_which_rate(self, point: Point, made_up: MadeUp) -> None:
        steep = [point("camel.mkv", "full", 100 * 2**step, 28 + 4 * step) for step in range(5)]
        flat = [point("camel.mkv", "irn", 100 * 2**step, 31 + 2.5 * step) for step in range(5)]
        study = replace(made_up(0), measurements=(*steep, *flat), anchors=("full",), metrics=("psnr_y",))
        assert verdict(study)[0] == "camel: irn below 400 kb/s, full size above (PSNR-Y)"
        assert best_there(study, "camel.mkv", 200) == "At 200 kb/s, by PSNR-Y irn is best, 33.50 dB (full size −1.50)."
        below, above = study.levels("camel.mkv")
        assert (below.kbps, above.kbps) == pytest.approx((400 / 1.4, 400 * 1.4), rel=0.01)
        better = verdict(made_up(0.2))[0]
        assert better.startswith("clip0: irn at every rate, 80 to 1280 kb/s (PSNR-Y)")

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
        study = replace(made_up(0.2, clips=1), failures=(Failure("a cell", "no reason"),), notes=("a note",))
        write_results(tmp_path, study)
        write_report(tmp_path, study)
        before = (tmp_path / "report.html").read_bytes()
        assert read_results(tmp_path) == study
        assert main(["report", str(tmp_path)]) == 1  # a cell had failed
        assert (tmp_path / "report.html").read_bytes() == before
        assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + 15
        header, *lines = (tmp_path / "comparisons.csv").read_text().splitlines()
        assert header == "clip,model,anchor,metric,rate,akima,lower,upper,quality,overlap"
        assert len(lines) == 2 * (2 + 2)  # metrics; the network and each anchor against the other anchors

    def test_the_verdict_comes_first(self, made_up: MadeUp) -> None:
        *clips, hull, peers, first, lanczos = verdict(made_up(0.2))
        assert [line.partition(":")[0] for line in clips] == ["clip0", "clip1", "clip2"]
        assert first.startswith("irn against full, bit rate at equal quality: PSNR-Y −20.0 % ± 0.0, VMAF −20.0 %")
        assert lanczos.startswith("irn against lanczos-x2, bit rate at equal quality: PSNR-Y −36.0 %")
        both = ": PSNR-Y −20.0 % ± 0.0, VMAF −20.0 % ± 0.0"
        assert hull == f"hull of full size and our networks against full size, same preset{both}"
        assert peers == f"the same against the hull of full size and lanczos-x2{both}"

    def test_hulls_are_compared_in_each_metric(self, made_up: MadeUp, tmp_path: Path) -> None:
        """VMAF-NEG as PSNR-Y, by its own curves; the first table of the report says what is saved."""
        study = made_up(0.2)
        twice = [
            replace(
                p, frames=tuple({**f, "vmaf_neg": 2 * f["psnr_y"] + (3 if p.method == "irn" else 0)} for f in p.frames)
            )
            for p in study.measurements
        ]
        study = replace(study, measurements=tuple(twice), metrics=("psnr_y", "vmaf_neg"))
        psnr, neg = hull_savings(study, study.metrics)
        assert (psnr.mean_against_full.mean, neg.mean_against_full.mean) == pytest.approx(
            (-20, 100 * (0.8 / 2**0.5 - 1))
        )
        write_report(tmp_path, study)
        page = (tmp_path / "report.html").read_text()
        first = re.findall(r"<tr>.*?</tr>", page)
        assert first[:2] == [
            "<tr><th>clip</th><th>PSNR-Y</th><th>VMAF-NEG</th></tr>",
            "<tr><td>clip0.mkv</td><td>−20.0 %</td><td>−43.4 %</td></tr>",
        ]
        assert page.index("What choosing saves") < page.index("Clip by clip")
        section = page[page.index("<h2>Hull</h2>") :]
        assert section.index("<h3>PSNR-Y</h3>") < section.index("<h3>VMAF-NEG</h3>")
        assert {path.name for path in (tmp_path / "plots").glob("clip0.mkv-hull-*.svg")} == {
            "clip0.mkv-hull-psnr_y.svg",
            "clip0.mkv-hull-vmaf_neg.svg",
        }
        assert verdict(study)[3].endswith(": PSNR-Y −20.0 % ± 0.0, VMAF-NEG −43.4 % ± 0.0")

    def test_same_preset_and_same_encoding_time(self, made_up: MadeUp, tmp_path: Path) -> None:
        """Both comparisons in one study, which comes back whole; scale 1 is the same in both."""
        slower = replace(made_up(0.25), settings={"codec": "h264", "preset": "by-scale"})
        points = [
            replace(p, cost=replace(p.cost, encode_cpu_seconds=1.5)) if p.method == "irn" else p
            for p in slower.measurements
        ]
        same = replace(made_up(0.2), settings={"codec": "h264", "preset": "medium"})
        study = same.beside(replace(slower, measurements=tuple(points), notes=("a note",)))
        write_results(tmp_path, study)
        assert read_results(tmp_path) == study
        write_report(tmp_path, study)
        page = (tmp_path / "report.html").read_text()
        section = page[page.index("What choosing saves") : page.index("Clip by clip")]
        assert re.findall(r"<h3>(.*?)</h3>", section) == ["Same preset", "Same encoding time, presets by scale"]
        assert re.findall(r"<td>mean</td><td>(.*?)</td>", section) == ["−20.0 % ± 0.0", "−25.0 % ± 0.0"]
        assert re.findall(r"<tr><td>irn</td>(.*?)</tr>", section) == [
            "<td>medium</td><td>200.0</td><td>1.00</td>",
            "<td>slower</td><td>500.0</td><td>2.50</td>",
        ]
        assert section.count("<tr><td>full</td><td>medium</td><td>200.0</td><td>1.00</td></tr>") == 2
        assert "a note" in page
        hulls_told = [line for line in verdict(study) if line.startswith("hull")]
        assert ["same preset: PSNR-Y −20.0" in hulls_told[0], "by scale: PSNR-Y −25.0" in hulls_told[1]] == [True, True]
        found = json.loads((tmp_path / "conclusions.json").read_text())
        hull = found["same_time"]["hulls"][0]
        assert (found["preset"], hull["mean_against_full"]["mean"]) == ("medium", pytest.approx(-25))
        presets = [
            row["preset"] for row in csv.DictReader((tmp_path / "results.csv").open()) if row["clip"] == "clip0.mkv"
        ]
        assert (len(presets), presets.count("slower")) == (15 + 10, 10)  # of irn, and of Lanczos at scale 2

    def test_a_clip_without_a_hull_leaves_no_mean(self, made_up: MadeUp) -> None:
        study = made_up(0.2)
        without = [p for p in study.measurements if (p.clip, p.method) != ("clip1.mkv", "full")]
        (found,) = hull_savings(replace(study, measurements=tuple(without)), ("psnr_y",))
        assert found.against_full == {
            "clip0.mkv": pytest.approx(-20),
            "clip1.mkv": None,
            "clip2.mkv": pytest.approx(-20),
        }
        assert found.mean_against_full == Mean(None, None)

    @pytest.mark.parametrize("clips", [1, 2, 3])
    def test_confidence_from_three_clips_on(self, clips: int, made_up: MadeUp, tmp_path: Path) -> None:
        """In the words, the report, and `conclusions.json`."""
        study = made_up(0.2, clips=clips)
        write_report(tmp_path, study)
        rows = re.findall(r"<t[dh]>[^<]*± \d", (tmp_path / "report.html").read_text())
        said = [line for line in verdict(study) if "±" in line]
        found = json.loads((tmp_path / "conclusions.json").read_text())
        margins = [one["rate"]["margin"] for one in found["rates"]]
        margins += [one["mean_against_full"]["margin"] for one in found["hulls"]]
        assert len(margins) == 2 * (2 + 2) + 2
        if clips < 3:
            assert (rows, said, set(margins)) == ([], [], {None})
        else:
            assert len(rows) > 4
            assert len(said) == 4
            assert margins == pytest.approx([0] * len(margins), abs=1e-6)

    def test_it_needs_no_network_and_trusts_no_name(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        evil = "<script>alert(1)</script>.mkv"
        write_report(tmp_path, replace(study, notes=(evil,), settings={"codec": evil}))
        page = (tmp_path / "report.html").read_text()
        assert "<script" not in page
        assert not re.search(r"(src|href|data)=(?!['\"]data:|['\"]#)", page)
        assert "url(" not in page.replace("url(#", "")
        assert page.count("<svg") >= 6

    def test_crops_say_how_far_apart_their_bit_rates_are_and_which_is_best(self, made_up: MadeUp) -> None:
        study = made_up(0.2, clips=1)
        rates = {"full": 400.0, "lanczos-x2": 404.0, "irn": 380.0}
        level = study.levels("clip0.mkv")[0]
        near = [replace(p, crops=("x", "y"), bytes=round(rates[p.method] * 125)) for p in level.points]
        shown = replace(study, measurements=(*near, *study.measurements), sources={"clip0.mkv": ("x", "y")})
        section = "".join(crops(replace(shown, measurements=tuple(near)), "clip0.mkv"))
        found = dict(re.findall(r"<figcaption>(\S+)<br>(.*?)</figcaption>", section))
        assert [re.sub(r", \d+\.\d\d dB", "", text) for text in found.values()] == [
            "400 kb/s",
            "404 kb/s (<span>+1.0 %</span>)",
            "380 kb/s (<span class=bad>−5.0 %</span>)",
        ]
        assert section.count("<img") == 6

    def test_plots_tell_their_values(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        named = [replace(p, method="<irn>") if p.method == "irn" else p for p in study.measurements]
        facts = {**study.methods, "<irn>": study.methods["irn"]}
        write_report(tmp_path, replace(study, models=("<irn>",), methods=facts, measurements=tuple(named)))
        curves = values(tmp_path / "plots" / "clip0.mkv-curves-psnr_y.svg")
        assert len(curves) == 3 * 5  # methods, rates
        assert curves[:2] == ["full\nkbit/s: 100\nPSNR-Y, dB: 30", "full\nkbit/s: 200\nPSNR-Y, dB: 33"]
        assert values(tmp_path / "plots" / "clip0.mkv-curves-vmaf.svg")[-1] == "<irn>\nkbit/s: 1280\nVMAF: 84"
        name, *rest = values(tmp_path / "plots" / "clip0.mkv-time-1.svg")[0].splitlines()
        assert name.startswith("full, ")
        assert rest[0] == "frame: 0"

    def test_measures_of_all_frames_together(self, made_up: MadeUp, tmp_path: Path) -> None:
        """Columns and a table; of them there is no bit rate at equal quality, and less is not worse."""
        study = made_up(0.2, clips=1)
        real = {"texture_fine": 0.4321, "flicker_static": None, "classifier": 12.3456}
        points = tuple(replace(point, whole=real) for point in study.measurements)
        study = replace(study, measurements=points, metrics=("psnr_y", "vmaf", *real))
        write_results(tmp_path, study)
        write_report(tmp_path, study)
        assert read_results(tmp_path) == study
        with (tmp_path / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {(row["texture_fine"], row["flicker_static"], row["classifier"]) for row in rows} == {
            ("0.4321", "", "12.3456")
        }
        judged = {line.split(",")[3] for line in (tmp_path / "comparisons.csv").read_text().splitlines()[1:]}
        assert judged == {"psnr_y", "vmaf"}
        conclusions = json.loads((tmp_path / "conclusions.json").read_text())
        assert {one["metric"] for name in ("hulls", "rates") for one in conclusions[name]} == judged
        page = (tmp_path / "report.html").read_text()
        _, _, section = page.partition("<h2>How real it looks</h2>")
        table = section[: section.index("</table>")]
        heads = ["clip", "method", "kb/s", "TEXTURE-FINE", "FLICKER-STATIC", "CLASSIFIER, %"]
        assert re.findall("<th>(.*?)</th>", table) == heads
        assert table.count("<td>0.43</td><td>–</td><td>12.35</td>") == sum(
            len(level.points) for level in study.levels("clip0.mkv")
        )
        write_report(tmp_path, made_up(0.2, clips=1))
        assert "How real it looks" not in (tmp_path / "report.html").read_text()

    def test_results_of_the_schema_before_are_read(self, made_up: MadeUp, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        write_results(tmp_path, study)
        entry = json.loads((tmp_path / "results.json").read_text())
        for one in entry["points"]:
            assert one.pop("whole") == {}
        (tmp_path / "results.json").write_text(json.dumps(entry | {"schema": 4}))
        assert read_results(tmp_path) == study

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
    def folder(tmp_path_factory: pytest.TempPathFactory, moving: Path, pool_here: Any) -> Path:
        """A small study that was really measured."""
        tmp_path = tmp_path_factory.mktemp("study")
        options = ["--models", "bicubic-x2", "--anchors", "full,lanczos", "--crf", "20,26,32,38", "--metrics", "psnr"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workers, "LocalPool", pool_here)
            assert main([str(moving), *options, "--frames", "3", "--out", str(tmp_path)]) == 0
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
        assert len(pictures) in (3, 6)  # the crops, at one rate or two
        assert all(pictures)
        titles = page.evaluate("[...document.querySelectorAll('.plot figcaption')].map(title => title.textContent)")
        assert titles[:2] == ["moving.mp4: PSNR-Y over bit rate", "moving.mp4: PSNR-YUV over bit rate"]
        assert titles[2] == "moving.mp4: what choosing the scale saves in PSNR-Y"
        assert len(titles) == 5 + len(pictures) // 3  # curves and hulls, cost; over time at each rate
        headings = page.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
        assert headings[0] == "What choosing saves"
        assert headings[1:5] == ["Clip by clip", "Bit rate at equal quality", "Crossovers", "Hull"]

    @pytest.mark.slow
    @pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark"), (390, "light")])
    def test_it_fits_the_screen(self, width: int, scheme: Any, browser: Any, folder: Path) -> None:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto((folder / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        widths = page.evaluate("[...document.querySelectorAll('.plot svg')].map(e => e.getBoundingClientRect().width)")
        assert min(widths) > 0.4 * min(width, 1100)
        wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
        assert (page.evaluate(wide) > 0) == (width == 390)  # tables scroll in their own boxes
        letters = page.evaluate("Math.min(...[...document.querySelectorAll('.plot svg text')]"
                                ".map(e => e.getBoundingClientRect().height).filter(h => h))")  # fmt: skip
        assert letters > 9
        # Ink stands out from paper, in the plots too.
        colours = page.evaluate("""() => {
            const light = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
            return [light(getComputedStyle(document.body).backgroundColor),
                    ...[...document.querySelectorAll('.plot svg text')].map(e => light(getComputedStyle(e).fill))];
        }""")
        paper, *inks = colours
        assert (paper > 200) == (scheme == "light")
        assert all(abs(paper - ink) > 120 for ink in inks)

    @pytest.mark.slow
    def test_a_value_is_seen_while_it_is_pointed_at(self, browser: Any, folder: Path) -> None:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto((folder / "report.html").as_uri())
        value = page.locator(".plot").first.locator(".value").last
        said = value.locator("text")
        assert not said.is_visible()
        value.locator("circle").hover()
        assert said.is_visible()
        assert "kbit/s: " in said.text_content()

    @pytest.mark.slow
    def test_a_curve_is_switched_off_and_on(self, browser: Any, folder: Path) -> None:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto((folder / "report.html").as_uri())
        plot = page.locator(".plot").first
        assert plot.locator("label").all_text_contents() == ["full", "lanczos-x2", "bicubic-x2"]
        shown = "es => es.map(e => getComputedStyle(e).display)"
        before = plot.locator("svg .s0, svg .s1").evaluate_all(shown)
        assert set(before) == {"inline"}
        plot.locator("label").nth(1).click()
        assert set(plot.locator("svg .s1").evaluate_all(shown)) == {"none"}
        assert set(plot.locator("svg .s0").evaluate_all(shown)) == {"inline"}
        assert set(page.locator(".plot").nth(2).locator("svg .s1").evaluate_all(shown)) == {"inline"}  # another plot
        plot.locator("label").nth(1).click()
        assert plot.locator("svg .s0, svg .s1").evaluate_all(shown) == before

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
