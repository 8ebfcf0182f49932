"""What names the renditions of a ladder to players: an HLS master playlist (RFC 8216) and a DASH MPD (ISO 23009-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from xml.sax.saxutils import quoteattr

from .segments import INDEX, INIT, AudioTrack, Track, VideoTrack

_SOUND, _TEXT = "sound", "subtitles"


@dataclass(frozen=True)
class Renditions:
    """Tracks of the same video.

    Attributes:
        folder: of the tracks' folders, as seen from the manifests.
        video: the rungs, in the order in which players are told of them: they begin with the first.
        audio: any of them may be played; the first is, where nobody chooses.
        subtitles: likewise, but none is shown where nobody chooses.
    """

    folder: str
    video: tuple[VideoTrack, ...]
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[Track, ...] = ()

    def bandwidth(self, rung: VideoTrack) -> int:
        """The most that a rung takes with its sound, in bit/s: of segments that were measured."""
        return rung.bandwidth + max((sound.bandwidth for sound in self.audio), default=0)

    def average_bandwidth(self, rung: VideoTrack) -> int:
        """Likewise in the mean."""
        return rung.average_bandwidth + max((sound.average_bandwidth for sound in self.audio), default=0)


def hls_master(renditions: Renditions) -> str:
    """The master playlist."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for kind, group, tracks in (("AUDIO", _SOUND, renditions.audio), ("SUBTITLES", _TEXT, renditions.subtitles)):
        for index, track in enumerate(tracks):
            first = index == 0 and kind == "AUDIO"
            parts = [f"TYPE={kind}", f'GROUP-ID="{group}"', f'NAME="{track.name}"']
            parts += [f'LANGUAGE="{track.language}"'] if track.language else []
            parts += [f"DEFAULT={_yes(first)}", f"AUTOSELECT={_yes(first or bool(track.language))}"]
            parts += [f'CHANNELS="{track.channels}"'] if isinstance(track, AudioTrack) else []
            lines.append("#EXT-X-MEDIA:" + ",".join([*parts, f'URI="{renditions.folder}/{track.name}/{INDEX}"']))
    for rung in renditions.video:
        codecs = dict.fromkeys([rung.codec, *(sound.codec for sound in renditions.audio)])
        parts = [f"BANDWIDTH={renditions.bandwidth(rung)}", f"AVERAGE-BANDWIDTH={renditions.average_bandwidth(rung)}"]
        parts += [f'CODECS="{",".join(codecs)}"', f"RESOLUTION={rung.width}x{rung.height}"]
        parts += [f"FRAME-RATE={float(rung.frame_rate):.3f}"] if rung.frame_rate else []
        parts += [f'AUDIO="{_SOUND}"'] if renditions.audio else []
        parts += [f'SUBTITLES="{_TEXT}"'] if renditions.subtitles else []
        lines += ["#EXT-X-STREAM-INF:" + ",".join(parts), f"{renditions.folder}/{rung.name}/{INDEX}"]
    return "\n".join((*lines, ""))


def dash_manifest(renditions: Renditions) -> str:
    """The MPD, over the same segments; without subtitles, for FFmpeg opens no MPD that names a file of WebVTT."""
    tracks = (*renditions.video, *renditions.audio)
    seconds = _duration(max(track.seconds for track in tracks))
    buffer = _duration(max(max(track.durations) * track.time_base for track in tracks))
    lines = (
        '<?xml version="1.0" encoding="utf-8"?>',
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" '
        f'mediaPresentationDuration="{seconds}" minBufferTime="{buffer}">',
        f'<Period start="PT0S" duration="{seconds}">',
        *_video_set(renditions),
        *(line for sound in renditions.audio for line in _audio_set(renditions.folder, sound)),
        "</Period>",
        "</MPD>",
        "",
    )
    return "\n".join(lines)


def _video_set(renditions: Renditions) -> Iterator[str]:
    yield '<AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">'
    for rung in renditions.video:
        rate = f' frameRate="{rung.frame_rate}"' if rung.frame_rate else ""
        aspect = f"{rung.aspect.numerator}:{rung.aspect.denominator}"
        yield (
            f'<Representation id="{rung.name}" codecs="{rung.codec}" bandwidth="{rung.bandwidth}" '
            f'width="{rung.width}" height="{rung.height}" sar="{aspect}"{rate}>'
        )
        yield from _segments(renditions.folder, rung)
        yield "</Representation>"
    yield "</AdaptationSet>"


def _audio_set(folder: str, sound: AudioTrack) -> Iterator[str]:
    yield f'<AdaptationSet contentType="audio" mimeType="audio/mp4"{_lang(sound)} segmentAlignment="true">'
    yield (
        f'<Representation id="{sound.name}" codecs="{sound.codec}" bandwidth="{sound.bandwidth}" '
        f'audioSamplingRate="{sound.sample_rate}">'
    )
    channels = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
    yield f'<AudioChannelConfiguration schemeIdUri="{channels}" value="{sound.channels}"/>'
    yield from _segments(folder, sound)
    yield from ("</Representation>", "</AdaptationSet>")


def _segments(folder: str, track: Track) -> Iterator[str]:
    # In whole units: time bases of files are 1/n but for a few odd ones.
    unit = Fraction(1, track.time_base.denominator)
    yield (
        f'<SegmentTemplate timescale="{unit.denominator}" initialization="{folder}/{track.name}/{INIT}" '
        f'media="{folder}/{track.name}/$Number$.m4s" startNumber="0"><SegmentTimeline>'
    )
    begin = ' t="0"'
    for units, run in groupby(track.durations):
        repeated = len(list(run)) - 1
        yield f'<S{begin} d="{units * track.time_base / unit}"' + (f' r="{repeated}"' if repeated else "") + "/>"
        begin = ""
    yield "</SegmentTimeline></SegmentTemplate>"


def _duration(seconds: Fraction) -> str:
    return f"PT{float(seconds):.3f}S"


def _lang(track: Track) -> str:
    return f" lang={quoteattr(track.language)}" if track.language else ""


def _yes(value: bool) -> str:
    return "YES" if value else "NO"
