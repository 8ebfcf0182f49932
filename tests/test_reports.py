"""The report: its schema, its statistics, its files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from irn_video.codecs.errors import BadOption, OutputRefused
from irn_video.pipeline.quality.metrics import PSNR_METRICS
from irn_video.pipeline.quality.psnr import PictureError
from irn_video.pipeline.quality.report import FrameReport, Report, StreamReport

STREAM = StreamReport("h264", "medium", 23, bytes=5000, frames=4, seconds=0.16, hr_pixels=10_000)
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
        **{"kbps": pytest.approx(250), "bpp": pytest.approx(1.0)},
    }
    assert values["frames"][0] == {
        **{"index": 0, "pts_seconds": 0.0, "psnr_y": pytest.approx(30), "psnr_u": pytest.approx(40)},
        **{"psnr_v": pytest.approx(40), "psnr_yuv": pytest.approx(32.5), "psnr_rgb": pytest.approx(30)},
    }
    assert values["frames"][1] == {"index": 1, "pts_seconds": 0.04, **dict.fromkeys(PSNR_METRICS), "identical": True}
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


def test_csv(tmp_path: Path) -> None:
    report(*FRAMES).write(tmp_path / "r.CSV")
    with (tmp_path / "r.CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["0", "1", "2"]
    assert [row["identical"] for row in rows] == ["", "True", ""]
    assert float(rows[0]["psnr_y"]) == pytest.approx(30)
    assert rows[1]["psnr_y"] == ""


def test_streams_without_length() -> None:
    stream = StreamReport("ffv1", None, None, bytes=100, frames=0, seconds=0, hr_pixels=100)
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
