"""Texture and flicker of restored pictures, of the source's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Plane
from irn_video.pipeline.quality.flicker import Change, flicker
from irn_video.pipeline.quality.metrics import REAL_METRICS
from irn_video.pipeline.quality.realness import measure_realness
from irn_video.pipeline.quality.texture import COARSE, EDGE, FINE, FLAT, TEXTURE, Energies, places_of, texture
from irn_video.pipeline.study.cells import encode_full_size
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

SIZE = (192, 256)


def noise(seed: int, sigma: float = 12.0, size: tuple[int, int] = SIZE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, sigma, size)


def plane(values: NDArray[np.float64], bit_depth: int = 8) -> Plane:
    peak = (1 << bit_depth) - 1
    found = np.rint(np.clip(values * (1 << (bit_depth - 8)), 0, peak))
    return found.astype(np.uint8) if bit_depth == 8 else found.astype(np.uint16)


def blurred(luma: Plane, sigma: float = 1.0) -> Plane:
    found: Plane = cv2().GaussianBlur(luma, (0, 0), sigma)
    return found


class TestTexture:
    def test_a_picture_has_its_own(self) -> None:
        luma = plane(128 + noise(0))
        found = texture(luma, luma)
        assert (found.ratio(TEXTURE, FINE), found.ratio(TEXTURE, COARSE)) == (1, 1)
        assert found.ratio(EDGE, FINE) in (1, None)

    def test_blur_takes_the_fine_band_first(self) -> None:
        luma = plane(128 + noise(0))
        found = texture(luma, blurred(luma))
        fine, coarse = (found.ratio(TEXTURE, band) for band in (FINE, COARSE))
        assert fine is not None
        assert coarse is not None
        assert fine < 0.1 < coarse < 0.5

    def test_bands_are_nearly_orthonormal(self) -> None:
        """White noise has its variance in every detail: three fine ones for four samples, three coarse for sixteen."""
        luma = plane(128 + noise(1))
        energies = texture(luma, luma).source.sum(0) / luma.size
        assert energies == pytest.approx([144 * 3 / 4, 144 * 3 / 16], rel=0.15)

    def test_what_is_halved_has_a_quarter(self) -> None:
        detail = noise(2)
        found = texture(plane(128 + detail), plane(128 + detail / 2))
        assert found.ratio(TEXTURE, FINE) == pytest.approx(0.25, rel=0.02)

    def test_the_fine_band_is_what_shrinking_by_two_takes(self) -> None:
        rows = np.arange(SIZE[0])[:, None] + np.zeros(SIZE[1])
        for period, band in ((2.6, FINE), (5.5, COARSE)):
            wave = plane(128 + 40 * np.sin(2 * np.pi * rows / period))
            energies = texture(wave, wave).source.sum(0)
            assert energies[band] > 5 * energies[1 - band]

    def test_places_are_told_by_the_source_alone(self) -> None:
        values = np.full(SIZE, 100.0)
        values[:, 96:160] += noise(3, 20)[:, 96:160]
        values[:, 208:] = 160
        places = places_of(values.astype(np.float32))
        assert places.shape == (96, 128)
        assert (places[:, :40] == FLAT).all()
        assert (places[:, 54:74] == TEXTURE).mean() > 0.95
        assert (places[:, 102:106] == EDGE).all()
        source, restored = plane(values), plane(128 + noise(4))
        assert (texture(source, restored).source == texture(source, source).source).all()

    def test_noise_where_the_source_is_flat(self) -> None:
        source = 120 + noise(5, 0.6)
        found = texture(plane(source), plane(source + noise(6, 2)))
        assert found.source[TEXTURE].sum() == found.source[EDGE].sum() == 0
        assert found.ratio(TEXTURE, FINE) is None
        ratio = found.ratio(FLAT, FINE)
        assert ratio is not None
        assert ratio > 5

    def test_where_the_source_has_nothing_to_compare_with(self) -> None:
        """A drawing's even areas; a ratio of rounding errors would say nothing."""
        grey = plane(np.full(SIZE, 120.0))
        found = texture(grey, plane(120 + noise(0, 2)))
        assert found.restored[FLAT, FINE] > 0
        assert [found.ratio(place, FINE) for place in (FLAT, TEXTURE, EDGE)] == [None, None, None]
        assert found.places[FLAT].tolist() == [SIZE[0] * SIZE[1] / 4, SIZE[0] * SIZE[1] / 16]

    def test_a_clip_is_the_sum_of_its_frames(self) -> None:
        """Ratio of energies, not the mean of ratios."""
        strong, weak = plane(128 + noise(7, 20)), plane(128 + noise(8, 5))
        found = sum((texture(strong, blurred(strong)), texture(weak, weak)), Energies())
        (lost, kept) = (texture(one, one).source[TEXTURE, FINE] for one in (strong, weak))
        left = texture(strong, blurred(strong)).restored[TEXTURE, FINE]
        assert found.ratio(TEXTURE, FINE) == pytest.approx((left + kept) / (lost + kept))

    def test_depth_does_not_matter(self) -> None:
        detail, less = 128 + noise(9), 128 + noise(9) / 2
        eight, ten = (texture(plane(detail, bits), plane(less, bits), bits) for bits in (8, 10))
        assert ten.source == pytest.approx(eight.source, rel=0.02, abs=1)
        assert ten.ratio(TEXTURE, FINE) == pytest.approx(eight.ratio(TEXTURE, FINE), rel=0.02)

    @pytest.mark.parametrize("size", [(33, 35), (31, 64), (1, 1)])
    def test_odd_and_small_frames(self, size: tuple[int, int]) -> None:
        luma = plane(128 + noise(0, 30, size))
        assert texture(luma, luma).ratio(TEXTURE, FINE) == (None if min(size) < 32 else 1)

    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(SourceMismatch, match="cannot be compared"):
            texture(plane(noise(0)), plane(noise(0))[1:])


def smooth(seed: int) -> NDArray[np.float64]:
    """Something that flow can follow, 64 samples wider than a frame."""
    found: NDArray[np.float64] = cv2().GaussianBlur(noise(seed, 1, (SIZE[0], SIZE[1] + 64)), (0, 0), 2)
    return 128 + 30 * found / found.std()


class TestFlicker:
    def test_grain_as_fresh_as_the_sources_is_no_flicker(self) -> None:
        still = smooth(0)[:, : SIZE[1]]
        frames = [plane(still + noise(seed, 2)) for seed in range(1, 5)]
        found = flicker((frames[0], frames[1]), (frames[2], frames[3]))
        assert found.static_ratio == pytest.approx(1, abs=0.03)
        assert found.followed_ratio == pytest.approx(1, abs=0.05)
        strong = [plane(still + noise(seed, 6)) for seed in (5, 6)]
        assert flicker((frames[0], frames[1]), (strong[0], strong[1])).static_ratio == pytest.approx(3, rel=0.05)

    def test_what_stands_still_does_not_flicker(self) -> None:
        still = smooth(0)[:, : SIZE[1]]
        source = plane(still + noise(1, 2)), plane(still + noise(2, 2))
        steady = flicker(source, (source[0], source[0]))
        assert steady.static_ratio == 0
        assert flicker(source, source).static_ratio == 1

    def test_motion_is_followed(self) -> None:
        """Detail that moves along is no flicker, detail that stays behind is."""
        wide = smooth(3)
        grain = [noise(seed, 1) for seed in (4, 5)]
        source = plane(wide[:, 8:-56] + grain[0]), plane(wide[:, 11:-53] + grain[1])
        found = flicker(source, source)
        assert found.followed_ratio == 1
        detail = noise(6, 6, wide.shape)
        moving = plane((wide + detail)[:, 8:-56]), plane((wide + detail)[:, 11:-53])
        stuck = plane(wide[:, 8:-56] + detail[:, 8:-56]), plane(wide[:, 11:-53] + detail[:, 8:-56])
        along, behind = (flicker(source, restored).followed_ratio for restored in (moving, stuck))
        assert along is not None
        assert behind is not None
        assert behind > 3 * along

    def test_no_static_place(self) -> None:
        wide = smooth(3)
        source = plane(wide[:, 8:-56]), plane(wide[:, 14:-50])
        found = flicker(source, source)
        assert found.static_ratio is None
        assert found.followed_ratio == 1
        assert Change().static_ratio is None

    def test_nothing_changes(self) -> None:
        still = plane(smooth(0))
        assert flicker((still, still), (still, plane(smooth(0) + noise(1, 1, still.shape)))).static_ratio is None

    def test_a_cut_counts_nowhere(self) -> None:
        one, other = (plane(40 + 3 * smooth(seed) / 4) for seed in (0, 9))
        found = flicker((one, other), (other, one))
        assert found.followed.source < 0.1 * float(np.square(one.astype(float) - other).sum())

    def test_depth_does_not_matter(self) -> None:
        frames = [smooth(0) + noise(seed, 2, smooth(0).shape) for seed in range(4)]
        eight, ten = (
            flicker((a, b), (c, d), bits) for bits in (8, 10) for a, b, c, d in [[plane(f, bits) for f in frames]]
        )
        assert ten.static_ratio == pytest.approx(eight.static_ratio, rel=0.02)
        assert ten.static.source == pytest.approx(eight.static.source, rel=0.05)

    @pytest.mark.parametrize("size", [(32, 32), (33, 700), (141, 35)])
    def test_odd_frames(self, size: tuple[int, int]) -> None:
        frames = [plane(128 + noise(seed, 3, size)) for seed in (1, 2)]
        assert flicker((frames[0], frames[1]), (frames[0], frames[1])).samples == frames[0].size

    def test_small_frames_and_other_sizes(self) -> None:
        small = plane(noise(0, 9, (31, 64)) + 128)
        assert flicker((small, small), (small, small)) == Change()
        with pytest.raises(SourceMismatch, match="cannot be compared"):
            flicker((small, small), (small, small[1:]))


class TestOfFiles:
    @pytest.fixture
    def files(self, clips: Any, tmp_path: Path) -> Callable[[float], tuple[Path, Path]]:
        source = clips.make(tmp_path / "source.mkv", size="192x128", frames=4)

        def coded(crf: float) -> tuple[Path, Path]:
            path = tmp_path / f"{crf:g}.mkv"
            encode_full_size(source, path, EncoderSettings(crf=crf), 3)
            return path, source

        return coded

    def test_a_video_against_itself(self, files: Callable[[float], tuple[Path, Path]]) -> None:
        _, source = files(30)
        found = measure_realness(source, source)
        assert tuple(found) == REAL_METRICS
        assert {value for value in found.values() if value is not None} == {1}

    def test_what_h264_leaves(self, files: Callable[[float], tuple[Path, Path]]) -> None:
        """Coarser quantisers leave less; the source may be longer."""
        fine, coarse = (measure_realness(*files(crf)) for crf in (18, 42))
        assert 0 < (coarse["texture_fine"] or 0) < (fine["texture_fine"] or 0) < 1.2

    def test_only_what_is_wanted(self, files: Callable[[float], tuple[Path, Path]]) -> None:
        both = measure_realness(*files(30))
        for name in ("texture_coarse", "flicker_static"):
            assert measure_realness(*files(30), [name]) == {name: both[name]}
        assert measure_realness(Path("is not opened"), Path("either"), []) == {}

    def test_more_frames_than_the_source(self, files: Callable[[float], tuple[Path, Path]]) -> None:
        short, long = files(30)
        with pytest.raises(SourceMismatch, match="more frames than the source"):
            measure_realness(long, short)
