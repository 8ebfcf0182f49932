"""What H.264 is called by programs that have to decide whether they can decode it."""

from __future__ import annotations

_SEQUENCE_PARAMETERS = b"\x00\x00\x01\x67"


def avc_name(data: bytes) -> str | None:
    """RFC 6381's name of a stream: profile, constraints and level, as in `avc1.42c01e`.

    Args:
        data: Annex B with the stream's sequence parameter set.

    Returns:
        None where there is no such set.
    """
    _, found, rest = data.partition(_SEQUENCE_PARAMETERS)
    return f"avc1.{rest[:3].hex()}" if found and len(rest) >= 3 else None
