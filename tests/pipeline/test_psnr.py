"""PSNR against the textbook, in NumPy."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
    a, b = (to_rgb(to_planes(picture), Samples.of(picture)).astype(float) for picture in (one, other))
    expected = -10 * math.log10(float(np.mean((a - b) ** 2)))
    assert compare(one, other).psnr()["psnr_rgb"] == pytest.approx(expected, abs=0.01)


# Per AVChromaLocation (vertical, horizontal), and per MatrixCoefficients (K_R, K_B).
SITINGS = {0: (0.5, 0.0), 1: (0.5, 0.0), 2: (0.5, 0.5), 3: (0.0, 0.0), 4: (0.0, 0.5), 5: (1.0, 0.0), 6: (1.0, 0.5)}
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def on_luma_grid(plane: np.ndarray, size: tuple[int, int], siting: int) -> np.ndarray:
    """Linear between the places of the samples, and level beyond the first and the last."""
    for axis in (0, 1):
        if plane.shape[axis] != size[axis]:
            places = 2 * np.arange(plane.shape[axis]) + SITINGS[siting][axis]
            here = np.arange(size[axis])
            plane = np.apply_along_axis(lambda line, x=here, at=places: np.interp(x, at, line), axis, plane)
    return plane


def rgb(picture: Picture) -> np.ndarray:
    """H.273, equations 11 to 45, the inverse way."""
    color, size = picture.color, (picture.height, picture.width)
    scale = 1 << (picture.bit_depth - 8)
    black, spans = (0, (255, 255)) if color.full_range else (16, (219, 224))
    y = (picture.planes[0].astype(float) - black * scale) / (spans[0] * scale)
    cb, cr = (
        on_luma_grid((p.astype(float) - 128 * scale) / (spans[1] * scale), size, color.chroma_siting)
        for p in picture.planes[1:]
    )
    kr, kb = WEIGHTS[color.matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.stack((red, (y - kr * red - kb * blue) / (1 - kr - kb), blue))


@settings(max_examples=200)
@given(
    layout=st.sampled_from([Layout.YUV420, Layout.YUV422, Layout.YUV444]),
    bit_depth=st.sampled_from([8, 9, 10, 12, 16]),
    siting=st.sampled_from(list(SITINGS)),
    matrix=st.sampled_from(list(WEIGHTS)),
    full_range=st.booleans(),
    size=st.tuples(st.integers(1, 32), st.integers(1, 32)),
    extreme=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_rgb_exactly(
    layout: Layout,
    bit_depth: int,
    siting: int,
    matrix: int,
    full_range: bool,
    size: tuple[int, int],
    extreme: bool,
    seed: int,
) -> None:
    """The plain definition, to ten digits, for any two pictures: noise, or black against white."""
    color = ColorSpec(matrix, full_range=full_range, chroma_siting=siting)
    one, other = (noisy(layout, bit_depth, seed + more, color, size) for more in (0, 1))
    if extreme:
        peak = one.planes[0].dtype.type((1 << bit_depth) - 1)
        black, white = ([np.full_like(p, value) for p in one.planes] for value in (0, peak))
        flip = seed % 8  # which planes are white where
        one = replace(one, planes=tuple(white[i] if flip >> i & 1 else black[i] for i in range(3)))
        other = replace(one, planes=tuple(black[i] if flip >> i & 1 else white[i] for i in range(3)))
    expected = float(np.mean((rgb(one) - rgb(other)) ** 2))
    assert compare(one, other).rgb == pytest.approx(expected, rel=1e-10, abs=1e-20)


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
