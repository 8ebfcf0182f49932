"""The containers we write, and what each can carry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.errors import BadOption


@dataclass(frozen=True)
class ContainerKind:
    """One container format.

    Attributes:
        name: FFmpeg's name of the muxer.
        codecs: names in `ENCODERS` that it can carry.
        text_subtitles: FFmpeg's name of the encoder for its text subtitles, None if it has none.
        attachments: it can hold files such as fonts.
        cover_stream: cover art is a video stream of one picture (in Matroska it is an attachment).
        copies: codecs of audio and subtitles it can carry, None where FFmpeg knows better than a list.
        keeps_comment: it stores a comment tag.
        shows_rotation: it stores how to turn the picture.
    """

    name: str
    codecs: tuple[str, ...]
    text_subtitles: str | None = None
    copies: frozenset[str] | None = None
    attachments: bool = False
    cover_stream: bool = False
    shows_rotation: bool = True
    keeps_comment: bool = True


_LOSSY = ("h264", "h265", "av1", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
_MP4 = ContainerKind("mp4", _LOSSY, text_subtitles="mov_text", cover_stream=True)
_MOV = ContainerKind("mov", _LOSSY, text_subtitles="mov_text")
_MATROSKA = ContainerKind("matroska", (*_LOSSY, "ffv1"), text_subtitles="srt", attachments=True)
_WEBM = ContainerKind("webm", ("av1", "av1_nvenc"), text_subtitles="webvtt")
# FFmpeg takes anything into MPEG-TS, as private data that nobody can read back.
_TS_COPIES = ("aac", "mp1", "mp2", "mp3", "ac3", "eac3", "dca", "opus", "truehd", "dvbsub", "dvb_teletext")
_MPEGTS = ContainerKind(
    "mpegts",
    ("h264", "h265", "h264_nvenc", "hevc_nvenc"),
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
    """The container for this file name.

    Raises:
        BadOption: unknown extension, or a container that cannot carry the codec.
    """
    kind = CONTAINERS.get(path.suffix.lower())
    if kind is None:
        what = f"unknown output extension {path.suffix!r}" if path.suffix else "the output name has no extension"
        raise BadOption(what, path=path, hint="use one of " + ", ".join(CONTAINERS))
    if codec not in kind.codecs:
        raise BadOption(f"{path.suffix} files cannot carry {codec}", path=path, hint="use .mkv")
    return kind
