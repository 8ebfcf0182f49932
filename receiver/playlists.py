"""A rung of a playlist, from a web server or a folder, as a file that can be received."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from operator import itemgetter
from pathlib import Path

import av
import av.error
from av.packet import Packet
from av.stream import Stream
from irn_video.codecs.errors import BadCard, BadOption, IrnError, MissingCard, UnreadableVideo
from irn_video.codecs.pipes import PIPE
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.opening import open_input, packets
from irn_video.codecs.reading.origins import Origin, address_of, origin_of
from irn_video.codecs.reading.playlist import MAX_BYTES, MasterPlaylist, MediaPlaylist, Variant, parse_playlist
from irn_video.codecs.writing.output import unwritable
from irn_video.pipeline.flow import Advance

_SUFFIXES = (".m3u8", ".m3u")
_MAX_SEGMENT = 256 << 20
_MOST_MISSING_SECONDS = 0.5


def is_playlist(path: Path | str) -> bool:
    """Whether this is the address of a web server, or has the name of a playlist."""
    return address_of(path) is not None or Path(path).suffix.lower() in _SUFFIXES


@contextmanager
def as_video(path: Path, beside: Path, rung: str | None, phase: Callable[[str], Advance]) -> Iterator[Path]:
    """Yield a file to receive: `path` itself, or, of a playlist, a rung with its sound.

    Args:
        path: a file, or the address of a playlist: `http://…`, `https://…`, a file that ends in `.m3u8`.
        beside: what is fetched lies in the folder of this file meanwhile, for `PIPE` among temporary files.
        rung: name, or number from 1 in the playlist's order; None for the highest that carries a stream card.
        phase: called with what takes its time; returns its `Advance`.

    Raises:
        BadOption: there is no such rung, or no playlist.
        MissingCard: no rung has a card.
        LinkFailed, MissingFile, UnreadableVideo: something cannot be fetched, or is not what a playlist may name.
        UnwritableOutput: the disk is full, for example.
    """
    if not is_playlist(path):
        if rung is not None:
            raise BadOption("--rung is for a playlist", path=path, hint="leave it out")
        yield path
        return
    folder = None if beside == PIPE else beside.parent
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".irn-video-", suffix=".part", dir=folder) as name,
            _told(path, name),
        ):
            yield _fetched(origin_of(path), Path(name), rung, phase(f"fetching {path.name}"))
    except IrnError:
        raise
    except OSError as error:
        raise unwritable(beside, error) from error


@contextmanager
def _told(path: Path, folder: str) -> Iterator[None]:
    """Errors name what the user has named, not what was made of it."""
    try:
        yield
    except IrnError as error:
        if error.path is None or error.path.is_relative_to(folder):
            address = address_of(path)
            error.path = path if address is None else None
            error.what = error.what if address is None or address in error.what else f"{address}: {error.what}"
        raise


@dataclass(frozen=True)
class _Stream:
    """A media playlist, and where it is."""

    playlist: MediaPlaylist
    origin: Origin

    def copy(self, path: Path, advance: Advance, segments: int | None = None) -> Path:
        """Write beginning and segments, or the first of these, one after the other: a file like any other."""
        chosen = self.playlist.segments[:segments]
        uris = [*([self.playlist.init] if self.playlist.init else []), *(segment.uri for segment in chosen)]
        with path.open("wb") as file:
            for done, uri in enumerate(uris, 1):
                self.origin.at(uri).copy(file, _MAX_SEGMENT)
                advance(done, len(uris))
        return path


def _fetched(origin: Origin, folder: Path, rung: str | None, advance: Advance) -> Path:
    found, origin = _playlist(origin)
    sound = None
    if isinstance(found, MediaPlaylist):
        if rung is not None:
            raise BadOption("this playlist has no rungs to choose from", hint="leave out --rung")
        video = _Stream(found, origin)
    else:
        variant = _named(found, rung) if rung is not None else _highest_small(found, origin, folder)
        video = _media(origin, variant.uri)
        sound = found.sound_of(variant)
    files = [video.copy(folder / "video.mp4", advance)]
    if sound is not None:
        files.append(_media(origin, sound).copy(folder / "sound.mp4", advance))
    return _joined(files, folder / "fetched.mp4", video.playlist)


def _playlist(origin: Origin) -> tuple[MasterPlaylist | MediaPlaylist, Origin]:
    """A playlist, and where it came from: its addresses count from there."""
    content, origin = origin.content(MAX_BYTES)
    return parse_playlist(content.decode("utf-8", errors="replace")), origin


def _media(origin: Origin, uri: str) -> _Stream:
    found, at = _playlist(origin.at(uri))
    if isinstance(found, MasterPlaylist):
        raise UnreadableVideo("the playlist is damaged: a rung is a master playlist again")
    return _Stream(found, at)


def _named(master: MasterPlaylist, rung: str) -> Variant:
    names = [variant.name for variant in master.variants]
    if rung in names:
        return master.variants[names.index(rung)]
    if rung.isdecimal() and 1 <= int(rung[:9]) <= len(names):
        return master.variants[int(rung[:9]) - 1]
    known = ", ".join(f"{n} {name}" for n, name in enumerate(names[:20], 1))
    raise BadOption(f"the playlist has no rung {rung[:80]!r}", hint=f"there are: {known}")


def _highest_small(master: MasterPlaylist, origin: Origin, folder: Path) -> Variant:
    """By their first segments."""
    for variant in sorted(master.variants, key=lambda variant: -variant.bandwidth):
        head = _media(origin, variant.uri).copy(folder / "head.mp4", _unseen, segments=1)
        try:
            if find_card(head) is not None:
                return variant
        except (BadCard, UnreadableVideo):
            continue
        finally:
            head.unlink()
    raise MissingCard("no rung carries a stream card: there is nothing to restore", hint="play it as it is")


def _joined(files: Sequence[Path], output: Path, playlist: MediaPlaylist) -> Path:
    """Pictures, and sound if it is beside them, in one file; packets as they are.

    Raises:
        UnreadableVideo: they are damaged, or there are fewer pictures than the playlist tells of.
    """
    shown = end = Fraction(0)
    with ExitStack() as stack:
        inputs = [stack.enter_context(open_input(path)) for path in files]
        try:
            written = stack.enter_context(av.open(f"file:{output}", "w", format="mp4"))
            read = []
            for file, container in zip(files, inputs, strict=True):
                wanted = ("video", "audio") if len(files) == 1 else ("video",) if file is files[0] else ("audio",)
                streams = [stream for stream in container.streams if stream.type in wanted]
                copies = {stream.index: written.add_stream_from_template(stream) for stream in streams}
                read.append(_timed(packets(container, *streams), copies))
            for time, packet in merge(*read, key=itemgetter(0)):
                if packet.stream.type == "video":
                    lasting = (packet.duration or 0) * packet.time_base
                    shown, end = shown + lasting, max(end, time + lasting)
                written.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise UnreadableVideo(f"its segments are damaged: {error}", hint="fetch them again") from error
    seconds, shortest = playlist.seconds, min(segment.seconds for segment in playlist.segments)
    if (shown or end) < seconds - min(shortest / 2, _MOST_MISSING_SECONDS):
        what = f"its segments are damaged: {float(shown or end):.1f} of {seconds:.1f} s can be read"
        raise UnreadableVideo(what, hint="fetch them again, or choose another --rung")
    return output


def _timed(found: Iterator[Packet[Stream]], copies: dict[int, Stream]) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    """Packets, by when they are decoded, for their copies."""
    for packet in found:
        copy = copies.get(packet.stream_index)  # damaged files may get streams while they are read
        if copy is not None and packet.size and packet.dts is not None:
            packet.stream = copy
            yield packet.dts * packet.time_base, packet


def _unseen(_done: int, _total: int | None) -> None:
    return None
