"""Time as files tell it, and as it must have been."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.clock import Clock
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.codecs.writing.passthrough import Passthrough


def packet_times(path: Path, kind: str) -> list[float]:
    with av.open(str(path)) as container:
        stream = container.streams.best(kind)  # type: ignore[call-overload]
        return [float(p.dts * p.time_base) for p in container.demux(stream) if p.dts is not None]


def test_clock_fills_gaps_and_never_goes_back() -> None:
    clock = Clock(Fraction(1, 1000), Fraction(25))
    stamps = [clock.stamp(pts, 0) for pts in (None, None, 100, 90, None, 500, 500)]
    assert stamps == [0, 40, 100, 140, 180, 500, 540]
    assert [Clock(Fraction(1, 10), None).stamp(pts, 3) for pts in (-5,)] == [-5]


class TestRate:
    @pytest.mark.parametrize("frames", [1, 3])
    def test_raw_dv(self, tools: Any, tmp_path: Path, frames: int) -> None:
        clip = tools.clip(tmp_path / "x.dv", "-target", "pal-dv", size="720x576", frames=frames)
        assert probe(clip).frame_rate == 25

    @pytest.mark.parametrize("told_ns", [1_000_000, 1_000_000_000])
    def test_a_header_that_lies(self, tools: Any, tmp_path: Path, told_ns: int) -> None:
        clip = tools.clip(tmp_path / "x.mkv", "-c:v", "ffv1")
        head, tail = clip.read_bytes().split(b"\x23\xe3\x83\x84", 1)  # DefaultDuration, 4 bytes
        clip.write_bytes(head + b"\x23\xe3\x83\x84" + told_ns.to_bytes(4) + tail[4:])
        assert probe(clip).frame_rate == 25

    def test_a_gap_is_no_lie(self, tools: Any, tmp_path: Path) -> None:
        clip = tools.clip(tmp_path / "x.mkv", "-vf", "setpts=N+100*gte(N\\,5)", "-fps_mode", "vfr", "-c:v", "ffv1")
        assert probe(clip).frame_rate == 25


class TestEnd:
    @pytest.fixture
    def long(self, tools: Any, tmp_path: Path) -> Path:
        """The tenth frame is shown for 0.6 s."""
        return self.clip(tools, tmp_path, "N")

    @staticmethod
    def clip(tools: Any, folder: Path, at: str) -> Path:
        plain = tools.clip(folder / "plain.mp4", "-vf", f"setpts={at}", "-fps_mode", "vfr", "-bf", 0, "-g", 5)
        last = "setts=duration=if(eq(N\\,9)\\,0.6/TB\\,DURATION)"
        tools.ffmpeg("-i", plain, "-c", "copy", "-bsf:v", last, folder / "long.mp4")
        return folder / "long.mp4"

    def test_read(self, tools: Any, long: Path) -> None:
        pictures = tools.read(long)
        durations = [float(picture.duration * picture.time_base) for picture in pictures]
        assert durations == pytest.approx([0.04] * 9 + [0.6])

    @pytest.mark.parametrize("gap", [None, 1, 4, 8, 9])
    @pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
    def test_kept_twice(self, tools: Any, tmp_path: Path, suffix: str, gap: int | None) -> None:
        """Also where a gap is among the first or last frames, which the encoder reorders."""
        source = self.clip(tools, tmp_path, "N" if gap is None else f"N+50*gte(N\\,{gap})")
        length = 0.96 if gap is None else 2.96
        for path in (tmp_path / f"a.{suffix}", tmp_path / "b.mp4"):
            with VideoReader(source) as reader:
                options = {"frame_rate": reader.info.frame_rate, "time_base": reader.info.time_base}
                tools.write(path, list(reader), EncoderSettings(preset="medium"), **options)
            with av.open(str(path)) as container:
                assert (container.duration or 0) / av.time_base == pytest.approx(length, abs=0.002)
            pictures = tools.read(path)
            assert pictures[-1].duration * pictures[-1].time_base == pytest.approx(0.6, abs=0.002)
            source = path


class TestJump:
    @pytest.fixture(scope="class")
    @staticmethod
    def joined(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
        """Two recordings of a second each, one after the other: the second begins later, or as early as the first."""
        folder = tmp_path_factory.mktemp("joined")
        sine = ("-f", "lavfi", "-i", "sine=duration=1", "-shortest", "-c:a", "aac", "-c:v", "libx264")
        pattern = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", *sine, "-pix_fmt", "yuv420p")
        for name, at in (("first", 0), ("later", 500)):
            tools.ffmpeg(*pattern, "-output_ts_offset", at, folder / f"{name}.ts")
        first = (folder / "first.ts").read_bytes()
        (folder / "on.ts").write_bytes(first + (folder / "later.ts").read_bytes())
        (folder / "back.ts").write_bytes(first + first)
        return {name: folder / f"{name}.ts" for name in ("first", "on", "back")}

    @pytest.mark.parametrize("name", ["on", "back"])
    def test_closed(self, joined: dict[str, Path], name: str) -> None:
        with VideoReader(joined[name]) as reader:
            times = [picture.pts_seconds for picture in reader]
            assert len(reader.warnings) == 1
            assert "timestamps jump" in reader.warnings[0]
            assert reader.damage.describe() == "no damage"
        assert len(times) == 50
        assert [b - a for a, b in pairwise(times)] == pytest.approx([0.04] * 49)

    def test_no_jump_no_warning(self, joined: dict[str, Path]) -> None:
        with VideoReader(joined["first"]) as reader:
            assert len(list(reader)) == 25
            assert not reader.warnings

    @pytest.mark.parametrize("name", ["on", "back"])
    @pytest.mark.parametrize("suffix", ["mp4", "ts"])
    def test_sound_moves_alike(
        self, tools: Any, joined: dict[str, Path], tmp_path: Path, name: str, suffix: str
    ) -> None:
        with VideoReader(joined[name]) as reader:
            summary = tools.write(
                tmp_path / f"x.{suffix}",
                list(reader),
                time_base=reader.info.time_base,
                passthrough=Passthrough(joined[name]),
            )
        assert not summary.warnings
        sound, video = (packet_times(tmp_path / f"x.{suffix}", kind) for kind in ("audio", "video"))
        assert len(sound) == len(packet_times(joined[name], "audio"))
        assert abs(sound[-1] - video[-1]) < 0.1
        assert sound[-1] - sound[0] == pytest.approx(2, abs=0.1)


def test_alpha_beside_the_frames_is_named(tools: Any, tmp_path: Path) -> None:
    clip = tools.clip(tmp_path / "x.webm", "-pix_fmt", "yuva420p", "-c:v", "libvpx-vp9", "-cpu-used", 8, frames=2)
    assert probe(clip).notes == ("alpha dropped",)
    tools.write(tmp_path / "x.mkv", tools.read(clip), passthrough=Passthrough(clip))
    assert not probe(tmp_path / "x.mkv").notes
