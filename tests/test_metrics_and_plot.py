"""More metrics of restored frames than PSNR, and their picture."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.quality import plot as plot_module
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.plot import plot
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send


@pytest.fixture(scope="module")
def sent(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with in.mkv and the LR stream of its second half, large enough for MS-SSIM."""
    folder = tmp_path_factory.mktemp("sent")
    clips.make(folder / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="192x176", frames=12)
    send(folder / "in.mkv", folder / "lr.mkv", SendOptions(model="lanczos-x2", crf=26, start=0.24, keyint=3))
    return folder


def test_metrics(clips: Any, run: Any, sent: Path, tmp_path: Path) -> None:
    """They are what FFmpeg says of the restored frames and those that were sent."""
    lr, names = sent / "lr.mkv", "psnr,ssim,ms-ssim,VMAF,vmaf_neg,xpsnr"
    done = run(
        *("receive", lr, tmp_path / "out.mkv", "--metrics", names, "--codec", "ffv1", "--report", tmp_path / "r.json")
    )
    assert done.code == 0
    assert re.search(r"mean PSNR: Y .* dB\nmean SSIM 0\.\d{4}, MS-SSIM 0\.\d{4}, VMAF \S+, VMAF-NEG", done.out)
    report = json.loads((tmp_path / "r.json").read_text())
    clips.ffmpeg(
        "-i", sent / "in.mkv", "-vf", "trim=start_frame=6,setpts=PTS-STARTPTS", "-c:v", "ffv1", tmp_path / "c.mkv"
    )
    (tmp_path / "work").mkdir()
    expected = measure_files(tmp_path / "out.mkv", tmp_path / "c.mkv", tmp_path / "work")
    assert len(report["frames"]) == len(expected) == 6
    for frame, scores in zip(report["frames"], expected, strict=True):
        for name in ("ssim", "ms_ssim", "vmaf", "vmaf_neg", "xpsnr_y"):
            assert frame[name] == pytest.approx(scores[name])
        assert frame["psnr_y"] == pytest.approx(scores["psnr_y"], abs=0.01)
    vmaf = report["summary"]["vmaf"]
    assert vmaf["mean"] == pytest.approx(sum(scores["vmaf"] for scores in expected) / 6)
    assert (vmaf["of_mean_mse"], vmaf["min"]) == (None, min(scores["vmaf"] for scores in expected))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.mkv", "out.mkv", "r.json", "work"]


def test_what_is_asked_for(run: Any, sent: Path, tmp_path: Path) -> None:
    done = run(
        "receive", sent / "lr.mkv", tmp_path / "out.mkv", "--metrics", "vmaf-neg", "--report", tmp_path / "r.csv"
    )
    assert re.search(r"^mean VMAF-NEG [\d.]+$", done.out, re.MULTILINE)
    with (tmp_path / "r.csv").open() as file:
        assert all(float(row["vmaf_neg"]) > 0 for row in csv.DictReader(file))
    shutil.copy(sent / "lr.mkv", tmp_path / "alone.mkv")
    done = run("receive", tmp_path / "alone.mkv", tmp_path / "b.mkv", "--metrics", "ssim", "--json")
    report = json.loads(done.out)
    assert report["summary"]["ssim"]["mean"] is None
    assert [frame["ssim"] for frame in report["frames"]] == [None] * 6
    done = run("receive", sent / "lr.mkv", tmp_path / "c.mkv", "--metrics", "vmav")
    assert (done.code, "no metric 'vmav'" in done.error) == (2, True)


@pytest.mark.parametrize(("name", "begin"), [("p.png", b"\x89PNG"), ("p.SVG", b"<?xml")])
def test_a_plot(run: Any, sent: Path, tmp_path: Path, name: str, begin: bytes) -> None:
    done = run("receive", sent / "lr.mkv", tmp_path / "out.mkv", "--plot", tmp_path / name)
    assert done.code == 0
    assert (tmp_path / name).read_bytes().startswith(begin)
    assert "the output exists" in run("receive", sent / "lr.mkv", tmp_path / "o.mkv", "--plot", tmp_path / name).error
    for wrong in ("p.pdf", "p"):
        done = run("receive", sent / "lr.mkv", tmp_path / "o.mkv", "--plot", tmp_path / wrong)
        assert (done.code, "a plot is .png or .svg" in done.error) == (2, True)
    assert not (tmp_path / "o.mkv").exists()


def test_what_is_drawn(sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PSNR over time; beneath, rates whose mean is the stream's. The same report makes the same bytes."""
    report = receive(sent / "lr.mkv", tmp_path / "out.mkv").report
    figures: list[Any] = []
    made = plot_module.Figure
    monkeypatch.setattr(plot_module, "Figure", lambda **how: figures.append(made(**how)) or figures[-1])
    for name in ("a.svg", "b.svg"):
        plot(report, tmp_path / name, "a title")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    upper, lower = figures[0].axes
    line = upper.lines[0]
    assert list(line.get_ydata()) == [frame.error.psnr()["psnr_y"] for frame in report.frames]
    assert list(line.get_xdata()) == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert upper.get_title() == "a title"
    bits = [8 * frame.bytes / 1000 / 0.04 for frame in report.coded if frame.bytes]
    assert [bar.get_height() for bar in lower.patches] == pytest.approx(bits)
    assert lower.lines[0].get_ydata()[0] == pytest.approx(sum(bits) / 6)


def test_without_a_source_rates_are_drawn(sent: Path, tmp_path: Path) -> None:
    shutil.copy(sent / "lr.mkv", tmp_path / "lr.mkv")
    report = receive(tmp_path / "lr.mkv", tmp_path / "out.mkv", ReceiveOptions()).report
    plot(report, tmp_path / "a.png", "a title")
    assert (tmp_path / "a.png").stat().st_size > 5000
    with pytest.raises(BadOption):
        plot(report, tmp_path / "a.jpg", "a title")


def test_plots_are_for_one(run: Any, sent: Path, tmp_path: Path) -> None:
    done = run("receive", sent / "lr.mkv", "--out", tmp_path / "back", "--plot", tmp_path / "p.png")
    assert (done.code, "--plot is for one video" in done.error) == (2, True)
