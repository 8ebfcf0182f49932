"""Who is shown what, in which order and on which side: known from a seed, so that a run can be gone on with."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from irn_video.codecs.errors import BadOption
from irn_video.pipeline.blind.answers import MAX_TEXT, Answer, Side, latest_session
from irn_video.pipeline.blind.entrants import Clip

_MAX_TRIALS = 10_000


@dataclass(frozen=True)
class Trial:
    """Two methods that are shown together.

    Attributes:
        clip: its name.
        a, b: the methods on the left and on the right.
    """

    clip: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every observer is asked.

    Attributes:
        clips: what is compared.
        question: in the observer's language.
        repeats: how often each two methods of a clip are shown, the sides swapped each time.
        seed: of the orders.

    Raises:
        BadOption: a question that cannot be shown, or more trials than anybody would go through.
    """

    clips: tuple[Clip, ...]
    question: str
    repeats: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.question.strip() or len(self.question) > MAX_TEXT or not self.question.isprintable():
            raise BadOption("that is no question", hint=f"up to {MAX_TEXT} letters, in one line")
        if self.count > _MAX_TRIALS:
            raise BadOption(f"{self.count} pairs are too many", hint=f"up to {_MAX_TRIALS}: fewer methods or repeats")

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits; plans that differ have another."""
        shown = [[clip.name, list(clip.methods), clip.reference is not None] for clip in self.clips]
        text = json.dumps([shown, self.question, self.repeats, self.seed])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def count(self) -> int:
        """Of trials."""
        return self.repeats * sum(len(clip.pairs()) for clip in self.clips)

    def trials(self, observer: str, run: int) -> tuple[Trial, ...]:
        """All of them, for an observer's run of that number: whole rounds, each in an order of its own."""
        return tuple(self._rounds(Random(f"{self.digest} {run} {observer}")))

    def _rounds(self, random: Random) -> Iterator[Trial]:
        pairs = [(clip.name, *pair) for clip in self.clips for pair in clip.pairs()]
        swapped = {pair: random.random() < 0.5 for pair in pairs}
        for _ in range(self.repeats):
            random.shuffle(pairs)
            for pair in pairs:
                clip, one, other = pair
                yield Trial(clip, other, one) if swapped[pair] else Trial(clip, one, other)
                swapped[pair] = not swapped[pair]


@dataclass
class Session:
    """One observer's run through a plan.

    Attributes:
        name: a random word.
        observer: who.
        trials: all that are asked.
        given: sides by the index of their trial.
    """

    name: str
    observer: str
    trials: tuple[Trial, ...]
    given: dict[int, Side] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Nothing is left to be asked."""
        return len(self.given) == len(self.trials)

    @property
    def following(self) -> int | None:
        """The first trial that has no answer; None if there is none."""
        return next((index for index in range(len(self.trials)) if index not in self.given), None)

    @classmethod
    def begin(cls, plan: Plan, observer: str, answers: Sequence[Answer]) -> Session:
        """The run that the observer has not finished, or a new one."""
        begun, last = latest_session(answers, observer, plan.digest)
        for run in range(begun):  # not always the last: files may have been merged
            found = cls(last[0].session, observer, plan.trials(observer, run), {a.trial: a.choice for a in last})
            if not found.complete and all(map(found.has, last)):
                return found
        return cls(secrets.token_hex(4), observer, plan.trials(observer, begun))

    def has(self, answer: Answer) -> bool:
        """Whether it is to one of its trials, as they are now."""
        asked = Trial(answer.clip, answer.a, answer.b)
        return answer.trial < len(self.trials) and self.trials[answer.trial] == asked
