"""Pictures of H.264 numbered without gaps, so that a decoder goes on after a loss.

Where pictures are lost, FFmpeg fills the gap in `frame_num` (ITU-T H.264 7.4.3). If the numbers begin anew within the
gap, as they always do where a keyframe is lost, the pictures that follow seem older than those before (8.2.1.3), and
none is shown until the next keyframe. With the gap closed the decoder predicts from the last picture that has come.
"""

from __future__ import annotations

import re

_START = re.compile(rb"\x00\x00\x01")
_ESCAPED = re.compile(rb"\x00\x00\x03")
_UNSAFE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_SLICE, _KEYFRAME, _PARAMETERS = 1, 5, 7
# Profiles whose parameters begin with layout and depth of the samples (7.3.2.1.1).
_HIGH = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
_SEPARATE_PLANES = 3
_LONGEST = 16  # bits of a number
_HEAD = 32  # bytes of a slice that hold its number for certain


class FrameNumbers:
    """Closes the gaps of one progressive stream, access unit by access unit; where nothing is lost nothing changes."""

    def __init__(self) -> None:
        self._bits: int | None = None
        self._last: int | None = None

    def closed(self, access_unit: bytes) -> bytes:
        """The next access unit (Annex B), numbered as if the last one had been the one before it.

        What cannot be understood stays as it is.
        """
        before, *units = _START.split(access_unit)
        following = None if self._last is None or self._bits is None else (self._last + 1) % (1 << self._bits)
        for index, unit in enumerate(units):
            kind, referred = (unit[0] & 31, unit[0] >> 5 & 3) if unit else (0, 0)
            if kind == _PARAMETERS:
                self._bits = _number_bits(unit)
            elif kind == _KEYFRAME:
                self._last = 0
            elif kind == _SLICE and self._bits is not None and following is not None:
                units[index] = _numbered(unit, following, self._bits)
                if referred:  # no other picture is predicted from those that are not, and they do not count
                    self._last = following
        return b"\x00\x00\x01".join([before, *units])


class _Short(Exception):
    """There are fewer bits than there should be."""


class _Bits:
    """Reads the fields of a NAL unit after its first byte (7.2, 9.1)."""

    def __init__(self, unit: bytes) -> None:
        self._value, self.left = int.from_bytes(unit[1:]), 8 * len(unit[1:])

    def take(self, count: int) -> int:
        """As an unsigned number."""
        self.left -= count
        if self.left < 0:
            raise _Short
        return self._value >> self.left & ((1 << count) - 1)

    def golomb(self) -> int:
        """In Exp-Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def _number_bits(parameters: bytes) -> int | None:
    """Bits of `frame_num`, from sequence parameters; None where they are unusual."""
    bits = _Bits(_ESCAPED.sub(b"\0\0", parameters))
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.golomb()
        if profile in _HIGH:
            if bits.golomb() == _SEPARATE_PLANES:
                return None
            bits.golomb(), bits.golomb()
            if bits.take(2) & 1:  # scaling lists
                return None
        count = bits.golomb() + 4
    except _Short:
        return None
    return count if count <= _LONGEST else None


def _numbered(unit: bytes, number: int, count: int) -> bytes:
    """A slice with this number of `count` bits."""
    plain = _ESCAPED.sub(b"\0\0", unit)
    bits = _Bits(plain[:_HEAD])
    try:
        bits.golomb(), bits.golomb(), bits.golomb()
        change = bits.take(count) ^ number
    except _Short:
        return unit
    if not change:
        return unit
    head = int.from_bytes(plain[:_HEAD]) ^ change << bits.left
    whole = head.to_bytes(len(plain[:_HEAD])) + plain[_HEAD:]
    return _UNSAFE.sub(b"\0\0\x03", whole)
