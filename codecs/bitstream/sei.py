"""SEI messages in H.264 and H.265 streams (ITU-T H.264 D.1.7, H.265 D.2.7), written and found.

FFmpeg's `h264_metadata` filter puts a message only into access units with parameter sets in band, which MP4 and
Matroska do not have; so the message is inserted here, in front of the first slice of a keyframe.
"""

from __future__ import annotations

import re
from typing import Literal
from uuid import UUID

Syntax = Literal["h264", "hevc"]

CARD_UUID = UUID("6c1f7a52-9d3e-4b8a-a1c4-5e7d2f90b36d")
"""Identifies stream cards; it holds no zero bytes, so it is never escaped in a stream."""
STAMP_UUID = UUID("a35d1b9e-42c7-4f16-8e2a-9b64d8f17c53")
"""Identifies the stamps of live pictures."""
UPDATE_UUID = UUID("b7e2913c-5a84-4df6-9c1b-3f68a2d70e95")
"""Identifies changed weights of the receiver, for the pictures from this keyframe to the next."""
QUANTISERS_UUID = UUID("d94b6e1f-a352-4c87-b5e8-3a716cf29d48")
"""Identifies the mean quantisers of the pictures from this keyframe to the next."""

_START_CODE = re.compile(rb"\x00\x00\x01")
_ESCAPED = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_USER_DATA_UNREGISTERED = 5
_SIZE = rb"(\xff*)([^\xff])"
_BLOCK = 128
_NAL_HEADER: dict[Syntax, bytes] = {"h264": b"\x06", "hevc": b"\x4e\x01"}


def sei_nal(payload: bytes, syntax: Syntax, uuid: UUID = CARD_UUID) -> bytes:
    """One Annex B NAL unit with `payload` as unregistered user data under one of our UUIDs."""
    return message_nal(_USER_DATA_UNREGISTERED, uuid.bytes + payload, syntax)


def message_nal(kind: int, body: bytes, syntax: Syntax) -> bytes:
    """One Annex B NAL unit with an SEI message of any payload type (H.264 D.1, H.265 D.2)."""
    size = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    message = bytes([kind]) + size + body + b"\x80"
    return b"\x00\x00\x00\x01" + _NAL_HEADER[syntax] + _ESCAPED.sub(b"\x00\x00\x03", message)


def insert_nal(access_unit: bytes, nal: bytes, syntax: Syntax) -> bytes:
    """Put `nal` in front of the first slice of an Annex B access unit (after AUD, parameter sets and other SEI)."""
    for match in _START_CODE.finditer(access_unit):
        if match.end() < len(access_unit) and _is_slice(access_unit[match.end()], syntax):
            at = match.start()
            at -= at > 0 and access_unit[at - 1] == 0  # the four-byte form of the start code
            return access_unit[:at] + nal + access_unit[at:]
    return access_unit


def find_payloads(packet: bytes, uuid: UUID = CARD_UUID) -> list[bytes]:
    """Payloads under one of our UUIDs in a packet, Annex B or length-prefixed; without zeros, so never escaped."""
    found = []
    for match in re.finditer(bytes([_USER_DATA_UNREGISTERED]) + _SIZE + re.escape(uuid.bytes), packet):
        size = 255 * len(match[1]) + match[2][0] - len(uuid.bytes)
        found.append(packet[match.end() : match.end() + max(size, 0)])
    return found


def without_zeros(content: bytes) -> bytes:
    """Any bytes without zeros: blocks, XORed with a byte that they do not hold, which they begin with."""
    blocks = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    masks = [next(mask for mask in range(1, 256) if mask not in block) for block in blocks]
    return b"".join(bytes((mask, *(b ^ mask for b in block))) for mask, block in zip(masks, blocks, strict=True))


def with_zeros(content: bytes) -> bytes:
    """Undo `without_zeros`."""
    blocks = [content[at : at + _BLOCK + 1] for at in range(0, len(content), _BLOCK + 1)]
    return b"".join(bytes(b ^ block[0] for b in block[1:]) for block in blocks)


def _is_slice(header: int, syntax: Syntax) -> bool:
    if syntax == "h264":
        return 1 <= header & 0x1F <= 5
    return (header >> 1) & 0x3F < 32
