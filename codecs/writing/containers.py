"""The containers we write, and what each can carry beside video; each `Encoder` says which can carry its codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.encoders import ENCODERS
from irn_video.codecs.errors import BadOption


@dataclass(frozen=True)
class ContainerKind:
    """One container format.

    Attributes:
        name: FFmpeg's name of the muxer.
        text_subtitles: FFmpeg's name of the encoder for its text subtitles, None if it has none.
        attachments: it can hold files such as fonts.
        cover_stream: cover art is a video stream of one picture (in Matroska it is an attachment).
        copies: codecs of audio and subtitles it can carry, None where FFmpeg knows better than a list.
        keeps_comment: it stores a comment tag.
        shows_rotation: it stores how to turn the picture.
    """

    name: str
    text_subtitles: str | None = None
    copies: frozenset[str] | None = None
    attachments: bool = False
    cover_stream: bool = False
    shows_rotation: bool = True
    keeps_comment: bool = True


_MP4 = ContainerKind("mp4", text_subtitles="mov_text", cover_stream=True)
_MOV = ContainerKind("mov", text_subtitles="mov_text")
_MATROSKA = ContainerKind("matroska", text_subtitles="srt", attachments=True)
_WEBM = ContainerKind("webm", text_subtitles="webvtt")
# FFmpeg takes anything into MPEG-TS, as private data that nobody can read back.
_TS_COPIES = ("aac", "mp1", "mp2", "mp3", "ac3", "eac3", "dca", "opus", "truehd", "dvbsub", "dvb_teletext")
_MPEGTS = ContainerKind(
    "mpegts",
    copies=frozenset(_TS_COPIES),
    shows_rotation=False,
    keeps_comment=False,
)


CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".mkv": _MATROSKA,
    ".webm": _WEBM,
    ".ts": _MPEGTS,
    ".m2ts": _MPEGTS,
}


def container_for(path: Path, codec: str) -> ContainerKind:
    """The container for this file name; `codec` is a name in `ENCODERS`.

    Raises:
        BadOption: unknown extension, or a container that cannot carry the codec.
    """
    kind = CONTAINERS.get(path.suffix.lower())
    if kind is None:
        what = f"unknown output extension {path.suffix!r}" if path.suffix else "the output name has no extension"
        raise BadOption(what, path=path, hint="use one of " + ", ".join(CONTAINERS))
    carriers = ENCODERS[codec].containers
    if kind.name not in carriers:
        fitting = ", ".join(suffix for suffix, other in CONTAINERS.items() if other.name in carriers)
        raise BadOption(f"{path.suffix} files cannot carry {codec}", path=path, hint=f"use one of {fitting}")
    return kind
