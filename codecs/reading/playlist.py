"""Playlists of HTTP Live Streaming (RFC 8216), as far as a finished video needs: variants, sound, segments.

What comes from elsewhere is not to be trusted: size and number of entries are bounded, and nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irn_video.codecs.errors import UnreadableVideo

MAX_BYTES = 4 << 20
"""Of a playlist."""
MAX_ENTRIES = 20_000
"""Segments, or variants, of a playlist: with segments of 4 s, 22 hours."""
_MAX_SEGMENT_SECONDS = 3600
_HEAD = "#EXTM3U"
_ATTRIBUTE = re.compile(r'([A-Z0-9-]{1,64})=("[^"\r\n]*"|[^",\s][^,]*)(?:,\s*|$)')
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,12})?")
_WHOLE = re.compile(r"[0-9]{1,18}")
_UNFIT = {
    "#EXT-X-BYTERANGE:": "its segments are parts of files",
    "#EXT-X-DISCONTINUITY": "it is joined from several videos",
}


@dataclass(frozen=True)
class Segment:
    """A part of a stream, and how long it lasts in seconds."""

    uri: str
    seconds: float


@dataclass(frozen=True)
class MediaPlaylist:
    """One stream.

    Attributes:
        segments: in order, at least one.
        init: what lies before the first segment of fragmented MP4; None where segments have all they need.
    """

    segments: tuple[Segment, ...]
    init: str | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(segment.seconds for segment in self.segments)


@dataclass(frozen=True)
class Variant:
    """One of the rungs.

    Attributes:
        uri: of its playlist.
        bandwidth: in bit/s, the highest of a segment.
        audio: the group of renditions that are its sound; None where that is in its segments.
    """

    uri: str
    bandwidth: int
    audio: str | None = None

    @property
    def name(self) -> str:
        """Folder of its playlist, or the playlist's own name where that lies in none."""
        *folders, file = self.uri.partition("?")[0].split("/")
        return folders[-1] if folders and folders[-1] not in ("", ".", "..") else file.rpartition(".")[0] or file


@dataclass(frozen=True)
class Rendition:
    """Sound or subtitles beside the variants; without a `uri` they lie in these."""

    kind: str
    group: str
    uri: str | None
    default: bool = False


@dataclass(frozen=True)
class MasterPlaylist:
    """The same video as several streams: the variants, in the playlist's order, and what belongs to all of them."""

    variants: tuple[Variant, ...]
    renditions: tuple[Rendition, ...] = ()

    def sound_of(self, variant: Variant) -> str | None:
        """The playlist of the sound that is played with a variant, if it has one of its own."""
        group = [r for r in self.renditions if r.kind == "AUDIO" and r.group == variant.audio]
        return next((r.uri for r in sorted(group, key=lambda r: not r.default)), None)


def parse_playlist(text: str) -> MasterPlaylist | MediaPlaylist:
    """Read a playlist.

    Raises:
        UnreadableVideo: it is none, too long, or of a kind that cannot be read as one finished video.
    """
    if len(text) > MAX_BYTES:
        raise UnreadableVideo("the playlist is too long", hint=f"the limit is {MAX_BYTES >> 20} MB")
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0].lstrip("\ufeff") != _HEAD:
        raise UnreadableVideo("this is no playlist: it does not begin with #EXTM3U", hint="check the address")
    found = _master(lines) if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines) else _media(lines)
    if len(found.variants if isinstance(found, MasterPlaylist) else found.segments) > MAX_ENTRIES:
        raise UnreadableVideo("the playlist has too many entries", hint=f"the limit is {MAX_ENTRIES}")
    return found


def _master(lines: list[str]) -> MasterPlaylist:
    variants, renditions = [], []
    for tag, uri in _with_uris(lines, "#EXT-X-STREAM-INF:"):
        attributes = _attributes(tag)
        bandwidth = attributes.get("BANDWIDTH", "")
        if not _WHOLE.fullmatch(bandwidth):
            raise UnreadableVideo("the playlist is damaged: a variant without BANDWIDTH")
        variants.append(Variant(uri, int(bandwidth), attributes.get("AUDIO")))
    for line in lines:
        if line.startswith("#EXT-X-MEDIA:"):
            attributes = _attributes(line)
            kind, group = attributes.get("TYPE", ""), attributes.get("GROUP-ID", "")
            renditions.append(Rendition(kind, group, attributes.get("URI"), attributes.get("DEFAULT") == "YES"))
    return MasterPlaylist(tuple(variants), tuple(renditions))


def _media(lines: list[str]) -> MediaPlaylist:
    for line in lines:
        for tag, why in _UNFIT.items():
            if line.startswith(tag):
                raise UnreadableVideo(f"this playlist cannot be read: {why}", hint="play it, or record it with FFmpeg")
    keys = [line for line in lines if line.startswith(("#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"))]
    if any(_attributes(key).get("METHOD") != "NONE" for key in keys):
        raise UnreadableVideo("the stream is encrypted", hint="play it with a player that has its key")
    if "#EXT-X-ENDLIST" not in lines:
        raise UnreadableVideo("the playlist has no end: it is live, or cut short", hint="wait until it is finished")
    maps = {_attributes(line).get("URI") for line in lines if line.startswith("#EXT-X-MAP:")}
    if len(maps) > 1 or None in maps:
        raise UnreadableVideo("the playlist is damaged: its segments have no common beginning (EXT-X-MAP)")
    segments = []
    for tag, uri in _with_uris(lines, "#EXTINF:"):
        seconds = tag.partition(":")[2].partition(",")[0].strip()
        if not _DECIMAL.fullmatch(seconds) or float(seconds) > _MAX_SEGMENT_SECONDS:
            raise UnreadableVideo(f"the playlist is damaged: a segment of {seconds[:40]!r} seconds")
        segments.append(Segment(uri, float(seconds)))
    if not segments:
        raise UnreadableVideo("the playlist has no segments")
    return MediaPlaylist(tuple(segments), next(iter(maps), None))


def _with_uris(lines: list[str], kind: str) -> Iterator[tuple[str, str]]:
    """Each tag of a kind, and the address on the line that it stands for."""
    tag: str | None = None
    for line in lines:
        if line.startswith(kind):
            tag = line
        elif line and not line.startswith("#") and tag is not None:
            yield tag, line
            tag = None


def _attributes(line: str) -> dict[str, str]:
    """Of a tag, without quotes; what does not look like one ends them."""
    text, at, found = line.partition(":")[2], 0, {}
    while match := _ATTRIBUTE.match(text, at):
        found[match[1]] = match[2].strip().strip('"')
        at = match.end()
    return found
