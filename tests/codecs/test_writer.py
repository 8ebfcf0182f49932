from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption, OutputRefused, UnwritableOutput
from irn_video.codecs.hdr import HdrMetadata, MasteringDisplay
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import probe
from irn_video.codecs.writing.writer import VideoWriter

VFR = [0, 1, 2, 7, 8, 30, 31, 55]


def raise_after(writer: VideoWriter, picture: Picture, error: type[BaseException]) -> None:
    writer.write(picture)
    raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_summary(tools: Any, tmp_path: Path) -> None:
    summary = tools.write(tmp_path / "x.mp4", tools.draw(10))
    assert (summary.frames, summary.seconds, summary.warnings, summary.passthrough) == (10, 0.4, (), ())
    assert 0 < summary.video_bytes < summary.path.stat().st_size
    assert names(tmp_path) == ["x.mp4"]


@pytest.mark.parametrize("extension", ["mp4", "m4v", "mov", "mkv", "ts", "m2ts"])
def test_containers(tools: Any, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"x.{extension}"
    tools.write(path, tools.draw(10))
    assert len(tools.read(path)) == 10


def test_webm(tools: Any, tmp_path: Path) -> None:
    tools.write(tmp_path / "x.webm", tools.draw(5, 64, 64), EncoderSettings(codec="av1"))
    assert len(tools.read(tmp_path / "x.webm")) == 5


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
@pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)])
def test_timestamps_are_kept(tools: Any, tmp_path: Path, extension: str, codec: str, base: Fraction) -> None:
    step = max(1, round(Fraction(1, 25) / base))
    pts = [at * step for at in VFR]
    path = tmp_path / f"x.{extension}"
    pictures = tools.draw(pts=pts, time_base=base, width=64, height=64)
    tools.write(path, pictures, EncoderSettings(codec=codec, preset="12" if codec == "av1" else "ultrafast"))
    stamps = [picture.pts * picture.time_base for picture in tools.read(path)]
    wanted = [at * base for at in pts]
    if extension == "mp4":
        assert stamps == wanted
    else:
        assert stamps == pytest.approx([float(at) for at in wanted], abs=5.1e-4)  # Matroska counts milliseconds


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_late_start_is_kept(tools: Any, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"x.{extension}"
    tools.write(path, tools.draw(pts=[at + 100 for at in VFR]))
    assert [p.pts_seconds for p in tools.read(path)] == pytest.approx([(at + 100) / 25 for at in VFR])


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
def test_a_negative_start_moves_everything_and_says_so(tools: Any, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"x.{extension}"
    summary = tools.write(path, tools.draw(pts=[at - 10 for at in VFR]))
    stamps = [p.pts_seconds for p in tools.read(path)]
    assert [round((at - stamps[0]) * 25) for at in stamps] == VFR
    assert any("before 0" in warning for warning in summary.warnings)


@pytest.mark.parametrize("base", [Fraction(1, 10**9), Fraction(1, 2**31), Fraction(1001, 24_000_000), Fraction(5, 3)])
def test_fast_and_slow_clocks(tools: Any, tmp_path: Path, base: Fraction) -> None:
    pts = [at * max(1, round(Fraction(1, 25) / base)) for at in (0, 1, 2, 7, 3000)]
    tools.write(tmp_path / "x.mp4", tools.draw(pts=pts, time_base=base))
    assert [p.pts_seconds for p in tools.read(tmp_path / "x.mp4")] == pytest.approx(
        [float(a * base) for a in pts], abs=1e-6
    )


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "ffv1"])
def test_encoders_keep_quiet(tools: Any, tmp_path: Path, codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    tools.write(tmp_path / "x.mkv", tools.draw(3, 64, 64), EncoderSettings(codec=codec))
    assert capfd.readouterr() == ("", "")


def test_equal_timestamps_are_moved_apart(tools: Any, tmp_path: Path) -> None:
    pictures = tools.draw(pts=[0, 40, 40, 80], time_base=Fraction(1, 1000))
    summary = tools.write(tmp_path / "x.mp4", pictures)
    assert [p.pts_seconds for p in tools.read(tmp_path / "x.mp4")] == [0, 0.04, 0.041, 0.08]
    assert len(summary.warnings) == 1


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotation(tools: Any, tmp_path: Path, extension: str, rotation: int) -> None:
    path = tmp_path / f"x.{extension}"
    summary = tools.write(path, tools.draw(), rotation=rotation)
    assert probe(path).rotation % 360 == rotation % 360
    assert not summary.warnings


def test_rotation_that_cannot_be_carried_is_told(tools: Any, tmp_path: Path) -> None:
    summary = tools.write(tmp_path / "x.ts", tools.draw(), rotation=90)
    assert "90 degrees" in summary.warnings[0]


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "ffv1"])
def test_colour_and_aspect(tools: Any, tmp_path: Path, extension: str, codec: str) -> None:
    if (codec, extension) == ("ffv1", "mp4"):
        return
    path = tmp_path / f"x.{extension}"
    color = ColorSpec(matrix=9, primaries=9, transfer=14, full_range=True)
    pictures = tools.draw(3, 64, 64, color=color)
    summary = tools.write(path, pictures, EncoderSettings(codec=codec), sample_aspect_ratio=Fraction(4, 3))
    info = probe(path)
    assert info.color == color
    if extension == "mp4" or codec in ("h264", "h265"):
        assert info.sample_aspect_ratio == Fraction(4, 3)
    else:
        assert "4/3 is not kept" in summary.warnings[0]


def test_untagged_stays_untagged(tools: Any, tmp_path: Path) -> None:
    tools.write(tmp_path / "x.mp4", tools.draw())
    assert probe(tmp_path / "x.mp4").color == ColorSpec()


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_hdr(tools: Any, tmp_path: Path, codec: str) -> None:
    display = MasteringDisplay((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329), 0.005, 1000.0)
    path = tmp_path / "x.mp4"
    pictures = tools.draw(3, 64, 64, Layout.YUV420, 10, color=ColorSpec(9, 9, 16, False))
    tools.write(path, pictures, EncoderSettings(codec=codec), hdr=HdrMetadata(display, 1000, 400))
    hdr = probe(path).hdr
    assert hdr is not None
    assert hdr.mastering is not None
    assert hdr.mastering.green == pytest.approx(display.green, abs=1e-4)
    assert hdr.mastering.min_luminance == pytest.approx(0.005, abs=1e-4)
    assert (hdr.mastering.max_luminance, hdr.max_content, hdr.max_average) == (1000, 1000, 400)


def test_a_file_is_there_only_when_finished(tools: Any, tmp_path: Path) -> None:
    pictures = tools.draw()
    with tools.open_writer(tmp_path / "x.mp4", pictures[0]) as writer:
        for picture in pictures:
            writer.write(picture)
        assert len(names(tmp_path)) == 1
        assert names(tmp_path)[0].startswith(".x.")
        assert ".part" in names(tmp_path)[0]
    assert names(tmp_path) == ["x.mp4"]
    assert writer.finish() is writer.finish()
    writer.abort()
    assert names(tmp_path) == ["x.mp4"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_and_passes_through(tools: Any, tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "x.mp4").write_text("old")
    picture = tools.draw(1)[0]
    with pytest.raises(error), tools.open_writer(tmp_path / "x.mp4", picture, overwrite=True) as writer:
        raise_after(writer, picture, error)
    assert names(tmp_path) == ["x.mp4"]
    assert (tmp_path / "x.mp4").read_text() == "old"


def test_no_pictures_no_file(tools: Any, tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput, match="no frames"), tools.open_writer(tmp_path / "x.mp4", tools.draw(1)[0]):
        pass
    assert not names(tmp_path)


def test_refusals(tools: Any, tmp_path: Path) -> None:
    picture = tools.draw(1)[0]
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    with pytest.raises(OutputRefused, match="exists"):
        tools.open_writer(source, picture)
    with pytest.raises(OutputRefused, match="is the input"):
        tools.open_writer(source, picture, inputs=[source], overwrite=True)
    with pytest.raises(UnwritableOutput, match="does not exist"):
        tools.open_writer(tmp_path / "no" / "x.mp4", picture)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UnwritableOutput, match="is a folder"):
        tools.open_writer(tmp_path / "folder.mp4", picture)
    assert source.read_text() == "precious"
    assert names(tmp_path) == ["folder.mp4", "in.mp4"]


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("x", "h264", "no extension.*mkv"),
        ("x.txt", "h264", r"'\.txt'.*\.mp4"),
        ("x.mp4", "ffv1", "cannot carry ffv1.*mkv"),
        ("x.webm", "h264", "cannot carry h264"),
        ("x.ts", "av1", "cannot carry av1"),
    ],
)
def test_names_and_containers(tools: Any, tmp_path: Path, name: str, codec: str, words: str) -> None:
    with pytest.raises(BadOption, match=words):
        tools.open_writer(tmp_path / name, tools.draw(1)[0], EncoderSettings(codec=codec))
    assert not names(tmp_path)


def test_pictures_that_do_not_fit(tools: Any, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"does not carry rgb at 8 bits.*yuv444"):
        tools.open_writer(tmp_path / "x.mp4", tools.draw(1, layout=Layout.RGB)[0])
    with pytest.raises(BadOption, match="63x48"):
        tools.open_writer(tmp_path / "x.mp4", tools.draw(1, 63, 48)[0])
    with pytest.raises(BadOption, match="other frames"), tools.open_writer(tmp_path / "x.mp4", tools.draw(1)[0]) as w:
        w.write(tools.draw(1, 32, 32)[0])
    assert not names(tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (16, 2)])
def test_tiny_pictures(tools: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    pictures = tools.draw(3, *size)
    tools.write(tmp_path / "x.mkv", pictures, EncoderSettings(codec="ffv1"))
    assert tools.same(pictures, tools.read(tmp_path / "x.mkv"))
    if size[0] % 2 == size[1] % 2 == 0:
        tools.write(tmp_path / "x.mp4", pictures)
        assert len(tools.read(tmp_path / "x.mp4")) == 3


NARROW = """
import sys
from fractions import Fraction
import numpy as np
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import ColorSpec, Layout, Picture, VideoFormat
from irn_video.codecs.writing.writer import VideoWriter

color, base = ColorSpec(), Fraction(1, 25)
rng = np.random.default_rng(0)
for _ in range(20):
    with VideoWriter(sys.argv[1], EncoderSettings(codec="h265", preset="ultrafast"), VideoFormat(
                     width=48, height=32, layout=Layout.YUV420, bit_depth=8, color=color, time_base=base,
                     frame_rate=Fraction(25)), overwrite=True) as writer:
        for index in range(3):
            planes = tuple(rng.integers(0, 256, s, np.uint8) for s in Layout.YUV420.plane_shapes(32, 48))
            writer.write(Picture(planes, Layout.YUV420, 8, color, index, base))
"""


def test_narrow_pictures_in_h265(tmp_path: Path) -> None:
    """x265's cutree damages the heap with pictures this narrow: after a few encodes glibc aborts the process."""
    done = subprocess.run([sys.executable, "-c", NARROW, str(tmp_path / "x.mkv")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SCRIPT = """
import resource, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start its background jobs without it
from fractions import Fraction
from pathlib import Path
import numpy as np
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import IrnError
from irn_video.codecs.picture import ColorSpec, Layout, Picture, VideoFormat
from irn_video.codecs.writing.writer import VideoWriter

limit, path = int(sys.argv[1]), Path(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng = np.random.default_rng(0)
color, base = ColorSpec(), Fraction(1, 25)
try:
    with VideoWriter(path, EncoderSettings(lossless=True, preset="ultrafast"), VideoFormat(
                     width=160, height=160, layout=Layout.YUV444, bit_depth=8, color=color, time_base=base,
                     frame_rate=Fraction(25))) as writer:
        for index in range(60):
            planes = tuple(rng.integers(0, 256, (160, 160), np.uint8) for _ in range(3))
            writer.write(Picture(planes, Layout.YUV444, 8, color, index, base))
            if not limit and index == 50:
                print("half way", flush=True)
                time.sleep(60)
except IrnError as error:
    print(type(error).__name__, error)
    sys.exit(1)
"""


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("limit", [200, 1_000_000, 4_600_000])
def test_a_full_disk(tmp_path: Path, extension: str, limit: int) -> None:
    command = [sys.executable, "-c", SCRIPT, str(limit), str(tmp_path / f"x.{extension}")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    assert result.returncode == 1
    assert result.stdout.startswith("UnwritableOutput ")
    assert "larger than allowed" in result.stdout
    assert len(result.stdout.splitlines()) == 1
    assert not names(tmp_path)


def test_a_killed_process_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, "0", str(tmp_path / "x.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        process.send_signal(signal.SIGKILL)
    assert len(names(tmp_path)) == 1
    assert ".part" in names(tmp_path)[0]


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, "0", str(tmp_path / "x.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert not names(tmp_path)
