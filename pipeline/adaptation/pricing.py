"""What a change of weights is worth, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.pipeline.adaptation.effort import NOT_SEEN, NOT_WORTH_IT, OVER_BUDGET
from irn_video.pipeline.adaptation.equations import Matrix
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import DETAIL, LUMA, PACKED
from irn_video.pipeline.quality.entries import TunedGroup
from irn_video.pipeline.zoo.weight_update import Arrays, WeightUpdate

_SMALLEST = 1e-3  # part of an error that an estimate may leave
_CHROMA = 0.25  # what squared error of chroma counts
_AROUND = 4  # cells on each side of one that its results reach
LEVELS = 255
"""Luma levels that a sample of 1 stands for, in which prices are told."""


class Pricing:
    """Tells what an update is worth for a group of pictures; minus infinity where it takes too much.

    Args:
        weights: of the general network.
        importance: of the squared error of each output, see `importance_of`.
        cells: in the pictures of the group.
        price: of a bit, in squared error.
        most: bytes.

    Attributes:
        refused: an update that is worth its bits takes too many of them.
    """

    def __init__(self, weights: Arrays, importance: Matrix, cells: int, price: float, most: int) -> None:
        self._weights, self._most = weights, most
        self.cells, self.price, self.importance = cells, price, importance
        self.refused = False

    def __call__(self, gain: Matrix, update: WeightUpdate) -> Candidate:
        """An update that lowers the mean squared error of each output by `gain`."""
        message = update.to_message(self._weights) if update else b""
        total, cost = float(gain @ self.importance) * self.cells, 8 * self.price * len(message)
        fits = len(message) <= self._most
        self.refused |= not fits and total > cost
        return Candidate(update, message, total, total - cost if fits else -math.inf)

    def report(self, frames: int, candidate: Candidate, error: float | None) -> TunedGroup:
        """Of a group of so many pictures with this squared error where nothing is tuned; None if none was looked at."""
        hidden, scale = candidate.update.hidden, (LEVELS * DETAIL) ** 2
        gained = 10 * math.log10(error / max(error - candidate.gain, error * _SMALLEST)) if error else 0.0
        return TunedGroup(
            frames=frames,
            bytes=len(candidate.message),
            rank=None if hidden is None else hidden.rank,
            last_layer=candidate.update.last is not None,
            told=candidate.update.told,
            saved_per_bit=candidate.gain * scale / (8 * len(candidate.message)) if candidate.message else None,
            video_saves_per_bit=self.price * scale,
            gained_db=gained if candidate.message else 0.0,
            untuned="" if candidate.message else self._why_not(error),
        )

    def _why_not(self, error: float | None) -> str:
        if error is None:
            return NOT_SEEN
        return OVER_BUDGET if self.refused else NOT_WORTH_IT


@dataclass(frozen=True)
class Candidate:
    """An update, its message, the squared error it saves in the group, and this less the price of the message."""

    update: WeightUpdate
    message: bytes
    gain: float
    value: float


def value_of(candidate: Candidate) -> float:
    """For `max`."""
    return candidate.value


def importance_of(network: CodecAwareRescaler) -> Matrix:
    """What the squared error of each output is worth: that of the HR picture where it is wrong by 1, by plane."""
    outputs, middle, corrected = network.restorer.last.out_channels, _AROUND, PACKED * network.fold**2
    said = torch.zeros(outputs, outputs, 2 * middle + 1, 2 * middle + 1, device=network.restorer.last.weight.device)
    said[:, :, middle, middle] = torch.eye(outputs)
    with torch.no_grad():
        hr = network.upscale(F.pixel_shuffle(said[:, :corrected], network.fold), said[:, corrected:])
    of_planes = np.repeat((1.0, _CHROMA), (LUMA, PACKED - LUMA))
    importance: Matrix = hr.square().sum((2, 3)).double().cpu().numpy() @ of_planes
    return importance


NOTHING = Candidate(WeightUpdate(), b"", 0.0, 0.0)
