"""Looking for the stream card of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from irn_video.codecs.bitstream.card import StreamCard, parse_payload, tag_payload
from irn_video.codecs.bitstream.sei import find_payloads
from irn_video.codecs.errors import BadCard

from .choosing import choose_stream
from .opening import open_input, packets

_PACKETS_TO_SCAN = 600  # more than two default keyframe intervals, for streams joined late


def find_card(path: Path | str, *, stream: int | None = None) -> StreamCard | None:
    """Look for a stream card: in the SEI of the first packets of a video stream, then in the comment tag.

    Args:
        path: the file.
        stream: which video stream, see `choose_stream`.

    Returns:
        The first card that can be read; None when the file carries none.

    Raises:
        MissingFile, UnreadableVideo: the file cannot be opened or has no such video stream.
        BadCard: there is a card, but none that can be read.
    """
    trouble: BadCard | None = None
    for payload in card_payloads(path, stream=stream):
        try:
            return parse_payload(payload)
        except BadCard as error:
            trouble = trouble or error
    if trouble is not None:
        trouble.path = Path(path)
        raise trouble
    return None


def card_payloads(path: Path | str, *, stream: int | None = None) -> Iterator[bytes]:
    """Yield different candidates for `parse_payload`, the most trustworthy first (SEI, then tag)."""
    seen: set[bytes] = set()
    with open_input(path) as container:
        video = choose_stream(container, Path(path), stream).stream
        comment = next((v for k, v in container.metadata.items() if k.lower() == "comment"), None)
        for payload in [*_sei_payloads(container, video), tag_payload(comment)]:
            if payload and payload not in seen:
                seen.add(payload)
                yield payload


def _sei_payloads(container: av.container.InputContainer, video: av.VideoStream) -> list[bytes]:
    """Payloads of the first packet that has any, and of the keyframes after it only if that one is damaged."""
    if video.codec_context is None or video.codec_context.name not in ("h264", "hevc"):
        return []
    found: list[bytes] = []
    try:
        for count, packet in enumerate(packets(container, video)):
            found += find_payloads(bytes(packet))
            if count >= _PACKETS_TO_SCAN or (found and _parses(found[-1])):
                break
    except av.error.FFmpegError:
        return found  # a damaged stream: the tag may still help
    return found


def _parses(payload: bytes) -> bool:
    try:
        parse_payload(payload)
    except BadCard:
        return False
    return True
