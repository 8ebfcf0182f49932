"""Samples of a clip: from the right places, whatever the container, and measured against the right frames."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import UnreadableVideo
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.sender import SendOptions, send
from irn_video.sender.search import sample as sample_module
from irn_video.sender.search.checking import scores_of_sent
from irn_video.sender.search.sample import SampleSize, read_sample
from irn_video.sender.search.scores import _coded, scores_of
from irn_video.sender.search.trial import Trials
from irn_video.sender.sending import verify

RATE = 25
SIZE = SampleSize(frames=12, stretches=3, pairs=3)
PLACES = [8, 9, 10, 11, 28, 29, 30, 31, 48, 49, 50, 51]
"""Of 60 frames."""


@pytest.fixture(scope="module")
def film(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames, keyframes every 15 of them, others reordered between them."""
    coded = ("-c:v", "libx264", "-g", 15, "-bf", 3, "-pix_fmt", "yuv420p")
    return clips.make(tmp_path_factory.mktemp("film") / "film.mkv", *coded, frames=60)


def places(frames: Sequence[Picture], originals: Sequence[Picture]) -> list[int]:
    """Indices of the same frames, sample for sample."""
    return [next(i for i, one in enumerate(originals) if same(frame, one)) for frame in frames]


def same(one: Picture, other: Picture) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(one.planes, other.planes, strict=True))


@pytest.mark.parametrize("container", ["mkv", "mp4", "ts", "avi", "later.mkv", "one-keyframe.ts"])
def test_places_of_a_long_clip(clips: Any, film: Path, tmp_path: Path, container: str) -> None:
    """Also where times do not begin at 0, and where a time cannot be sought."""
    path = tmp_path / f"film.{container}"
    how = {"avi": ("-c:v", "mpeg4"), "later.mkv": ("-c", "copy", "-output_ts_offset", 7)}.get(container, ("-c", "copy"))
    clips.ffmpeg("-i", film, *(("-c:v", "libx264") if container.startswith("one") else how), path)
    sample = read_sample(path, SIZE, SendOptions())
    assert places(sample.frames, clips.read(path)) == PLACES
    assert sample.times == pytest.approx([place / RATE for place in PLACES], abs=0.002)
    assert (sample.starts, sample.total) == ((0, 4, 8), 60)
    assert [frame.pts for frame in sample.frames] == list(range(12))
    assert {frame.time_base for frame in sample.frames} == {1 / sample.rate}
    firsts = sample.judged[::2]
    assert sample.judged[1::2] == tuple(first + 1 for first in firsts)
    assert [sum(start <= first < start + 3 for first in firsts) for start in sample.starts] == [1, 1, 1]


def test_a_container_that_cannot_seek(clips: Any, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(reader: VideoReader, _keyframe: int) -> int:
        reader._decoded.close()
        raise UnreadableVideo("it cannot be sought in", path=film)

    monkeypatch.setattr(VideoReader, "seek", refuse)
    assert places(read_sample(film, SIZE, SendOptions()).frames, clips.read(film)) == PLACES


@pytest.mark.parametrize("container", ["mkv", "ts", "avi"])
@pytest.mark.parametrize(
    ("options", "total", "expected"),
    [
        ({"start": 0.4}, 50, [17, 33, 50]),
        ({"start": 0.4, "duration": 1.2}, 30, [13, 23, 33]),
        ({"duration": 1.2}, 30, [3, 13, 23]),
        ({"start": 0.4, "frames": 30}, 30, [13, 23, 33]),
        ({"frames": 30}, 30, [3, 13, 23]),
        ({"start": 2.0}, 10, [50]),
    ],
    ids=str,
)
def test_a_part(
    clips: Any, film: Path, tmp_path: Path, container: str, options: dict[str, Any], total: int, expected: list[int]
) -> None:
    path = tmp_path / f"film.{container}"
    clips.ffmpeg("-i", film, *(("-c:v", "mpeg4") if container == "avi" else ("-c", "copy")), path)
    sample = read_sample(path, SIZE, SendOptions(**options))
    found = places(sample.frames, clips.read(path))
    assert sample.total == total
    assert [found[start] for start in sample.starts] == expected
    begin = round(RATE * options.get("start", 0))
    assert sample.times == pytest.approx([(place - begin) / RATE for place in found], abs=0.002)


def test_a_short_clip_is_taken_whole(clips: Any, moving: Path) -> None:
    sample = read_sample(moving, SampleSize(), SendOptions())
    assert places(sample.frames, clips.read(moving)) == list(range(8))
    assert sample.starts == (0,)
    assert sample.total == 8


def test_a_single_frame(clips: Any, tmp_path: Path) -> None:
    sample = read_sample(clips.make(tmp_path / "one.mp4", frames=1), SampleSize(), SendOptions())
    assert (len(sample.frames), sample.starts, sample.judged, sample.total) == (1, (0,), (0,), 1)


@pytest.mark.parametrize("options", [{}, {"start": 0.4}, {"start": 0.41, "duration": 1.2}], ids=str)
def test_what_was_sent_is_measured_by_time(film: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """The same frames as --verify measures, and nothing else."""
    settings = SendOptions(model="lanczos-x2", crf=10, preset="ultrafast", **options)
    lr, rescaler = tmp_path / "lr.mkv", Rescaler.load("lanczos-x2")
    card = send(film, lr, settings).card
    sample = read_sample(film, SIZE, settings)
    found = scores_of_sent(lr, rescaler, card, sample, ["psnr_y"])
    frames = verify(film, lr, rescaler, card, settings, lambda _done, _total: None)
    measured = [frame.error.psnr()["psnr_y"] for frame in frames]
    judged = [round(sample.times[index] * RATE) for index in sample.judged]
    assert found == {"psnr_y": pytest.approx(statistics.fmean(measured[index] or 0 for index in judged), abs=0.01)}


@pytest.mark.parametrize(("scale", "preset"), [(1, "medium"), (2, "slower")])
def test_trials_are_coded_as_the_clip_will_be(film: Path, tmp_path: Path, scale: int, preset: str) -> None:
    """Each way with the preset of its scale, unless one is named."""
    sample, way = read_sample(film, SIZE, SendOptions()), Rescaler.load(f"lanczos-x{scale}")
    rates = {
        name: Trials(sample, EncoderSettings(preset=name), ("psnr_y",), tmp_path).measure(way, 26).kbps
        for name in (None, preset, "veryfast")
    }
    assert rates[None] == rates[preset] != rates["veryfast"]


class TestWindows:
    """A quarter of each frame, in each of four stretches another one."""

    SIZE = SampleSize(frames=32, stretches=4, pairs=4, windows=True, settled=0.5)

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sample_module, "_LEAST_WINDOW", 24)

    def test_they_see_all_of_the_frame(self, clips: Any, film: Path) -> None:
        sample, originals = read_sample(film, self.SIZE, SendOptions()), clips.read(film)
        height, width = originals[0].height, originals[0].width
        seen = np.zeros((height, width), bool)
        assert (len(sample.frames), sample.starts) == (32, (0, 8, 16, 24))
        for frame, window, time in zip(sample.frames, sample.windows, sample.times, strict=True):
            assert same(frame, window.of(originals[round(time * RATE)]))
            seen[window.top : window.top + window.height, window.left : window.left + window.width] = True
        assert len(set(sample.windows)) == 4
        assert seen.mean() > 0.7  # the rest is less than the windows' grain
        assert (sample.info.height, sample.info.width) == sample.frames[0].planes[0].shape
        assert sample.share == pytest.approx(sample.frames[0].planes[0].size / (height * width))

    def test_what_has_settled_counts(self, film: Path) -> None:
        """Bits and qualities of the second half of each stretch."""
        sample = read_sample(film, self.SIZE, SendOptions())
        assert {index % 8 for index in sample.counted} == {4, 5, 6, 7}
        assert {index % 8 for index in sample.judged} == {5, 6}

    @pytest.mark.parametrize(("frames", "starts"), [(40, (0, 8, 16, 24)), (32, (0, 8, 16, 24)), (31, (0,))])
    def test_of_a_short_clip(self, film: Path, frames: int, starts: tuple[int, ...]) -> None:
        """One stretch would see a single corner: then frames are whole."""
        sample = read_sample(film, self.SIZE, SendOptions(frames=frames))
        assert sample.starts == starts
        assert bool(sample.windows) == (len(starts) > 1)
        assert (sample.share < 1) == (len(starts) > 1)

    def test_small_frames_are_whole(self, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sample_module, "_LEAST_WINDOW", 240)
        sample = read_sample(film, self.SIZE, SendOptions())
        assert (sample.windows, sample.share) == ((), 1)

    @pytest.mark.parametrize("scale", [1, 1.5, 2, 4])
    def test_the_same_part_of_the_lr_frame(self, film: Path, tmp_path: Path, scale: float) -> None:
        """What was sent is measured in the same windows, at every scale."""
        settings = SendOptions(model=f"lanczos-x{scale:g}", crf=1, preset="ultrafast")
        lr, rescaler = tmp_path / "lr.mkv", Rescaler.load(f"lanczos-x{scale:g}")
        card = send(film, lr, settings).card
        found = scores_of_sent(lr, rescaler, card, read_sample(film, self.SIZE, settings), ["psnr_y"])
        frames = verify(film, lr, rescaler, card, settings, lambda _done, _total: None)
        whole = statistics.fmean(frame.error.psnr()["psnr_y"] or 0 for frame in frames)
        assert found["psnr_y"] == pytest.approx(whole, abs=2.5)  # one sample off, and it would be 10 dB lower


@pytest.mark.parametrize(("layout", "depth"), [(Layout.YUV420, 8), (Layout.YUV422, 10), (Layout.RGB, 8)])
def test_frames_reach_vmaf_as_they_are(tmp_path: Path, layout: Layout, depth: int) -> None:
    rng = np.random.default_rng(5)
    pairs = []
    for index in range(2):
        steep = [np.add.outer(2 * np.arange(h), np.arange(w)) % 200 for h, w in layout.plane_shapes(64, 96)]
        planes = [(plane * 2 ** (depth - 8)).astype(np.uint8 if depth == 8 else np.uint16) for plane in steep]
        noisy = [plane + rng.integers(0, 2 ** (depth - 4), plane.shape, plane.dtype) for plane in planes]
        color = ColorSpec(matrix=0) if layout is Layout.RGB else ColorSpec()
        pairs.append(
            tuple(Picture(tuple(one), layout, depth, color, index, Fraction(1, 25)) for one in (planes, noisy))
        )
    files = [_coded(tmp_path / f"{side}.mkv", [pair[side] for pair in pairs]) for side in (1, 0)]
    expected = statistics.fmean(frame["vmaf_neg"] or 0 for frame in measure_files(*files, tmp_path, ["vmaf_neg"]))
    assert scores_of(pairs, ["vmaf_neg"], tmp_path)["vmaf_neg"] == pytest.approx(expected)
    assert 5 < expected < 95


def test_scores(film: Path, tmp_path: Path) -> None:
    """Identical frames have a finite PSNR, so that means can be taken, and VMAF is that of the libvmaf of files."""
    with VideoReader(film) as reader:
        frames = list(reader)[:4]
    scores = scores_of([(frame, frame) for frame in frames], ["psnr_y", "vmaf", "vmaf_neg"], tmp_path)
    assert scores["psnr_y"] == 100
    assert scores["vmaf"] > 95
    worse = scores_of([(frames[0], frames[3]), (frames[1], frames[3])], ["psnr_y", "vmaf_neg"], tmp_path)
    assert worse["psnr_y"] < 40
    assert worse["vmaf_neg"] < 90
    assert set(worse) == {"psnr_y", "vmaf_neg"}
