"""The stream card of a small image, in the bytes of its file: a tEXt chunk of PNG, XMP in JPEG and WebP.

The card is the text that a video has in its `comment` tag. Programs that edit images often keep it, so whoever reads it
checks that it fits the image.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

from irn_video.codecs.bitstream.card import StreamCard, parse_payload

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 33  # signature and IHDR chunk
_KEYWORD = b"irn-video\0"
_JPEG = b"\xff\xd8"
_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WEBP = b"RIFF"
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10  # of WebP's VP8X chunk
_MOST_PARTS = 1 << 16  # of a file; more could only be there to waste time

_CARD = re.compile(rb"irn-video card ([A-Za-z0-9+/=]+)")
_OLD_NOTE = re.compile(_KEYWORD + rb"hr-size ([0-9]{1,6})x([0-9]{1,6})")
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:irn="urn:irn-video:" irn:card="{}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def with_card(data: bytes, card: StreamCard) -> bytes:
    """The file of a PNG, JPEG or lossless WebP image, which has no card yet, with one.

    Raises:
        ValueError: a file of another kind.
    """
    text = card.to_tag()
    if data.startswith(_PNG):
        return data[:_PNG_HEADER] + png_chunk(b"tEXt", _KEYWORD + text.encode()) + data[_PNG_HEADER:]
    packet = _XMP.format(text).encode()
    if data.startswith(_JPEG):
        place = 4 + int.from_bytes(data[4:6]) if data[2:4] == b"\xff\xe0" else 2  # JFIF's segment has to be first
        content = _XMP_OF_JPEG + packet
        return data[:place] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[place:]
    if data.startswith(_WEBP):
        return _webp_with(data, packet)
    raise ValueError("neither PNG nor JPEG nor WebP")


def card_in(data: bytes) -> StreamCard | None:
    """The card in the file of an image; None where there is none, or in a file of another kind.

    Raises:
        BadCard: see `parse_payload`.
    """
    found = next(filter(None, map(_CARD.search, _texts(data))), None)
    return parse_payload(found[1]) if found else None


def old_size_in(data: bytes) -> tuple[int, int] | None:
    """(height, width) of the full-size image, from the note that PNG files had before they had cards."""
    found = next(filter(None, map(_OLD_NOTE.fullmatch, _texts(data))), None)
    return (int(found[2]), int(found[1])) if found else None


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _texts(data: bytes) -> Iterator[bytes]:
    """What may hold a card."""
    for magic, (parts, kinds) in _PLACES.items():
        if data.startswith(magic):
            found = islice(parts(data), _MOST_PARTS)
            yield from (data[start:stop] for kind, start, stop in found if kind in kinds)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, and where its content begins and ends."""
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, place + 8, place + 8 + length
        place += 12 + length


def _jpeg_segments(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Those before the samples."""
    place = len(_JPEG)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (_START_OF_SCAN, _END_OF_IMAGE):
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield data[place + 1 : place + 2], place + 4, place + 2 + length
        place += 2 + max(2, length)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        yield kind, place + 8, place + 8 + length
        place += 8 + length + length % 2


def _webp_with(data: bytes, packet: bytes) -> bytes:
    """A lossless WebP file with XMP at its end, in the extended format, which needs a head of its own."""
    kind, start, stop = next(_webp_chunks(data))
    if kind == b"VP8X":
        head = bytes([data[start] | _XMP_FLAG]) + data[start + 1 : stop]
        rest = data[stop:]
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, start + 1)
        flags = _XMP_FLAG | (_ALPHA_FLAG if bits >> 28 & 1 else 0)
        sides = (bits & 0x3FFF, bits >> 14 & 0x3FFF)  # less one, as the head has them
        head = struct.pack("<I", flags) + b"".join(side.to_bytes(3, "little") for side in sides)
        rest = data[12:]
    else:
        raise ValueError("a WebP file that is not lossless")
    chunks = _webp_chunk(b"VP8X", head) + rest + _webp_chunk(b"XMP ", packet)
    return _WEBP + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


_PLACES: dict[bytes, tuple[Callable[[bytes], Iterator[tuple[bytes, int, int]]], tuple[bytes, ...]]] = {
    _PNG: (_png_chunks, (b"tEXt", b"iTXt")),
    _JPEG: (_jpeg_segments, (b"\xe1",)),
    _WEBP: (_webp_chunks, (b"XMP ",)),
}
"""By the first bytes of a file: its parts, and which of them hold text."""
