"""One input and its output, or several inputs into a folder: all are worked on, what failed is listed at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
from irn_video.codecs.errors import BadOption, IrnError, MissingFile
from irn_video.codecs.pipes import PIPE
from irn_video.codecs.reading.numbered import is_numbered
from irn_video.codecs.reading.origins import address_of
from irn_video.codecs.writing.output import unwritable
from irn_video.pipeline.commandline.running import PartialResult, explained
from irn_video.pipeline.commandline.talk import Talk

_FALLBACK = ".mkv"
PLAYLIST = ".m3u8"
"""Suffix of a ladder's master playlist."""


@dataclass(frozen=True)
class Job:
    """One file to make of another."""

    source: Path
    output: Path


class Outcome(Protocol):
    """What became of a job, as a `Report` has it."""

    @property
    def damage(self) -> str:
        """What was broken in the input, empty if nothing was."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""


def check_undamaged(found: Outcome, source: Path) -> None:
    """Say at the end that an input was damaged.

    Raises:
        PartialResult: it was.
    """
    if found.damage:
        raise PartialResult(
            f"the input is damaged: {found.damage}; what could be decoded is in the output", path=source
        )


@dataclass(frozen=True)
class Naming:
    """What an output is called where nobody says so.

    Attributes:
        codec: of the outputs: they end in `.mkv` where the input's container cannot carry it.
        ending: of the name, before the suffix, beside the input.
        instead_of: ending of the input's name that gives way to it.
        suffix: of all outputs; None for the inputs'.
    """

    codec: str
    ending: str
    instead_of: str = ""
    suffix: str | None = None

    def beside(self, source: Path) -> Path:
        """`clip.mp4` → `clip_lr.mp4`."""
        named = source.with_name(self.in_folder(source))
        return named.with_stem(named.stem.removesuffix(self.instead_of) + self.ending)

    def in_folder(self, source: Path) -> str:
        """The input's own name."""
        if self.suffix is not None:
            return source.stem + self.suffix
        from irn_video.codecs.encoders import ENCODERS
        from irn_video.codecs.writing.containers import CONTAINERS

        kind, encoder = CONTAINERS.get(source.suffix.lower()), ENCODERS.get(self.codec)
        fits = kind is not None and encoder is not None and kind.name in encoder.containers
        return source.name if fits else source.stem + _FALLBACK


def arranged(paths: tuple[Path, ...], out: Path | None) -> tuple[tuple[Path, ...], Path | None]:
    """`INPUT --out FILE` as `INPUT FILE`; what is left of `--out` is a folder.

    Raises:
        BadOption: one file for several inputs.
    """
    from irn_video.codecs.writing.containers import CONTAINERS

    if out is None or out.suffix.lower() not in (*CONTAINERS, PLAYLIST) or out.is_dir():
        return paths, out
    if len(paths) > 1:
        raise BadOption(f"{len(paths)} videos cannot become one file", path=out, hint="give --out a folder")
    return (*paths, out), None


def talk_for(paths: Sequence[Path], quiet: bool, as_json: bool) -> Talk:
    """How to talk about INPUT and OUTPUT.

    Raises:
        BadOption: stdout is wanted for two things.
    """
    piped = len(paths) == 2 and paths[1] == PIPE
    if piped and as_json:
        raise BadOption("--json and a video cannot both go to standard output", hint="--report FILE writes the report")
    return Talk(quiet, as_json, piped)


def jobs_of(paths: Sequence[Path], out: Path | None, naming: Naming, *, make: bool = True) -> list[Job]:
    """What the command line asks for.

    Args:
        paths: INPUT or INPUT OUTPUT without a folder, else inputs.
        out: the folder.
        naming: what outputs are called.
        make: make the folder where it is missing.

    Raises:
        BadOption: it can be understood in more than one way, or two outputs would have the same name.
        MissingFile: with a folder, one of the inputs is not there.
    """
    if out is None:
        if len(paths) > 2:
            what = f"{len(paths)} files: which is the output?"
            raise BadOption(what, hint="INPUT OUTPUT for one video, INPUT... --out DIR for several")
        if len(paths) == 1 and (paths[0] == PIPE or is_numbered(paths[0])):
            raise BadOption("the output needs a name", path=paths[0], hint="INPUT OUTPUT")
        if len(paths) == 1 and address_of(paths[0]) is not None:
            raise BadOption("what comes from a server needs a name here", path=paths[0], hint="INPUT OUTPUT")
        return [Job(paths[0], paths[1] if len(paths) == 2 else naming.beside(paths[0]))]
    for path in paths:
        if not path.is_file():
            raise MissingFile("no such file", path=path, hint="with --out, every name is that of an input")
    jobs = [Job(path, out / naming.in_folder(path)) for path in paths]
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.output.name.casefold(), job)
        if other is not job:
            raise BadOption(
                f"{other.source} and {job.source} would both become {job.output}", hint="rename one, or run twice"
            )
    try:
        if make:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    return jobs


def unfinished(jobs: Sequence[Job], finished: Callable[[Job], bool], talk: Talk) -> list[Job]:
    """Those that are still to be done; how many are not is said."""
    left = [job for job in jobs if not (job.output.is_file() and finished(job))]
    if len(left) < len(jobs):
        talk.say(f"{len(jobs) - len(left)} of {len(jobs)} finished before: skipped")
    return left


def work_on(jobs: Sequence[Job], work: Callable[[Job], Outcome], *, as_json: bool) -> None:
    """Do all of them; one that fails does not stop the others.

    Args:
        jobs: to be done.
        work: does one.
        as_json: print a list with `input`, `output`, `report` and `error` of each; a damaged input has both.

    Raises:
        PartialResult: some have failed; each is named in a line of its own before.
    """
    found: list[dict[str, Any]] = []
    failures = []
    for job in jobs:
        entry: dict[str, Any] = {"input": str(job.source), "output": str(job.output)}
        try:
            outcome = work(job)
            entry["report"] = outcome.as_json()
            check_undamaged(outcome, job.source)
        except Exception as error:
            line = explained(error)
            entry["error"] = line
            failures.append(line if isinstance(error, IrnError) and error.path else f"{job.source}: {line}")
        found.append(entry)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    for line in failures:
        click.echo(f"failed: {line}", err=True)
    if failures:
        raise PartialResult(f"{len(failures)} of {len(jobs)} failed")
