"""irn-study recommend."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import StudyFailed
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import probe
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.excerpt import excerpt
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.study.recommend import Choices, Goal, choose
from irn_video.pipeline.study.store import Store
from irn_video.pipeline.study.workers import Failure

Point = Callable[[str, str, float, float], Measurement]
# kbit/s and PSNR-Y at CRF 0 of made-up methods; the rate halves every 6, the quality falls by these dB a step.
METHODS = {"full": (8000.0, 50.0, 0.5), "lanczos-x2": (2000.0, 40.0, 0.3), "lanczos-x4": (500.0, 33.0, 0.2)}


class Made:
    """A pool that knows the answers."""

    def __init__(self, point: Point, broken: str = "") -> None:
        self.point, self.broken, self.cells, self.closed = point, broken, list[Cell](), False

    def measured(self, cells: Mapping[Cell, str]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        for cell in cells:
            self.cells.append(cell)
            name, crf = cell.method.label, cell.encoder.crf or 0.0
            if name == self.broken:
                yield cell, Failure(cell.label, "broken")
                continue
            rate, quality, slope = METHODS[name]
            yield cell, self.point("x", name, rate * 2 ** (-crf / 6), quality - slope * crf)

    def close(self) -> None:
        self.closed = True


def chosen(goal: Goal, pool: Made, clip: Path, folder: Path) -> Choices:
    methods = [Method(name) for name in METHODS]
    return choose(clip, goal, methods, EncoderSettings(), Store(folder / "cells"), pool)


class TestSearch:
    def test_the_best_at_a_rate(self, moving: Path, point: Point, tmp_path: Path) -> None:
        pool = Made(point)
        ways = chosen(Goal(250, "kbps", "psnr_y"), pool, moving, tmp_path).ways
        # CRF 30, 18 and 6
        assert [way.method.label for way in ways] == ["full", "lanczos-x2", "lanczos-x4"]
        assert [way.crf for way in ways] == pytest.approx([30, 18, 6], abs=0.01)
        assert [way.quality for way in ways] == pytest.approx([35, 34.6, 31.8], abs=0.01)
        assert [way.kbps for way in ways] == pytest.approx([250, 250, 250], rel=1e-6)
        assert len(pool.cells) <= 9
        assert pool.closed

    def test_the_cheapest_for_a_quality(self, moving: Path, point: Point, tmp_path: Path) -> None:
        first, second = chosen(Goal(31, "psnr_y", "psnr_y"), Made(point), moving, tmp_path).ways[:2]
        assert (first.method.label, second.method.label) == ("lanczos-x2", "full")
        assert (first.crf, second.crf) == pytest.approx((30, 38), abs=0.01)
        assert first.kbps == pytest.approx(2000 / 32, rel=1e-3)

    @pytest.mark.parametrize(
        ("goal", "reached"),
        [(Goal(1.0, "kbps", "psnr_y"), "no method reaches 1 kb/s"), (Goal(60, "psnr_y", "psnr_y"), "PSNR-Y 60")],
    )
    def test_what_no_method_reaches(self, goal: Goal, reached: str, moving: Path, point: Point, tmp_path: Path) -> None:
        pool = Made(point)
        with pytest.raises(StudyFailed, match=reached) as caught:
            chosen(goal, pool, moving, tmp_path)
        assert "kb/s and PSNR-Y" in str(caught.value)
        assert pool.closed
        assert len(pool.cells) <= 18

    def test_who_cannot_spend_so_much_is_taken_at_its_best(self, moving: Path, point: Point, tmp_path: Path) -> None:
        ways = chosen(Goal(1000, "kbps", "psnr_y"), Made(point), moving, tmp_path).ways
        assert [(way.method.label, way.crf) for way in ways] == [
            ("full", pytest.approx(18, rel=1e-4)),
            ("lanczos-x2", pytest.approx(6, rel=1e-4)),
            ("lanczos-x4", 4),
        ]
        assert ways[2].kbps < 500

    def test_a_method_that_fails_is_told(self, moving: Path, point: Point, tmp_path: Path) -> None:
        found = chosen(Goal(250, "kbps", "psnr_y"), Made(point, broken="full"), moving, tmp_path)
        assert [way.method.label for way in found.ways] == ["lanczos-x2", "lanczos-x4"]
        assert {failure.error for failure in found.failures} == {"broken"}

    def test_what_is_known_is_not_measured_again(self, moving: Path, point: Point, tmp_path: Path) -> None:
        first, again = Made(point), Made(point)
        one = chosen(Goal(250, "kbps", "psnr_y"), first, moving, tmp_path)
        assert chosen(Goal(250, "kbps", "psnr_y"), again, moving, tmp_path) == one
        assert not again.cells

    @pytest.mark.parametrize("kbps", [250, 9])
    def test_one_total_over_all_rounds(self, kbps: float, moving: Path, point: Point, tmp_path: Path) -> None:
        said: list[tuple[int, int]] = []
        methods, store = [Method(name) for name in METHODS], Store(tmp_path / "cells")
        goal, pool = Goal(kbps, "kbps", "psnr_y"), Made(point)
        choose(moving, goal, methods, EncoderSettings(), store, pool, advance=lambda *now: said.append(now))
        assert {total for _, total in said} == {12}
        done = [done for done, _ in said]
        assert done == sorted(done)
        assert done[-1] == 12 > done[-2]

    def test_vmaf_neg_is_a_goal(self, moving: Path, point: Point, tmp_path: Path) -> None:
        pool = Made(point)
        with pytest.raises(StudyFailed, match="no method reaches VMAF-NEG 90"):  # the made-up points have none
            chosen(Goal(90, "vmaf_neg", "vmaf_neg"), pool, moving, tmp_path)
        assert {cell.metrics for cell in pool.cells} == {("vmaf_neg",)}


class TestExcerpt:
    def test_two_stretches_of_a_long_clip(self, clips: Any, tmp_path: Path) -> None:
        clip = clips.make(tmp_path / "a:b.mp4", frames=60, rate="30000/1001")
        path = excerpt(clip, tmp_path / "cells", 8)
        taken = clips.read(path)
        originals = clips.read(clip)
        places = [nearest(picture, originals) for picture in taken]
        assert places == [*range(13, 17), *range(43, 47)]
        assert probe(path).frame_rate == probe(clip).frame_rate
        assert excerpt(clip, tmp_path / "cells", 8) == path
        assert len(list((tmp_path / "cells").iterdir())) == 1

    def test_a_short_clip_stands_for_itself(self, moving: Path, tmp_path: Path) -> None:
        assert excerpt(moving, tmp_path / "cells", 8) == moving
        assert not (tmp_path / "cells").exists()


def nearest(picture: Picture, originals: list[Picture]) -> int:
    """Index of the same picture, sample for sample."""
    errors = (compare(replace(one, color=picture.color), picture).psnr()["psnr_y"] for one in originals)
    (index,) = (index for index, error in enumerate(errors) if error is None)
    return index


@pytest.mark.usefixtures("measured_here")
def test_the_command(moving: Path, tmp_path: Path, run: Any, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "lanczos-x2", "--frames", "8", "--out", str(tmp_path / "kept")]
    assert main(["recommend", str(moving), "--psnr", "30", *options]) == 0
    *ways, command = capfd.readouterr().out.splitlines()
    rates = [float(re.search(r": (\d+) kb/s, PSNR-Y 30.00", line)[1]) for line in ways]  # type: ignore[index]
    assert rates == sorted(rates)
    assert main(["recommend", str(moving), "--psnr", "30", "--models", "lanczos-x2", *options[2:]]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == command
    words = shlex.split(command)
    assert words[0] in ("ffmpeg", "irn-send")
    assert main(["recommend", str(moving)]) == 2
    assert "--bitrate, --vmaf, --vmaf-neg or --psnr" in capfd.readouterr().err
    assert main(["recommend", str(moving), "--bitrate", "80k", "--by", "vmfa"]) == 2
    assert "known: vmaf, vmaf-neg, psnr-y" in capfd.readouterr().err
