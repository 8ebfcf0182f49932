"""A ladder's files appear whole or not at all: a folder of tracks, and beside it the manifests, the master last."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from irn_video.codecs.errors import BadOption, IrnError, OutputRefused

from .output import check_output, unwritable

MASTER, MANIFEST = ".m3u8", ".mpd"
"""Suffixes of the manifests."""
_OURS = (".m3u8", ".mp4", ".m4s", ".vtt")


@contextmanager
def atomic_ladder(master: Path, inputs: Sequence[Path], overwrite: bool) -> Iterator[Path]:
    """Yield a folder to fill; move what is in it to where it belongs on success, remove it on any exception.

    Beside `out/master.m3u8` come `out/master.mpd` and the folder `out/master` with the tracks; in the folder that is
    yielded they have these names too. Nothing else in `out` is touched; it is made where it is missing.

    Args:
        master: the master playlist.
        inputs: files that no output may be.
        overwrite: replace a ladder of this name.

    Raises:
        OutputRefused: something is there already; with `overwrite`, something that is no ladder.
        UnwritableOutput: see `check_output`.
    """
    out, made = master.parent, not master.parent.exists()
    stage = out / f".{master.stem[:60]}.{secrets.token_hex(4)}.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        check_ladder(master, inputs, overwrite)
        stage.mkdir()
        (stage / master.stem).mkdir()
        yield stage
        check_ladder(master, inputs, overwrite)
        _replace(stage, [out / name for name in _names(master)])
    except IrnError:
        raise
    except OSError as error:
        raise unwritable(master, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it is not empty, as it should be
                out.rmdir()


def check_ladder(master: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse what must not be written, see `atomic_ladder`; a folder that is missing will be made."""
    if master.suffix != MASTER or not master.stem.strip("."):
        raise BadOption("the master playlist needs a name that ends in .m3u8", path=master)
    if not master.parent.exists():
        return
    folder = master.with_suffix("")
    for path in (master, master.with_suffix(MANIFEST)):
        check_output(path, inputs, overwrite)
    if not folder.exists() and not folder.is_symlink():
        return
    if not overwrite:
        raise OutputRefused("the folder of the tracks exists", path=folder, hint="use --overwrite to replace it")
    if folder.is_symlink() or not folder.is_dir() or not master.exists() or not _is_ours(folder):
        raise OutputRefused("this is not the folder of a ladder", path=folder, hint="choose another output name")


def _is_ours(folder: Path) -> bool:
    """Holds nothing but tracks."""
    files = [path for track in folder.iterdir() for path in (track.iterdir() if track.is_dir() else [track])]
    return all(path.is_file() and path.suffix in _OURS for path in files)


def _names(master: Path) -> tuple[str, str, str]:
    """In the order in which they appear."""
    return master.stem, master.with_suffix(MANIFEST).name, master.name


def _replace(stage: Path, targets: Sequence[Path]) -> None:
    """Move everything to its place; what was there comes back if that fails."""
    old = stage / "old"
    old.mkdir()
    moved: list[tuple[Path, Path]] = []

    def move(before: Path, now: Path) -> None:
        before.rename(now)
        moved.append((before, now))

    try:
        for target in reversed(targets):  # a master never names what is not there
            if target.exists():
                move(target, old / target.name)
        for target in targets:
            move(stage / target.name, target)
    except BaseException:
        for before, now in reversed(moved):
            with contextlib.suppress(OSError):
                now.rename(before)
        raise
