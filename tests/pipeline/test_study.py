"""irn-study: what it plans, measures, keeps, concludes and reports."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg
import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadConfig, BadOption, MissingFile, UnknownModel
from irn_video.codecs.scales import SCALES
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.quality.libvmaf import PERCEPTUAL, measure_files
from irn_video.pipeline.quality.metrics import REAL_METRICS
from irn_video.pipeline.study import workers as worker_processes
from irn_video.pipeline.study.cells import Measurement, encode_full_size, measure_cell
from irn_video.pipeline.study.crops import source_crops
from irn_video.pipeline.study.methods import Method, macs_per_pixel
from irn_video.pipeline.study.plan import Cell, StudyConfig, load_study
from irn_video.pipeline.study.results import read_results
from irn_video.pipeline.study.runner import _further, _level, _missing, run_study
from irn_video.pipeline.study.store import Store
from irn_video.pipeline.study.workers import Failure, LocalPool
from irn_video.pipeline.system.opencv import cv2

Point = Callable[[str, str, float, float], Measurement]
LADDER = "20,26,32,38"
SAMPLES = Path(__file__).parents[2] / "samples"


class TestPlan:
    def test_ladders_cells_and_names(self, moving: Path) -> None:
        config = StudyConfig((moving,), models=("irn-h264-x2", "lanczos"), anchors=("full", "lanczos"))
        assert [str(method) for method in config.methods] == ["full", "lanczos-x2", "irn-h264-x2"]
        assert len(config.cells()) == 18
        typed = replace(config, metrics=("psnr-y", "VMAF_NEG", "xpsnr"))
        assert typed.metrics == ("psnr_y", "vmaf_neg", "xpsnr_y")
        assert typed.cells()[0].metrics == ("vmaf_neg", "xpsnr_y")
        assert "flicker_static" in config.cells()[0].metrics
        assert "classifier" not in config.cells()[0].metrics
        assert replace(config, metrics=("psnr", "classifier")).cells()[0].metrics == ("classifier",)
        assert config.cells()[0].label == "moving.mp4 full CRF 20"
        rates = replace(config, bitrates=(800_000, 100_000, 200_000, 400_000))
        assert [e.bitrate for e in rates.ladder(Method("full"))] == [100_000, 200_000, 400_000, 800_000]

    @pytest.mark.parametrize(
        ("preset", "expected"),
        [
            (None, [{"medium"}]),
            ("fast", [{"fast"}]),
            ("by-scale", [{"medium", "slower", "veryslow"}]),
            ("both", [{"medium"}, {"medium", "slower", "veryslow"}]),
        ],
    )
    def test_presets(self, moving: Path, preset: str | None, expected: list[set[str]]) -> None:
        """Every cell names one: what the sender has without is another matter."""
        models = ("irn-h264-x1", "irn-h264-x2", "irn-h264-x4")
        config = StudyConfig((moving,), models=models, anchors=("full",), preset=preset)
        parts = [part.cells() for part in config.comparisons]
        assert [{cell.encoder.preset for cell in cells} for cells in parts] == expected
        by_scale = {(cell.method.scale, cell.encoder.preset) for cell in parts[-1]}
        if len(expected[-1]) > 1:
            assert by_scale == {(1, "medium"), (2, "slower"), (4, "veryslow")}
        else:
            assert len(by_scale) == 3

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"codec": "h265", "preset": "by-scale"}, "h265 has no presets by scale"),
            ({"codec": "av1", "preset": "both"}, "av1 has no presets by scale"),
            ({"preset": "by-size"}, "no preset 'by-size'"),
            ({"clips": (Path("a/x.mkv"), Path("b/x.mkv"))}, "the same name"),
            ({"metrics": ("psnr", "vmf")}, "no metric 'vmf'.*vmaf-neg"),
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
        cell = Cell(moving, Method("lanczos-x2"), EncoderSettings(crf=20), None, ("psnr",))
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(moving.read_bytes())
        assert replace(cell, clip=copy).digest() == cell.digest()  # the same bytes
        copy.write_bytes(moving.read_bytes() + b"\0")
        others = [
            replace(cell, clip=copy),
            replace(cell, method=Method("lanczos-x4")),
            replace(cell, method=Method("irn-h264-x2")),
            replace(cell, method=Method("lanczos-x2", "bicubic")),
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

    @pytest.mark.parametrize(
        "path", sorted(path for folder in ("study", "protocols") for path in (SAMPLES / folder).glob("*.toml"))
    )
    def test_the_samples(self, path: Path) -> None:
        config = load_study(path)
        assert {"full", "lanczos-x2", "lanczos-x4"} & {str(method) for method in config.anchor_methods}
        assert config.clips == ()
        assert config.preset in ("medium", "veryfast", "slow")


class TestMethods:
    def test_names(self, tmp_path: Path) -> None:
        checkpoint, weights = tmp_path / "RCAN_BIX2.pt", tmp_path / "my.net.safetensors"
        checkpoint.write_bytes(b"x")
        for text, label, upscaler in (
            ("lanczos", "lanczos-x2", None),
            ("lanczos-x1.5", "lanczos-x1.5", None),
            ("lanczos-x1.5+bicubic", "lanczos-x1.5+bicubic", "bicubic"),
            ("irn-h264-x2+bicubic", "irn-h264-x2+bicubic", "bicubic"),
            (f"bicubic+{checkpoint}", "bicubic-x2+RCAN_BIX2", str(checkpoint)),
            (str(weights), "my.net", None),
            (f"a+b/{weights}", "my.net", None),
            ("irn-h264-x2@fast", "irn-h264-x2@fast", None),
            ("irn-h264-x1@best", "irn-h264-x1@best", None),
            ("irn-h264-x1.5@quick", "irn-h264-x1.5@quick", None),
        ):
            method = Method.parse(text)
            assert (method.label, method.upscaler) == (label, upscaler)
            assert Method.parse(str(method)) == method

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("full+lanczos", BadOption, "nothing to enlarge"),
            ("bicubic-x2+none.pt", MissingFile, "no such checkpoint"),
            ("irn-h264-x3+lanczos", UnknownModel, "did you mean"),
            ("lanczos-x2@fast", BadOption, "only networks made for H.264 are tuned"),
            ("irn-x2@best", BadOption, "only networks made for H.264 are tuned"),
        ],
    )
    def test_nonsense(self, text: str, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Method.parse(text)

    def test_costs(self) -> None:
        assert macs_per_pixel(Method("full")) == (None, None)
        assert macs_per_pixel(Method("irn-h264-x2")) == (32, 4991)
        assert macs_per_pixel(Method("irn-h264-x2", "lanczos")) == (32, None)

    def test_another_upscaler_is_that_of_irn_receive(self, moving: Path, tmp_path: Path, run: Any) -> None:
        settings = EncoderSettings(crf=24)
        cell = Cell(moving, Method("irn-h264-x2", "lanczos"), settings, None, ("psnr",))
        measured = measure_cell(cell, tmp_path)
        run("send", moving, tmp_path / "lr.mkv", "--crf", 24)
        options = ["--upscaler", "lanczos", "--codec", "ffv1", "--source", moving, "--json"]
        summary = json.loads(run("receive", tmp_path / "lr.mkv", tmp_path / "r.mkv", *options).out)["summary"]
        assert statistics.fmean(measured.values("psnr_y")) == pytest.approx(summary["psnr_y"]["mean"])
        assert measured.encoder.startswith("x264 - core ")
        assert "bframes=3" in measured.encoder
        assert measured.pixel_format == "yuv420p"


class TestRates:
    CONFIG = StudyConfig((Path("x.mkv"),))

    def test_a_rate_that_failed_is_not_tried_again(self, point: Point) -> None:
        config = StudyConfig((Path("x.mkv"),), models=("lanczos",), anchors=("full",))
        found: dict[Cell, Measurement | Failure] = {}
        for method, qualities in (("full", (40, 36, 33)), ("lanczos-x2", (31, 30.5, 29))):
            for crf, quality in zip((20, 26, 32), qualities, strict=True):
                measured = point("x.mkv", method, 1000 - 20 * crf, quality)
                found[config.cell(Path("x.mkv"), Method(method), config.encoder(crf=crf))] = measured
        more, notes = _missing(config, found)
        assert [(cell.method.label, cell.encoder.crf) for cell in more] == [("full", 36), ("lanczos-x2", 16)]
        assert not notes
        again, notes = _missing(config, found | {cell: Failure(cell.label, "no") for cell in more})
        assert not again
        assert notes == (
            "x.mkv: full has no lower quality to offer",
            "x.mkv: lanczos-x2 has no higher quality to offer",
        )

    def test_more_for_the_pictures_at_two_rates(self, point: Point) -> None:
        config = StudyConfig((Path("x.mkv"),), models=("lanczos",), anchors=("full",))
        found: dict[Cell, Measurement | Failure] = {}

        def add(method: str, crf: float, quality: float) -> None:
            kbps = (1000 if method == "full" else 500) * 2 ** ((20 - crf) / 6)
            encoder = config.encoder(crf=crf)
            found[config.cell(Path("x.mkv"), Method(method), encoder)] = point("x.mkv", method, kbps, quality)

        for crf in (18, 24, 30, 36, 42):
            add("full", crf, 52 - crf / 2)
        for crf, quality in ((15, 37.2), (21, 36.9), (27, 36.0), (33, 33.5), (39, 30.0)):  # better up to 273 kb/s
            add("lanczos-x2", crf, quality)
        more = sorted((cell.method.label, cell.encoder.crf) for cell in _level(config, found))
        # Below, lanczos-x2 was measured nearby: full size gets its rate. Above, both get one.
        assert more == [("full", 28.3), ("full", 33.0), ("lanczos-x2", 22.3)]
        for method, crf in more:
            add(method, crf or 0.0, 52 - (crf or 0.0) / 2 if method == "full" else 36.75)
        assert _level(config, found) == []

    def test_ladders_go_on_at_either_end_until_nothing_is_gained(self) -> None:
        rising = [(20.0, 40.0), (26.0, 36.0), (32.0, 33.0)]
        finer, coarser = (_further(self.CONFIG, rising, step) for step in (-4.0, 4.0))
        assert finer is not None
        assert coarser is not None
        assert (finer.crf, coarser.crf) == (16, 36)
        assert _further(self.CONFIG, [(20.0, 36.01), (26.0, 36.0)], -4.0) is None
        assert _further(self.CONFIG, [(3.0, 50.0), (10.0, 44.0)], -4.0) is None
        assert _further(self.CONFIG, [(44.0, 28.0), (49.0, 25.0)], 4.0) is None


def by_hand(restored: Path, source: Path, folder: Path) -> dict[str, float]:
    """FFmpeg's own psnr and libvmaf, each alone."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    for name, options in (
        ("psnr", {"stats_file": f"{folder}/p"}),
        ("libvmaf", {"log_path": f"{folder}/v", "log_fmt": "json", "model": "version=vmaf_v0.6.1"}),
        ("libvmaf", {"log_path": f"{folder}/n", "log_fmt": "json", "model": "version=vmaf_v0.6.1neg"}),
    ):
        left, right = (ffmpeg.input(str(path)).filter("setpts", "N/25/TB") for path in (restored, source))
        ffmpeg.output(ffmpeg.filter([left, right], name, **options), "-", format="null").run(binary, quiet=True)
    return {
        "psnr_y": statistics.fmean(float(v) for v in re.findall(r"psnr_y:(\S+)", (folder / "p").read_text())),
        "vmaf": json.loads((folder / "v").read_text())["pooled_metrics"]["vmaf"]["mean"],
        "vmaf_neg": json.loads((folder / "n").read_text())["pooled_metrics"]["vmaf"]["mean"],
    }


@pytest.fixture(scope="session")
def zooming(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another clip, with sides that have to be padded."""
    path: Path = clips.make(tmp_path_factory.mktemp("clips") / "zooming.mp4", size="130x74", name="mandelbrot")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["moving", "zooming"])
@pytest.mark.parametrize("method", ["full", "irn-h264-x2"])
@pytest.mark.parametrize("crf", [16.0, 20.0, 24.0, 28.0, 32.0, 36.0])
def test_cells_measure_what_the_commands_and_ffmpeg_do(
    clip: str, method: str, crf: float, request: pytest.FixtureRequest, tmp_path: Path, run: Any
) -> None:
    moving: Path = request.getfixturevalue(clip)
    metrics = ("psnr", "vmaf", "vmaf_neg", "ssim", "ms_ssim", "xpsnr_y")
    settings = EncoderSettings(crf=crf, preset="medium")
    measured = measure_cell(Cell(moving, Method(method), settings, None, metrics), tmp_path)
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
    for name in ("vmaf", "vmaf_neg"):
        assert statistics.fmean(measured.values(name)) == pytest.approx(expected[name], abs=0.01)
    assert len(measured.frames) == measured.pictures == 8
    for name in ("ssim", "vmaf", "xpsnr_y"):
        assert len(measured.values(name)) == 8
    assert min(measured.cost.send.cpu_seconds, measured.cost.receive.cpu_seconds) > 0
    assert 0 < measured.cost.encode_cpu_seconds < measured.cost.send.cpu_seconds
    assert min(measured.cost.send.peak_bytes, measured.cost.receive.peak_bytes) > 50_000_000


def test_one_metric_is_what_it_is_among_all(clips: Any, tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mkv", size="192x180", frames=3)
    encode_full_size(clip, tmp_path / "b.mkv", EncoderSettings(crf=30))
    all_of_them = measure_files(tmp_path / "b.mkv", clip, tmp_path)
    assert all(value is not None for scores in all_of_them for value in scores.values())
    for name in PERCEPTUAL:
        alone = measure_files(tmp_path / "b.mkv", clip, tmp_path, [name])
        expected = [{"psnr_y", name, "vmaf"} if name not in ("vmaf", "vmaf_neg") else {"psnr_y", name}] * 3
        assert [set(scores) for scores in alone] == expected
        assert [scores[name] for scores in alone] == [scores[name] for scores in all_of_them]


@pytest.mark.parametrize("method", ["full", "bicubic-x2"])
def test_measures_of_all_frames_together(method: str, moving: Path, tmp_path: Path) -> None:
    """They are those of the frames that are shown, and come back from the store."""
    settings = EncoderSettings(crf=24.0, preset="ultrafast")
    found = measure_cell(Cell(moving, Method(method), settings, 4, ("psnr", *REAL_METRICS)), tmp_path)
    assert tuple(found.whole) == REAL_METRICS
    assert found.value("texture_fine") == found.whole["texture_fine"]
    assert found.value("psnr_y") == pytest.approx(statistics.fmean(found.values("psnr_y")))
    assert found.value("vmaf") is None
    assert Measurement.from_json(json.loads(json.dumps(found.as_json()))) == found
    ratios = [value for value in found.whole.values() if value is not None]
    assert ratios
    assert all(0 < ratio < 3 for ratio in ratios)


def test_full_size_of_odd_pictures_is_padded_for_the_encoder(clips: Any, tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "odd.mkv", "-pix_fmt", "yuv420p", "-c:v", "ffv1", size="97x65", frames=4)
    measured = measure_cell(Cell(clip, Method("full"), EncoderSettings(crf=1.0), None, ("psnr", "vmaf")), tmp_path)
    assert (measured.width, measured.height, measured.method) == (97, 65, "full")
    assert min(measured.values("psnr_y")) > 50  # nothing is resampled
    assert min(measured.values("vmaf")) > 90


def without_cost(folder: Path) -> Any:
    table = json.loads((folder / "results.json").read_text())
    for entry in table["points"]:
        del entry["cost"]
    return table


@pytest.mark.usefixtures("measured_here")
def test_studies_go_on_and_note_failures(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    out = tmp_path / "study"
    options = ["--out", str(out), "--frames", "3", "--metrics", "psnr", "--models", "bicubic", "--no-extend"]
    options += ["--workers", "1"]
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
    shown = [point for point in study.measurements if point.crops]
    assert {point.method for point in shown} == {"full", "lanczos-x2", "bicubic-x2"}
    assert {id(point) for point in shown} == {id(p) for level in study.levels(moving.name) for p in level.points}
    pictures = [png(point.crops[0]) for point in shown] + [png(study.sources[moving.name][0])]
    assert {picture.shape for picture in pictures} == {(64, 96, 3)}  # the clip is smaller than a crop
    assert all(np.abs(pictures[-1].astype(int) - p).mean() < 25 for p in pictures)
    page = (out / "report.html").read_text()
    # The source once, and each method at each rate.
    assert page.count("data:image/png") == 1 + sum(len(level.points) for level in study.levels(moving.name))


@pytest.mark.usefixtures("measured_here")
def test_three_halves_of_an_odd_clip(clips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.make(tmp_path / "odd.mkv", "-pix_fmt", "yuv420p", "-c:v", "ffv1", size="97x65", frames=3)
    out = tmp_path / "study"
    how = ["--anchors", "full", "--models", "lanczos-x1.5", "--metrics", "psnr", "--no-extend", "--crf", LADDER]
    assert main([str(clip), "--out", str(out), *how]) == 0
    assert "lanczos-x1.5 against full" in capsys.readouterr().out
    study = read_results(out)
    assert study.methods["lanczos-x1.5"].scale == 1.5
    assert {(p.method, p.width, p.height) for p in study.measurements} == {
        ("full", 97, 65),
        ("lanczos-x1.5", 97, 65),
    }
    assert "--model lanczos-x1.5" in (out / "report.html").read_text()


def test_ladders_of_smaller_frames_begin_lower() -> None:
    config = StudyConfig((Path("x.mkv"),), models=("lanczos-x4", "lanczos-x1.5"))
    first = {method.scale: config.ladder(method)[0].crf for method in config.methods}
    assert sorted(first) == list(SCALES)
    assert [first[scale] for scale in SCALES] == sorted(first.values(), reverse=True)


def test_both_comparisons_share_what_is_the_same(
    moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "bicubic", "--anchors", "full", "--crf", LADDER, "--no-extend", "--metrics", "psnr-y"]
    assert main([str(moving), *options, "--frames", "2", "--preset", "both", "--out", str(tmp_path)]) == 0
    assert len(list((tmp_path / "cells").iterdir())) == 4 + 2 * 4
    study = read_results(tmp_path)
    assert study.same_time is not None
    for one, method, preset, subme in (
        (study, "full", "medium", 7),
        (study, "bicubic-x2", "medium", 7),
        (study.same_time, "full", "medium", 7),
        (study.same_time, "bicubic-x2", "slower", 9),
    ):
        points = one.points(moving.name, method)
        assert (len(points), one.preset(method)) == (4, preset)
        assert all(f"subme={subme} " in point.encoder for point in points)
    assert "same encoding time" in capsys.readouterr().out
    assert main(["report", str(tmp_path)]) == 0
    assert "same encoding time" in capsys.readouterr().out


def png(data: str) -> np.ndarray[Any, Any]:
    return np.asarray(cv2().imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2().IMREAD_COLOR))


def test_crops_lie_where_the_detail_is(tmp_path: Path) -> None:
    noise = np.full((400, 600, 3), 128, np.uint8)
    noise[160:288, 320:448] = np.random.default_rng(0).integers(0, 255, (128, 128, 3))
    for index in range(3):
        cv2().imwrite(str(tmp_path / f"{index}.png"), noise)
    clip = tmp_path / "clip.mkv"
    ffmpeg.input(str(tmp_path / "%d.png")).output(str(clip), vcodec="ffv1", pix_fmt="yuv444p").run(
        imageio_ffmpeg.get_ffmpeg_exe(), quiet=True
    )
    first, *others = map(png, source_crops(clip, 3))
    assert np.abs(first.astype(int) - noise[160:288, 320:448]).mean() < 1.5
    assert len(others) == 2
    assert all(np.ptp(other) < 4 for other in others)  # elsewhere, where nothing of the first one is


def test_a_damaged_cell_is_measured_again(tmp_path: Path, point: Point) -> None:
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


def test_a_study_of_nothing_leaves_no_folder(
    moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, out = tmp_path / "broken.mkv", tmp_path / "new" / "study"
    broken.write_bytes(b"no video")
    options = ["--out", str(out), "--metrics", "psnr-y", "--models", "bicubic", "--crf", LADDER, "--no-extend"]
    assert main([str(broken), *options]) == 1
    said = capsys.readouterr().err
    assert said.count("failed: broken.mkv") == 12
    assert "nothing could be measured" in said
    assert main(["recommend", str(broken), "--bitrate", "80k", "--out", str(out)]) == 1
    assert main([str(moving), *options, "--cluster", "nowhere"]) in (1, 2)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalPool, "measured", interrupted)
    assert main([str(moving), *options]) != 0
    assert not out.parent.exists()
    out.mkdir(parents=True)
    assert main([str(moving), *options]) != 0
    assert list(out.iterdir()) == []  # it was there before, and stays


class TestProgress:
    def test_one_total_however_many_cells_there_are(self, point: Point, moving: Path, tmp_path: Path) -> None:
        class Made:
            """Curves that never meet."""

            def measured(self, cells: dict[Cell, str]) -> Iterator[tuple[Cell, Measurement]]:
                for cell in cells:
                    crf, full = cell.encoder.crf or 0.0, cell.method.label == "full"
                    kbps = (1000 if full else 500) * 2 ** ((20 - crf) / 6)
                    yield cell, point(moving.name, cell.method.label, kbps, (90 if full else 55) - crf)

            def close(self) -> None:
                pass

        said: list[tuple[int, int]] = []
        config = StudyConfig((moving,), models=("lanczos",), anchors=("full",), crfs=(24.0, 28.0, 32.0, 36.0))
        outcome = run_study(config, Store(tmp_path), pool=Made(), advance=lambda *now: said.append(now))
        assert len(outcome.measurements) > 14  # more than was expected
        assert {total for _, total in said} == {14}
        done = [done for done, _ in said]
        assert done == sorted(done)
        assert done[-1] == 14 > done[-2]


def test_what_takes_long_to_import_waits_until_it_is_needed() -> None:
    modules = ("quality.curves", "study.report", "study.verdict", "study.drawing", "study.recommend")
    code = f"import {', '.join(f'irn_video.pipeline.{name}' for name in modules)}, sys\n"
    code += "print([name for name in ('matplotlib', 'scipy', 'bjontegaard') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_what_is_refused_does_not_wait_for_pytorch(tmp_path: Path) -> None:
    code = "import sys; from irn_video.pipeline.commands.study import main; main(sys.argv[1:]); "
    code += "print('torch' in sys.modules)"
    for arguments in (
        [tmp_path / "no.mkv", "--out", tmp_path / "x"],
        ["recommend", tmp_path / "no.mkv", "--vmaf", "9"],
    ):
        found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert (found.stdout, "no such clip" in found.stderr) == ("False\n", True)


@pytest.mark.slow
def test_killed_studies_end_like_others(
    moving: Path, tmp_path: Path, pool_here: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command killed at four moments, then one of its workers; each time it goes on with the same words."""
    options = [str(moving), "--frames", "4", "--crf", LADDER, "--metrics", "psnr,vmaf", "--anchors", "lanczos"]
    command = [sys.executable, "-m", "irn_video.pipeline.commands.study", *options]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    monkeypatch.setattr(worker_processes, "LocalPool", pool_here)
    assert main([*options, "--out", str(whole)]) == 0

    def started(workers: int) -> subprocess.Popen[bytes]:
        more = ["--workers", str(workers), "--out", killed]
        return subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    chance = random.Random(0)
    for finished in (0, 0, 1, 4):  # cells that an earlier attempt, or this one, has measured when it is killed
        process = started(1)
        while len(list(killed.glob("cells/*.json"))) < finished:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1))
        process.kill()
        process.wait()
    for cell in sorted((killed / "cells").glob("*.json"))[:2]:  # so that something is left to do
        cell.unlink()
    last = started(2)
    while not (workers := children(last.pid)):
        assert last.poll() is None
        time.sleep(0.05)
    os.kill(workers[-1], signal.SIGKILL)
    assert last.wait() == 0
    assert without_cost(killed) == without_cost(whole)


@pytest.mark.slow
def test_workers_that_die_between_two_cells(moving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor notices before the next cell is given to it: nothing is lost, nothing waits for ever."""
    cells = StudyConfig((moving,), models=(), anchors=("lanczos",), crfs=(20.0, 24.0, 28.0, 32.0), frames=2).cells()[:2]
    pool = LocalPool(1)
    submit, given = pool._executor.submit, []

    def after_a_death(*arguments: Any) -> Any:
        if given:
            given[0].exception()
            for process in multiprocessing.active_children():
                process.kill()
            while not pool._executor._broken:
                time.sleep(0.01)
        given.append(submit(*arguments))
        return given[-1]

    monkeypatch.setattr(pool._executor, "submit", after_a_death)
    try:
        found = dict(pool.measured(dict.fromkeys(cells, "")))
    finally:
        pool.close()
    assert set(found) == set(cells)
    assert all(isinstance(measured, Measurement) for measured in found.values())


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
