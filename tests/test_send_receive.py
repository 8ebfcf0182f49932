"""A video there and back: what is measured, what is kept, what repeats."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.packets import encoder_words
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.network.paper import PaperRescaler
from irn_video.pipeline.planes import Samples, convert
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

QUICK: dict[str, Any] = {"crf": 20, "preset": "ultrafast"}


def same(one: list[Picture], other: list[Picture]) -> bool:
    """The same samples in every plane of every picture."""
    return len(one) == len(other) and all(
        np.array_equal(p, q) for a, b in zip(one, other, strict=True) for p, q in zip(a.planes, b.planes, strict=True)
    )


@pytest.fixture(scope="module")
def sent(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with in.mp4 and the LR stream that the default network makes of it."""
    folder = tmp_path_factory.mktemp("sent")
    shutil.copy(moving, folder / "in.mp4")
    send(folder / "in.mp4", folder / "lr.mp4")
    return folder


class TestMeasurement:
    @pytest.mark.parametrize(
        ("model", "pixels"),
        [
            ("irn-h264-x2", "yuv420p"),
            ("irn-h264-x2", "yuv420p10le"),
            ("lanczos-x2", "yuv420p"),
            ("lanczos-x2", "yuv422p"),
            ("lanczos-x2", "yuv444p10le"),
        ],
    )
    def test_agrees_with_ffmpeg(self, clips: Any, tmp_path: Path, model: str, pixels: str) -> None:
        source = clips.make(tmp_path / "in.mkv", "-pix_fmt", pixels, "-c:v", "ffv1")
        send(source, tmp_path / "lr.mkv", SendOptions(model=model, **QUICK))
        result = receive(tmp_path / "lr.mkv", tmp_path / "out.mkv", ReceiveOptions(codec="ffv1"))
        expected = clips.psnr(tmp_path / "out.mkv", source)
        measured = result.report.as_json()["frames"]
        assert len(measured) == len(expected) == 8
        for ours, theirs in zip(measured, expected, strict=True):
            for plane in ("psnr_y", "psnr_u", "psnr_v"):
                assert ours[plane] == pytest.approx(theirs[plane], abs=0.0101)  # they print two decimals
            assert ours["psnr_yuv"] == pytest.approx((6 * ours["psnr_y"] + ours["psnr_u"] + ours["psnr_v"]) / 8)

    def test_verify_says_what_the_receiver_sees(self, run: Any, moving: Path, tmp_path: Path) -> None:
        there = run("send", moving, tmp_path / "lr.mp4", "--verify", "--json")
        back = run(
            "receive", tmp_path / "lr.mp4", tmp_path / "out.mkv", "--source", moving, "--json", "--codec", "ffv1"
        )
        assert there.code == back.code == 0
        assert json.loads(there.out)["summary"]["psnr_y"]["mean"] > 22
        assert json.loads(there.out)["frames"] == json.loads(back.out)["frames"]

    def test_identical_pictures(self, clips: Any, run: Any, tmp_path: Path) -> None:
        flat = clips.make(tmp_path / "flat.mkv", "-pix_fmt", "yuv420p", "-c:v", "ffv1", name="color")
        run("send", flat, tmp_path / "lr.mkv", "--model", "lanczos-x2", "--lossless")
        back = run("receive", tmp_path / "lr.mkv", tmp_path / "out.mkv", "--report", tmp_path / "r.json")
        assert "every frame is identical" in back.out
        report = json.loads((tmp_path / "r.json").read_text())
        assert [f["identical"] for f in report["frames"]] == [True] * 8
        assert [f["psnr_y"] for f in report["frames"]] == [None] * 8
        assert report["summary"]["psnr_y"] == {"mean": None, "min": None, "max": None, "of_mean_mse": None}

    def test_without_a_source(self, run: Any, sent: Path, tmp_path: Path) -> None:
        shutil.copy(sent / "lr.mp4", tmp_path / "lr.mp4")
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", "--report", tmp_path / "r.json")
        assert back.code == 0
        assert "PSNR not measured: no source" in back.out
        report = json.loads((tmp_path / "r.json").read_text())
        assert [frame["psnr_y"] for frame in report["frames"]] == [None] * 8
        assert report["summary"]["psnr_y"] == dict.fromkeys(("mean", "min", "max", "of_mean_mse"))
        assert probe(tmp_path / "out.mp4").width == 96

    def test_what_is_known_without_measuring(self, run: Any, sent: Path, tmp_path: Path) -> None:
        """Both ends tell the same of the stream; what only the sender knows is null at the receiver."""
        there = run("send", sent / "in.mp4", tmp_path / "lr.mp4", "--crf", 30, "--json")
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", "--json")
        reports = [json.loads(done.out) for done in (there, back)]
        assert reports[0]["frames"] == reports[1]["frames"]
        assert [report["stream"].pop("preset") for report in reports] == ["slower", None]
        assert [report["source"].pop("seconds") for report in reports] == [pytest.approx(0.32), None]
        for report in reports:
            stream, frames = report["stream"], report["frames"]
            # Start codes of three bytes become lengths of four in MP4.
            assert sum(frame["bytes"] for frame in frames) == pytest.approx(stream["bytes"], abs=8)
            assert stream["bytes"] < stream["file_bytes"]
            assert [frame["keyframe"] for frame in frames] == [True] + [False] * 7
            assert stream["qp"] == pytest.approx(sum(frame["qp"] for frame in frames) / 8)
            assert 20 < stream["qp"] < 40
            assert (stream["width"], stream["height"], stream["scale"]) == (48, 32, 2)
            source = report["source"]
            assert (source["width"], source["height"]) == (96, 64)
            assert source["bytes"] == (sent / "in.mp4").stat().st_size
            assert report["frames_per_second"] == pytest.approx(8 / report["elapsed_seconds"])
        assert reports[0]["share"] == pytest.approx(stream["file_bytes"] / source["bytes"], rel=1e-3)
        assert [report["tuning"]["untuned"] for report in reports] == ["it was not asked for", None]

    @pytest.mark.parametrize(
        ("scale", "given", "preset", "subme"),
        [(1, None, "medium", 7), (2, None, "slower", 9), (4, None, "veryslow", 10), (4, "fast", "fast", 6)],
    )
    def test_the_preset_follows_the_scale(
        self, sent: Path, tmp_path: Path, scale: int, given: str | None, preset: str, subme: int
    ) -> None:
        """That is what x264 was told, and what the report says."""
        options = SendOptions(model=f"lanczos-x{scale}", frames=2, preset=given)
        report = send(sent / "in.mp4", tmp_path / "lr.mkv", options).report.as_json()
        assert report["stream"]["preset"] == preset
        assert f"subme={subme} " in encoder_words(tmp_path / "lr.mkv")

    def test_phases_and_the_last_line(self, run: Any, sent: Path, tmp_path: Path) -> None:
        seen: list[tuple[str, int, int | None]] = []

        def phase(title: str) -> Callable[[int, int | None], None]:
            return lambda done, total: seen.append((title, done, total))

        send(sent / "in.mp4", tmp_path / "a.mp4", SendOptions(adapt="fast", verify=True), phase=phase)
        others = [("tuning group 1", 0, None), ("looking at other ways", 0, None)]
        assert seen == [*others, *(("verifying", done, 8) for done in range(1, 9))]
        there = run("send", sent / "in.mp4", tmp_path / "lr.mp4")
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", "--source", sent / "in.mp4")
        for done in (there, back):
            last = done.out.splitlines()[-1]
            assert re.search(r"kB in all, \d+ kb/s, \S+ % of the source's rate, \S+ s, \S+ fps$", last)

    def test_source_is_found_by_its_digest(self, sent: Path, tmp_path: Path) -> None:
        for name in ("in.mp4", "lr.mp4"):
            shutil.copy(sent / name, tmp_path / name)
        assert receive(tmp_path / "lr.mp4", tmp_path / "a.mp4").source == tmp_path / "in.mp4"
        content = bytearray((tmp_path / "in.mp4").read_bytes())
        content[-1] ^= 1
        (tmp_path / "in.mp4").write_bytes(content)
        result = receive(tmp_path / "lr.mp4", tmp_path / "b.mp4")
        assert result.source is None
        assert not result.report.frames

    def test_frames_compares_a_prefix(self, sent: Path, tmp_path: Path) -> None:
        whole = receive(sent / "lr.mp4", tmp_path / "a.mp4", ReceiveOptions(source=sent / "in.mp4"))
        part = receive(sent / "lr.mp4", tmp_path / "b.mp4", ReceiveOptions(source=sent / "in.mp4", frames=3))
        assert [f.error for f in part.report.frames] == [f.error for f in whole.report.frames[:3]]
        assert probe(tmp_path / "b.mp4").frames == 3

    def test_only_the_beginning_was_sent(self, sent: Path, tmp_path: Path) -> None:
        send(sent / "in.mp4", tmp_path / "lr.mp4", SendOptions(frames=3, verify=True))
        result = receive(tmp_path / "lr.mp4", tmp_path / "out.mp4", ReceiveOptions(source=sent / "in.mp4"))
        assert len(result.report.frames) == 3

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"size": "128x64"}, "the source is 128x64, the video that was sent 96x64"),
            ({"rate": 50}, "the LR stream has 25 frames per second, the source 50"),
            ({"frames": 5}, "the source ends after 5 frames"),
            ({"frames": 12}, "the LR stream ends after 8 frames"),
        ],
    )
    def test_another_source(
        self, run: Any, clips: Any, sent: Path, tmp_path: Path, other: dict[str, Any], said: str
    ) -> None:
        source = clips.make(tmp_path / "other.mp4", **other)
        back = run("receive", sent / "lr.mp4", tmp_path / "out.mp4", "--source", source)
        assert back.code == 1
        assert said in back.error
        assert sorted(p.name for p in tmp_path.iterdir()) == ["other.mp4"]

    def test_source_stream(self, clips: Any, tmp_path: Path) -> None:
        """Of several video streams the one that was sent is measured, and none is guessed."""
        clips.ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-f", "lavfi", "-i", "mandelbrot=size=96x64:rate=25"),
            *("-map", 0, "-map", 1, "-frames:v", 5, "-c:v", "ffv1", "-pix_fmt", "yuv420p", tmp_path / "two.mkv"),
        )
        verified = send(tmp_path / "two.mkv", tmp_path / "lr.mkv", SendOptions(stream=1, verify=True)).report
        assert receive(tmp_path / "lr.mkv", tmp_path / "a.mkv").source is None
        options = ReceiveOptions(source=tmp_path / "two.mkv", source_stream=1, codec="ffv1")
        assert receive(tmp_path / "lr.mkv", tmp_path / "b.mkv", options).report.frames == verified.frames


class TestRealFiles:
    def test_the_choice_of_a_stream_is_said(self, run: Any, clips: Any, tmp_path: Path) -> None:
        two = tmp_path / "two.mkv"
        clips.ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=size=128x64:rate=25", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25"),
            *(
                "-map",
                0,
                "-map",
                1,
                "-frames:v",
                3,
                "-c:v",
                "ffv1",
                "-disposition:v:0",
                0,
                "-disposition:v:1",
                "default",
            ),
            two,
        )
        there = run("send", two, tmp_path / "lr.mp4", "--model", "lanczos-x2")
        assert "video stream 1 of 2, 96x64 (--stream N takes another, counted from 0)" in there.err
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", "--source", two, "--json")
        assert "video stream" not in back.err
        assert len(json.loads(back.out)["frames"]) == 3
        assert run("send", two, tmp_path / "other.mp4", "--model", "lanczos-x2", "--stream", 0).code == 0
        assert probe(tmp_path / "other.mp4").width == 64

    @pytest.fixture
    def joined(self, clips: Any, tmp_path: Path) -> Callable[[Path], Path]:
        def join(clip: Path) -> Path:
            """A recording of the clip, and the same again 500 s later by its timestamps."""
            for at in (0, 500):
                clips.ffmpeg("-i", clip, "-c", "copy", "-output_ts_offset", at, tmp_path / f"at-{at}.ts")
            path = tmp_path / f"{clip.stem}-joined.ts"
            path.write_bytes(b"".join((tmp_path / f"at-{at}.ts").read_bytes() for at in (0, 500)))
            return path

        return join

    def test_recordings_that_were_joined(
        self, run: Any, clips: Any, moving: Path, joined: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        source, lr, out = joined(moving), tmp_path / "lr.mp4", tmp_path / "out.mp4"
        there = run("send", source, lr, "--model", "lanczos-x2")
        assert there.code == 0
        assert [text for text in there.warnings if "jump" in text] == there.warnings
        assert len(there.warnings) == 1
        back = run("receive", lr, out, "--source", source, "--json")
        assert (back.code, back.warnings, len(json.loads(back.out)["frames"])) == (0, [], 16)
        for path in (lr, out):
            times = [picture.pts_seconds for picture in clips.read(path)]
            assert times[-1] - times[0] == pytest.approx(0.6)

    def test_joined_streams_are_restored_but_not_measured(
        self, run: Any, sent: Path, joined: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        """Which frames of the source follow a jump is not known."""
        lr = joined(sent / "lr.mp4")
        back = run("receive", lr, tmp_path / "a.mp4")
        assert back.code == 0
        named = run("receive", lr, tmp_path / "b.mp4", "--source", sent / "in.mp4")
        assert named.code == 1
        assert "timestamps jump" in named.error


class TestCut:
    """A stream cut at a keyframe is restored, but which pictures of the source it holds is not known."""

    @pytest.fixture
    def cut(self, clips: Any, tmp_path: Path) -> Path:
        source = clips.make(tmp_path / "in.mp4", frames=12)
        send(source, tmp_path / "lr.mp4", SendOptions(**QUICK, keyint=4))
        clips.ffmpeg("-ss", 0.16, "-i", tmp_path / "lr.mp4", "-c", "copy", tmp_path / "cut.mp4")
        return tmp_path / "cut.mp4"

    def test_found_source_is_not_used(self, run: Any, cut: Path) -> None:
        back = run("receive", cut, cut.parent / "out.mkv", "--codec", "ffv1", "--report", cut.parent / "r.json")
        assert back.code == 0
        assert "PSNR not measured: the LR stream ends after 8 frames, the source goes on" in back.out
        assert any("could not be measured" in text for text in back.warnings)
        assert json.loads((cut.parent / "r.json").read_text())["summary"]["psnr_y"]["mean"] is None
        assert len(list(VideoReader(cut.parent / "out.mkv"))) == 8

    @pytest.mark.parametrize("more", [(), ("--frames", 3)])
    def test_named_source_is_refused(self, run: Any, cut: Path, more: tuple[object, ...]) -> None:
        back = run("receive", cut, cut.parent / "out.mp4", "--source", cut.parent / "in.mp4", *more)
        assert back.code == 1
        assert "8 frames" in back.error
        assert not (cut.parent / "out.mp4").exists()


class TestRepeatable:
    def test_same_seed_same_everything(self, sent: Path, tmp_path: Path) -> None:
        send(sent / "in.mp4", tmp_path / "again.mp4")
        # The names of the files are in neither.
        assert (tmp_path / "again.mp4").read_bytes() == (sent / "lr.mp4").read_bytes()
        for name in ("a.mkv", "b.mkv"):
            receive(sent / "lr.mp4", tmp_path / name, ReceiveOptions(codec="ffv1", temperature=1.0, seed=5))
        assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()

    def test_seed_and_temperature(self, clips: Any, sent: Path, tmp_path: Path) -> None:
        def restored(temperature: float, seed: int) -> list[Picture]:
            path = tmp_path / f"{temperature}-{seed}.mkv"
            options = ReceiveOptions(codec="ffv1", temperature=temperature, seed=seed)
            receive(sent / "lr.mp4", path, options)
            read: list[Picture] = clips.read(path)
            return read

        assert not same(restored(1.0, 1), restored(1.0, 2))
        assert same(restored(0.0, 1), restored(0.0, 2))

    def test_sender_chooses_seed_and_temperature(self, moving: Path, tmp_path: Path) -> None:
        result = send(moving, tmp_path / "lr.mp4", SendOptions(temperature=0.25, seed=77, **QUICK))
        assert (result.card.latent_std, result.card.seed) == (0.25, 77)
        assert find_card(tmp_path / "lr.mp4") == result.card


class TestReport:
    def test_json(self, run: Any, sent: Path, tmp_path: Path) -> None:
        report = tmp_path / "r.json"
        run("receive", sent / "lr.mp4", tmp_path / "out.mp4", "--source", sent / "in.mp4", "--report", report)
        values = json.loads(report.read_text())
        assert values.keys() == {
            *("schema", "command", "environment", "stream", "frames", "summary", "warnings", "damage"),
            *("source", "share", "elapsed_seconds", "frames_per_second", "tuning", "search", "peers", "advice"),
        }
        assert (values["schema"], values["command"], values["damage"]) == (1, "irn-receive", None)
        stream = values["stream"]
        assert (stream["codec"], stream["crf"], stream["frames"]) == ("h264", 23, 8)
        assert stream["seconds"] == pytest.approx(8 / 25)
        assert stream["kbps"] == pytest.approx(stream["bytes"] * 8 / 1000 / stream["seconds"])
        assert stream["bpp"] == pytest.approx(stream["bytes"] * 8 / (8 * 96 * 64))
        assert 500 < stream["bytes"] < (sent / "lr.mp4").stat().st_size
        assert len(values["environment"]["model_sha256"]) == 64
        psnr = [frame["psnr_y"] for frame in values["frames"]]
        summary = values["summary"]["psnr_y"]
        assert (summary["min"], summary["max"]) == (min(psnr), max(psnr))
        assert summary["mean"] == pytest.approx(sum(psnr) / 8)
        mean_error = sum(10 ** (-v / 10) for v in psnr) / 8
        assert summary["of_mean_mse"] == pytest.approx(-10 * math.log10(mean_error))
        assert [frame["pts_seconds"] for frame in values["frames"]] == pytest.approx([i / 25 for i in range(8)])

    def test_csv(self, run: Any, sent: Path, tmp_path: Path) -> None:
        report = tmp_path / "r.csv"
        out = ("receive", sent / "lr.mp4", tmp_path / "out.mp4", "--source", sent / "in.mp4", "--report", report)
        values = json.loads(run(*out, "--json").out)
        with report.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["index"]) for row in rows] == list(range(8))
        assert [float(row["psnr_rgb"]) for row in rows] == [frame["psnr_rgb"] for frame in values["frames"]]

    def test_sender_and_receiver_count_the_same_bytes(self, sent: Path, tmp_path: Path) -> None:
        there = send(sent / "in.mp4", tmp_path / "lr.mp4", SendOptions(**QUICK))
        back = receive(tmp_path / "lr.mp4", tmp_path / "out.mp4")
        headers = 100  # of the parameter sets, which MP4 keeps elsewhere
        assert back.report.stream.bytes == pytest.approx(there.report.stream.bytes, abs=headers)


class TestStreams:
    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("lr.mkv", EncoderSettings(codec="h264", preset="fast")),
            ("lr.ts", EncoderSettings(codec="h264", preset="fast")),
            ("lr.mp4", EncoderSettings(codec="h265", preset="fast", crf=24)),
            ("lr.mkv", EncoderSettings(codec="av1", preset="10", crf=24)),
            ("lr.mkv", EncoderSettings(codec="ffv1")),
            ("lr.mp4", EncoderSettings(codec="h264", bitrate=200_000)),
            ("lr.mp4", EncoderSettings(codec="h264", lossless=True)),
        ],
        ids=lambda value: value if isinstance(value, str) else f"{value.codec}-{value.bitrate or value.lossless}",
    )
    def test_codecs_and_containers(self, moving: Path, tmp_path: Path, name: str, settings: EncoderSettings) -> None:
        sent = send(moving, tmp_path / name, SendOptions(**asdict(settings)))
        result = receive(tmp_path / name, tmp_path / "out.mkv", ReceiveOptions(source=str(moving)))
        assert sent.card.codec == settings.codec
        assert len(result.report.frames) == 8
        mean = result.report.summary()["psnr_y"]["mean"]
        assert mean is not None
        assert mean > 22

    @pytest.mark.parametrize("upscaler", ["lanczos", "bicubic"])
    def test_upscaler(self, sent: Path, tmp_path: Path, upscaler: str) -> None:
        options = ReceiveOptions(source=sent / "in.mp4", upscaler=upscaler)
        network = receive(sent / "lr.mp4", tmp_path / "a.mp4", ReceiveOptions(source=sent / "in.mp4")).report
        other = receive(sent / "lr.mp4", tmp_path / "b.mp4", options).report
        assert other.model == f"{upscaler}-x2"
        assert network.summary()["psnr_y"]["mean"] != other.summary()["psnr_y"]["mean"]

    @pytest.mark.parametrize("model", ["irn-h264-x2", "lanczos-x2"])
    def test_restored_as_rgb(self, clips: Any, moving: Path, tmp_path: Path, model: str) -> None:
        send(moving, tmp_path / "lr.mp4", SendOptions(model=model))
        for name, pixels in (("a.mkv", "yuv420p"), ("b.mkv", "gbrp")):
            options = ReceiveOptions(codec="ffv1", pixel_format=pixels)
            receive(tmp_path / "lr.mp4", tmp_path / name, options)
        rgb = clips.read(tmp_path / "b.mkv")
        converted = [convert(picture, Samples.of(rgb[0])) for picture in clips.read(tmp_path / "a.mkv")]
        for one, other in zip(rgb, converted, strict=True):
            for p, q in zip(one.planes, other.planes, strict=True):
                assert np.abs(p.astype(int) - q).mean() < 1  # up to rounding and clipping

    @pytest.mark.parametrize("size", ["96x66", "97x67", "31x1"])
    @pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le", "rgb24"])
    def test_any_size_at_three_halves(self, clips: Any, tmp_path: Path, size: str, pixel_format: str) -> None:
        """What comes back, without loss of a codec, is nearer to the source than from scale 2."""
        clip = clips.make(tmp_path / "in.mkv", "-pix_fmt", pixel_format, "-c:v", "ffv1", size=size, frames=2)
        width, height = map(int, size.split("x"))
        sent = send(clip, tmp_path / "lr.mkv", SendOptions(model="lanczos-x1.5", codec="ffv1"))
        padded = [-(-side // 6) * 6 for side in (width, height)]
        assert [width + sent.card.pad_right, height + sent.card.pad_bottom] == padded
        assert [3 * probe(tmp_path / "lr.mkv").width, 3 * probe(tmp_path / "lr.mkv").height] == [2 * n for n in padded]
        assert '"scale":1.5,' in sent.card.to_json()
        back = receive(tmp_path / "lr.mkv", tmp_path / "out.mkv", ReceiveOptions(source=clip, codec="ffv1"))
        info = probe(tmp_path / "out.mkv")
        assert (info.width, info.height) == (width, height)
        assert (info.layout, info.bit_depth) == (probe(clip).layout, probe(clip).bit_depth)
        assert back.report.as_json()["stream"]["scale"] == 1.5
        other = SendOptions(model="lanczos-x2", codec="ffv1", verify=True)
        half = send(clip, tmp_path / "half.mkv", other).report.summary()["psnr_y"]["mean"]
        assert back.report.summary()["psnr_y"]["mean"] > half + 0.5

    @pytest.mark.parametrize(
        ("name", "size"), [("lanczos-x4", (24, 16)), ("bicubic-x2", (48, 32)), ("lanczos-x1.5", (64, 44))]
    )
    def test_scale(self, moving: Path, tmp_path: Path, name: str, size: tuple[int, int]) -> None:
        send(moving, tmp_path / "lr.mp4", SendOptions(model=name, scale=float(name.rpartition("x")[2])))
        assert (probe(tmp_path / "lr.mp4").width, probe(tmp_path / "lr.mp4").height) == size
        receive(tmp_path / "lr.mp4", tmp_path / "out.mp4")
        assert (probe(tmp_path / "out.mp4").width, probe(tmp_path / "out.mp4").height) == (96, 64)

    @pytest.mark.parametrize("size", ["97x63", "99x65", "98x66"])
    def test_sizes_that_do_not_divide(self, clips: Any, tmp_path: Path, size: str) -> None:
        source = clips.make(tmp_path / "in.mkv", "-pix_fmt", "yuv420p", "-c:v", "ffv1", size=size, frames=3)
        verified = send(source, tmp_path / "lr.mp4", SendOptions(**QUICK, verify=True))
        width, height = map(int, size.split("x"))
        assert probe(tmp_path / "lr.mp4").width == -(-width // 4) * 2
        result = receive(tmp_path / "lr.mp4", tmp_path / "out.mkv", ReceiveOptions(codec="ffv1"))
        assert (probe(tmp_path / "out.mkv").width, probe(tmp_path / "out.mkv").height) == (width, height)
        assert result.report.frames == verified.report.frames
        shown = receive(tmp_path / "lr.mp4", tmp_path / "out.mp4")
        assert probe(tmp_path / "out.mp4").layout is (Layout.YUV444 if width % 2 else Layout.YUV420)
        assert any("odd size" in text for text in shown.report.warnings) == bool(width % 2)

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_variable_frame_rate(self, clips: Any, tmp_path: Path, suffix: str) -> None:
        vfr = ("-vf", "select='not(between(n,3,5))*not(eq(n,8))'", "-fps_mode", "vfr")
        source = clips.make(tmp_path / f"in.{suffix}", *vfr, "-c:v", "libx264", "-pix_fmt", "yuv420p", frames=9)
        send(source, tmp_path / f"lr.{suffix}", SendOptions(**QUICK, verify=True))
        result = receive(tmp_path / f"lr.{suffix}", tmp_path / f"out.{suffix}")
        times = [picture.pts_seconds for picture in clips.read(source)]
        assert len(result.report.frames) == len(times) == 9
        assert max(b - a for a, b in pairwise(times)) > 0.1
        for name in ("lr", "out"):
            there = [picture.pts_seconds for picture in clips.read(tmp_path / f"{name}.{suffix}")]
            assert there == pytest.approx(times, abs=0.0011)

    def test_card_lost(self, run: Any, clips: Any, sent: Path, tmp_path: Path) -> None:
        bare = tmp_path / "bare.mp4"
        clips.ffmpeg("-i", sent / "lr.mp4", "-map_metadata", -1, "-c:v", "libx264", "-crf", 5, bare)
        lost = run("receive", bare, tmp_path / "out.mp4")
        assert lost.code == 1
        assert "no stream card" in lost.error
        named = ("--model", "irn-h264-x2", "--source", sent / "in.mp4", "--json")
        back = run("receive", bare, tmp_path / "out.mp4", *named)
        assert back.code == 0
        assert json.loads(back.out)["summary"]["psnr_y"]["mean"] > 22


class TestLossless:
    """The route of the paper's networks: the LR picture arrives bit for bit."""

    def test_a_lossy_codec_is_warned_of(self, moving: Path, tmp_path: Path) -> None:
        lossy = send(moving, tmp_path / "lossy.mp4", SendOptions(model="irn-x2", frames=1))
        assert any("h264 erases" in text for text in lossy.report.warnings)
        for settings in (EncoderSettings(lossless=True), EncoderSettings(codec="ffv1")):
            quiet = send(
                moving, tmp_path / f"{settings.codec}.mkv", SendOptions(model="irn-x2", frames=1, **asdict(settings))
            )
            assert not any("erases" in text for text in quiet.report.warnings)

    @pytest.fixture(scope="class")
    @staticmethod
    def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """An official checkpoint, of random weights."""
        folder = tmp_path_factory.mktemp("home")
        torch.manual_seed(3)
        network = PaperRescaler(2)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.005 * torch.randn_like(parameter))
        torch.save(network.state_dict(), folder / "official.pth")
        return folder

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    @pytest.mark.parametrize("pixels", ["yuv420p", "gbrp"])
    def test_exact(
        self,
        run: Any,
        clips: Any,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        suffix: str,
        pixels: str,
    ) -> None:
        monkeypatch.setenv("IRN_VIDEO_HOME", str(home))
        name = f"my-{suffix}-{pixels}"
        assert run("models", "import", home / "official.pth", "--name", name).code == 0
        source = clips.make(tmp_path / "in.mkv", "-pix_fmt", pixels, "-c:v", "ffv1", frames=3)
        lr = tmp_path / f"lr.{suffix}"
        assert run("send", source, lr, "--model", name, "--lossless").code == 0
        rescaler = Rescaler.load(name)
        made = []
        for picture in clips.read(source):
            to = rescaler.sent(Samples.of(picture), lossless=True, height=picture.height)
            made.append(rescaler.downscale(picture, to))
        arrived = clips.read(lr)
        assert {p.layout for p in arrived} == {Layout.RGB}
        assert min(int(np.ptp(plane)) for picture in arrived for plane in picture.planes) > 100
        assert same(arrived, made)
        back = run("receive", lr, tmp_path / "out.mkv", "--codec", "ffv1", "--json")
        assert len(json.loads(back.out)["frames"]) == 3


class TestPythonApi:
    def test_three_lines_to_send(self, moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copy(moving, tmp_path / "in.mp4")
        monkeypatch.chdir(tmp_path)
        from irn_video.sender import SendOptions, send

        result = send("in.mp4", "lr.mp4", SendOptions(verify=True))
        assert result.report.summary()["psnr_y"]["mean"] > 22  # type: ignore[operator]
        from irn_video.receiver import receive

        again = receive("lr.mp4", "out.mp4").report.summary()
        assert again == result.report.summary()

    def test_three_lines_for_a_tensor(self) -> None:
        from irn_video.pipeline import load_model

        network = load_model().network
        hr = torch.rand(1, network.channels, 32, 32)
        lr, latent = network.downscale(hr)
        assert torch.allclose(network.upscale(lr, latent), hr, atol=1e-4)

    def test_progress(self, moving: Path, tmp_path: Path) -> None:
        seen: list[tuple[int, int | None]] = []
        send(moving, tmp_path / "lr.mp4", SendOptions(frames=4), advance=lambda done, total: seen.append((done, total)))
        receive(tmp_path / "lr.mp4", tmp_path / "out.mp4", advance=lambda done, total: seen.append((done, total)))
        assert seen == [(i, 4) for i in range(1, 5)] * 2

    def test_frame_rate_is_kept(self, clips: Any, tmp_path: Path) -> None:
        source = clips.make(tmp_path / "in.mp4", rate="30000/1001")
        send(source, tmp_path / "lr.mp4", SendOptions(**QUICK))
        receive(tmp_path / "lr.mp4", tmp_path / "out.mp4")
        assert probe(tmp_path / "out.mp4").frame_rate == Fraction(30000, 1001)
