"""Closed captions (CEA-608, CEA-708) that lie in the video, as user data of its frames (ATSC A/53 part 4, 6.2.3).

Whatever codec they came with, FFmpeg's decoders give them as triplets (`cc_data_pkt`): a byte of type and validity, two
of data. PyAV cannot hand them to an encoder, so they are put into its packets.
"""

from __future__ import annotations

from .sei import Syntax, message_nal

_REGISTERED = 4  # user_data_registered_itu_t_t35 (ITU-T H.264 D.1.6, H.265 D.2.6)
_ATSC = b"\xb5\x00\x31GA94\x03"  # United States, ATSC, its user data, cc_data
_TRIPLET = 3
_MOST = 31 * _TRIPLET  # a count of five bits


def caption_nals(captions: bytes, syntax: Syntax) -> bytes:
    """Annex B NAL units with the captions of one frame, see `Picture.captions`; empty if there are none."""
    parts = [captions[at : at + _MOST] for at in range(0, len(captions), _MOST)]
    return b"".join(message_nal(_REGISTERED, _cc_data(part), syntax) for part in parts)


def _cc_data(triplets: bytes) -> bytes:
    process, reserved = 0x40, b"\xff"
    return _ATSC + bytes([process | len(triplets) // _TRIPLET]) + reserved + triplets + b"\xff"
