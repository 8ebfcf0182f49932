"""What observers have chosen: a line for each answer, JSON, at the end of `answers.jsonl` as soon as it is given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from irn_video.codecs.errors import BadConfig, MissingFile
from irn_video.codecs.writing.output import check_output, unwritable

Side = Literal["a", "b"]

MAX_TEXT = 400
"""Letters of a question, or of a name."""
_MAX_NAME = 60
SIDES: tuple[Side, Side] = ("a", "b")
_FILE, _FILES = "answers.jsonl", "answers*.jsonl"
_VERSION = 1
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One choice.

    Attributes:
        at: when, ISO 8601, UTC.
        question: what was asked.
        observer: whom, empty for nobody in particular.
        plan: of what trials it was one, see `session.Plan.digest`.
        session: which run through them, a random word.
        trial: which of them, from 0.
        clip: of both methods.
        a, b: the method on the left (or first in place), and the other.
        choice: the one that was chosen.
        seconds: how long it took.
    """

    at: str
    question: str
    observer: str
    plan: str
    session: str
    trial: int
    clip: str
    a: str
    b: str
    choice: Side
    seconds: float

    @property
    def winner(self) -> str:
        """The method that was chosen."""
        return self.a if self.choice == "a" else self.b

    @property
    def loser(self) -> str:
        """The method that was not."""
        return self.b if self.choice == "a" else self.a


def read_answers(folder: Path) -> list[Answer]:
    """All answers in a folder, of every file `answers*.jsonl`: those of several observers or machines may lie together.

    Of a trial that was answered twice, or is in two files, the last answer counts.

    Raises:
        MissingFile: no such folder.
        BadConfig: a line is no answer.
    """
    if not folder.is_dir():
        raise MissingFile("no such folder", path=folder)
    return latest(answer for path in sorted(folder.glob(_FILES)) for answer in _read(path))


def latest(answers: Iterable[Answer]) -> list[Answer]:
    """The last answer to each trial."""
    return list({(answer.session, answer.trial): answer for answer in answers}.values())


def check_writable(folder: Path) -> None:
    """Before somebody answers.

    Raises:
        OutputRefused, UnwritableOutput: see `check_output`.
    """
    check_output(folder / _FILE, overwrite=True)


def append(folder: Path, answer: Answer) -> None:
    """Write one more. A line that a crash has cut short gives way.

    Raises:
        UnwritableOutput: it cannot be written.
    """
    path = folder / _FILE
    line = json.dumps({"version": _VERSION, **asdict(answer)}).encode() + b"\n"
    try:
        _cut_unfinished(path)
        with path.open("ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def _cut_unfinished(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        tail_at = max(0, size - 16 * MAX_TEXT)
        file.seek(tail_at)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(tail_at + tail.rfind(b"\n") + 1)


def _read(path: Path) -> Iterable[Answer]:
    if path.stat().st_size > _MAX_BYTES:
        raise BadConfig("too large for answers", path=path, hint=f"up to {_MAX_BYTES >> 20} MiB")
    *lines, unfinished = path.read_bytes().split(b"\n")
    del unfinished  # empty, or what a crash has cut short
    for number, line in enumerate(lines, 1):
        try:
            yield _answer(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise BadConfig(f"line {number} is no answer", path=path, hint="remove the line or the file") from error


def _answer(found: Any) -> Answer:
    """Raises ValueError or TypeError for what is none."""
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        raise ValueError("not an answer, or of another version")
    answer = Answer(**found)
    for field in fields(answer):
        value = getattr(answer, field.name)
        if field.name in ("trial", "seconds"):
            check_number(value, whole=field.name == "trial")
        elif not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
            raise ValueError("not a text that can be shown")
    if answer.choice not in SIDES or answer.a == answer.b:
        raise ValueError("no choice")
    return answer


def check_number(value: object, *, whole: bool = False) -> float:
    """A number from 0 to a million; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 <= value <= 1e6:
        raise ValueError("not a number of that kind")
    return value


def latest_session(answers: Sequence[Answer], observer: str, plan: str) -> tuple[int, list[Answer]]:
    """How many runs through a plan an observer has begun, and the answers of the last one."""
    own = [answer for answer in answers if answer.observer == observer and answer.plan == plan]
    sessions = list(dict.fromkeys(answer.session for answer in own))
    return len(sessions), [answer for answer in own if sessions and answer.session == sessions[-1]]


def as_name(value: object) -> str:
    """An observer's name, tidied; raises ValueError for what cannot be one."""
    if not isinstance(value, str) or len(value) > _MAX_NAME or not value.isprintable():
        raise ValueError(f"a name has up to {_MAX_NAME} letters")
    return " ".join(value.split())


def as_side(value: object) -> Side:
    """Raises ValueError for what is none."""
    if value not in SIDES:
        raise ValueError("not a side")
    return value
