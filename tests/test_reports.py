"""The report: its schema, its statistics, its files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from irn_video.codecs.errors import BadOption, OutputRefused
from irn_video.pipeline.quality.entries import FrameReport, SourceReport, StreamReport, TunedGroup, Tuning
from irn_video.pipeline.quality.metrics import PSNR_METRICS
from irn_video.pipeline.quality.psnr import PictureError
from irn_video.pipeline.quality.report import Report, means_words

STREAM = StreamReport(
    codec="h264",
    preset="medium",
    crf=23,
    bitrate=None,
    scale=2,
    width=50,
    height=50,
    bytes=5000,
    file_bytes=6000,
    frames=4,
    seconds=0.16,
    hr_pixels=10_000,
)
CODING = ("bytes", "keyframe", "qp")
FRAMES = (
    FrameReport(0, 0.0, PictureError(1e-3, 1e-4, 1e-4, 1e-3)),
    FrameReport(1, 0.04, PictureError(0, 0, 0, 0)),
    FrameReport(2, 0.08, PictureError(1e-4, 0, 1e-4, 1e-4)),
)


def report(*frames: FrameReport, stream: StreamReport = STREAM) -> Report:
    return Report("irn-receive", "CPU", "lanczos-x2", "", stream, frames, ("careful",), "1 damaged packet")


def test_json(tmp_path: Path) -> None:
    report(*FRAMES).write(tmp_path / "r.json")
    values = json.loads((tmp_path / "r.json").read_text())
    assert values["stream"] == {
        **{"codec": "h264", "preset": "medium", "crf": 23, "bytes": 5000, "frames": 4, "seconds": 0.16},
        **{"kbps": pytest.approx(250), "bpp": pytest.approx(1.0), "bitrate": None, "scale": 2},
        **{"width": 50, "height": 50, "file_bytes": 6000, "qp": None},
    }
    assert values["frames"][0] == {
        **{"index": 0, "pts_seconds": 0.0, "psnr_y": pytest.approx(30), "psnr_u": pytest.approx(40)},
        **{
            "bytes": None,
            "keyframe": None,
            "qp": None,
            "psnr_v": pytest.approx(40),
            "psnr_yuv": pytest.approx(32.5),
            "psnr_rgb": pytest.approx(30),
        },
    }
    assert values["frames"][1] == {
        "index": 1,
        "pts_seconds": 0.04,
        **dict.fromkeys((*CODING, *PSNR_METRICS)),
        "identical": True,
    }
    assert "identical" not in values["frames"][2]
    assert values["frames"][2]["psnr_u"] is values["frames"][2]["psnr_yuv"] is None
    assert (values["warnings"], values["damage"]) == (["careful"], "1 damaged packet")
    assert {"irn-video", "torch", "av", "numpy", "python", "device", "model"} <= values["environment"].keys()


def test_summary() -> None:
    """Pictures without error count in the mean error, and cannot in the mean of decibels."""
    y = report(*FRAMES).summary()["psnr_y"]
    assert (y["mean"], y["min"], y["max"]) == (pytest.approx(35), pytest.approx(30), pytest.approx(40))
    assert y["of_mean_mse"] == pytest.approx(34.357, abs=1e-3)  # of (1e-3 + 0 + 1e-4) / 3
    nothing = dict.fromkeys(("mean", "min", "max", "of_mean_mse"))
    assert report().summary() == report().as_json()["summary"] == dict.fromkeys(PSNR_METRICS, nothing)


def test_tuning_in_all() -> None:
    tuned = TunedGroup(30, 100, 4, True, 2.0, 1.0, gained_db=0.4)
    untuned = TunedGroup(10, 0, None, False, None, 1.0, untuned="no change was worth its bits")
    assert Tuning.of([tuned, untuned]) == Tuning(2, 1, 100, pytest.approx(0.3), None)
    assert Tuning.of([untuned, untuned]) == Tuning(2, 0, 0, 0.0, "no change was worth its bits")


def test_outcome() -> None:
    source = SourceReport(100, 100, bytes=120_000, seconds=0.32)
    whole = replace(report(), source=source, elapsed_seconds=0.5)
    assert whole.outcome() == "6 kB in all, 300 kb/s, 10 % of the source's rate, 0.5 s, 8.0 fps"
    assert replace(whole, stream=replace(STREAM, file_bytes=1_254_000)).outcome().startswith("1.25 MB in all, ")
    assert report(stream=replace(STREAM, seconds=0)).outcome() == "6 kB in all"


def test_csv(tmp_path: Path) -> None:
    report(*FRAMES).write(tmp_path / "r.CSV")
    with (tmp_path / "r.CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["0", "1", "2"]
    assert [row["identical"] for row in rows] == ["", "True", ""]
    assert float(rows[0]["psnr_y"]) == pytest.approx(30)
    assert rows[1]["psnr_y"] == ""


def test_streams_without_length() -> None:
    stream = replace(STREAM, frames=0, seconds=0)
    assert (stream.as_json()["kbps"], stream.as_json()["bpp"]) == (None, None)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"\.json or \.csv"):
        report().write(tmp_path / "r.txt")
    report().write(tmp_path / "r.json")
    with pytest.raises(OutputRefused):
        report().write(tmp_path / "r.json")
    report(*FRAMES).write(tmp_path / "r.json", overwrite=True)
    assert len(json.loads((tmp_path / "r.json").read_text())["frames"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_means_words() -> None:
    values = {"psnr_y": {"mean": 34.567}, "psnr_u": {"mean": None}}
    assert means_words(values) == "mean PSNR: Y 34.57 dB"
    assert means_words({"psnr_y": {"mean": None}}) == "mean PSNR: every frame is identical"
    assert means_words({"vmaf_neg": {"mean": 90.125}, "ssim": {"mean": None}}) == "mean VMAF-NEG 90.12, SSIM undefined"
