"""What the answers say, in numbers and in a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import SupportsFloat

import numpy as np
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.blind.answers import Answer
from irn_video.pipeline.blind.bradley_terry import Strengths, strengths
from numpy.typing import NDArray
from scipy.stats import norm

_FILE = "scores.json"
_SCHEMA = 1
_LEVEL = 0.05


@dataclass(frozen=True)
class Standing:
    """How a method has done.

    Attributes:
        method: its name.
        score: Bradley–Terry, in log-odds; the mean over the methods is 0.
        low, high: of the score; all intervals of a table hold together with 95 % (Bonferroni).
        chosen, shown: how often it was chosen, and could have been.
        better_than: methods over which it was preferred by more than chance; all of them hold together with 95 %.
    """

    method: str
    score: float
    low: float
    high: float
    chosen: int
    shown: int
    better_than: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Methods by score, the best first.

    Attributes:
        clip: None for all clips together.
        answers: how many there are.
        standings: of all methods.
        conclusion: in a sentence.
    """

    clip: str | None
    answers: int
    standings: tuple[Standing, ...]
    conclusion: str


@dataclass(frozen=True)
class Scores:
    """All that was said to one question.

    Attributes:
        question: what was asked.
        observers: how many, by name.
        left: share of the answers that chose the left side: half, but for chance, if sides do not matter.
        overall: all clips together.
        clips: each alone.
    """

    question: str
    observers: int
    left: float
    overall: Table
    clips: tuple[Table, ...]


def score(answers: Sequence[Answer]) -> list[Scores]:
    """By question, in the order of their first answers. Answers are taken as independent of each other."""
    questions = dict.fromkeys(answer.question for answer in answers)
    return [_scores(question, [a for a in answers if a.question == question]) for question in questions]


def write_scores(folder: Path, found: Sequence[Scores]) -> None:
    """Write `scores.json`.

    Raises:
        UnwritableOutput: it cannot be written.
    """
    with atomic_path(folder / _FILE, overwrite=True) as part:
        part.write_text(json.dumps(as_json(found), indent=1) + "\n")


def as_json(found: Sequence[Scores]) -> dict[str, object]:
    """What `scores.json` has."""
    return {"schema": _SCHEMA, "questions": [asdict(scores) for scores in found]}


def describe(found: Sequence[Scores]) -> str:
    """For a terminal."""
    return "\n\n".join(map(_described, found))


def _described(found: Scores) -> str:
    head = f"{found.question} {_count(found.overall.answers, 'answer')} of {_count(found.observers, 'observer')}"
    lines = [f"{head}, the left side in {found.left:.0%}", ""]
    for table in (found.overall, *(found.clips if len(found.clips) > 1 else ())):
        if table.clip is not None:
            lines += [f"{table.clip}: {_count(table.answers, 'answer')}", ""]
        lines += [*_rows(table), "", table.conclusion, ""]
    return "\n".join(lines).rstrip()


def _scores(question: str, answers: Sequence[Answer]) -> Scores:
    clips = sorted({answer.clip for answer in answers})
    return Scores(
        question,
        len({answer.observer for answer in answers}),
        sum(answer.choice == "a" for answer in answers) / len(answers),
        _table(None, answers),
        tuple(_table(clip, [a for a in answers if a.clip == clip]) for clip in clips),
    )


def _table(clip: str | None, answers: Sequence[Answer]) -> Table:
    methods = sorted({name for answer in answers for name in (answer.a, answer.b)})
    wins = np.zeros((len(methods), len(methods)))
    for answer in answers:
        wins[methods.index(answer.winner), methods.index(answer.loser)] += 1
    found = strengths(wins)
    better = _better(found)
    margins = norm.isf(_LEVEL / 2 / len(methods)) * found.errors()
    standings = [
        Standing(
            methods[n],
            _rounded(found.scores[n]),
            _rounded(found.scores[n] - margins[n]),
            _rounded(found.scores[n] + margins[n]),
            int(wins[n].sum()),
            int(wins[n].sum() + wins[:, n].sum()),
            tuple(methods[other] for other in np.flatnonzero(better[n])),
        )
        for n in sorted(range(len(methods)), key=lambda n: (-_rounded(found.scores[n]), methods[n]))
    ]
    return Table(clip, len(answers), tuple(standings), _conclusion(standings, len(answers)))


def _rounded(value: SupportsFloat) -> float:
    """To what the optimum is known, and without a sign of 0."""
    return round(float(value), 4) + 0.0


def _better(found: Strengths) -> NDArray[np.bool_]:
    """(m, m), whether the first is preferred to the second by more than chance, by Wald's test of their difference."""
    over, error = found.differences()
    pairs = len(over) * (len(over) - 1) / 2
    better: NDArray[np.bool_] = over > norm.isf(_LEVEL / 2 / pairs) * error + np.eye(len(over))
    return better


def _conclusion(standings: Sequence[Standing], answers: int) -> str:
    found = [standing for standing in standings if standing.better_than]
    if not found:
        return f"No difference can be told from {_count(answers, 'answer')}: what there is may be chance."
    parts = [f"{s.method} is preferred to {_listed(s.better_than)}" for s in found]
    pairs = len(standings) * (len(standings) - 1) // 2
    rest = sum(len(s.better_than) for s in found) < pairs
    return "; ".join(parts) + ("; all other differences may be chance." if rest else ".")


def _rows(table: Table) -> list[str]:
    width = max(len("method"), *(len(s.method) for s in table.standings))
    rows = [f"{'method':{width}}  score   95 % interval    chosen"]
    for s in table.standings:
        interval = f"{s.low:+.2f} to {s.high:+.2f}"
        rows.append(f"{s.method:{width}}  {s.score:+.2f}  {interval:>15}  {s.chosen:3} of {s.shown}")
    return rows


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
