"""Outputs appear whole or not at all: refusals before work starts, a temporary file beside the target, one rename."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from irn_video.codecs.errors import IrnError, OutputRefused, UnwritableOutput
from irn_video.codecs.pipes import PIPE, Sink
from irn_video.codecs.reading.numbered import is_numbered, numbered_files

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another disk"),
    errno.EFBIG: ("the file would be larger than allowed here", "raise the file size limit or choose another disk"),
    errno.EACCES: ("no permission to write here", "choose another folder"),
    errno.EPERM: ("no permission to write here", "choose another folder"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENAMETOOLONG: ("the file name is too long", "choose a shorter one"),
}

_REPLACE = "use --overwrite (in Python overwrite=True) to replace it"


def check_output(path: Path | str, inputs: Sequence[Path | str] = (), overwrite: bool = False) -> None:
    """Refuse an output that must not or cannot be written, before any work is done.

    Args:
        path: the file to be written; `PIPE` and names of numbered pictures as well.
        inputs: files it must not be, not even through hard or symbolic links; those that do not exist are ignored.
        overwrite: allow replacing an existing regular file.

    Raises:
        BadOption: standard output is a terminal.
        OutputRefused: the output is one of the inputs, or exists and `overwrite` is False.
        UnwritableOutput: folder, device, missing or read-only parent folder.
    """
    path = Path(path)
    if path == PIPE:
        Sink()
        return
    try:
        _check(path, inputs, overwrite)
    except IrnError:
        raise
    except OSError as error:  # a folder that may not be searched, a name that is too long
        raise unwritable(path, error) from error


@contextmanager
def atomic_path(path: Path | str, inputs: Sequence[Path | str] = (), overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path`; rename it to `path` on success, remove it on any exception.

    The temporary file is empty, has the suffix of `path` and a random name `.stem.<random>.part.suffix`, so two runs
    never collide. A killed process leaves at most that file.

    Raises:
        OutputRefused, UnwritableOutput: as in `check_output`, or an `OSError` raised inside, in one clear line.
    """
    path = Path(path)
    check_output(path, inputs, overwrite)
    try:
        part = _reserve(path)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield part
        if not overwrite and os.path.lexists(path):
            raise OutputRefused(
                "the output has appeared meanwhile",
                path=path,
                hint=_REPLACE,
            )
        part.replace(path)
    except IrnError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error
    finally:  # also on KeyboardInterrupt and SystemExit; after the rename there is nothing left to remove
        with contextlib.suppress(OSError):
            part.unlink()


@contextmanager
def atomic_pictures(path: Path, inputs: Sequence[Path | str] = (), overwrite: bool = False) -> Iterator[Path]:
    """`atomic_path` for numbered pictures: they lie in a hidden folder beside until all are there.

    With `overwrite`, those that were there give way, also where they were more.

    Raises:
        OutputRefused, UnwritableOutput: as in `atomic_path`.
    """
    check_output(path, inputs, overwrite)
    try:
        with tempfile.TemporaryDirectory(prefix=".irn-video-", suffix=".part", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            before = numbered_files(path)
            if before and not overwrite:
                raise OutputRefused("such pictures have appeared meanwhile", path=path, hint=_REPLACE)
            for file in before.values():
                file.unlink()
            for file in numbered_files(part).values():
                file.replace(path.with_name(file.name))
    except IrnError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def delivered(path: Path, suffix: str) -> Iterator[Path]:
    """`path`, or for `PIPE` a temporary file that goes to standard output at the end.

    Raises:
        ClosedPipe: nobody reads any more.
        UnwritableOutput: there is no room for it.
    """
    if path != PIPE:
        yield path
        return
    out = Sink()
    try:
        with tempfile.TemporaryDirectory(prefix="irn-video-") as folder:
            part = Path(folder) / f"piped{suffix}"
            yield part
            out.copy(part)
    except IrnError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UnwritableOutput:
    """Say in one line why the operating system (or FFmpeg, which passes its errno on) refused to write."""
    what, hint = _CAUSES.get(error.errno or 0, (f"cannot write the output: {error.strerror or error}", None))
    return UnwritableOutput(what, path=path, hint=hint)


def _check(path: Path, inputs: Sequence[Path | str], overwrite: bool) -> None:
    if path.is_dir():
        raise UnwritableOutput("the output is a folder", path=path, hint="name a file inside it")
    if any(_same_file(path, Path(source)) for source in inputs):
        raise OutputRefused("the output is the input", path=path, hint="choose another output name")
    if is_numbered(path) and not overwrite and (found := numbered_files(path)):
        raise OutputRefused(f"{len(found)} such pictures exist", path=path, hint=_REPLACE)
    if path.exists() and not path.is_file():
        raise UnwritableOutput("the output is not a regular file", path=path, hint="name a regular file")
    if os.path.lexists(path) and not overwrite:
        raise OutputRefused("the output exists", path=path, hint=_REPLACE)
    parent = path.parent
    if not parent.is_dir():
        raise UnwritableOutput("the folder of the output does not exist", path=path, hint=f"create {parent} first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UnwritableOutput("the folder of the output is read-only", path=path, hint="choose another folder")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


def _reserve(path: Path) -> Path:
    """Create the temporary file, with the permissions the umask gives; file names hold at most 255 bytes."""
    stem = path.stem.encode()[:180].decode(errors="ignore")
    part = path.with_name(f".{stem}.{secrets.token_hex(4)}.part{path.suffix}")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return part
