"""How hard to tune, and what the tuned weights may take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.pipeline.zoo.weight_update import MAX_MESSAGE_BYTES

QUICK = "quick"
"""The least effort: see `Teller`; the others are for the `Tuner`."""
NOT_SEEN, NOT_WORTH_IT = "none of the frames was looked at", "no change was worth its bits"
OVER_BUDGET = "what was worth its bits is over the budget"
"""Why a group is not tuned."""
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_MOST_SECONDS, _MANY = 86_400, 10_000
_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(%|k|kB|KB)?")


@dataclass(frozen=True)
class Effort:
    """How much of the pictures is looked at, and how long.

    Attributes:
        side: of a square in a picture, in cells of the network.
        cells: of a picture, on average: so many pictures are taken, at random.
        most: of these parts in a group of pictures, so that memory is bounded.
        solved: of these say what the last layer should be, at most, in cells.
        steps: of descent in a round, for each picture of a group; some in any case.
        ranks: of the mixing of the hidden layers, one after the other; 0 for gains and shifts alone.
        rounds: for each of these, as long as one brings something.
        seconds: for all of these, for each group of pictures.
    """

    side: int
    cells: int
    most: int
    solved: int
    steps: float
    ranks: tuple[int, ...] = (0,)
    rounds: int = 1
    seconds: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Effort:
        """From `fast`, `best` or a number of seconds.

        Raises:
            BadOption: none of these.
        """
        if text in EFFORTS:
            return EFFORTS[text]
        if _SECONDS.fullmatch(text) and 0 < (seconds := float(text)) <= _MOST_SECONDS:
            return replace(EFFORTS["best"], rounds=_MANY, seconds=seconds)
        raise BadOption(f"{text!r} is no effort", hint="write quick, fast, best or a number of seconds")


@dataclass(frozen=True)
class Budget:
    """What the weights of a group of pictures may take.

    Attributes:
        bytes: at most so many.
        share: at most such a part of the group's video packets.
    """

    bytes: int = MAX_MESSAGE_BYTES
    share: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From `2%`, `4k` (4000 bytes) or `500`.

        Raises:
            BadOption: none of these.
        """
        match = _BUDGET.fullmatch(text.strip())
        if match is None or not 0 < (number := float(match[1])) <= (100 if match[2] == "%" else MAX_MESSAGE_BYTES):
            raise BadOption(f"{text!r} is no budget for weights", hint="write 2% or 4k")
        if match[2] == "%":
            return cls(share=number / 100)
        return cls(bytes=min(MAX_MESSAGE_BYTES, round(number * (1000 if match[2] else 1))))

    def of(self, group: CodedGroup) -> int:
        """In bytes, for a group of pictures."""
        return min(self.bytes, int(self.share * group.bytes))


EFFORTS = {
    "fast": Effort(side=96, cells=96**2 // 4, most=64, solved=16 * 96**2, steps=0.3),
    "best": Effort(side=128, cells=128**2, most=96, solved=64 * 128**2, steps=1.0, ranks=(0, 8), rounds=4),
}
NAMES = (QUICK, *EFFORTS)
"""Of the efforts that need no number."""
