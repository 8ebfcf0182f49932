"""Samples to numbers and back: exact where nothing changes, right where something does."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.planes import (
    Samples,
    carried_color,
    convert,
    convert_planes,
    crop,
    from_rgb,
    luma_weights,
    pad,
    resolved_color,
    to_picture,
    to_planes,
    to_rgb,
)

SITINGS = {0: (0.5, 0.0), 1: (0.5, 0.0), 2: (0.5, 0.5), 3: (0.0, 0.0), 4: (0.0, 0.5), 5: (1.0, 0.0), 6: (1.0, 0.5)}


def picture(
    layout: Layout, bit_depth: int, height: int, width: int, seed: int = 0, color: ColorSpec | None = None
) -> Picture:
    rng = np.random.default_rng(seed)
    kind = np.uint8 if bit_depth == 8 else np.uint16
    y, u, v = (rng.integers(0, 1 << bit_depth, shape).astype(kind) for shape in layout.plane_shapes(height, width))
    return Picture((y, u, v), layout, bit_depth, color or ColorSpec(1, full_range=False), 7, Fraction(1, 25))


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(list(Layout)),
    bit_depth=st.sampled_from([8, 9, 10, 12, 14, 16]),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    seed=st.integers(0, 9999),
)
def test_round_trip_is_exact(layout: Layout, bit_depth: int, height: int, width: int, seed: int) -> None:
    before = picture(layout, bit_depth, height, width, seed)
    after = to_picture(to_planes(before), Samples.of(before), before)
    for one, other in zip(before.planes, after.planes, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert (after.pts, after.color) == (before.pts, before.color)


@pytest.mark.parametrize("bit_depth", [8, 10, 12])
def test_black_and_white_do_not_depend_on_depth(bit_depth: int) -> None:
    one = np.array([[16 << (bit_depth - 8), 235 << (bit_depth - 8)]], np.uint8 if bit_depth == 8 else np.uint16)
    planes = to_planes(Picture((one, one, one), Layout.YUV444, bit_depth, ColorSpec(), 0, Fraction(1)))
    assert planes[0].flatten().tolist() == pytest.approx([16 / 255, 235 / 255])


@pytest.mark.parametrize("full_range", [False, True, None])
@pytest.mark.parametrize("matrix", [1, 2, 4, 5, 6, 7, 9])
def test_rgb_round_trip(matrix: int, full_range: bool | None) -> None:
    torch.manual_seed(matrix)
    rgb = torch.rand(1, 3, 33, 17)
    samples = Samples(Layout.YUV444, 8, ColorSpec(matrix, full_range=full_range))
    assert (to_rgb(from_rgb(rgb, samples), samples) - rgb).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("rgb", "codes"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_bt709_primaries(rgb: tuple[int, int, int], codes: tuple[int, int, int]) -> None:
    """The values of every textbook."""
    r, g, b = (np.full((2, 2), value, np.uint8) for value in rgb)
    before = Picture((r, g, b), Layout.RGB, 8, ColorSpec(0, full_range=True), 0, Fraction(1))
    after = convert(before, Samples(Layout.YUV444, 8, ColorSpec(1, full_range=False)))
    assert tuple(int(plane[0, 0]) for plane in after.planes) == codes


@pytest.mark.parametrize(("height", "weights"), [(719, (0.299, 0.114)), (720, (0.2126, 0.0722))])
def test_untagged(height: int, weights: tuple[float, float]) -> None:
    assert luma_weights(ColorSpec(), height) == weights
    assert luma_weights(resolved_color(ColorSpec(), height), 100) == weights
    assert resolved_color(ColorSpec(9), height).matrix == 9


def test_color_of_another_layout() -> None:
    tagged = ColorSpec(9, 9, 16, full_range=False, chroma_siting=3)
    rgb = carried_color(tagged, Layout.RGB, 1080)
    assert (rgb.matrix, rgb.primaries, rgb.transfer, rgb.full_range) == (0, 9, 16, True)
    assert carried_color(tagged, Layout.YUV444, 1080) == tagged
    assert carried_color(rgb, Layout.YUV420, 1080).matrix == 1
    assert carried_color(rgb, Layout.YUV420, 480).matrix == 6


@pytest.mark.parametrize("layout", [Layout.YUV420, Layout.YUV422])
@pytest.mark.parametrize("siting", SITINGS)
def test_siting(layout: Layout, siting: int) -> None:
    """A slope stays where it is: a chroma sample stands for the place it sits at, both ways."""
    height, width = 32, 48
    down, right = layout.subsampling
    vertical, horizontal = SITINGS[siting]
    color = ColorSpec(1, full_range=False, chroma_siting=siting)
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    slope = ((3 * y + 2 * x) / 300)[None, None]
    rows = torch.arange(height // down) * down + (vertical if down == 2 else 0)
    columns = torch.arange(width // right) * right + (horizontal if right == 2 else 0)
    sampled = ((3 * rows[:, None] + 2 * columns[None]) / 300)[None, None]
    full, sub = Samples(Layout.YUV444, 8, color), Samples(layout, 8, color)

    shrunk = convert_planes((slope, slope, slope), full, sub)
    assert torch.equal(shrunk[0], slope)
    for plane in shrunk[1:]:
        assert plane.shape == sampled.shape
        assert (plane - sampled)[..., 1:-1, 1:-1].abs().max() < 1e-6

    grown = convert_planes((slope, sampled, sampled), sub, full)
    for plane in grown[1:]:
        assert plane.shape == slope.shape
        assert (plane - slope)[..., 2:-2, 2:-2].abs().max() < 1e-6


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 3), (8, 6)])
@pytest.mark.parametrize("target", list(Layout))
@pytest.mark.parametrize("source", list(Layout))
def test_conversions_keep_the_size(source: Layout, target: Layout, size: tuple[int, int]) -> None:
    color = carried_color(ColorSpec(1, full_range=False), source, size[0])
    before = picture(source, 8, *size, color=color)
    after = convert(before, Samples(target, 10, carried_color(color, target, size[0])))
    assert tuple(plane.shape for plane in after.planes) == target.plane_shapes(*size)
    assert (after.bit_depth, after.layout, after.planes[0].dtype) == (10, target, np.uint16)


def test_flat_colour_survives_every_conversion() -> None:
    shapes = Layout.YUV420.plane_shapes(9, 7)
    y, u, v = (np.full(shape, code, np.uint8) for shape, code in zip(shapes, (120, 110, 150), strict=True))
    color = ColorSpec(1, full_range=False, chroma_siting=1)
    before = Picture((y, u, v), Layout.YUV420, 8, color, 0, Fraction(1))
    there = convert(before, Samples(Layout.RGB, 16, carried_color(color, Layout.RGB, 9)))
    back = convert(there, Samples.of(before))
    for one, other in zip(before.planes, back.planes, strict=True):
        assert np.array_equal(one, other)


def test_nothing_to_convert() -> None:
    before = picture(Layout.YUV420, 8, 6, 6)
    assert convert(before, Samples.of(before)) is before
    after = convert(before, Samples(Layout.YUV420, 8, ColorSpec(1, 1, 1, full_range=False, chroma_siting=2)))
    assert after.planes is before.planes
    assert after.color.primaries == 1


@settings(max_examples=60, deadline=None)
@given(
    source=st.sampled_from(list(Layout)),
    target=st.sampled_from(list(Layout)),
    bit_depth=st.sampled_from([8, 10, 16]),
    siting=st.sampled_from(list(SITINGS)),
    size=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    seed=st.integers(0, 9999),
)
def test_numpy_and_torch_agree(
    source: Layout, target: Layout, bit_depth: int, siting: int, size: tuple[int, int], seed: int
) -> None:
    color = ColorSpec(1, full_range=False, chroma_siting=siting)
    before = picture(source, bit_depth, *size, seed, carried_color(color, source, size[0]))
    samples = Samples(target, 8, carried_color(ColorSpec(6, full_range=True), target, size[0]))
    arrays = convert_planes(to_planes(before), Samples.of(before), samples)
    tensors = convert_planes(to_planes(before, "cpu"), Samples.of(before), samples)
    for array, tensor in zip(arrays, tensors, strict=True):
        assert (array.dtype, tensor.dtype) == (np.float32, torch.float32)
        assert array.shape == tensor.shape
        assert np.abs(array - tensor.numpy()).max() < 1e-6
    for one, other in zip(to_picture(arrays, samples, before).planes, convert(before, samples).planes, strict=True):
        assert np.array_equal(one, other)
    assert np.abs(to_rgb(arrays, samples) - to_rgb(tensors, samples).numpy()).max() < 1e-6
    pictures = (to_picture(arrays, samples, before), to_picture(tensors, samples, before))
    for one, other in zip(*(made.planes for made in pictures), strict=True):
        assert one.dtype == other.dtype
        assert np.abs(one.astype(int) - other).max() <= 1  # a tie may fall to either side


def test_without_torch() -> None:
    """Neither planes nor PSNR load PyTorch, whatever is converted."""
    script = """
import sys
from fractions import Fraction
import numpy as np
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.planes import Samples, carried_color, convert, crop, from_rgb, pad, to_planes, to_rgb
from irn_video.pipeline.quality.psnr import compare

plane = np.arange(35, dtype=np.uint16).reshape(5, 7) << 4
source = Picture((plane, plane.T.reshape(5, 7), plane), Layout.RGB, 10, ColorSpec(0, full_range=True), 0, Fraction(1))
for layout in Layout:
    for depth in (8, 10):
        small = convert(source, Samples(layout, depth, carried_color(source.color, layout, 5)))
        from_rgb(to_rgb(crop(pad(to_planes(small), layout, 8, 8), layout, 5, 7), Samples.of(small)), Samples.of(small))
        assert compare(small, convert(source, Samples.of(small))).identical
        compare(convert(small, Samples.of(source)), source).psnr()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@settings(max_examples=30, deadline=None)
@given(
    layout=st.sampled_from(list(Layout)),
    height=st.integers(1, 15),
    width=st.integers(1, 15),
    more=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_pad_and_crop(layout: Layout, height: int, width: int, more: tuple[int, int]) -> None:
    planes = to_planes(picture(layout, 8, height, width), "cpu")
    size = height + more[0], width + more[1]
    padded = pad(planes, layout, *size)
    assert tuple(tuple(plane.shape[-2:]) for plane in padded) == layout.plane_shapes(*size)
    for plane, large in zip(planes, padded, strict=True):
        assert torch.equal(large[..., plane.shape[-2] - 1 :, : plane.shape[-1]].unique(dim=-2), plane[..., -1:, :])
    for plane, cropped in zip(planes, crop(padded, layout, height, width), strict=True):
        assert torch.equal(plane, cropped)
