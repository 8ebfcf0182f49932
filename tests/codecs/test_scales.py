"""Scales: parsing, and sizes in whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irn_video.codecs.errors import BadOption
from irn_video.codecs.scales import SCALES, enlarged, multiple_of, parse_scale, shrunk

LENGTHS = st.integers(1, 1 << 20)


@pytest.mark.parametrize(("text", "scale"), [("1", 1), ("1.5", 1.5), ("3/2", 1.5), ("2", 2), ("4", 4)])
def test_scales_are_whole_where_they_can_be(text: str, scale: float) -> None:
    parsed = parse_scale(text)
    assert parsed == scale
    assert isinstance(parsed, int) == (scale != 1.5)


@pytest.mark.parametrize("text", ["", "0", "3", "1.50", "2.0", "4/2", "auto", "nan", "1e0", "-1", "16"])
def test_other_scales_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match=r"1, 1\.5, 2, 4"):
        parse_scale(text)


def test_steps_of_sizes() -> None:
    assert [multiple_of(scale) for scale in SCALES] == [2, 6, 4, 8]


@given(LENGTHS, st.sampled_from(SCALES))
def test_padded_sizes_shrink_to_even_ones_and_back(steps: int, scale: float) -> None:
    length = steps * multiple_of(scale)
    small = shrunk(length, scale)
    assert small % 2 == 0
    assert small * scale == length == enlarged(small, scale)


@given(LENGTHS, st.sampled_from([*SCALES, 3, 16]))
def test_every_length_has_room(length: int, scale: float) -> None:
    small = shrunk(length, scale)
    assert isinstance(small, int)
    assert isinstance(enlarged(small, scale), int)
    assert (small - 1) * scale < length <= enlarged(small, scale) < length + scale
    assert shrunk(enlarged(length, scale), scale) == length
