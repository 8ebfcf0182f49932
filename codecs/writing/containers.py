"""The containers we write, and what each can carry beside video; each `Encoder` says which can carry its codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.encoders import ENCODERS
from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.numbered import is_numbered


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
        only: the one codec it carries, of frames that come at an even rate; nothing else goes with them.
    """

    name: str
    text_subtitles: str | None = None
    copies: frozenset[str] | None = None
    attachments: bool = False
    cover_stream: bool = False
    shows_rotation: bool = True
    keeps_comment: bool = True
    only: str | None = None


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
_Y4M = ContainerKind("yuv4mpegpipe", shows_rotation=False, keeps_comment=False, only="raw")
PICTURES = ContainerKind("image2", shows_rotation=False, keeps_comment=False, only="png")


CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".mkv": _MATROSKA,
    ".webm": _WEBM,
    ".ts": _MPEGTS,
    ".m2ts": _MPEGTS,
    ".y4m": _Y4M,
}
FORMATS = {
    "mp4": _MP4,
    "mov": _MOV,
    "matroska": _MATROSKA,
    "mkv": _MATROSKA,
    "webm": _WEBM,
    "mpegts": _MPEGTS,
    "ts": _MPEGTS,
    "y4m": _Y4M,
}
"""What `--format` calls them."""


def container_for(path: Path, codec: str, name: str | None = None) -> ContainerKind:
    """The container for this file; `codec` is a name in `ENCODERS`, `name` one in `FORMATS` or None.

    Raises:
        BadOption: unknown extension or format, or a container that cannot carry the codec.
    """
    kind = _kind_of(path, name)
    carriers = ENCODERS[codec].containers
    if kind.name not in carriers:
        fitting = ", ".join(suffix for suffix, other in CONTAINERS.items() if other.name in carriers)
        what = f"{path.suffix} files" if name is None else f"the format {name}"
        raise BadOption(f"{what} cannot carry {codec}", path=path, hint=f"use one of {fitting}")
    return kind


def codec_for(path: Path, codec: str, name: str | None = None) -> str:
    """The codec for this file: `codec`, or the only one that its container carries.

    Raises:
        BadOption: see `container_for`.
    """
    return _kind_of(path, name).only or codec


def _kind_of(path: Path, name: str | None) -> ContainerKind:
    if is_numbered(path) and path.suffix.lower() == ".png" and name is None:
        return PICTURES
    kind = CONTAINERS.get(path.suffix.lower()) if name is None else FORMATS.get(name)
    if kind is not None:
        return kind
    if name is not None:
        raise BadOption(f"unknown format {name!r}", hint="use one of " + ", ".join(FORMATS))
    if is_numbered(path):
        raise BadOption("numbered pictures are written as PNG alone", path=path, hint=f"{path.with_suffix('.png')}")
    what = f"unknown output extension {path.suffix!r}" if path.suffix else "the output name has no extension"
    raise BadOption(what, path=path, hint="use one of " + ", ".join(CONTAINERS))
