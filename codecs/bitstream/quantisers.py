"""Mean quantisers of a group of frames as an SEI message, for receivers whose decoder does not tell them.

The quantiser that a slice begins with stands in its header, but x264 changes it from macroblock to macroblock: the mean
may be several away, and only entropy decoding tells it.
"""

from __future__ import annotations

from collections.abc import Sequence

_VERSION = b"\x01"
_STEPS = 4  # of a quantiser: as many as networks tell apart
_UNKNOWN, _LARGEST = 255, 253


def quantiser_message(quantisers: Sequence[float | None]) -> bytes:
    """The payload of an SEI message, without zeros.

    Args:
        quantisers: of H.264, of each frame from a keyframe to the next, in order of coding; None for one that is not
            known.
    """
    return _VERSION + bytes(
        _UNKNOWN if qp is None else 1 + min(max(round(qp * _STEPS), 0), _LARGEST - 1) for qp in quantisers
    )
