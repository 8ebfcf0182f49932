"""irn-study: what it plans, measures, keeps, concludes and reports."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg
import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadConfig, BadOption, StudyFailed, UnknownModel
from irn_video.pipeline.opencv import cv2
from irn_video.pipeline.study import recommend
from irn_video.pipeline.study.cells import Cost, Measurement, encode_full_size, measure_cell
from irn_video.pipeline.study.cli import main
from irn_video.pipeline.study.conclusions import compare, hulls, mean_of
from irn_video.pipeline.study.crops import source_crop
from irn_video.pipeline.study.plan import Cell, StudyConfig, load_study, scale_of
from irn_video.pipeline.study.recommend import best_at_rate, best_for_quality
from irn_video.pipeline.study.report import verdict, write_report
from irn_video.pipeline.study.results import Study, read_results, statistics_of, write_results
from irn_video.pipeline.study.runner import Failure, _further, _missing
from irn_video.pipeline.study.store import Store

COST = Cost(0.5, 1.0, 2.0, 10**9)
LADDER = "20,26,32,38"


@pytest.fixture(autouse=True)
def made_up_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommend, "scale_of", lambda method: 2 if method == "irn" else scale_of(method))


def point(clip: str, method: str, kbps: float, psnr: float) -> Measurement:
    frames = tuple({"psnr_y": psnr + wobble, "vmaf": 2 * psnr} for wobble in (-0.5, 0.5, 0.0))
    size = round(kbps * 1000 / 8)
    return Measurement(clip, method, 20.0, None, size, 3, 1.0, 64, 32, frames, COST)


def made_up(cheaper: float, clips: int = 3) -> Study:
    """Full size, and a model that needs less by `cheaper` for the same quality."""
    points = [
        point(f"clip{index}.mkv", method, factor * 100 * 2**step, 30 + 3 * step)
        for index in range(clips)
        for method, factor in (("full", 1.0), ("irn", 1 - cheaper))
        for step in range(5)
    ]
    return Study(("full",), ("irn",), ("psnr_y", "vmaf"), {"codec": "h264"}, {"av": "1"}, tuple(points), (), ())


class TestPlan:
    def test_ladders_cells_and_names(self, moving: Path) -> None:
        config = StudyConfig((moving,), models=("irn-h264-x2", "lanczos"), anchors=("full", "lanczos"))
        assert config.methods == ("full", "lanczos-x2", "irn-h264-x2")
        assert len(config.cells()) == 18
        assert config.cells()[0].label == "moving.mp4 full CRF 20"
        rates = replace(config, bitrates=(800_000, 100_000, 200_000, 400_000))
        assert [e.bitrate for e in rates.ladder("full")] == [100_000, 200_000, 400_000, 800_000]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"clips": (Path("a/x.mkv"), Path("b/x.mkv"))}, "the same name"),
            ({"metrics": ("psnr", "vmf")}, "no metric 'vmf'"),
            ({"crfs": (20.0, 24.0)}, "at least 4"),
            ({"crfs": (20.0, 24.0, 28.0, 60.0)}, "60 is out of range"),
            ({"crfs": (20.0,), "bitrates": (800_000,)}, "exclude each other"),
            ({"codec": "mpeg9"}, "mpeg9"),
        ],
    )
    def test_what_cannot_be_measured_is_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(BadOption, match=message):
            StudyConfig(**{"clips": (Path("x.mkv"),), **options})

    def test_unknown_methods_name_the_nearest(self) -> None:
        with pytest.raises(UnknownModel, match="did you mean irn-h264-x"):
            StudyConfig((Path("x.mkv"),), models=("irn-h264-x3",))

    def test_digests_tell_everything_apart_that_matters(self, moving: Path, tmp_path: Path) -> None:
        cell = Cell(moving, "lanczos-x2", EncoderSettings(crf=20), None, ("psnr",))
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(moving.read_bytes())
        assert replace(cell, clip=copy).digest() == cell.digest()  # the same bytes
        copy.write_bytes(moving.read_bytes() + b"\0")
        others = [
            replace(cell, clip=copy),
            replace(cell, method="lanczos-x4"),
            replace(cell, method="irn-h264-x2"),
            replace(cell, encoder=EncoderSettings(crf=21)),
            replace(cell, encoder=EncoderSettings(crf=20, preset="slow")),
            replace(cell, frames=2),
            replace(cell, metrics=("psnr", "vmaf")),
        ]
        assert len({other.digest() for other in [cell, *others]}) == len(others) + 1

    def test_study_files(self, moving: Path, tmp_path: Path) -> None:
        path = tmp_path / "study.toml"
        path.write_text(f'clips = ["{moving}", "b.mkv"]\ncrfs = [20, 26, 32, 38]\ntune = "psnr"\n')
        config = load_study(path)
        assert config.clips == (moving, tmp_path / "b.mkv")
        assert (config.crfs, config.tune, config.preset) == ((20, 26, 32, 38), "psnr", None)
        for text, message in (
            ('clip = ["a.mkv"]', "did you mean clips"),
            ("clips = [1]", "list of paths"),
            ('clips = ["a.mkv"]\nmetrics = ["x"]', "no metric"),
        ):
            path.write_text(text)
            with pytest.raises(BadConfig, match=message):
                load_study(path)

    def test_the_sample(self) -> None:
        config = load_study(Path(__file__).parents[2] / "samples" / "study.toml")
        assert config.methods[:3] == ("full", "lanczos-x2", "bicubic-x2")
        assert config.clips == ()


class TestRates:
    CONFIG = StudyConfig((Path("x.mkv"),))

    def test_a_rate_that_failed_is_not_tried_again(self) -> None:
        config = StudyConfig((Path("x.mkv"),), models=("lanczos",), anchors=("full",))
        found: dict[Cell, Measurement | Failure] = {}
        for method, qualities in (("full", (40, 36, 33)), ("lanczos-x2", (31, 30.5, 29))):
            for crf, quality in zip((20, 26, 32), qualities, strict=True):
                measured = point("x.mkv", method, 1000 - 20 * crf, quality)
                found[config.cell(Path("x.mkv"), method, config.encoder(crf=crf))] = measured
        more, notes = _missing(config, found)
        assert [(cell.method, cell.encoder.crf) for cell in more] == [("full", 36), ("lanczos-x2", 16)]
        assert not notes
        again, notes = _missing(config, found | {cell: Failure(cell.label, "no") for cell in more})
        assert not again
        assert notes == (
            "x.mkv: full has no lower quality to offer",
            "x.mkv: lanczos-x2 has no higher quality to offer",
        )

    def test_ladders_go_on_at_either_end_until_nothing_is_gained(self) -> None:
        rising = [(20.0, 40.0), (26.0, 36.0), (32.0, 33.0)]
        finer, coarser = (_further(self.CONFIG, rising, step) for step in (-4.0, 4.0))
        assert finer is not None
        assert coarser is not None
        assert (finer.crf, coarser.crf) == (16, 36)
        assert _further(self.CONFIG, [(20.0, 36.01), (26.0, 36.0)], -4.0) is None
        assert _further(self.CONFIG, [(3.0, 50.0), (10.0, 44.0)], -4.0) is None
        assert _further(self.CONFIG, [(44.0, 28.0), (49.0, 25.0)], 4.0) is None


class TestConclusions:
    def test_a_fifth_less_is_minus_twenty_per_cent(self) -> None:
        study = made_up(0.2)
        found = compare(study, "clip0.mkv", "irn", "full", "psnr_y")
        values = (found.rate, found.akima, found.lower, found.upper)
        assert values == pytest.approx((-20.0,) * 4, abs=1e-6)
        assert found.quality is not None
        assert found.quality > 0.5
        assert found.overlap == pytest.approx(1)
        assert hulls(study, "psnr_y", ["irn"])["clip0.mkv"].saving == pytest.approx(-20, abs=1e-6)

    def test_means_have_students_margin(self) -> None:
        found = mean_of([-10.0, -20.0, -30.0])
        assert found.mean == -20
        assert found.margin == pytest.approx(4.30265 * 10 / 3**0.5, rel=1e-4)
        assert mean_of([-10.0]).margin is None
        assert mean_of([-10.0, None]).mean is None

    def test_statistics_of_pictures(self) -> None:
        found = statistics_of([30.0, 32.0, 31.0, 35.0])
        assert (found.mean, found.min, found.low) == (32, 30, 30)
        assert found.harmonic == pytest.approx(statistics.harmonic_mean([30, 32, 31, 35]))
        assert found.flicker == pytest.approx(statistics.pstdev([2, -1, 4]))


class TestReport:
    def test_results_come_back_and_make_the_same_report(self, tmp_path: Path) -> None:
        study = replace(made_up(0.2), failures=(Failure("a cell", "no reason"),), notes=("a note",))
        write_results(tmp_path, study)
        write_report(tmp_path, study)
        before = (tmp_path / "report.html").read_bytes()
        assert read_results(tmp_path) == study
        assert main(["report", str(tmp_path)]) == 1  # a cell had failed
        assert (tmp_path / "report.html").read_bytes() == before
        assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + 30

    def test_the_verdict_comes_first(self) -> None:
        first, second = verdict(made_up(0.2))
        assert first.startswith("irn against full, bit rate at equal quality: PSNR-Y −20.0 % ± 0.0, VMAF −20.0 %")
        assert "−20.0 % against full size in PSNR-Y" in second

    def test_it_needs_no_network_and_trusts_no_name(self, tmp_path: Path) -> None:
        study = made_up(0.2, clips=1)
        evil = "<script>alert(1)</script>.mkv"
        write_report(tmp_path, replace(study, notes=(evil,), settings={"codec": evil}))
        page = (tmp_path / "report.html").read_text()
        assert "<script" not in page
        assert not re.search(r"(src|href)=(?!'data:)", page)
        assert "url(" not in page
        assert "data:image/svg+xml" in page

    @pytest.mark.parametrize("text", [None, "{", "{}", '{"schema": 99}', '{"schema": 1, "anchors": 3}'])
    def test_damaged_results_are_one_line(self, text: str | None, tmp_path: Path) -> None:
        if text is not None:
            (tmp_path / "results.json").write_text(text)
        with pytest.raises(StudyFailed, match=r"results\.json"):
            read_results(tmp_path)


def test_two_studies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, cheaper in (("a", 0.0), ("b", 0.25)):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, made_up(cheaper, clips=1))
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    full, irn = capsys.readouterr().out.splitlines()
    assert full == "full clip0.mkv: PSNR-Y +0.0 %, VMAF +0.0 %"
    assert irn == "irn clip0.mkv: PSNR-Y −25.0 %, VMAF −25.0 %"
    renamed = replace(made_up(0), measurements=(point("other.mkv", "full", 100, 30),))
    write_results(tmp_path / "b", renamed)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    assert "no clip and method in common" in capsys.readouterr().err


class TestRecommending:
    def test_the_best_at_a_rate_and_for_a_quality(self) -> None:
        study = made_up(0.2, clips=1)
        first, second = best_at_rate(study, "clip0.mkv", "psnr_y", 400)
        assert (first.method, second.method) == ("irn", "full")
        assert second.quality == pytest.approx(36)
        assert first.quality == pytest.approx(36 + 3 * math.log2(1.25), abs=0.05)
        cheap, dear = best_for_quality(study, "clip0.mkv", "psnr_y", 36.0)
        assert (cheap.kbps, dear.kbps) == pytest.approx((320, 400))
        assert dear.command(Path("a b.mkv")).startswith("ffmpeg -i 'a b.mkv' ")
        assert cheap.command(Path("a.mkv")) == "irn-send a.mkv out_lr.mp4 --model irn --crf 20.0 --preset medium"

    @pytest.mark.parametrize("kbps", [10, 10_000])
    def test_what_no_method_reaches(self, kbps: float) -> None:
        with pytest.raises(StudyFailed, match="measured were 80 to 1600 kb/s"):
            best_at_rate(made_up(0.2), "clip0.mkv", "psnr_y", kbps)

    def test_the_command(self, moving: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = ["--models", "lanczos-x2", "--frames", "4"]
        assert main(["recommend", str(moving), "--psnr", "30", *options]) == 0
        *choices, command = capsys.readouterr().out.splitlines()
        rates = [float(re.search(r": (\d+) kb/s, psnr_y 30.00", line)[1]) for line in choices]  # type: ignore[index]
        assert rates == sorted(rates)
        assert command.startswith(("ffmpeg -i", "irn-send"))
        assert main(["recommend", str(moving)]) == 2
        assert "--bitrate, --vmaf or --psnr" in capsys.readouterr().err


def by_hand(restored: Path, source: Path, folder: Path) -> dict[str, float]:
    """FFmpeg's own psnr and libvmaf, each alone."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    for name, options in (
        ("psnr", {"stats_file": f"{folder}/p"}),
        ("libvmaf", {"log_path": f"{folder}/v", "log_fmt": "json", "model": "version=vmaf_v0.6.1neg"}),
    ):
        left, right = (ffmpeg.input(str(path)).filter("setpts", "N/25/TB") for path in (restored, source))
        ffmpeg.output(ffmpeg.filter([left, right], name, **options), "-", format="null").run(binary, quiet=True)
    return {
        "psnr_y": statistics.fmean(float(v) for v in re.findall(r"psnr_y:(\S+)", (folder / "p").read_text())),
        "vmaf_neg": json.loads((folder / "v").read_text())["pooled_metrics"]["vmaf"]["mean"],
    }


@pytest.mark.parametrize("method", ["full", "irn-h264-x2"])
@pytest.mark.parametrize("crf", [24.0, 36.0])
def test_cells_measure_what_the_commands_and_ffmpeg_do(
    method: str, crf: float, moving: Path, tmp_path: Path, run: Any
) -> None:
    metrics = ("psnr", "vmaf", "vmaf_neg", "ssim", "ms_ssim", "xpsnr_y")
    settings = EncoderSettings(crf=crf, preset="medium")
    measured = measure_cell(Cell(moving, method, settings, None, metrics), tmp_path)
    assert not list(tmp_path.iterdir())
    lr, restored = tmp_path / "lr.mkv", tmp_path / "restored.mkv"
    if method == "full":
        assert encode_full_size(moving, restored, settings).video_bytes == measured.bytes
    else:
        done = run("send", moving, lr, "--model", method, "--crf", crf, "--preset", "medium", "--json")
        stream = json.loads(done.out)["stream"]
        assert measured.bytes == stream["bytes"]
        assert measured.kbps == pytest.approx(stream["kbps"])
        assert measured.bpp == pytest.approx(stream["bpp"])
        assert run("receive", lr, restored, "--codec", "ffv1", "--source", moving).code == 0
    expected = by_hand(restored, moving, tmp_path)
    assert statistics.fmean(measured.values("psnr_y")) == pytest.approx(expected["psnr_y"], abs=0.01)
    assert statistics.fmean(measured.values("vmaf_neg")) == pytest.approx(expected["vmaf_neg"], abs=0.01)
    assert len(measured.frames) == measured.pictures == 8
    for name in ("ssim", "vmaf", "xpsnr_y"):
        assert len(measured.values(name)) == 8
    assert measured.cost.cpu_seconds > 0
    assert measured.cost.peak_bytes > 50_000_000


def without_cost(folder: Path) -> Any:
    table = json.loads((folder / "results.json").read_text())
    for entry in table["points"]:
        del entry["cost"]
    return table


def test_studies_go_on_and_note_failures(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    out = tmp_path / "study"
    options = ["--out", str(out), "--frames", "3", "--metrics", "psnr", "--models", "bicubic", "--no-extend"]
    assert main([str(moving), str(broken), *options, "--crf", LADDER]) == 1
    said = capsys.readouterr()
    assert said.err.count("failed: broken.mkv") == 12
    assert "12 of the cells could not be measured" in said.err
    assert "Traceback" not in said.err
    assert len(list((out / "cells").iterdir())) == 12
    times = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert main([str(moving), *options, "--crf", "20,26,32,38,44"]) == 0
    after = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert len(after) == 15
    assert times.items() <= after.items()  # what had been measured was not measured again
    assert "bicubic-x2 against full" in capsys.readouterr().out
    study = read_results(out)
    assert len(study.measurements) == 15
    shown = [point for point in study.measurements if point.crop]
    assert {point.method for point in shown} == {"full", "lanczos-x2", "bicubic-x2"}
    assert len(shown) == 3
    pictures = [png(point.crop) for point in shown] + [png(study.sources[moving.name])]
    assert {picture.shape for picture in pictures} == {(64, 96, 3)}  # the clip is smaller than a crop
    assert all(np.abs(pictures[-1].astype(int) - p).mean() < 25 for p in pictures)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") == 6


def png(data: str) -> np.ndarray[Any, Any]:
    return np.asarray(cv2().imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2().IMREAD_COLOR))


def test_crops_lie_where_the_detail_is(tmp_path: Path) -> None:
    noise = np.full((400, 600, 3), 128, np.uint8)
    noise[160:352, 320:512] = np.random.default_rng(0).integers(0, 255, (192, 192, 3))
    for index in range(3):
        cv2().imwrite(str(tmp_path / f"{index}.png"), noise)
    clip = tmp_path / "clip.mkv"
    ffmpeg.input(str(tmp_path / "%d.png")).output(str(clip), vcodec="ffv1", pix_fmt="yuv444p").run(
        imageio_ffmpeg.get_ffmpeg_exe(), quiet=True
    )
    assert np.abs(png(source_crop(clip, 3)).astype(int) - noise[160:352, 320:512]).mean() < 1.5


def test_a_damaged_cell_is_measured_again(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "cells"), point("a", "full", 100, 30)
    assert store.get("x") is None
    store.put("x", one)
    assert store.get("x") == one
    for text in ("", "[]", "{}", '{"clip": 1}'):
        (tmp_path / "cells" / "x.json").write_text(text)
        assert store.get("x") is None


def test_wrong_use_is_one_line(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, message in (
        (["--out", "x"], 2, "no clips"),
        ([str(tmp_path / "none.mkv"), "--out", "x"], 1, "no such clip"),
        ([str(moving), "--out", "x", "--models", "irn-h264-x3"], 1, "did you mean"),
        ([str(moving), "--out", "x", "--crf", "1,b"], 2, "not a list of numbers"),
        ([str(moving), "--out", str(moving / "x")], 1, "x"),
        (["report", str(tmp_path)], 1, "give the folder of --out"),
    ):
        assert main(arguments) == code, arguments
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
        assert "this is a bug" not in error
    assert not Path("x").exists()


@pytest.mark.slow
def test_killed_studies_end_like_others(moving: Path, tmp_path: Path) -> None:
    """The whole command killed at five moments, then one of its workers; each time it goes on with the same words."""
    command = [sys.executable, "-m", "irn_video.pipeline.study.cli", str(moving), "--frames", "4", "--crf", LADDER]
    command += ["--metrics", "psnr,vmaf", "--models", "irn-h264-x2", "--workers", "2", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, whole], check=True, capture_output=True)
    for seconds in (1.0, 4.0, 5.0, 6.5, 8.0):
        process = subprocess.Popen([*command, killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()
    last = subprocess.Popen(
        [*command, killed, "--preset", "fast"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (workers := children(last.pid)):
        assert last.poll() is None
        time.sleep(0.05)
    os.kill(workers[-1], signal.SIGKILL)
    assert last.wait() == 0
    subprocess.run([*command, killed], check=True, capture_output=True)
    assert without_cost(killed) == without_cost(whole)


def children(parent: int) -> list[int]:
    """Processes that were spawned to work."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            spawned = b"spawn_main" in (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and spawned:
            found.append(int(path.name))
    return sorted(found)
