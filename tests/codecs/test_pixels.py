from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.pixels import pack, pixel_format, samples_of, unpacker

DEPTHS = (8, 9, 10, 12, 14, 16)
EXACT = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INP


def convert(frame: av.VideoFrame, name: str) -> av.VideoFrame:
    return VideoReformatter().reformat(frame, format=name, interpolation=EXACT, threads=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 50), st.sampled_from(list(Layout)), st.sampled_from(DEPTHS), st.integers(0))
def test_packing_and_unpacking_is_exact(width: int, height: int, layout: Layout, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = np.uint8 if depth == 8 else np.uint16
    a, b, c = (rng.integers(0, 1 << depth, s).astype(kind) for s in layout.plane_shapes(height, width))
    name = pixel_format(layout, depth)
    assert samples_of(name) == (layout, depth)
    how = unpacker(name)
    assert (how.layout, how.bit_depth, how.notes) == (layout, depth, ())
    back = how.planes(pack((a, b, c), name))
    for one, other in zip((a, b, c), back, strict=True):
        assert np.array_equal(one, other)
        assert other.dtype == kind
        assert other.flags.c_contiguous
        assert other.flags.owndata


@pytest.mark.parametrize("name", ["rgb24", "bgr0"])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 48)])
def test_packed_rgb_round_trip(name: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    r, g, b = (rng.integers(0, 256, size[::-1]).astype(np.uint8) for _ in range(3))
    back = unpacker(name).planes(pack((r, g, b), name))
    assert all(np.array_equal(x, y) for x, y in zip((r, g, b), back, strict=True))


def source(layout: Layout, depth: int = 8) -> tuple[Any, av.VideoFrame]:
    rng = np.random.default_rng(2)
    kind = np.uint8 if depth == 8 else np.uint16
    a, b, c = (rng.integers(0, 1 << depth, s).astype(kind) for s in layout.plane_shapes(10, 38))
    return (a, b, c), pack((a, b, c), pixel_format(layout, depth))


@pytest.mark.parametrize(
    ("name", "layout", "depth"),
    [
        *(
            ("nv12", Layout.YUV420, 8),
            ("nv21", Layout.YUV420, 8),
            ("nv16", Layout.YUV422, 8),
            ("nv24", Layout.YUV444, 8),
        ),
        *(("p010le", Layout.YUV420, 10), ("p012le", Layout.YUV420, 12), ("p210le", Layout.YUV422, 10)),
        *(("p410le", Layout.YUV444, 10), ("p016le", Layout.YUV420, 16), ("yuv420p10be", Layout.YUV420, 10)),
        *(("yuva420p", Layout.YUV420, 8), ("yuva444p10le", Layout.YUV444, 10), ("gbrp12be", Layout.RGB, 12)),
        *(("rgb24", Layout.RGB, 8), ("bgr24", Layout.RGB, 8), ("rgba", Layout.RGB, 8), ("bgra", Layout.RGB, 8)),
        *(("argb", Layout.RGB, 8), ("abgr", Layout.RGB, 8), ("0rgb", Layout.RGB, 8), ("rgb0", Layout.RGB, 8)),
        *(("rgb48le", Layout.RGB, 16), ("bgr48be", Layout.RGB, 16), ("rgba64le", Layout.RGB, 16)),
        *(("gbrap", Layout.RGB, 8), ("yuyv422", Layout.YUV422, 8), ("uyvy422", Layout.YUV422, 8)),
    ],
)
def test_every_arrangement_keeps_the_samples(name: str, layout: Layout, depth: int) -> None:
    planes, frame = source(layout, depth)
    how = unpacker(name)
    assert (how.layout, how.bit_depth) == (layout, depth)
    alpha = "a" in name.replace("gray", "")
    assert ("alpha dropped" in how.notes) is alpha
    for one, other in zip(planes, how.planes(convert(frame, name)), strict=True):
        assert np.array_equal(one, other)


def test_full_range_formats() -> None:
    assert unpacker("yuvj420p").full_range is True
    assert unpacker("yuv420p").full_range is None


@pytest.mark.parametrize(("name", "depth"), [("gray", 8), ("gray10le", 10), ("ya8", 8), ("gray16be", 16)])
def test_gray_gets_neutral_chroma(name: str, depth: int) -> None:
    frame = av.VideoFrame(7, 5, name)
    how = unpacker(name)
    y, u, v = how.planes(frame)
    assert (how.layout, how.bit_depth) == (Layout.YUV420, depth)
    assert y.shape == (5, 7)
    assert u.shape == v.shape == (3, 4)
    assert set(u.ravel()) == set(v.ravel()) == {1 << (depth - 1)}
    assert "gray read as 4:2:0" in how.notes


@pytest.mark.parametrize(
    ("name", "layout", "depth"),
    [
        *(("yuv440p", Layout.YUV444, 8), ("yuv411p", Layout.YUV422, 8), ("yuv410p", Layout.YUV420, 8)),
        *(("rgb565le", Layout.RGB, 8), ("x2rgb10le", Layout.RGB, 10), ("monob", Layout.YUV420, 8)),
        *(("v30xle", Layout.YUV444, 10), ("ayuv64le", Layout.YUV444, 16), ("pal8", Layout.RGB, 8)),
    ],
)
def test_the_rest_is_converted_with_a_note(name: str, layout: Layout, depth: int) -> None:
    how = unpacker(name)
    assert (how.layout, how.bit_depth) == (layout, depth)
    assert how.notes
    frame = av.VideoFrame(38, 10, name)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    planes = how.planes(frame)
    assert [plane.shape for plane in planes] == list(layout.plane_shapes(10, 38))


def test_every_format_ffmpeg_knows_has_a_way() -> None:
    for name in sorted(av.video.frame.supported_np_pix_fmts):
        how = unpacker(name)
        assert how.bit_depth in DEPTHS
