"""PSNR against the textbook, in NumPy."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.planes import Samples, to_planes, to_rgb
from irn_video.pipeline.quality.psnr import compare, decibels


def noisy(layout: Layout, bit_depth: int, seed: int, color: ColorSpec, size: tuple[int, int] = (24, 32)) -> Picture:
    """Grey with noise, so that R′G′B′ stays in range."""
    rng = np.random.default_rng(seed)
    middle, spread = 1 << (bit_depth - 1), 1 << (bit_depth - 5)
    kind = np.uint8 if bit_depth == 8 else np.uint16
    y, u, v = (
        rng.integers(middle - spread, middle + spread, shape).astype(kind) for shape in layout.plane_shapes(*size)
    )
    return Picture((y, u, v), layout, bit_depth, color, 0, Fraction(1))


def textbook(one: Picture, other: Picture) -> list[float]:
    peak = (1 << one.bit_depth) - 1
    errors = [np.mean((p.astype(float) - q) ** 2) for p, q in zip(one.planes, other.planes, strict=True)]
    return [10 * math.log10(peak**2 / error) for error in errors]


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
@pytest.mark.parametrize("layout", list(Layout))
def test_planes(layout: Layout, bit_depth: int) -> None:
    color = ColorSpec(0 if layout is Layout.RGB else 1, full_range=layout is Layout.RGB)
    one, other = (noisy(layout, bit_depth, seed, color) for seed in (1, 2))
    measured = compare(one, other).psnr()
    y, u, v = textbook(one, other)
    assert [measured[name] for name in ("psnr_y", "psnr_u", "psnr_v")] == pytest.approx([y, u, v], abs=1e-4)
    assert measured["psnr_yuv"] == pytest.approx((6 * y + u + v) / 8, abs=1e-4)
    if layout is Layout.RGB:
        mean = np.mean([10 ** (-value / 10) for value in (y, u, v)])
        assert measured["psnr_rgb"] == pytest.approx(-10 * math.log10(mean), abs=1e-4)


@pytest.mark.parametrize("size", [(24, 32), (23, 31), (1, 1), (2, 5)])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("layout", [Layout.YUV420, Layout.YUV422, Layout.YUV444])
def test_rgb(layout: Layout, matrix: int, full_range: bool, size: tuple[int, int]) -> None:
    color = ColorSpec(matrix, full_range=full_range)
    one, other = (noisy(layout, 8, seed, color, size) for seed in (3, 4))
    a, b = (to_rgb(to_planes(picture), Samples.of(picture)).double() for picture in (one, other))
    expected = -10 * math.log10(float((a - b).square().mean()))
    assert compare(one, other).psnr()["psnr_rgb"] == pytest.approx(expected, abs=0.01)


def test_one_level_everywhere() -> None:
    """48.13 dB, as everyone knows."""
    one = noisy(Layout.YUV420, 8, 5, ColorSpec())
    y, u, v = (plane + np.uint8(1) for plane in one.planes)
    measured = compare(one, replace(one, planes=(y, u, v))).psnr()
    assert measured["psnr_y"] == pytest.approx(48.1308, abs=1e-3)
    assert measured["psnr_yuv"] == pytest.approx(48.1308, abs=1e-3)


def test_identical() -> None:
    one = noisy(Layout.YUV420, 8, 6, ColorSpec())
    error = compare(one, replace(one))
    assert error.identical
    assert set(error.psnr().values()) == {None}
    assert decibels(0) is None


def test_only_chroma_differs() -> None:
    one = noisy(Layout.YUV420, 8, 7, ColorSpec())
    error = compare(one, replace(one, planes=(one.planes[0], one.planes[1], one.planes[2] + np.uint8(2))))
    assert not error.identical
    assert error.psnr()["psnr_y"] is None
    assert error.psnr()["psnr_v"] == pytest.approx(42.11, abs=0.01)


@pytest.mark.parametrize(
    "other",
    [
        noisy(Layout.YUV420, 8, 8, ColorSpec(), (24, 34)),
        noisy(Layout.YUV444, 8, 8, ColorSpec()),
        noisy(Layout.YUV420, 10, 8, ColorSpec()),
    ],
    ids=["size", "layout", "depth"],
)
def test_what_cannot_be_compared(other: Picture) -> None:
    with pytest.raises(SourceMismatch, match="the source is"):
        compare(noisy(Layout.YUV420, 8, 9, ColorSpec()), other)
