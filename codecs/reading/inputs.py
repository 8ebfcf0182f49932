"""Inputs that are no video file: standard input, numbered pictures, a folder of pictures. They become one for a while.

Everything that reads a video may then read it as often as it likes.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from io import BufferedReader
from pathlib import Path

import av
import av.error
from av.packet import Packet
from av.stream import Stream
from irn_video.codecs.errors import BadOption, IrnError, MissingFile, UnreadableVideo, UnwritableOutput
from irn_video.codecs.pipes import PIPE, standard_input

from .numbered import is_numbered, numbered_files
from .opening import open_input

# Codecs whose packets are whole picture files; QuickTime holds all of them.
_CODECS = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".tif": "tiff", ".tiff": "tiff"}
_HOLDER = "pictures.mov"
_Y4M = b"YUV4MPEG2"
_DIGITS = re.compile(r"([0-9]+)")
_NTSC = Fraction(1000, 1001)
_SLOWEST, _FASTEST = Fraction(1, 1000), Fraction(1000)


@contextmanager
def as_file(source: Path, *, again: bool, rate: float | Fraction | None = None) -> Iterator[Path]:
    """A file with what `source` holds; `source` itself where it is one.

    Args:
        source: a file, `-` (see `PIPE`), `frames/%05d.png`, or a folder with pictures.
        again: it will be read more than once. Y4M that is piped in and read once is not stored.
        rate: pictures per second; for pictures alone.

    Raises:
        BadOption: pictures without a rate, or a rate for what has one.
        MissingFile, UnreadableVideo: there are no pictures, or one is missing.
        UnwritableOutput: there is no room for it.
    """
    pictures = is_numbered(source) or source.is_dir()
    if rate is not None and not pictures:
        raise BadOption("a frame rate is for numbered pictures", path=source, hint="leave it out")
    if not pictures and (source != PIPE or (not again and _is_y4m())):
        yield source
    else:
        with tempfile.TemporaryDirectory(prefix="irn-video-") as folder:
            path = _held(source, rate, Path(folder)) if pictures else _kept(Path(folder))
            with _named(source, instead_of=path):
                yield path


@contextmanager
def _named(source: Path, *, instead_of: Path) -> Iterator[None]:
    """Errors speak of what the user has named."""
    try:
        yield
    except IrnError as error:
        if error.path == instead_of:
            error.path = source
        raise


def _is_y4m() -> bool:
    """What is piped in, by its first bytes; one that brings them in pieces is taken for something else."""
    source = standard_input()
    return isinstance(source, BufferedReader) and source.peek(len(_Y4M))[: len(_Y4M)] == _Y4M


def _kept(folder: Path) -> Path:
    """What is piped in, as a file."""
    path = folder / "piped"
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(standard_input(), file, 1 << 20)
    except OSError as error:
        raise UnwritableOutput(f"it cannot be stored in {folder}: {error.strerror}", path=PIPE) from error
    if not path.stat().st_size:
        raise UnreadableVideo("nothing came", path=PIPE, hint="has the program before the pipe failed?")
    return path


def _held(source: Path, rate: float | Fraction | None, folder: Path) -> Path:
    """Picture files as a video, to the byte."""
    files = _in_folder(source) if source.is_dir() else _in_order(source)
    if rate is None:
        raise BadOption("pictures have no frame rate", path=source, hint="give --rate 24, in Python rate=24")
    exact, path = exact_rate(rate), folder / _HOLDER
    with open_input(files[0]) as first:
        context = first.streams.video[0].codec_context
        width, height = context.width, context.height
    try:
        with av.open(f"file:{path}", "w", format="mov") as holder:
            stream: Stream = holder.add_mux_stream(_CODECS[files[0].suffix.lower()], exact, width=width, height=height)
            stream.time_base = 1 / exact
            for index, file in enumerate(files):
                packet = Packet(file.read_bytes())
                packet.stream, packet.time_base, packet.is_keyframe = stream, 1 / exact, True
                packet.pts, packet.dts, packet.duration = index, index, 1
                holder.mux(packet)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise UnreadableVideo(f"the pictures cannot be joined in {folder}: {cause}", path=source) from error
    return path


def exact_rate(rate: float | Fraction) -> Fraction:
    """The rate that is meant: 23.976 is 24000/1001.

    Raises:
        BadOption: it makes no sense.
    """
    rate = Fraction(rate)
    if not _SLOWEST <= rate <= _FASTEST:
        raise BadOption(f"a frame rate of {float(rate):g} makes no sense", hint="24, 23.976, 24000/1001")
    ntsc = round(rate / _NTSC) * _NTSC
    near = abs(rate - ntsc) < Fraction(1, 1000) and rate.denominator != 1
    return ntsc if near else rate.limit_denominator(1001)


def _in_order(pattern: Path) -> Sequence[Path]:
    found = numbered_files(pattern)
    if not found:
        raise MissingFile("there are no such pictures", path=pattern, hint="check the path")
    _check_kind(pattern, pattern.suffix)
    first, last = min(found), max(found)
    if len(found) <= last - first:
        missing = next(number for number in range(first, last) if number not in found)
        raise MissingFile(f"number {missing} is missing", path=pattern, hint="rename the pictures, or make it again")
    return list(found.values())


def _in_folder(folder: Path) -> Sequence[Path]:
    """All of one kind, by name, numbers in it as numbers."""
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    files = [file for file in files if file.suffix.lower() in _CODECS]
    kinds = {_CODECS[file.suffix.lower()] for file in files}
    if not files:
        raise UnreadableVideo("this is a folder without pictures", path=folder, hint="PNG, JPEG and TIFF are read")
    if len(kinds) > 1:
        raise BadOption(f"it holds pictures of {len(kinds)} kinds", path=folder, hint=f"name one: {folder}/%05d.png")
    return sorted(files, key=lambda file: _natural(file.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in _DIGITS.split(name)]


def _check_kind(path: Path, suffix: str) -> None:
    if suffix.lower() not in _CODECS:
        raise BadOption(
            f"numbered pictures of the kind {suffix or 'without suffix'}", path=path, hint="PNG, JPEG, TIFF"
        )
