"""Where live pictures come from: a file, a pipe, a camera or screen, a test pattern.

Devices are opened by FFmpeg's program, which knows more of them than PyAV's libraries, and arrive as raw pictures
through a pipe.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import imageio_ffmpeg
from irn_video.codecs.errors import BadOption, UnreadableVideo
from irn_video.codecs.picture import Picture

from .opening import open_pipe
from .reader import VideoReader

DEVICES = ("v4l2", "x11grab", "kmsgrab", "fbdev", "avfoundation", "dshow", "gdigrab", "lavfi")
"""FFmpeg's names of the formats that devices have."""
_PATTERN = "test"
_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
_DEFAULT_SIZE, _DEFAULT_RATE = "1280x720", 25.0


@dataclass(frozen=True)
class CaptureOptions:
    """What to ask of a device or the test pattern.

    Attributes:
        size: as 1280x720; None for the device's own choice.
        rate: pictures per second; None for the device's own choice.

    Raises:
        BadOption: a size that is none.
    """

    size: str | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not _SIZE.fullmatch(self.size):
            raise BadOption(f"{self.size!r} is no size", hint="write 1280x720")


class Capture:
    """Pictures of a live input, once through.

    Args:
        name: a file; `-` for a video on standard input; `test:` for a moving pattern; or a device as FORMAT:NAME with
            one of `DEVICES`, such as v4l2:/dev/video0 or x11grab::0.
        options: for devices and the pattern.

    Attributes:
        info: see `VideoInfo`.
        paced: its pictures come when they are taken, as a device's do, and cannot come earlier.
        again: it can be read again from its beginning.

    Raises:
        MissingFile, UnreadableVideo: there are no pictures in it; says why.
        BadOption: options for something that takes none.
    """

    def __init__(self, name: str, options: CaptureOptions | None = None) -> None:
        options = options or CaptureOptions()
        device = _device(name, options)
        if device is None and options != CaptureOptions():
            raise BadOption(f"size and rate are for devices and test:, not for {name}", hint="leave them out")
        self.paced, self.again = device is not None, device is None and name != "-"
        self._program = _Program(name, device) if device else None
        try:
            self._reader = self._open(name)
        except BaseException:
            self.close()
            raise
        self.info = self._reader.info

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.close()

    def __iter__(self) -> Iterator[Picture]:
        return iter(self._reader)

    def close(self) -> None:
        """Let go of the device."""
        if self._program is not None:
            self._program.end()

    def _open(self, name: str) -> VideoReader:
        if self._program is None:
            return _piped(open(0, "rb", 0, closefd=False), "standard input") if name == "-" else VideoReader(name)
        try:
            return _piped(self._program.pictures, name)
        except UnreadableVideo as error:
            raise UnreadableVideo(self._program.last_words() or error.what, path=Path(name)) from error


def is_stored(name: str) -> bool:
    """Whether an input is a file or a pipe, no device."""
    return _device(name, CaptureOptions()) is None


def is_file(name: str) -> bool:
    """Whether an input is neither a pipe nor a device."""
    return name != "-" and is_stored(name)


def _piped(stream: BinaryIO, name: str) -> VideoReader:
    return VideoReader(name, container=open_pipe(stream, name))


def _device(name: str, options: CaptureOptions) -> list[str] | None:
    """Words for FFmpeg's program; None for what is no device."""
    kind, colon, what = name.partition(":")
    if not colon or kind not in (*DEVICES, _PATTERN):
        return None
    if kind == _PATTERN:
        rate = options.rate or _DEFAULT_RATE
        return ["-re", "-f", "lavfi", "-i", f"testsrc2=size={options.size or _DEFAULT_SIZE}:rate={rate:g}"]
    if kind == "lavfi":
        return ["-re", "-f", "lavfi", "-i", what]
    words = ["-fflags", "nobuffer", "-f", kind]
    if options.rate is not None:
        words += ["-framerate", f"{options.rate:g}"]
    if options.size is not None:
        words += ["-video_size", options.size]
    return [*words, "-i", what]


class _Program:
    """FFmpeg's program with raw 4:2:0 pictures as its output."""

    def __init__(self, name: str, words: list[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
        raw = ["-map", "0:v:0", "-pix_fmt", "yuv420p", "-c:v", "rawvideo", "-f", "nut", "-flush_packets", "1", "pipe:1"]
        self._process = subprocess.Popen(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostats", "-nostdin", *words, *raw],
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )

    @property
    def pictures(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]  # without a buffer it is a FileIO

    def last_words(self) -> str:
        """The line in which it said why it failed."""
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read(4096).decode(errors="replace").strip().splitlines()
        return re.sub(r"^\[[^]]*\] ", "", lines[0]) if lines else ""

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self.pictures.close()
        self._errors.close()
