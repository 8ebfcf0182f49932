"""Chroma siting from an H.264 sequence parameter set (ITU-T H.264 7.3.2.1.1 and E.1.1), which PyAV does not tell."""

from __future__ import annotations

import re

_SPS = 7
_WITH_CHROMA_FORMAT = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
_EXTENDED_ASPECT = 255


def h264_chroma_siting(extradata: bytes | None) -> int:
    """FFmpeg's AVChromaLocation from Annex B or avcC parameter sets; 0 when not told or not readable."""
    sps = _find_sps(extradata or b"")
    if sps is None:
        return 0
    try:
        return _siting(_Bits(sps.replace(b"\x00\x00\x03", b"\x00\x00")))
    except (IndexError, OverflowError):  # a damaged parameter set
        return 0


def _find_sps(extradata: bytes) -> bytes | None:
    if extradata[:1] == b"\x01" and len(extradata) > 8:  # avcC (ISO/IEC 14496-15, 5.3.3.1)
        length = int.from_bytes(extradata[6:8], "big")
        return extradata[8 : 8 + length]
    for unit in re.split(rb"\x00\x00\x01", extradata):
        if unit and unit[0] & 0x1F == _SPS:
            return unit
    return None


class _Bits:
    """Reads bits from the front; IndexError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def u(self, count: int) -> int:
        """An unsigned number of so many bits."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def ue(self) -> int:
        """An Exp-Golomb code (9.1); `se` differs only in its meaning."""
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)


def _siting(bits: _Bits) -> int:
    bits.u(8)  # NAL header
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    if profile in _WITH_CHROMA_FORMAT:
        _skip_formats(bits)
    bits.ue()
    _skip_picture_order(bits)
    bits.ue()
    bits.u(1)
    bits.ue()
    bits.ue()
    if not bits.u(1):  # frame_mbs_only_flag
        bits.u(1)
    bits.u(1)
    if bits.u(1):  # frame_cropping_flag
        for _ in range(4):
            bits.ue()
    return _vui_siting(bits) if bits.u(1) else 0


def _skip_formats(bits: _Bits) -> None:
    chroma_format = bits.ue()
    if chroma_format == 3:
        bits.u(1)
    bits.ue()
    bits.ue()
    bits.u(1)
    if bits.u(1):  # seq_scaling_matrix_present_flag
        for index in range(12 if chroma_format == 3 else 8):
            if bits.u(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.ue()
            delta = (code + 1) // 2 if code & 1 else -(code // 2)
            following = (last + delta) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.u(1)
        bits.ue()
        bits.ue()
        for _ in range(bits.ue()):
            bits.ue()


def _vui_siting(bits: _Bits) -> int:
    if bits.u(1) and bits.u(8) == _EXTENDED_ASPECT:
        bits.u(32)
    if bits.u(1):  # overscan_info_present_flag
        bits.u(1)
    if bits.u(1):  # video_signal_type_present_flag
        bits.u(4)
        if bits.u(1):
            bits.u(24)
    if not bits.u(1):  # chroma_loc_info_present_flag
        return 0
    top = bits.ue()
    return top + 1 if top <= 5 else 0
