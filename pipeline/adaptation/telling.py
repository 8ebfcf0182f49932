"""Tells the receiver's network another quantiser than a frame's own, where that restores a group of frames better."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from statistics import fmean, stdev

from irn_video.codecs.bitstream.sei import UPDATE_UUID, sei_nal
from irn_video.codecs.picture import Picture
from irn_video.codecs.scales import enlarged
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.pipeline.adaptation.effort import NOT_SEEN, NOT_WORTH_IT, OVER_BUDGET, Budget
from irn_video.pipeline.adaptation.parts import Part, Remembered, cell_of, decoded, kept, parts_of, tunable
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.flow import mapped_by
from irn_video.pipeline.planes import Samples, code_unit
from irn_video.pipeline.quality.entries import TunedGroup
from irn_video.pipeline.quality.squares import sum_of_squared_differences
from irn_video.pipeline.zoo.weight_update import WeightUpdate

_EVERY = 3  # of so many pictures one is remembered; B pictures come in rows of other lengths
_LONGEST = 1000  # pictures of a group after which no more are, so that memory is bounded
_MOST, _SIDE = 4, 48  # parts of a group that are looked at, and cells along a side of each
_STEP, _FARTHEST = 3, 13
_WORTH = 1.5  # parts of the squared error that a message must save, for each part of the group's bits that it takes
_LEVELS = 255
_ROUNDING = 1 / 12  # squared error that samples have in any case
# dB that each quantiser must gain: VMAF-NEG loses 0.02 to 0.03 for each where PSNR gains nothing.
_EACH = 0.02

Errors = tuple[float, float, float]
"""Mean squared error of Y, U and V, in levels of 255."""


def best_told(gain: Callable[[int], float], start: int = 0) -> int:
    """What to tell: quantisers that differ by so much from the frames' own, −15 to 15.

    Args:
        gain: of the restored pictures where that is told; it has one maximum, more or less.
        start: where to begin.
    """
    gain = cache(gain)
    best = max(-_FARTHEST, min(_FARTHEST, start))
    step = max((_STEP, -_STEP), key=lambda step: gain(best + step))
    while abs(best + step) <= _FARTHEST and gain(best + step) > gain(best):
        best += step
    lower, here, upper = (gain(best + away) for away in (-_STEP, 0, _STEP))
    bent = 2 * here - lower - upper
    # The highest point of a parabola, if it has one.
    finer = max(-2, min(2, round(_STEP * (upper - lower) / (2 * bent)))) if bent > 0 else 0
    return max((0, best, best + finer), key=gain)


@dataclass(frozen=True)
class Seen:
    """A part of a picture.

    Attributes:
        arrived: as decoded, LR.
        original: of the source.
        part: where it lies.
    """

    arrived: Picture
    original: Picture
    part: Part

    def errors(self, rescaler: Rescaler, told: int) -> Errors:
        """Where the network is told another quantiser."""
        original, arrived = self.original, self.arrived
        assert arrived.qp is not None
        to = Restoration(Samples.of(original), original.height, original.width)
        restored = rescaler.upscale(replace(arrived, qp=arrived.qp + told), to)
        cell, unit = enlarged(cell_of(rescaler.scale), rescaler.scale), code_unit(original.bit_depth)
        pairs = zip(self.part.inside(original, cell), self.part.inside(restored, cell), strict=True)
        y, u, v = ((_LEVELS / unit) ** 2 * sum_of_squared_differences(*pair) / pair[0].size for pair in pairs)
        return y, u, v


def gain_of(before: Sequence[Errors], after: Sequence[Errors]) -> float:
    """By how many dB parts are better, in PSNR-Y and in PSNR-YUV: the lesser of the two, less its standard error."""
    pairs = zip(before, after, strict=True)
    gains = [[_decibels(b) - _decibels(a) for b, a in zip(*pair, strict=True)] for pair in pairs]
    of_metrics = [y for y, _, _ in gains], [(6 * y + u + v) / 8 for y, u, v in gains]
    return min(fmean(of) - (stdev(of) / math.sqrt(len(of)) if len(of) > 1 else 0.0) for of in of_metrics)


class Teller:
    """A tuner (see `Tuner`) that changes nothing but what the network is told; it needs no PyTorch.

    Args:
        rescaler: the sender's.
        budget: of each group of pictures.

    Attributes:
        wants_coarser: groups of pictures in fewer bits too.
        groups: what it did.

    Raises:
        BadOption: only codec-aware networks are tuned.
    """

    wants_coarser = False

    def __init__(self, rescaler: Rescaler, budget: Budget | None = None) -> None:
        self._rescaler, self._budget = tunable(rescaler), budget or Budget()
        self._waiting: deque[Remembered | None] = deque()
        self._places, self._chance, self._count = list[Part](), random.Random(0), 0
        self._last = self._area = 0
        self.groups: list[TunedGroup] = []

    def remember(self, picture: Picture) -> None:
        """Keep a part of a picture of the source, or nothing of it; all come here or are skipped, in display order."""
        self._count += 1
        if self._count % _EVERY != 1 or len(self._waiting) > _LONGEST:
            self.skip()
            return
        if not self._places:
            places = parts_of(picture, self._rescaler.scale, _SIDE)
            self._places = self._chance.sample(places, len(places))
            self._area = picture.height * picture.width
        self._waiting.append(kept(picture, self._places.pop(), self._rescaler))

    def skip(self) -> None:
        """Keep nothing of a picture."""
        self._waiting.append(None)

    def message(self, group: CodedGroup, coarser: CodedGroup | None = None) -> bytes:
        """What the receiver should change for a group of pictures: the payload of an SEI message, or nothing.

        Args:
            group: H.264.
            coarser: not looked at.
        """
        seen = self._seen(group)
        errors = cache(partial(self._errors, seen))
        gain = cache(lambda told: gain_of(errors(0), errors(told)) if told else 0.0)
        told, untuned = self._chosen(group, gain) if seen else (0, NOT_SEEN)
        message, self._last = self._message(told), told
        # Squared error halves where bits double, about.
        error = self._area * len(group.packets) * fmean(y for y, *_ in errors(0)) if seen else 0.0
        self.groups.append(
            TunedGroup(
                frames=len(group.packets),
                bytes=len(message),
                rank=None,
                last_layer=False,
                saved_per_bit=error * _saved(gain(told)) / (8 * len(message)) if message else None,
                video_saves_per_bit=error / (8 * group.bytes),
                gained_db=gain(told),
                untuned=untuned,
                told=told,
            )
        )
        return message

    def _chosen(self, group: CodedGroup, gain: Callable[[int], float]) -> tuple[int, str]:
        """What to tell, and why nothing."""
        told = best_told(lambda told: gain(told) - _EACH * abs(told), self._last)
        message = self._message(told)
        if not told or _saved(gain(told)) * group.bytes <= _WORTH * len(sei_nal(message, "h264", UPDATE_UUID)):
            return 0, NOT_WORTH_IT
        return (told, "") if len(message) <= self._budget.of(group) else (0, OVER_BUDGET)

    def _message(self, told: int) -> bytes:
        return WeightUpdate(told=told).to_message(self._rescaler.weights.arrays) if told else b""

    def _seen(self, group: CodedGroup) -> list[Seen]:
        """A few parts of its pictures, from first to last."""
        entries = [self._waiting.popleft() for _ in range(min(len(group.packets), len(self._waiting)))]
        found = [(index, entry) for index, entry in enumerate(entries) if entry is not None]
        count = min(_MOST, len(found))
        chosen = dict(found[nth * len(found) // count] for nth in range(count))
        cell = cell_of(self._rescaler.scale)
        return [
            Seen(chosen[index][1].of(arrived, cell), *chosen[index])
            for index, arrived in (decoded(group, chosen) if chosen else ())
            if arrived.qp is not None
        ]

    def _errors(self, seen: Sequence[Seen], told: int) -> list[Errors]:
        return list(mapped_by(self._rescaler.workers, lambda _, one: one.errors(self._rescaler, told), seen))


def _saved(gain: float) -> float:
    """Part of the squared error, for dB."""
    return float(1 - 10 ** (-gain / 10))


def _decibels(error: float) -> float:
    return 10 * math.log10(error + _ROUNDING)
