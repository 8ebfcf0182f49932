"""Everything of a source but its pictures: audio, subtitles, chapters, attachments, cover art and tags.

Packets are copied while the video is written, never far ahead of it, so memory stays flat. What the output's
container cannot carry is converted (text subtitles) or named in a warning.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream
from irn_video.codecs.reading.choosing import choose_stream
from irn_video.codecs.reading.clock import Timeline, move
from irn_video.codecs.reading.opening import open_input, packets

from .containers import ContainerKind
from .quicktime import add_metadata
from .tags import copy_tags, missing, travelling, user_comment

if TYPE_CHECKING:
    from av.container.core import Chapter  # only in PyAV's stubs

_TEXT_SUBTITLES = {"srt", "subrip", "ass", "ssa", "webvtt", "mov_text", "text"}
_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}

Convert: TypeAlias = "Callable[[Packet[Stream]], Packet[Stream] | None]"


@dataclass(frozen=True)
class Passthrough:
    """Where audio, subtitles, chapters, attachments and tags come from.

    Attributes:
        path: the source file.
        video_stream: index of the video stream that is being rewritten, see `choose_stream`.
        until_seconds: None copies the whole source; a number drops what starts after it or after the end of the video,
            whichever comes first (`math.inf`: only the end of the video counts); on the output's clock.
        from_seconds: what ends before is dropped, and this is where the output begins.
    """

    path: Path
    video_stream: int | None = None
    until_seconds: float | None = None
    from_seconds: Fraction = Fraction(0)


class StreamCopier:
    """Copies a source's other streams into an output, in step with its video.

    Create it after the video stream was added and before the header is written.

    Attributes:
        names: what is copied, for people.
        warnings: what cannot be.
        tags: those of the source that go along.
        delay_seconds: added to all timestamps.

    Raises:
        MissingFile, UnreadableVideo: the source cannot be opened.
    """

    def __init__(self, source: Passthrough, output: OutputContainer, kind: ContainerKind) -> None:
        self.names: list[str] = []
        self.warnings: list[str] = []
        self.delay_seconds = -source.from_seconds
        self._source, self._output, self._kind = source, output, kind
        self._tracks: dict[int, tuple[Stream, Convert]] = {}
        self._waiting: Packet[Stream] | None = None
        self._input = open_input(source.path)
        self._timeline = Timeline(self._input)
        to_matroska = kind.name in ("matroska", "webm")
        self._hides_run_in = to_matroska and "matroska" not in self._input.format.name
        try:
            self._add_streams()
            self._add_chapters()
            self._add_tags()
        except BaseException:
            self._input.close()
            raise
        self._packets = self._read()

    def feed(self, until_seconds: float) -> None:
        """Write all packets that start before this time."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = packet
            if _start(packet) + self.delay_seconds >= until_seconds:
                return
            self._waiting = None
            self._write(packet)

    def finish(self, video_end_seconds: float) -> None:
        """Write what remains: all of it, or up to the limit of the `Passthrough`."""
        limit = self._source.until_seconds
        self.feed(math.inf if limit is None else min(limit, video_end_seconds))

    def complete(self, path: Path) -> None:
        """See what the muxer has made of tags and timecode, once the file is closed: add what can be, else warn."""
        clocks = [stream for stream in self._input.streams if stream.type == "data" and _timecode(stream)]
        if not self.tags and not clocks:
            return
        with open_input(path) as written:
            lost = missing(self.tags, written)
            timed = any(map(_timecode, written.streams))
        if lost and self._kind.name in ("mp4", "mov") and add_metadata(path, lost, iso=self._kind.name == "mp4"):
            lost = {}
        if lost:
            self.warnings.append(f"tags that this container cannot carry: {', '.join(sorted(lost))}")
        for stream in clocks if not timed else ():
            self._refuse(stream)

    def close(self) -> None:
        """Let go of the source."""
        self._input.close()

    def _add_streams(self) -> None:
        ours = choose_stream(self._input, self._source.path, self._source.video_stream).stream
        for stream in self._input.streams:
            if stream.index == ours.index:
                copy_tags(stream, self._output.streams.video[0])
            elif isinstance(stream, VideoStream) and stream.disposition & Disposition.attached_pic:
                self._add_cover(stream)
            elif isinstance(stream, AttachmentStream):
                self._add_attachment(stream)
            elif stream.type in ("audio", "subtitle"):
                self._add_track(stream)
            elif stream.type != "data" or not (_timecode(stream) or self._input.chapters()):
                self._refuse(stream)  # data streams of MP4 that come back by themselves: timecode, titles of chapters
            if stream.index not in self._tracks and stream not in self._timeline.streams:
                stream.discard = Discard.all

    def _add_track(self, stream: Stream) -> None:
        codec = stream.codec_context.name if stream.codec_context else None
        if self._kind.copies is not None and codec not in self._kind.copies:
            self._refuse(stream)
            return
        try:
            if isinstance(stream, SubtitleStream) and self._needs_conversion(codec):
                self._add_converted(stream)
                return
            self._try_header(stream)
            copy = self._output.add_stream_from_template(stream)
        except (ValueError, av.error.FFmpegError):
            self._refuse(stream)
            return
        self._register(stream, copy, self._audible if stream.type == "audio" else lambda packet: packet)
        self.names.append(_describe(stream))

    def _try_header(self, stream: Stream) -> None:
        """Raise what the muxer says about this stream: FFmpeg's tables promise more than the muxers then take."""
        with av.open(io.BytesIO(), "w", format=self._kind.name) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()

    def _audible(self, packet: Packet[Stream]) -> Packet[Stream] | None:
        """Leave out what an MP4's edit list hides before time 0 (an audio encoder's run-in).

        Matroska has no negative times: its muxer would move everything, the video too, to make room.
        """
        hidden = self._hides_run_in and packet.pts is not None and packet.pts < 0
        return None if hidden else packet

    def _needs_conversion(self, codec: str | None) -> bool:
        wanted = self._kind.text_subtitles
        if codec not in _TEXT_SUBTITLES or wanted is None:
            return False
        native = {"matroska": {"srt", "subrip", "ass", "ssa", "webvtt"}}.get(self._kind.name, {wanted})
        return codec not in native

    def _add_converted(self, stream: SubtitleStream) -> None:
        name = self._kind.text_subtitles
        assert name is not None
        copy = self._output.add_stream(name)
        assert isinstance(copy, SubtitleStream)
        stream.codec_context.open(strict=False)  # fills in the ASS header that the encoder starts from
        copy.codec_context.subtitle_header = stream.codec_context.subtitle_header or _ASS_HEADER
        if stream.time_base is not None:
            copy.codec_context.time_base = copy.time_base = stream.time_base

        def convert(packet: Packet[Stream]) -> Packet[Stream] | None:
            subtitle = stream.decode2(packet)
            if subtitle is None or not len(subtitle):
                return None  # the empty samples with which MP4 fills the gaps
            new: Packet[Stream] = copy.codec_context.encode_subtitle(subtitle)
            new.pts, new.dts, new.duration, new.time_base = packet.pts, packet.pts, packet.duration, packet.time_base
            return new

        self._register(stream, copy, convert)
        self.names.append(f"{_describe(stream)} as {name}")

    def _add_cover(self, stream: VideoStream) -> None:
        codec = stream.codec_context.name if stream.codec_context else ""
        if codec not in _COVERS:
            self._refuse(stream)
        elif self._kind.cover_stream:
            self._register(stream, self._output.add_stream_from_template(stream), _at_the_start)
            self.names.append("cover art")
        elif self._kind.attachments and (data := _first_packet(self._source.path, stream.index)):
            name, mime = _COVERS[codec]
            self._output.add_attachment(name, mime, data)
            self.names.append("cover art")
        else:
            self._refuse(stream)

    def _add_attachment(self, stream: AttachmentStream) -> None:
        if not self._kind.attachments:
            self._refuse(stream)
            return
        name = stream.name or f"attachment-{stream.index}"
        self._output.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
        self.names.append(f"attachment {name}")

    def _add_chapters(self) -> None:
        limit = math.inf if self._source.until_seconds is None else self._source.until_seconds
        chapters = [
            c for chapter in self._input.chapters() if (c := _clipped(chapter, self._source.from_seconds, limit))
        ]
        if chapters and self._kind.name == "mpegts":
            self.warnings.append("chapters cannot be carried by this container")
        elif chapters:
            self._output.set_chapters(chapters)
            self.names.append(f"{len(chapters)} chapter{'s' * (len(chapters) > 1)}")

    def _add_tags(self) -> None:
        self.tags = travelling(self._input)
        comment = user_comment(self._source.path, self._input, self._source.video_stream)
        if comment is not None:
            self.tags["comment"] = comment
        self._output.metadata.update(self.tags)

    def _register(self, stream: Stream, copy: Stream, convert: Convert) -> None:
        copy_tags(stream, copy)
        self._tracks[stream.index] = (copy, convert)

    def _refuse(self, stream: Stream) -> None:
        self.warnings.append(f"{_describe(stream)} is not carried over")

    def _read(self) -> Iterator[Packet[Stream]]:
        if not self._tracks:
            return
        needed = sorted({*self._tracks, *(stream.index for stream in self._timeline.streams)})
        try:
            for packet in packets(self._input, *(self._input.streams[index] for index in needed)):
                self._timeline.mend(packet)
                if packet.size and packet.stream_index in self._tracks and self._within(packet):
                    yield packet
        except av.error.FFmpegError:
            self.warnings.append("audio and subtitles could not be read to their end")

    def _within(self, packet: Packet[Stream]) -> bool:
        """Whether a packet belongs to the part that is copied; a subtitle that is shown already begins with it."""
        begin = self._source.from_seconds
        if not begin or packet.pts is None or packet.pts * packet.time_base >= begin:
            return True
        end = (packet.pts + (packet.duration or 0)) * packet.time_base
        if packet.stream.type != "subtitle" or end <= begin:
            return False
        packet.pts = packet.dts = math.ceil(begin / packet.time_base)
        packet.duration = math.floor(end / packet.time_base) - packet.pts
        return True

    def _write(self, packet: Packet[Stream]) -> None:
        copy, convert = self._tracks[packet.stream_index]
        try:
            new = convert(packet)
            if new is not None:
                if self.delay_seconds:
                    move(new, self.delay_seconds)
                new.stream = copy
                self._output.mux(new)
        except (av.error.InvalidDataError, av.error.ArgumentError):  # a broken packet, or one out of order
            self._warn_once(f"{_describe(copy)}: damaged packets are left out")

    def _warn_once(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


_ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\n"


def left_behind(source: Passthrough) -> list[str]:
    """A warning that names what a container for frames alone does not take over; none where there is nothing.

    Raises:
        MissingFile, UnreadableVideo: the source cannot be opened.
    """
    with open_input(source.path) as opened:
        lost = [_describe(stream) for stream in opened.streams if stream.type in ("audio", "subtitle")]
    return [f"this kind of file has room for frames alone, not for {', '.join(lost)}"] if lost else []


def _start(packet: Packet[Stream]) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float((stamp or 0) * packet.time_base)


def _at_the_start(packet: Packet[Stream]) -> Packet[Stream]:
    packet.pts = packet.dts = 0  # cover art comes without times
    return packet


def _describe(stream: Stream) -> str:
    codec = getattr(stream, "name", None)  # PyAV's streams without a codec context have none
    if codec is None and stream.type != "data":
        codec = "of unknown codec"
    language = f" ({stream.language})" if stream.language and stream.language != "und" else ""
    return f"{stream.type} stream {stream.index}{' ' + codec if codec else ''}{language}"


def _timecode(stream: Stream) -> bool:
    """Has a timecode, which the MP4 muxer makes a data stream of."""
    return any(key.lower() == "timecode" for key in stream.metadata)


def _clipped(chapter: Chapter, from_seconds: Fraction, limit_seconds: float) -> Chapter | None:
    """What of a chapter lies in the part that is copied, on the output's clock."""
    base = chapter["time_base"]
    if base is None or (limit_seconds == math.inf and not from_seconds):
        return chapter
    shift = round(from_seconds / base)
    start, end = max(0, chapter["start"] - shift), chapter["end"] - shift
    if limit_seconds != math.inf:
        end = min(end, int(limit_seconds / base))
    if start >= end:
        return None
    clipped = chapter.copy()
    clipped["start"], clipped["end"] = start, end
    return clipped


def _first_packet(path: Path, index: int) -> bytes:
    with open_input(path) as container:
        packet = next(packets(container, container.streams[index]), None)
        return bytes(packet) if packet is not None else b""
