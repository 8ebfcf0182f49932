from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irn_video.codecs.bitstream.sei import CARD_UUID, Syntax, find_payloads, insert_nal, sei_nal

START = b"\x00\x00\x00\x01"


def test_the_uuid_is_never_escaped() -> None:
    assert 0 not in CARD_UUID.bytes


@given(st.binary(max_size=700), st.sampled_from(["h264", "hevc"]))
def test_a_nal_holds_no_start_code_and_unescapes(payload: bytes, syntax: Syntax) -> None:
    nal = sei_nal(payload, syntax)
    body = nal[len(START) :]
    assert not re.search(rb"\x00\x00[\x00-\x02]", body)
    plain = re.sub(rb"\x00\x00\x03", b"\x00\x00", body)
    assert plain.endswith(CARD_UUID.bytes + payload + b"\x80")


@given(st.integers(1, 5000))
def test_the_size_field(length: int) -> None:
    nal = sei_nal(b"A" * length, "h264")[len(START) + 2 :]
    size = 0
    while nal[0] == 255:
        size, nal = size + 255, nal[1:]
    assert size + nal[0] == 16 + length
    assert len(nal) - 2 == 16 + length


@pytest.mark.parametrize(
    ("syntax", "sps", "idr"),
    [("h264", b"\x67", b"\x65"), ("hevc", b"\x42\x01", b"\x26\x01")],
)
@pytest.mark.parametrize("code", [START, START[1:]])
def test_goes_in_front_of_the_first_slice(syntax: Syntax, sps: bytes, idr: bytes, code: bytes) -> None:
    nal = sei_nal(b"hello", syntax)
    unit = START + sps + b"abc" + code + idr + b"slice" + code + idr + b"slice"
    assert insert_nal(unit, nal, syntax) == unit.replace(code + idr, nal + code + idr, 1)
    assert find_payloads(insert_nal(unit, nal, syntax)) == [b"hello"]


def test_leaves_a_unit_without_slices_alone() -> None:
    assert insert_nal(START + b"\x67abc", sei_nal(b"x", "h264"), "h264") == START + b"\x67abc"
    assert insert_nal(b"", sei_nal(b"x", "h264"), "h264") == b""


@given(st.binary(max_size=200))
def test_finds_nothing_in_noise(data: bytes) -> None:
    assert find_payloads(data) == []
