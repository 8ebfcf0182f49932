"""One input and its output, or several inputs into a folder: all are worked on, what failed is listed at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
from irn_video.codecs.errors import BadOption, IrnError, MissingFile
from irn_video.codecs.writing.output import unwritable
from irn_video.pipeline.commandline.running import PartialResult, explained

_FALLBACK = ".mkv"


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


def jobs_of(paths: Sequence[Path], out: Path | None, codec: str) -> list[Job]:
    """What the command line asks for.

    Args:
        paths: INPUT OUTPUT without a folder, else inputs.
        out: the folder; it is made where it is missing.
        codec: of the outputs, which take the inputs' names, with `.mkv` where their container cannot carry it.

    Raises:
        BadOption: it can be understood in more than one way, or two outputs would have the same name.
        MissingFile: with a folder, one of the inputs is not there.
    """
    if out is None:
        if len(paths) == 2:
            return [Job(*paths)]
        what = "the output is missing" if len(paths) == 1 else f"{len(paths)} files: which is the output?"
        raise BadOption(what, hint="INPUT OUTPUT for one video, INPUT... --out DIR for several")
    for path in paths:
        if not path.is_file():
            raise MissingFile("no such file", path=path, hint="with --out, every name is that of an input")
    jobs = [Job(path, out / _name(path, codec)) for path in paths]
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.output.name.casefold(), job)
        if other is not job:
            raise BadOption(
                f"{other.source} and {job.source} would both become {job.output}", hint="rename one, or run twice"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    return jobs


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


def _name(source: Path, codec: str) -> str:
    from irn_video.codecs.encoders import ENCODERS
    from irn_video.codecs.writing.containers import CONTAINERS

    kind, encoder = CONTAINERS.get(source.suffix.lower()), ENCODERS.get(codec)
    fits = kind is not None and encoder is not None and kind.name in encoder.containers
    return source.name if fits else source.stem + _FALLBACK
