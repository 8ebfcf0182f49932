"""Is a file all there? Container headers tell how long a file must be; FFmpeg reads a short one without complaint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MP4_FIRST = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TS_PACKET = 188
_LONGEST_HEADER = 1 << 20


def ends_early(path: Path) -> bool:
    """Whether an MP4, Matroska, AVI or MPEG-TS file stops before the end its structure announces; else False."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_TS_PACKET + 1)
        if head[4:8] in _MP4_FIRST:
            return any(end > size for _, end in _boxes(file, size))
        if head[:4] == _EBML:
            return (_segment_end(file) or 0) > size
        if head[:4] == b"RIFF":
            return 8 + int.from_bytes(head[4:8], "little") > size
        if head[:1] == b"G" and head[_TS_PACKET:] == b"G":
            return size % _TS_PACKET != 0
    return False


def lacks_index(path: Path) -> bool:
    """Whether an MP4 file has no `moov` box, without which nothing in it can be found."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] not in _MP4_FIRST:
            return False
        return b"moov" not in {name for name, _ in _boxes(file, size)}


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Top-level boxes (name, end) of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = size - start
        yield head[4:8], start + length
        if length < 8:
            return
        start += length


def _segment_end(file: BinaryIO) -> int | None:
    """Where the Matroska segment ends (RFC 8794); None when it is of unknown size, as in live recordings."""
    file.seek(4)
    header = _vint(file)
    if header is None or header > _LONGEST_HEADER:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    length = _vint(file)
    return None if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """An EBML variable-length integer; None at the end of the file and for the reserved 'unknown'."""
    first = file.read(1)
    if not first or first == b"\0":
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - extra)) - 1)]) + file.read(extra), "big")
    return None if value == (1 << (7 * (extra + 1))) - 1 else value
