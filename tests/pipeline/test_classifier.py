"""The two-sample test: what a small network can tell from the source, and that it asks about other places and times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import SourceMismatch
from irn_video.pipeline.quality import classifier
from irn_video.pipeline.quality.classifier import SIDE, Crops, classifier_error, crops_of_files, cut, details, places
from irn_video.pipeline.study.cells import encode_full_size, measure_cell
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

STEPS = 30


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is easy to tell apart."""
    monkeypatch.setattr(classifier, "_BATCH", 12)


def grain(seed: int, count: int = 6) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [(128 + rng.normal(0, 12, (192, 256))).clip(0, 255).astype(np.uint8) for _ in range(count)]


def crops(source: list[NDArray[np.uint8]], restored: list[NDArray[np.uint8]]) -> Crops:
    """Of frames in memory: black blocks of all but the last two, white blocks of these."""
    rng = np.random.default_rng(0)
    seen = [(details(own), details(other)) for own, other in zip(source, restored, strict=True)]
    cuts = [cut((seen[at - 1], seen[at]), places((192, 256), at == 5, 96, rng)) for at in (1, 2, 3, 5)]
    return Crops(np.concatenate(cuts[:3]), cuts[3])


class TestError:
    def test_the_source_cannot_be_told_from_itself(self) -> None:
        assert classifier_error(crops(grain(0), grain(0)), 4) == 50

    @pytest.mark.slow
    def test_as_good_grain_can_hardly_be_told(self) -> None:
        found = classifier_error(crops(grain(0), grain(1)), STEPS)
        assert found is not None
        assert 35 < found < 65

    def test_blur_is_told(self) -> None:
        blurred = [cv2().GaussianBlur(frame, (0, 0), 0.6) for frame in grain(0)]
        found = classifier_error(crops(grain(0), blurred), STEPS)
        assert found is not None
        assert found < 15

    @pytest.mark.slow
    def test_grain_that_stands_still_is_told(self) -> None:
        """Each frame alone is as real as the source's."""
        found = classifier_error(crops(grain(0), grain(1, 1) * 6), STEPS)
        assert found is not None
        assert found < 15

    def test_the_same_again_gives_the_same(self) -> None:
        weaker = [(128 + 0.9 * (frame.astype(float) - 128)).astype(np.uint8) for frame in grain(2)]
        both, before = crops(grain(0), weaker), torch.get_rng_state()
        threads = torch.get_num_threads()
        first = classifier_error(both, 8)
        torch.set_num_threads(1)
        torch.rand(3)
        assert classifier_error(both, 8) == first
        assert torch.get_num_threads() == 1
        torch.set_num_threads(threads)
        torch.set_rng_state(before)

    def test_nothing_to_learn_from_or_to_ask(self) -> None:
        both, none = crops(grain(0), grain(1)), np.zeros((0, 2, 2, SIDE, SIDE), np.float16)
        assert classifier_error(Crops(none, both.asked), 1) is None
        assert classifier_error(Crops(both.learnt, none), 1) is None


class TestCrops:
    def test_no_place_is_in_both(self) -> None:
        rng = np.random.default_rng(0)
        covered = np.zeros((2, 300, 420), bool)
        for which in (0, 1):
            for top, left in places((300, 420), which, 500, rng):
                assert 0 <= top <= 300 - SIDE
                assert 0 <= left <= 420 - SIDE
                covered[which, top : top + SIDE, left : left + SIDE] = True
        assert covered.any((1, 2)).all()
        assert not covered.all(0).any()

    @pytest.mark.parametrize("frames", [4, 5, 8, 48, 300])
    def test_no_time_is_in_both(self, frames: int) -> None:
        """A crop shows its frame and the one before."""
        (first, end), (begin, last) = classifier._times(frames)
        learnt = [classifier._spread(first, end, 32), classifier._spread(begin, last, 16)]
        shown = [{*times, *(time - 1 for time in times)} for times in learnt]
        assert all(learnt)
        assert not shown[0] & shown[1]
        assert min(shown[0]) == 0
        assert frames - 20 < max(shown[1]) < frames

    def test_of_files(self, clips: Any, tmp_path: Path) -> None:
        source = clips.make(tmp_path / "source.mkv", size="192x128", frames=9)
        encode_full_size(source, tmp_path / "coded.mkv", EncoderSettings(crf=30), 8)
        found = crops_of_files(tmp_path / "coded.mkv", source, 8, pairs=(20, 7))
        assert (found.learnt.shape, found.asked.shape) == ((20, 2, 2, SIDE, SIDE), (7, 2, 2, SIDE, SIDE))
        assert (found.learnt[:, 0] != found.learnt[:, 1]).any((1, 2, 3)).mean() > 0.5
        again = crops_of_files(tmp_path / "coded.mkv", source, 8, pairs=(20, 7))
        assert (again.learnt == found.learnt).all()
        assert (found + again).asked.shape[0] == 14
        same = crops_of_files(source, source, 9, pairs=(20, 7))
        assert (same.learnt[:, 0] == same.learnt[:, 1]).all()
        none = crops_of_files(tmp_path / "coded.mkv", Path("is not opened"), 8, pairs=(0, 0))
        assert (len(none.learnt), len(none.asked)) == (0, 0)
        with pytest.raises(SourceMismatch, match="more frames than the source"):
            crops_of_files(source, tmp_path / "coded.mkv", 9)

    @pytest.mark.parametrize(("size", "frames"), [("192x128", 3), ("96x96", 8)])
    def test_too_short_or_too_small(self, size: str, frames: int, clips: Any, tmp_path: Path) -> None:
        clip = clips.make(tmp_path / "source.mkv", size=size, frames=frames)
        assert classifier_error(crops_of_files(clip, clip, frames), 1) is None


def test_a_cell_has_it_where_it_is_named(moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_WIDTHS", (4, 4))
    assert classifier.classifier_error.__defaults__ == (classifier.STEPS, 0)
    monkeypatch.setattr(classifier.classifier_error, "__defaults__", (2, 0))
    settings = EncoderSettings(crf=30.0, preset="ultrafast")
    names = ("texture_fine", "classifier")
    found = measure_cell(Cell(moving, Method("full"), settings, None, names), tmp_path)
    assert set(found.whole) == set(names)
    assert found.value("texture_fine") == pytest.approx(found.whole["texture_fine"])
