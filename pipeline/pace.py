"""Whether this machine restores a stream as quickly as it is shown, and if not, which tier of network it would."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from irn_video.codecs.errors import IrnError
from irn_video.codecs.picture import Picture
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.options import DeviceOptions
from irn_video.pipeline.zoo.card import ModelCard, read_card
from irn_video.pipeline.zoo.registry import find_model, model_names
from irn_video.pipeline.zoo.tiers import TIERS, networks_of

_LEAST_SECONDS = 1.0  # what was quicker says more about the start than about the pace
_LEAST_REST = 0.05  # of the CPU time, for decoding and writing: what enlarging takes is measured apart, with errors


@dataclass(frozen=True)
class Pace:
    """How quickly frames were restored, from the first to the last.

    Attributes:
        came: frames that were to be restored.
        restored: of them, those that the network has restored.
        seconds: that took.
        cpu_seconds: of all threads of this process meanwhile.
    """

    came: int
    restored: int
    seconds: float
    cpu_seconds: float

    def since(self, earlier: Pace) -> Pace:
        """What has gone since then."""
        return Pace(
            self.came - earlier.came,
            self.restored - earlier.restored,
            self.seconds - earlier.seconds,
            self.cpu_seconds - earlier.cpu_seconds,
        )

    @property
    def fps(self) -> float:
        """Frames a second that the network has restored."""
        return self.restored / self.seconds

    def fps_with(self, cost: float, own: float) -> float:
        """Frames a second, if enlarging took `cost` in place of `own` CPU seconds a frame and the rest as long as now.

        The work is spread over the cores as well, or as badly, as it was.
        """
        rest = max(self.cpu_seconds - self.restored * own, _LEAST_REST * self.cpu_seconds)
        # What stood still was not computed again, and would not be by another network either.
        spent = self.restored * own
        computed = min(1.0, (self.cpu_seconds - rest) / spent) if spent else 1.0
        return self.came / self.seconds * self.cpu_seconds / (rest + self.came * cost * computed)


class PaceClock:
    """Takes the time of frames as they are restored.

    Attributes:
        lr: the last LR frame.
    """

    def __init__(self) -> None:
        self.lr: Picture | None = None
        self._first: Pace | None = None
        self._last = Pace(0, 0, 0.0, 0.0)

    def tick(self, came: int, restored: int, lr: Picture) -> None:
        """So many frames in all; the last one was restored from `lr`."""
        self._last = Pace(came, restored, time.monotonic(), time.process_time())
        self._first = self._first or self._last
        self.lr = lr

    @property
    def pace(self) -> Pace | None:
        """None where there were too few to tell."""
        found = self._last.since(self._first or self._last)
        return found if found.seconds >= _LEAST_SECONDS else None


def advice(pace: Pace, needed: float, own: float, costs: Mapping[str, float], plain: float) -> str:
    """Which tier would keep up, for people.

    Args:
        pace: how it went.
        needed: frames a second of the stream.
        own: CPU seconds that the network takes to enlarge a frame.
        costs: likewise, of quicker networks by tier, the slowest first.
        plain: likewise, of Lanczos.
    """
    guesses = {tier: pace.fps_with(cost, own) for tier, cost in costs.items()}
    for tier, fps in guesses.items():
        if fps >= needed:
            return f"sent with --tier {tier} it would keep up (about {_guess(fps)})"
    said = "no tier would keep up"
    if guesses:
        tier, fps = list(guesses.items())[-1]
        said += f" ({tier}: about {_guess(fps)})"
    fps = pace.fps_with(plain, own)
    if fps >= needed:
        return f"{said}, Lanczos would (about {_guess(fps)})"
    return f"{said}, nor would Lanczos (about {_guess(fps)}): send smaller frames"


def note_for(pace: Pace, needed: float, rescaler: Rescaler, lr: Picture, to: Restoration, device: DeviceOptions) -> str:
    """How it went on a machine that was too slow, and what would do; see `advice_for`."""
    told = f"{_rate(pace.fps)} of {_rate(needed)} frames a second restored here"
    found = advice_for(pace, needed, rescaler, lr, to, device)
    return f"{told}; {found}" if found else told


def advice_for(
    pace: Pace, needed: float, rescaler: Rescaler, lr: Picture, to: Restoration, device: DeviceOptions
) -> str:
    """What would do on a machine that was too slow; nothing for networks without a tier, and on a GPU.

    Each network that might do enlarges a frame, for the CPU time that it takes.

    Args:
        pace: how it went.
        needed: frames a second of the stream.
        rescaler: what has restored it.
        lr: one of its frames.
        to: see `Restoration`.
        device: where the rescaler runs.
    """
    lr = replace(lr, update=b"")  # weights that were tuned for one network fit no other
    # What stands still would cost nothing the second time.
    load = partial(Rescaler.load, device=device.device, precision=device.precision, reuse=False)
    with suppress(IrnError):  # the frames are restored, and no broken file of another network changes that
        card = _card(rescaler)
        if card is None or not rescaler.where.startswith("CPU"):
            return ""
        costs = {tier: _cost(load(name), lr, to) for tier, name in _quicker(card)}
        plain = _cost(load(f"lanczos-x{rescaler.scale:g}"), lr, to)
        return advice(pace, needed, _cost(load(rescaler.name), lr, to), costs, plain)
    return ""


def _card(rescaler: Rescaler) -> ModelCard | None:
    """Of a codec-aware network of the zoo; the paper's have no tiers."""
    if rescaler.name not in model_names():
        return None
    card = read_card(find_model(rescaler.name))
    return card if card.network.family == "codec-aware" else None


def _quicker(card: ModelCard) -> Iterator[tuple[str, str]]:
    """Tiers and networks of this scale that cost less, the dearest first."""
    for tier in reversed(TIERS):
        name = networks_of(tier).get(card.network.scale)
        if name is not None and read_card(find_model(name)).macs_up < card.macs_up:
            yield tier, name


def _cost(rescaler: Rescaler, lr: Picture, to: Restoration) -> float:
    """CPU seconds that enlarging a frame takes; the first time it takes longer."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        rescaler.upscale(lr, to)
        spent.append(time.process_time() - began)
    return min(spent)


def _rate(fps: float) -> str:
    return f"{fps:.3g}" if fps < 100 else f"{fps:.0f}"


def _guess(fps: float) -> str:
    return f"{fps:.2g}" if fps < 100 else f"{fps:.0f}"
