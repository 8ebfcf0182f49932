"""Tags of a source: which travel, and which of them an output has in the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream
from irn_video.codecs.bitstream.card import tag_payload
from irn_video.codecs.errors import BadCard, IrnError
from irn_video.codecs.reading.card_search import find_card

# Tags the muxers write themselves, or that describe the old file's bytes.
_STALE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "software"}
_STALE_OF_STREAM = {"encoder", "duration", "vendor_id", "bps", "number_of_frames", "number_of_bytes", "alpha_mode"}
_LANGUAGE = re.compile(r"-[a-zA-Z]{3}$")


def travelling(container: InputContainer) -> dict[str, str]:
    """The tags of a file that another one should have too, without its comment (see `user_comment`)."""
    return {_name(key): value for key, value in container.metadata.items() if key.lower() not in {*_STALE, "comment"}}


def missing(tags: Mapping[str, str], written: InputContainer) -> dict[str, str]:
    """Those of the tags that a written file does not have."""
    found = {key.lower() for key in written.metadata}
    return {k: v for k, v in tags.items() if k.lower() not in found and not _is_second_name(k, tags)}


def copy_tags(stream: Stream, copy: Stream) -> None:
    """Give a stream the tags and the disposition of another one."""
    for key, value in stream.metadata.items():
        name = key.lower()
        handler = name == "handler_name" and value.endswith("Handler")  # FFmpeg's and Apple's fillers
        stale = _LANGUAGE.sub("", name) in _STALE_OF_STREAM or name.startswith("_statistics")
        if not handler and not stale:
            copy.metadata[name] = value
    copy.disposition = stream.disposition


def user_comment(path: Path, container: InputContainer, video_stream: int | None = None) -> str | None:
    """The user's own comment tag: of an LR file the one its stream card keeps, else the tag itself."""
    tag = next((value for key, value in container.metadata.items() if key.lower() == "comment"), None)
    if tag is not None and tag_payload(tag) is None:
        return tag
    try:
        card = find_card(path, stream=video_stream)
    except (BadCard, IrnError):
        return None
    return card.comment if card is not None else None


def _name(key: str) -> str:
    """Matroska writes names in capitals; elsewhere they may matter."""
    return key.lower() if _LANGUAGE.sub("", key).isupper() else key


def _is_second_name(key: str, tags: Mapping[str, str]) -> bool:
    """FFmpeg tells of a tag with a language twice, as `location` and as `location-eng`, and writes it from both."""
    return bool(_LANGUAGE.search(key)) and tags.get(_LANGUAGE.sub("", key)) == tags[key]
