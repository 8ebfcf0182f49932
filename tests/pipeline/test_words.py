"""The commands that a report prints do what the study measured."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.packets import video_bytes
from irn_video.pipeline.study.cells import measure_cell
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.study.words import measure_command, receive_command, send_command


@pytest.fixture
def typed(clips: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs a line of the report in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def typed(line: str) -> None:
        program, *words = shlex.split(line)
        if program == "ffmpeg":
            clips.ffmpeg(*words)
        else:
            assert run(program.removeprefix("irn-"), *words).code == 0

    return typed


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "irn-h264-x2", "irn-h264-x2@fast", "bicubic-x2+lanczos"])
def test_they_make_the_measured_stream(method: str, moving: Path, tmp_path: Path, typed: Callable[[str], None]) -> None:
    settings = {"codec": "h264", "preset": "fast", "tune": None, "keyint": 4, "pixel_format": None, "frames": 6}
    parsed = Method.parse(method)
    encoder = EncoderSettings(crf=24.0, preset="fast", keyint=4)
    measured = measure_cell(Cell(moving, parsed, encoder, 6, ("psnr", "vmaf")), tmp_path)
    clip = str(moving)
    typed(send_command(parsed, clip, settings, 24.0))
    if method == "full":
        # FFmpeg's program has another build of x264.
        assert video_bytes(tmp_path / "lr.mkv") == pytest.approx(measured.bytes, rel=0.1)
        typed(measure_command(clip, "lr.mkv"))
        least = 1.0
    else:
        assert video_bytes(tmp_path / "lr.mkv") == pytest.approx(measured.bytes, abs=16)
        typed(receive_command(parsed, clip))
        typed(measure_command(clip, "restored.mkv"))
        least = 0.01
    pooled: Any = json.loads((tmp_path / "vmaf.json").read_text())["pooled_metrics"]["vmaf"]["mean"]
    assert sum(measured.values("vmaf")) / 6 == pytest.approx(pooled, abs=least)


def test_settings_in_the_words_of_each_program() -> None:
    settings = {
        "codec": "h265",
        "preset": "slow",
        "tune": "grain",
        "keyint": 10,
        "pixel_format": "yuv420p",
        "frames": "all",
    }
    assert send_command(Method("full"), "a b.mp4", settings, None, 800_000) == (
        "ffmpeg -i 'a b.mp4' -map 0:v:0 -c:v libx265 -preset slow -tune grain -g 10 -pix_fmt yuv420p -b:v 800000 lr.mkv"
    )
    assert send_command(Method("irn-h264-x4"), "a.mp4", settings, 20.5) == (
        "irn-send a.mp4 lr.mkv --model irn-h264-x4 --crf 20.5 --codec h265 --preset slow --tune grain --keyint 10 "
        "--pix-fmt yuv420p"
    )
    by_scale = {"codec": "h264", "preset": "by-scale"}  # what irn-send has by itself, as medium is x264's
    assert send_command(Method("full"), "a.mp4", by_scale, 20.0).endswith("-c:v libx264 -crf 20 lr.mkv")
    assert send_command(Method("lanczos-x2"), "a.mp4", by_scale, 20.0) == (
        "irn-send a.mp4 lr.mkv --model lanczos-x2 --crf 20"
    )
    assert receive_command(Method("bicubic-x2", "RCAN_BIX2.pt"), "a.mp4") == (
        "irn-receive lr.mkv restored.mkv --source a.mp4 --codec ffv1 --upscaler rcan --weights RCAN_BIX2.pt"
    )
    assert receive_command(Method("mine.safetensors"), "a.mp4").endswith("--model mine.safetensors")
