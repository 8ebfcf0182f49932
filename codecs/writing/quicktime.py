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


def add_metadata(path: Path, tags: Mapping[str, str], *, iso: bool) -> bool:
    """Add tags to a finished file whose index (`moov`) is its last box, as FFmpeg writes it.

    Args:
        path: the file.
        tags: values by name.
        iso: write it as MP4 has it (ISO/IEC 14496-12, "MetaBox"), with a version; QuickTime has none.

    Returns:
        False where the file is built otherwise; it is left as it was.
    """
    meta = _meta(tags, bytes(4) if iso else b"")
    with path.open("r+b") as file:
        *_, (kind, start, size) = (b"", 0, 0), *_boxes(file)
        if kind != b"moov" or size + len(meta) > _LARGEST:
            return False
        file.seek(start)
        file.write((size + len(meta)).to_bytes(4))
        file.seek(start + size)
        file.write(meta)
    return True


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
