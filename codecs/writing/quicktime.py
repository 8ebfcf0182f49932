"""QuickTime's metadata in MP4 and MOV files: tags of any name, where FFmpeg's muxer writes well-known ones only.

FFmpeg can write them too (`use_metadata_tags`), but only in place of those that players look for: title and comment
would be gone from where iTunes, VLC and file managers read them. So the muxer writes its own, and the rest is added
to the finished file, in `moov/meta`, where phones and Apple's players have theirs
(QuickTime File Format, "Metadata": handler `mdta`, names in `keys`, values in `ilst`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_UTF8 = (1).to_bytes(4)
_ANY_LOCALE = bytes(4)
_LARGEST = 2**32 - 1
_TO_CHUNKS = (b"trak", b"mdia", b"minf", b"stbl")
_BLOCK = 1 << 20


def add_metadata(path: Path, tags: Mapping[str, str], *, iso: bool) -> bool:
    """Add tags to the index (`moov`) of a finished file, wherever it lies; what follows it moves back to make room.

    Args:
        path: the file.
        tags: values by name.
        iso: write it as MP4 has it (ISO/IEC 14496-12, "MetaBox"), with a version; QuickTime has none.

    Returns:
        False where the file is built otherwise, in fragments for example; it is left as it was.
    """
    meta = _meta(tags, bytes(4) if iso else b"")
    with path.open("r+b") as file:
        boxes = list(_boxes(file))
        kinds = [kind for kind, _, _ in boxes]
        if kinds.count(b"moov") != 1 or b"moof" in kinds:
            return False
        _, start, size = boxes[kinds.index(b"moov")]
        if size + len(meta) > _LARGEST:
            return False
        file.seek(start)
        index = bytearray(file.read(size))
        if b"mdat" in kinds[kinds.index(b"moov") :] and not _moved(memoryview(index)[8:], len(meta)):
            return False
        index[:4] = (size + len(meta)).to_bytes(4)
        _make_room(file, start + size, len(meta))
        file.seek(start)
        file.write(index + meta)
    return True


def _moved(boxes: memoryview, by: int) -> bool:
    """Adds to where the chunks of all tracks lie (8.7.5, "ChunkOffsetBox"); False where the field has no room."""
    start = 0
    while start + 8 <= len(boxes):
        size, kind = int.from_bytes(boxes[start : start + 4]), bytes(boxes[start + 4 : start + 8])
        if size < 8:
            return False
        content = boxes[start + 8 : start + size]
        if kind in _TO_CHUNKS and not _moved(content, by):
            return False
        width = {b"stco": 4, b"co64": 8}.get(kind, 0)
        for at in range(8, len(content) - width + 1, width) if width else ():
            offset = int.from_bytes(content[at : at + width]) + by
            if offset >= 1 << (8 * width):
                return False
            content[at : at + width] = offset.to_bytes(width)
        start += size
    return True


def _make_room(file: BinaryIO, at: int, size: int) -> None:
    """Move all that lies behind a place back by so many bytes."""
    end = file.seek(0, 2)
    while end > at:
        begin = max(at, end - _BLOCK)
        file.seek(begin)
        block = file.read(end - begin)
        file.seek(begin + size)
        file.write(block)
        end = begin


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and size of the boxes of a file."""
    start = 0
    while len(head := file.read(16)) >= 8:
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:])
        if size < 8:
            return  # as far as the file goes
        yield head[4:8], start, size
        start += size
        file.seek(start)


def _meta(tags: Mapping[str, str], version: bytes) -> bytes:
    keys = [_box(b"mdta", key.encode()) for key in tags]
    values = [_box(b"data", _UTF8, _ANY_LOCALE, value.encode()) for value in tags.values()]
    return _box(
        b"meta",
        version,
        _box(b"hdlr", bytes(8), b"mdta", bytes(13)),
        _box(b"keys", bytes(4), len(keys).to_bytes(4), *keys),
        _box(b"ilst", *(_box(index.to_bytes(4), value) for index, value in enumerate(values, 1))),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4) + kind + content
