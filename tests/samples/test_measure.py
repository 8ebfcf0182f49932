"""Measurements on small clips: the arithmetic of what they print."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadOption, OutputRefused
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.blind.entrants import find_clips
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.network.constants import sampled_channels
from irn_video.pipeline.system.opencv import cv2

import measure
from measure import bdrate, blind, calibration, choice, perceptual, presets, rates, real, stages, tuning
from measure.__main__ import MEASUREMENTS, main
from measure.clips import moving_clip
from measure.commands import Run
from measure.panels import GAP, STRIP, worst_place, write_panels
from measure.rates import RatePoint


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "moving.mkv"
    return moving_clip(path, 192, 128, 8)


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


class TestPresets:
    def test_time_and_bits_are_means_over_clips(self) -> None:
        """Time against medium at full size, bits against medium at the same scale."""

        def made(clip: str, scale: float, preset: str, seconds: float, size: float) -> list[presets.Encode]:
            rates = [(30, round(1e6 * size)), (24, round(2e6 * size))]
            return [presets.Encode(clip, scale, preset, crf, seconds, 3 * seconds, b, 60 - crf) for crf, b in rates]

        encodes = [
            one
            for clip, slower in (("a", 2.0), ("b", 8.0))
            for one in (
                *made(clip, 1, "medium", 4, 1),
                *made(clip, 2, "medium", 1, 0.5),
                *made(clip, 2, "slow", slower, 0.4),
            )
        ]
        assert presets.share_of_full(encodes, (2, "slow"), "cpu_seconds") == pytest.approx(1)  # of 0.5 and 2
        assert presets.share_of_full(encodes, (2, "medium"), "seconds") == pytest.approx(0.25)
        assert presets.saved(encodes, (2, "slow")) == pytest.approx(-20)
        assert presets.saved(encodes, (2, "medium")) == pytest.approx(0)

    def test_the_command(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "presets.json"
        options = ["--scale", "1.5,4", "--preset", "ultrafast", "--crf", "24,36", "--frames", "3", "--repeat", "2"]
        assert main(["presets", str(clip), *options, "--json", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("  ")[0] for line in lines[1:6]] == [
            *("1, medium", "1.5, medium", "1.5, ultrafast", "4, medium", "4, ultrafast"),
        ]
        encodes = json.loads(path.read_text())["encodes"]
        assert [one["crf"] for one in encodes] == [24, 36, 21, 33, 21, 33, 12, 24, 12, 24]
        assert all(min(one["cpu_seconds"], one["seconds"], one["bytes"]) > 0 for one in encodes)
        for bad in (["--scale", "3"], ["--preset", "warp"], ["--crf", "24"]):
            assert main(["presets", str(clip), *bad]) == 2


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

    def test_the_table_command(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "table.json"
        options = ["--crf", "14,20,26", "--full", "24,36,48", "--frames", "4", "--json", str(path), "--markdown"]
        options.append("--vmaf-neg")
        assert main(["bdrate", str(clip), "--model", "bicubic-x2", *options]) == 0
        written = json.loads(path.read_text())
        row = written["comparisons"][0]
        assert set(written["curves"]["moving.mkv"]) == {"full size", "lanczos-x2", "bicubic-x2"}
        assert row["peer_y"] == pytest.approx(written["means"]["bicubic-x2"]["peer_y"])
        assert f"| moving.mkv | {row['peer_y']:+.1f} %" in capsys.readouterr().out.replace("\N{MINUS SIGN}", "-")
        for points in written["curves"]["moving.mkv"].values():
            qualities = [point["vmaf_neg"] for point in points]
            assert 100 >= qualities[0] > qualities[1] > qualities[2] >= 0
        assert main(["hull", str(path), "--vmaf-neg"]) == 0
        assert "hull, VMAF-NEG" in capsys.readouterr().out

    @pytest.mark.parametrize("bad", ["18,22", "a,b,c", "10,20,60"])
    def test_the_table_command_checks_its_lists(self, clip: Path, bad: str) -> None:
        assert main(["bdrate", str(clip), "--crf", bad]) == 2

    @pytest.mark.alone
    def test_every_stage_is_timed(self, clip: Path, tmp_path: Path) -> None:
        found = stages.measure_stages(clip, tmp_path, "lanczos-x2", frames=8, repeat=1)
        assert (found.frames, found.width, found.height) == (8, 192, 128)
        assert set(found.stage_seconds) == {"decode", "network", "read source", "measure", "encode"}
        assert set(found.network_seconds) == {"predict", "reverse"}
        # The best halves may be of different runs, so they add up to less at most.
        assert sum(found.network_seconds.values()) <= found.stage_seconds["network"]
        assert all(seconds > 0 for seconds in (*found.stage_seconds.values(), found.overlap, found.send_seconds))
        assert "8 frames" in stages.stages_table(found)

    @pytest.mark.alone
    def test_tuning_is_timed(self, clip: Path, tmp_path: Path) -> None:
        cost = stages.measure_cost(clip, tmp_path, "irn-h264-x2", frames=8, repeat=1, adapt="fast")
        assert cost.video_seconds == pytest.approx(0.32)
        assert all(min(times) > 0 for times in (cost.send_seconds, cost.send_cpu_seconds, cost.receive_seconds))
        assert cost.send_seconds[1] > cost.send_seconds[0]
        lines = stages.cost_table(cost).splitlines()
        assert lines[0] == "--adapt fast, 0.32 s of video"
        assert [line.split("  ")[0] for line in lines[1:]] == ["irn-send", "irn-send, all cores", "irn-receive"]

    def test_the_benchmark_clip_moves(self, clip: Path) -> None:
        with VideoReader(clip) as reader:
            first, second, *_ = reader
        moved = np.abs(first.planes[0][:, 3:].astype(int) - second.planes[0][:, :-3]).mean()
        assert moved < 0.5 * np.abs(first.planes[0].astype(int) - second.planes[0]).mean()


def test_vmaf_prefers_the_sharper_picture(tmp_path: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    cv2().imwrite(str(tmp_path / "x.png"), cv2().resize(texture, (240, 180), interpolation=cv2().INTER_CUBIC))
    finer, coarser = (perceptual.score(f"bicubic-x{scale}", (tmp_path,))[tmp_path.name] for scale in (2, 4))
    assert coarser.vmaf + 5 < finer.vmaf <= 100
    assert coarser.psnr_y < finer.psnr_y


def test_vmaf_of_a_folder_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perceptual", str(tmp_path), "--model", "bicubic-x2"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1


class TestCoring:
    def test_its_worth_is_told_by_clip_and_strength(self, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["coring", str(clip), "--strength", "0,4"]) == 0
        head, row, mean = (line.replace(" %", "").split() for line in capsys.readouterr().out.splitlines())
        assert head == ["strength", "0", "4"]
        assert row[0] == "moving.mkv"
        assert mean == ["mean", *row[1:]]
        none, much = (float(cell.replace("\N{MINUS SIGN}", "-")) for cell in row[1:])
        assert abs(none) < 0.1  # an untrained network at scale 1 changes nothing
        assert abs(much) > 1


class TestShader:
    @pytest.mark.usefixtures("vulkan")
    def test_every_network_has_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["--model", "irn-h264-x2-lite", "--sizes", "128x96", "--frames", "2", "--repeat", "1", "--markdown"]
        assert main(["shader", *words]) == 0
        said = capsys.readouterr().out
        for what in ("no shader", "irn-h264-x2-lite"):
            assert re.search(rf"^\| 128x96 {what} \| (–|[\d.]+) \| [\d.]+ \|$", said, re.MULTILINE)

    def test_without_ffmpeg(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("PATH", "")
        assert main(["shader", "--sizes", "128x96"]) == 1
        assert "no ffmpeg" in capsys.readouterr().err


class TestTuning:
    def test_a_clip_is_played_there_and_back(self, clip: Path, clips: Any) -> None:
        pictures = clips.read(clip)
        bounced = list(tuning.bounced(pictures, 1))
        assert len(bounced) == 25
        last = len(pictures) - 1
        for index, origin in ((0, 0), (last, last), (last + 1, last - 1), (2 * last, 0)):
            assert (bounced[index].planes[0] == pictures[origin].planes[0]).all()

    def test_its_worth_is_told(self, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tuning", str(clip), "--model", "irn-h264-x2", "--crf", "20,30", "--seconds", "0.5"]) == 0
        general, tuned, *told = capsys.readouterr().out.splitlines()
        assert general.startswith("moving general: ")
        assert tuned.startswith("moving fast: ")
        for name, figure, mean in zip(("psnr_y", "psnr_yuv", "vmaf_neg"), told[:3], told[3:], strict=True):
            assert figure.startswith(f"moving fast, {name}: ")
            assert mean == f"mean of 1, fast, {name}, %: {figure.split()[-2]}"

    def test_pictures_that_were_not_tuned_to(self, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = [str(clip), "--model", "irn-h264-x2", "--crf", "24", "--seconds", "1", "--halves"]
        assert main(["tuning", *words]) == 0
        gain, *shares = capsys.readouterr().out.splitlines()
        assert gain.startswith("moving fast CRF 24: ")
        told = [share.split(": ")[0] for share in shares]
        assert told == [f"mean of 1, fast, others / {what}, %" for what in ("seen", "when tuned to all")]


POINTS = {"half": [(100.0, 60.0), (200.0, 70.0), (400.0, 76.0)], "full": [(100.0, 50.0), (400.0, 80.0)]}


class TestChoice:
    @pytest.mark.parametrize(
        ("kbps", "quality", "slope"), [(100, 60, 10), (200 * 2**-0.5, 65, 10), (400, 76, 6), (800, 82, 6), (50, 50, 10)]
    )
    def test_lines_over_the_logarithm_of_the_rate(self, kbps: float, quality: float, slope: float) -> None:
        assert choice.quality_at(POINTS["half"], kbps) == pytest.approx((quality, slope))

    @pytest.mark.parametrize(
        ("model", "kbps", "best", "more"),
        [("half", 200, "half", 0), ("full", 200, "half", 2 ** (5 / 15) - 1), ("half", 400, "full", 2 ** (4 / 6) - 1)],
    )
    def test_more_bits_than_the_best(self, model: str, kbps: float, best: str, more: float) -> None:
        assert choice.behind(POINTS, model, kbps) == (best, pytest.approx(more))

    def test_whole_commands(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is known is not measured again."""
        kept = tmp_path / "points.json"
        words = ["choice", str(clip), "--bitrates", "100,300", "--points", str(kept)]
        known = {"moving": {name: [[90, 40], [310, 50]] for name in choice._WAYS if name != "lanczos-x1"}}
        kept.write_text(json.dumps(known))
        assert main([*words, "--model", "lanczos-x1"]) == 0
        found = json.loads(kept.read_text())["moving"]
        plain = found.pop("lanczos-x1")
        assert found == known["moving"]
        assert plain == sorted(plain)
        _, head, *rows = [line for line in capsys.readouterr().out.splitlines() if line]
        assert head.split()[:3] == ["clip", "kb/s", "chosen"]
        assert [row.split()[:2] for row in rows] == [["moving", "100"], ["moving", "300"]]
        assert all(float(row.split()[-1]) > 1 for row in rows)

    def test_what_was_chosen_has_to_be_measured(self) -> None:
        run = Run(1.0, 1.0, 0)
        with pytest.raises(BadOption, match="x4 was chosen, but not measured"):
            choice.choice_rows("clip", POINTS, [choice.Choice(200, "x4", run, run)])

    def test_other_files_are_refused(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "points.json").write_text("[1]")
        assert main(["choice", str(clip), "--points", str(tmp_path / "points.json")]) == 2
        assert "not points of choice" in capsys.readouterr().err


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_can_be_asked(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f" {name} " in capsys.readouterr().out


def test_only_what_is_asked_for_is_loaded() -> None:
    """The entry script finds the drawers, from any folder."""
    script = Path(measure.__file__).parent
    code = f"import sys, runpy; sys.argv = [{str(script)!r}, 'hull', '--help']; sys.path[0] = {str(script)!r}\n"
    code += "try: runpy.run_path(sys.argv[0], run_name='__main__')\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1].split()
    assert "measure.hull" in loaded
    assert "measure.coring" not in loaded


def test_the_picture_shows_where_lanczos_fails(tmp_path: Path) -> None:
    grey = np.full((240, 320), 100, np.uint8)
    spoilt = grey.copy()
    spoilt[120:200, 150:290] = 200
    pictures = []
    for luma in (grey, spoilt, grey):
        chroma = np.full((120, 160), 128, np.uint8)
        planes = (luma, chroma, chroma)
        pictures.append(Picture(planes, Layout.YUV420, 8, ColorSpec(1, 1, 1, False, 1), 0, Fraction(1, 25)))
    path, named = tmp_path / "side.png", dict(zip(("source", "Lanczos", "ours"), pictures, strict=True))
    write_panels(path, named, worst_place(named["source"], named["Lanczos"], 160, 120), 4, overwrite=False)
    image = cv2().imread(str(path))
    height, width = 120 * 4 + STRIP, 160 * 4
    assert image.shape == (height, 3 * width + 2 * GAP, 3)
    source, lanczos = image[STRIP:, :width], image[STRIP:, width + GAP : 2 * width + GAP]
    assert len(np.unique(source)) == 1
    # The whole spoilt part is inside the crop.
    assert (lanczos > source.max()).all(2).sum() == 80 * 140 * 16


class TestPicture:
    def test_three_ways_at_equal_bits(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "picture.png"
        words = ["picture", str(clip), str(path), "--crf", "30", "--frame", "5", "--place", "96,40,32,24"]
        assert main(words) == 0
        head, *rows, said = capsys.readouterr().out.splitlines()
        assert head.split() == ["CRF", "kB", "kb/s", "PSNR-Y", "PSNR-YUV", "VMAF", "VMAF-NEG"]
        assert [row.split()[0] for row in rows] == ["H.264", "Lanczos", "irn-h264-x2"]
        sizes = [float(row.split()[2]) for row in rows]
        assert max(sizes) <= 1.03 * min(sizes)  # 1 % either way, and the rounding of what is printed
        assert said == f"{path}: frame 5, 32x24 at 96,40"
        image = cv2().imread(str(path))
        assert image.shape == (STRIP + 3 * 24, 4 * 3 * 32 + 3 * GAP, 3)
        assert main(words) == 1  # it is there
        assert "--overwrite" in capsys.readouterr().err

    @pytest.mark.parametrize("bad", ["1,2,3", "a,b,c,d", "-8,0,32,32", "0,0,4,4"])
    def test_a_place_is_checked(self, clip: Path, bad: str) -> None:
        assert main(["picture", str(clip), "--place", bad]) == 2

    def test_a_place_outside_is_refused(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "picture.png"
        assert main(["picture", str(clip), str(path), "--place", "190,0,32,24"]) == 2
        assert "192x128" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scale", [1.5, 2, 4])
def test_bands_hold_every_channel_that_is_drawn(scale: float) -> None:
    found = calibration.bands_of(scale)
    assert len(found) == (6 if scale == 4 else 3)
    assert sorted(channel for channels in found.values() for channel in channels) == list(sampled_channels(scale))


def test_calibration_of_a_true_spread(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are drawn from what is predicted have a normalised square of 1, whatever the band."""
    rescaler = Rescaler.load("irn-h264-x2", device="cpu")
    assert isinstance(rescaler, PackedRescaler)
    network = rescaler.network
    with VideoReader(clip, frames=1) as reader:
        (source,) = reader
    received = replace(source, planes=tuple(plane[::2, ::2].copy() for plane in source.planes), qp=27.0)

    def downscale(_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = calibration._packed(received, received.height, received.width)
        prediction = network.predict(seen, received.qp)
        return prediction.lr, prediction.latent(1.0, torch.Generator().manual_seed(1))

    monkeypatch.setattr(network, "downscale", downscale)
    for _, band in calibration._of_frame(rescaler, source, received):
        assert band.ratios / band.samples == pytest.approx(1, abs=0.05)
        assert band.errors == pytest.approx(band.variances, rel=0.1)


def test_a_folder_for_a_blind_comparison(clip: Path, tmp_path: Path) -> None:
    points = blind.fill(clip, tmp_path, ["lanczos-x2", "bicubic-x2"], 24, tolerance=0.1)
    sizes = [point.bytes for point in points.values()]
    assert max(sizes) / min(sizes) < 1.1**2
    (found,) = find_clips(tmp_path)  # of one size, rate and length; the streams are no clip
    assert list(found.methods) == ["bicubic-x2", "full", "lanczos-x2"]
    assert found.reference is not None
    assert planes(found.reference) == planes(clip)
    for name, kept in (("full", "full_size.mp4"), ("lanczos-x2", "lanczos-x2.mp4")):
        stream = tmp_path / ".streams" / "moving" / kept
        shown = stream if name == "full" else rates.restored_video(stream, name, tmp_path / "again.mkv")
        assert planes(found.methods[name]) == planes(shown)
    with pytest.raises(OutputRefused, match="moving: it exists"):
        blind.fill(clip, tmp_path, ["lanczos-x2"], 24)


def planes(path: Path) -> list[bytes]:
    with VideoReader(path) as reader:
        return [b"".join(plane.tobytes() for plane in picture.planes) for picture in reader]


class TestReal:
    def test_whole_commands(
        self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Full size, and a network at two temperatures; and a classifier for each of these ways."""
        monkeypatch.setattr(real, "_PAIRS", (16, 8))
        path = tmp_path / "real.json"
        models = [word for name in ("full", "irn-h264-x2-lite") for word in ("--model", name)]
        other = clip.with_name("other.mkv")
        other.write_bytes(clip.read_bytes())
        options = ["--temperature", "0,1", "--frames", "5", "--json", str(path), "--markdown", "--classifier", "1"]
        assert main(["real", str(clip), str(other), *models, *options]) == 0
        *clips, mean, told = capsys.readouterr().out.split("\n\n")
        assert [block.split(" | ")[0] for block in clips] == ["| moving.mkv", "| other.mkv"]
        names = [line.split(" | ")[0].removeprefix("| ") for line in mean.splitlines()[2:]]
        ways = ["full, CRF 27", *(f"irn-h264-x2-lite, CRF 27, temperature {drawn}" for drawn in (0, 1))]
        assert names == ways
        assert [line.split(" | ")[0].removeprefix("| ") for line in told.splitlines()[2:]] == ways
        written = json.loads(path.read_text())
        assert set(written["classifier"]["errors"]) == set(ways)
        first = written["shown"][0]["scores"]
        assert {"psnr_y", "vmaf", "vmaf_neg", "texture_fine", "flicker"} < set(first)
        finest = [one["scores"]["texture_fine"] for one in written["shown"] if one["clip"] == "moving.mkv"]
        full, calm, drawn = finest
        assert calm < min(full, drawn)

    def test_names_have_to_differ(self, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["real", str(clip), str(clip)]) == 2
        assert "two clips have the same name" in capsys.readouterr().err


def test_bd_rates_of_how_real_it_looks() -> None:
    """A method that needs half the bits everywhere saves 50 % by every measure, on each clip and in the mean."""
    shown = [
        real.Shown(clip, model, crf, None, rate * factor, dict.fromkeys(("psnr_y", "vmaf", "vmaf_neg"), 40 - crf / 2))
        for clip in ("a", "b")
        for model, factor in (("peer", 1.0), ("half", 0.5))
        for crf, rate in ((20, 800.0), (26, 400.0), (32, 200.0), (38, 100.0))
    ]
    head, *rows = real.bd_table(shown, "peer", markdown=False).splitlines()
    assert head.startswith("half against peer")
    assert [row.split()[0] for row in rows] == ["a", "b", "mean"]
    assert all(row.split()[1:] == ["−50.0", "%", "−50.0", "%", "−50.0", "%"] for row in rows)
    with pytest.raises(BadOption, match="nobody was not measured"):
        real.bd_table(shown, "nobody", markdown=False)
