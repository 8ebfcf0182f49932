"""This checkout and another commit of it side by side, as whole commands.

Both use the libraries of this environment. The commit's files are unpacked into a temporary folder; nothing is
installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from measure.clips import Sample
from measure.commands import ROOT, CommandFailed, Product, Work, product_of
from measure.paces import Pace, cells, interleaved, least_and_median, ratios
from measure.tables import table

_DEFAULT = "its default network"


@dataclass(frozen=True)
class Comparison:
    """One command of two versions on one clip.

    Attributes:
        size: of the clip, such as 1280x720.
        command: `irn-send` or `irn-receive`, which measures against the source.
        networks: that of each version.
        same_stream: both received the same; where one does not understand the other's, each has its own.
        ours, theirs: how they did.
    """

    size: str
    command: str
    networks: tuple[str, str]
    same_stream: bool
    ours: Pace
    theirs: Pace

    def as_json(self) -> dict[str, Any]:
        """Everything; ratios, of the least and of the medians, say how many times as fast ours is."""
        return {
            "size": self.size,
            "command": self.command,
            "networks": self.networks,
            "same_stream": self.same_stream,
            "ours": self.ours.as_json(),
            "theirs": self.theirs.as_json(),
            "ratios": ratios(self.ours.fps, self.theirs.fps),
            "running_ratios": ratios(self.ours.running_fps, self.theirs.running_fps),
            "start_ratios": ratios(self.theirs.start_seconds, self.ours.start_seconds),
            "cpu_ratios": ratios(self.theirs.cpu_seconds, self.ours.cpu_seconds),
        }


def this_product(folder: Path) -> Product:
    """The files of this checkout, as they are."""
    try:
        name = _git("describe", "--always", "--dirty", "--exclude=*")
    except click.ClickException:  # an unpacked archive can be measured too
        name = "this"
    return product_of(name, ROOT, folder)


def commit_product(commit: str, folder: Path) -> Product:
    """The files of a commit, unpacked into `folder`.

    Raises:
        click.ClickException: this is no git checkout, or has no such commit, or one of something else.
    """
    name = _git("log", "-1", "--format=%h", commit, "--")
    tree, archive = folder / "tree", folder / "tree.zip"
    folder.mkdir()
    _git("archive", "--format=zip", "-0", f"--output={archive}", name)
    shutil.unpack_archive(archive, tree)
    archive.unlink()
    return product_of(name, tree, folder / "packages")


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise click.ClickException("git is not installed, and --against takes the other version from it") from error
    if done.returncode:
        raise click.ClickException(
            f"git: {(done.stderr.strip().splitlines() or [str(done.returncode)])[-1].removeprefix('fatal: ')}"
        )
    return done.stdout.strip()


def compare(
    products: tuple[Product, Product], sample: Sample, models: Sequence[str], rounds: int, folder: Path
) -> list[Comparison]:
    """Both commands with each network; where the other version lacks it, against its default.

    Raises:
        CommandFailed: a command of this or the other version did.
    """
    found = []
    streams, again = (folder / "ours.mp4", folder / "theirs.mp4"), folder / "again.mp4"
    for model in models:
        # Not timed: it also compiles what was just unpacked.
        ours = Work(products[0], sample.path, model, folder)
        ours.send(streams[0], sample.frames)
        theirs = _known(products[1], sample, model, folder, streams[1])
        same = theirs.model is not None and _understands(ours, streams[1])
        networks = model, theirs.model or _DEFAULT
        sent = interleaved([partial(work.send, again) for work in (ours, theirs)], sample.frames, rounds)
        found.append(Comparison(sample.size, "irn-send", networks, False, sent[0], sent[1]))
        receiving = [partial(ours.receive, streams[same]), partial(theirs.receive, streams[1])]
        received = interleaved(receiving, sample.frames, rounds)
        found.append(Comparison(sample.size, "irn-receive", networks, same, received[0], received[1]))
    return found


def _known(product: Product, sample: Sample, model: str, folder: Path, lr: Path) -> Work:
    """What a version that may lack the network does; writes its stream."""
    work = Work(product, sample.path, model, folder)
    try:
        work.send(lr, sample.frames)
    except CommandFailed as error:
        click.echo(f"{model} is compared with {_DEFAULT}: {error.message}", err=True)
        work = Work(product, sample.path, None, folder)
        work.send(lr, sample.frames)
    return work


def _understands(work: Work, lr: Path) -> bool:
    try:
        work.receive(lr, 1)
    except CommandFailed as error:
        click.echo(f"each version receives its own stream: {error.message}", err=True)
        return False
    return True


def comparison_table(found: Sequence[Comparison], products: tuple[Product, Product], *, markdown: bool = False) -> str:
    """How fast each version is, the least and the median of all rounds: frames a second, then seconds."""
    ours, theirs = (product.name for product in products)
    rows = [["", f"{ours}: least", "median", f"{theirs}: least", "median", "times as fast: least", "median"]]
    for one in found:
        left, right = one.ours, one.theirs
        name = f"{one.command} {one.size} {' / '.join(dict.fromkeys(one.networks))}"
        rows.append([f"{name}, fps", *_fps_cells(left.fps, right.fps)])
        rows.append(["  without the start, fps", *_fps_cells(left.running_fps, right.running_fps)])
        rows.append(["  one frame alone, s", *_second_cells(left.start_seconds, right.start_seconds)])
        rows.append(["  processor time, s", *_second_cells(left.cpu_seconds, right.cpu_seconds)])
    return table(rows, markdown=markdown)


def _fps_cells(ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    both = [cell for fps in (ours, theirs) for cell in cells(least_and_median(fps), 1)]
    return [*both, *cells(ratios(ours, theirs), 2)]


def _second_cells(ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    both = [cell for seconds in (ours, theirs) for cell in cells(least_and_median(seconds), 2)]
    return [*both, *cells(ratios(theirs, ours), 2)]
