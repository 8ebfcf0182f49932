"""What is compared: a folder with a folder for each clip, and in it a video for each method."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from pathlib import Path

from irn_video.codecs.errors import BadOption, IrnError, SourceMismatch
from irn_video.codecs.reading.reader import probe
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.picture_stream import FALLBACK_RATE

SOURCE = "source"
"""The name of the video that the others were made from."""
_MAX_NAME = 100
_MAX_CLIPS, _MAX_METHODS = 1000, 20
_RATE_TOLERANCE = 0.01
_SHAPE = "DIR has a folder for each clip, in it a video for each method, such as DIR/tennis/x2.mkv"


class Reference(StrEnum):
    """What is done with the source of a clip."""

    SHOWN = "shown"
    """It is shown, by its name, as long as a key is held."""
    HIDDEN = "hidden"
    """It is one of the methods, and nobody is told."""
    OFF = "off"
    """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip by several methods.

    Attributes:
        name: of its folder.
        methods: path by name, sorted, at least two.
        reference: the source, where it is shown.
        width, height: of all of them as they are shown, in luma samples.
        turns: quarters by which their frames are turned for that, counter-clockwise.
        rate: frames per second.
        frames: how many.
    """

    name: str
    methods: dict[str, Path]
    reference: Path | None
    width: int
    height: int
    turns: int
    rate: Fraction
    frames: int

    def pairs(self) -> list[tuple[str, str]]:
        """Every two of its methods, by name."""
        return list(combinations(self.methods, 2))


def find_clips(folder: Path, reference: Reference = Reference.SHOWN) -> tuple[Clip, ...]:
    """The clips of a folder, by name. What is hidden, and files beside the folders, are none.

    Raises:
        BadOption: no folder, no clips in it, or a clip with fewer than two methods or two of one name.
        SourceMismatch: videos of a clip that differ in size, rate or length.
        IrnError: one cannot be read, see `probe`.
    """
    if not folder.is_dir():
        raise BadOption("no such folder", path=folder, hint=_SHAPE)
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise BadOption("there are no clips", path=folder, hint=_SHAPE)
    if len(folders) > _MAX_CLIPS:
        raise BadOption(f"{len(folders)} clips are too many", path=folder, hint=f"up to {_MAX_CLIPS}")
    return tuple(_clip(path, reference) for path in folders)


def _clip(folder: Path, reference: Reference) -> Clip:
    videos = _videos(folder)
    source = videos.pop(SOURCE, None)
    if source is not None and reference is Reference.HIDDEN:
        videos = dict(sorted({**videos, SOURCE: source}.items()))
    shown = source if reference is Reference.SHOWN else None
    if len(videos) < 2:
        raise BadOption("a clip needs at least two methods", path=folder, hint=_SHAPE)
    if len(videos) > _MAX_METHODS:
        raise BadOption(f"{len(videos)} methods are too many", path=folder, hint=f"up to {_MAX_METHODS}")
    found = [probe(path) for path in (*videos.values(), *([shown] if shown else []))]
    first = found[0]
    for other in found[1:]:
        _check_same(first, other)
    if first.frames is None:
        raise BadOption("how many frames it has cannot be told", path=first.path, hint="remux it to Matroska or MP4")
    turns = round(first.rotation / 90) % 4
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    return Clip(
        name=folder.name,
        methods=videos,
        reference=shown,
        width=width,
        height=height,
        turns=turns,
        rate=_rate(first),
        frames=first.frames,
    )


def _videos(folder: Path) -> dict[str, Path]:
    """Path by method."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise BadOption(f"{found[path.stem].name} has the same name", path=path, hint="rename one of them")
        found[path.stem] = path
    for name in (folder.name, *found):
        if len(name) > _MAX_NAME or not name.isprintable():
            raise BadOption("a name that cannot be shown", path=folder, hint=f"up to {_MAX_NAME} printable letters")
    return found


def _check_same(one: VideoInfo, other: VideoInfo) -> None:
    sizes = [(info.width, info.height) for info in (one, other)]
    if sizes[0] != sizes[1]:
        raise _different(one, other, *(f"{width}x{height}" for width, height in sizes))
    if one.rotation != other.rotation:
        raise _different(one, other, *(f"a rotation of {info.rotation} degrees" for info in (one, other)))
    if one.frames != other.frames:
        raise _different(one, other, *(f"{info.frames} frames" for info in (one, other)))
    rates = [_rate(info) for info in (one, other)]
    if abs(rates[0] / rates[1] - 1) > _RATE_TOLERANCE:
        raise _different(one, other, *(f"{float(rate):g} frames a second" for rate in rates))


def _rate(info: VideoInfo) -> Fraction:
    return (info.frame_rate or FALLBACK_RATE).limit_denominator(1001)


def _different(one: VideoInfo, other: VideoInfo, its: str, others: str) -> IrnError:
    return SourceMismatch(
        f"has {its}, and {other.path} has {others}",
        path=one.path,
        hint="all videos of a clip must have the same size, rate and length",
    )
