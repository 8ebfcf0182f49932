"""A stream of a file as fragmented MP4 in segments, with its playlist: made by FFmpeg's HLS muxer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream
from irn_video.codecs.errors import UnwritableOutput
from irn_video.codecs.reading.clock import move
from irn_video.codecs.reading.opening import open_input, packets
from irn_video.codecs.reading.playlist import MediaPlaylist, parse_playlist

from .output import unwritable

INDEX, INIT, SUBTITLES = "index.m3u8", "init.mp4", "subtitles.vtt"
"""Names of the files of each track; segments are `0.m4s`, `1.m4s`, …"""
_AUDIO_RATE_PER_CHANNEL = 64_000
_AAC = "aac"
_RUN_IN = 1024  # samples of FFmpeg's encoder before time 0
_ROUNDING = 1e-6
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")  # BCP 47, about


@dataclass(frozen=True)
class Track:
    """A stream in segments.

    Attributes:
        name: of its folder.
        codec: in RFC 6381's words.
        time_base: of `durations`.
        durations: of the segments.
        sizes: of the segments, in bytes.
        language: as the file says it, else None.
    """

    name: str
    codec: str
    time_base: Fraction
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    language: str | None = None

    @property
    def seconds(self) -> Fraction:
        """How long it lasts."""
        return sum(self.durations) * self.time_base

    @property
    def bandwidth(self) -> int:
        """The highest of segments in a row that last half to one and a half times the longest (RFC 8216, 4.1), in
        bit/s, rounded up.
        """
        longest, peaks = max(self.durations), list[Fraction]()
        for first in range(len(self.sizes)):
            size = lasting = 0
            for more, units in zip(self.sizes[first:], self.durations[first:], strict=True):
                size, lasting = size + more, lasting + units
                if 3 * longest < 2 * lasting:
                    break
                if longest <= 2 * lasting:
                    peaks.append(8 * size / (lasting * self.time_base))
        return _ceil(max(peaks))

    @property
    def average_bandwidth(self) -> int:
        """In bit/s, rounded up."""
        return _ceil(8 * sum(self.sizes) / self.seconds)


@dataclass(frozen=True)
class VideoTrack(Track):
    """Likewise, pictures: size and sample aspect ratio as a player decodes them."""

    width: int = 0
    height: int = 0
    aspect: Fraction = Fraction(1)
    frame_rate: Fraction | None = None


@dataclass(frozen=True)
class AudioTrack(Track):
    """Likewise, sound."""

    channels: int = 2
    sample_rate: int = 48000


def segment_video(source: Path, folder: Path, name: str) -> VideoTrack:
    """Put the pictures of a file into a folder, a segment from each keyframe on.

    Args:
        source: H.264 in MP4; its first frame will be shown at time 0.
        folder: of all tracks; a folder `name` is made in it.
        name: of the track.

    Raises:
        UnwritableOutput: the disk is full, for example.
    """
    with open_input(source) as container:
        stream = container.streams.video[0]
        found = _segmented(container, stream, folder / name, 0.0, _begin(source))
        context = stream.codec_context
        return VideoTrack(
            name=name,
            codec=f"avc1.{(context.extradata or b'')[1:4].hex()}",
            time_base=_base(stream),
            durations=_durations(found, stream),
            sizes=_sizes(found, folder / name),
            width=context.width,
            height=context.height,
            aspect=stream.sample_aspect_ratio or Fraction(1),
            frame_rate=stream.average_rate,
        )


def segment_audio(source: Path, index: int, folder: Path, name: str, video: VideoTrack) -> AudioTrack:
    """Likewise a stream of sound, up to the end of the pictures, in as many segments as these; as AAC, whatever it was.

    Players wait for ever for what begins behind the end.

    Args:
        source: with the pictures, by which time is counted.
        index: of the stream in the file.
        folder: see `segment_video`.
        name: likewise.
        video: the pictures.

    Raises:
        UnwritableOutput: likewise, or it cannot be decoded.
    """
    with open_input(source) as container:
        stream = container.streams[index]
        assert isinstance(stream, AudioStream)
        context, begin = stream.codec_context, _begin(source)
        runs_in = _RUN_IN * Fraction(1, context.sample_rate)
        if context.name == _AAC:
            runs_in = max(Fraction(0), begin - _begin(source, index))
        seconds = (video.seconds + runs_in) / len(video.durations)
        seconds = max(seconds, max(video.durations) * video.time_base)
        found = _segmented(container, stream, folder / name, float(seconds) + _ROUNDING, begin, video.seconds)
        kind = (context.extradata or b"\x10")[0] >> 3 if context.name == _AAC else 2
        return AudioTrack(
            name=name,
            codec=f"mp4a.40.{kind}",
            time_base=Fraction(1, context.sample_rate),
            durations=tuple(round(s.seconds * context.sample_rate) for s in found.segments),
            sizes=_sizes(found, folder / name),
            language=_language(stream),
            channels=context.channels,
            sample_rate=context.sample_rate,
        )


def write_subtitles(source: Path, index: int, folder: Path, name: str, seconds: Fraction) -> Track | None:
    """Likewise subtitles, as one file of WebVTT; None where they are none of text.

    Raises:
        UnwritableOutput: see `segment_video`.
    """
    with open_input(source) as container:
        stream = container.streams[index]
        assert isinstance(stream, SubtitleStream)
        (folder / name).mkdir()
        path = folder / name / SUBTITLES
        try:
            with av.open(f"file:{path}", "w", format="webvtt") as output:
                _as_webvtt(container, stream, output, _begin(source))
        except (av.error.FFmpegError, ValueError):
            path.unlink(missing_ok=True)
            (folder / name).rmdir()
            return None
        lasting = -(-seconds.numerator // seconds.denominator)
        head = ("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{lasting}", "#EXT-X-PLAYLIST-TYPE:VOD")
        lines = (*head, f"#EXTINF:{float(seconds):.6f},", SUBTITLES, "#EXT-X-ENDLIST", "")
        (folder / name / INDEX).write_text("\n".join(lines))
        return Track(
            name, "wvtt", Fraction(1, 1000), (round(1000 * seconds),), (path.stat().st_size,), _language(stream)
        )


def _segmented(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    folder: Path,
    seconds: float,
    begin: Fraction,
    length: Fraction | None = None,
) -> MediaPlaylist:
    """Write segments of about so many seconds, of what starts within `length`; returns their playlist."""
    folder.mkdir()

    def opened(name: str, _flags: int, _options: object) -> BinaryIO:
        return (folder / Path(name).name).open("wb")  # by name, so that no path has to be told to FFmpeg's patterns

    options = {
        "hls_segment_type": "fmp4",
        "hls_playlist_type": "vod",
        "hls_flags": "independent_segments",
        "hls_segment_filename": "%d.m4s",
        "hls_fmp4_init_filename": INIT,
        "hls_time": f"{seconds:.6f}",
        "avoid_negative_ts": "disabled",  # the edit list says where time begins, for sound and pictures alike
    }
    av.logging.set_level(None)
    try:
        with av.open(INDEX, "w", format="hls", io_open=opened, options=options) as output:
            coded = isinstance(stream, VideoStream) or stream.codec_context.name == _AAC
            for packet in (_copied if coded else _as_aac)(container, stream, output, begin):
                if length is None or (packet.pts or 0) * packet.time_base < length:
                    output.mux(packet)
        found = parse_playlist((folder / INDEX).read_text())
    except OSError as error:
        raise unwritable(folder, error) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise UnwritableOutput(f"its {stream.type} cannot be cut into segments: {error}", path=folder) from error
    assert isinstance(found, MediaPlaylist)
    return found


def _copied(
    container: InputContainer, stream: Stream, output: OutputContainer, begin: Fraction
) -> Iterator[Packet[Stream]]:
    copy = output.add_stream_from_template(stream)
    for packet in packets(container, stream):
        if packet.size:
            packet.stream = copy
            yield _moved(packet, -begin)


def _as_aac(
    container: InputContainer, stream: Stream, output: OutputContainer, begin: Fraction
) -> Iterator[Packet[Stream]]:
    assert isinstance(stream, AudioStream)
    context = stream.codec_context
    coded = output.add_stream(_AAC, rate=context.sample_rate, layout=context.layout.name)
    assert isinstance(coded, AudioStream)
    coded.bit_rate = _AUDIO_RATE_PER_CHANNEL * context.channels
    resampler = av.AudioResampler(format="fltp", layout=context.layout.name, rate=context.sample_rate)
    for packet in packets(container, stream):
        for frame in stream.decode(packet):
            if frame.pts is not None:
                frame.pts -= round(begin / _base(stream))
            for plain in resampler.resample(frame):
                yield from coded.encode(plain)
    yield from coded.encode(None)


def _as_webvtt(container: InputContainer, stream: SubtitleStream, output: OutputContainer, begin: Fraction) -> None:
    text = output.add_stream("webvtt")
    assert isinstance(text, SubtitleStream)
    stream.codec_context.open(strict=False)  # fills in the ASS header that the encoder starts from
    text.codec_context.subtitle_header = stream.codec_context.subtitle_header
    text.codec_context.time_base = text.time_base = Fraction(1, 1000)
    output.start_encoding()
    for packet in packets(container, stream):
        subtitle = stream.decode2(packet) if packet.size else None
        if subtitle is None or not len(subtitle):
            continue  # the empty samples with which MP4 fills the gaps
        cue: Packet[Stream] = text.codec_context.encode_subtitle(subtitle)
        cue.pts, cue.dts, cue.duration, cue.time_base = packet.pts, packet.pts, packet.duration, packet.time_base
        cue.stream = text
        output.mux(_moved(cue, -begin))


def _moved(packet: Packet[Stream], seconds: Fraction) -> Packet[Stream]:
    if seconds:
        move(packet, seconds)
    return packet


def _begin(source: Path, index: int | None = None) -> Fraction:
    """When the first frame is shown, or when the first packet of another stream begins; FFmpeg's `start_time` of sound
    leaves out what is not heard.
    """
    with open_input(source) as container:
        stream = container.streams.video[0] if index is None else container.streams[index]
        first = next(packets(container, stream), None)
        return Fraction(0) if first is None or first.pts is None else first.pts * first.time_base


def _durations(found: MediaPlaylist, stream: Stream) -> tuple[int, ...]:
    return tuple(round(segment.seconds / _base(stream)) for segment in found.segments)


def _sizes(found: MediaPlaylist, folder: Path) -> tuple[int, ...]:
    return tuple((folder / segment.uri).stat().st_size for segment in found.segments)


def _language(stream: Stream) -> str | None:
    found = stream.language or ""
    return found if _LANGUAGE.fullmatch(found) and found != "und" else None


def _base(stream: Stream) -> Fraction:
    assert stream.time_base is not None
    return stream.time_base


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
