"""Tunes the receiver's network to the pictures that are being sent, one group after another."""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.scales import enlarged
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.pipeline.adaptation.effort import Budget, Effort
from irn_video.pipeline.adaptation.equations import Equations, Matrix, best_layer, change_of
from irn_video.pipeline.adaptation.gradient import Change, Sample, error, fine_tuned, of_lower_rank, preconditioner
from irn_video.pipeline.adaptation.parts import Part, Remembered, cell_of, decoded, kept, parts_of, tunable
from irn_video.pipeline.adaptation.pricing import LEVELS, NOTHING, Candidate, Pricing, importance_of, value_of
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import DETAIL, QP_CENTRE
from irn_video.pipeline.network.packed import fine_luma, pack
from irn_video.pipeline.planes import pad, to_planes
from irn_video.pipeline.quality.entries import TunedGroup
from irn_video.pipeline.system.cores import usable_cores
from irn_video.pipeline.zoo.tuned import tuned_network
from irn_video.pipeline.zoo.weight_update import HiddenLayers, WeightUpdate
from torch import Tensor

Kind = TypeVar("Kind")

_LONGEST = 1000  # pictures of a group after which no more are kept, so that memory is bounded
_SPARSE = 2  # of cells that lie beside or below each other, one tells nearly all
# Squared error, in luma levels of HR samples, that a bit of video saves at quantiser 12 and scale 1, where that cannot
# be measured: 2 to 12 on seven clips at CRF 22 and 32. It doubles every three quantisers: the Lagrange multiplier of
# rate–distortion optimisation, that is.
_PRICE = 4.0
_THRIFTS = (8.0, 2.0)  # more is asked of each weight, since what is found in some cells holds for others in part
_FEWEST = 12  # steps of gradient descent in a round
_HELD_OUT = 6
_EXPONENTS = (8, 7, 6, 5, 4)  # steps of the gains of 1/64, then coarser ones
_LEAST = 0.002  # of a group's bits that a round must save, or it is the last one of its rank


class Tuner:
    """Give it every picture before it is encoded, and every group of packets after; `groups` tells what it did.

    Args:
        rescaler: the sender's.
        effort: how hard to try.
        budget: of each group of pictures.

    Attributes:
        wants_coarser: groups of pictures in fewer bits too.

    Raises:
        BadOption: only codec-aware networks are tuned.
    """

    wants_coarser = True

    def __init__(self, rescaler: Rescaler, effort: Effort, budget: Budget | None = None) -> None:
        self._rescaler, self._effort, self._budget = tunable(rescaler), effort, budget or Budget()
        self._cell = cell_of(rescaler.scale)  # LR samples along a side
        self._importance = importance_of(self._rescaler.network)
        self._toward: Tensor | None = None  # as the first group tells: it hardly depends on the pictures
        self._waiting: deque[Remembered | None] = deque()
        self._chance, self._owed = random.Random(0), 0.0
        self._parts: list[Part] = []  # to come next, so that all places are looked at alike
        self._last, self._price_of_bit = WeightUpdate(), _PRICE
        self.groups: list[TunedGroup] = []

    def remember(self, picture: Picture) -> None:
        """Keep a part of a picture of the source, or nothing of it; all come here or are skipped, in display order."""
        cell = enlarged(self._cell, self._rescaler.scale)
        height, width = (-(-length // cell) for length in (picture.height, picture.width))
        parts = parts_of(picture, self._rescaler.scale, self._effort.side)
        # Evenly, so that a short group is not left without, and at random, so that no type of picture is.
        self._owed = min(1.0, self._owed + self._effort.cells * len(parts) / (height * width))
        if self._chance.random() >= self._owed or len(self._waiting) > _LONGEST:
            self.skip()
            return
        self._owed -= 1
        if not self._parts:
            self._parts = self._chance.sample(parts, len(parts))
        self._waiting.append(kept(picture, self._parts.pop(), self._rescaler))

    def skip(self) -> None:
        """Keep nothing of a picture."""
        self._waiting.append(None)

    def message(self, group: CodedGroup, coarser: CodedGroup | None = None) -> bytes:
        """What the receiver should change for a group of pictures: the payload of an SEI message, or nothing.

        Args:
            group: H.264.
            coarser: the same pictures in fewer bits, if there are any: they tell what a bit of video saves.
        """
        remembered = self._taken(len(group.packets))
        with _all_cores():
            quantisers, cells, samples = self._samples(group, remembered)
            price = self._price(group, coarser, remembered, samples, cells, sum(quantisers) / len(quantisers))
            pricing = Pricing(self._rescaler.weights.arrays, self._importance, cells, price, self._budget.of(group))
            best, untuned = NOTHING, None
            if samples:
                general = error(self._rescaler.network, _held_out(samples), self._rescaler.device)
                untuned = float(general @ pricing.importance) * cells
                best = self._best(samples, general, pricing, len(quantisers), _LEAST * price * 8 * group.bytes)
        self._last = best.update
        self.groups.append(pricing.report(len(quantisers), best, untuned))
        return best.message

    def _best(
        self, samples: Sequence[Sample], general: Matrix, pricing: Pricing, frames: int, least: float
    ) -> Candidate:
        """Hidden layers, then the last one; see `_hidden`."""
        hidden = self._hidden(samples, general, pricing, max(_FEWEST, math.ceil(self._effort.steps * frames)), least)
        whole = self._with_last_layer(hidden.update, samples, pricing)
        return replace(whole, gain=hidden.gain + whole.gain)

    def _taken(self, frames: int) -> dict[int, Remembered]:
        """What is remembered of the next so many pictures, by their place among them: not too much of it."""
        entries = [self._waiting.popleft() for _ in range(min(frames, len(self._waiting)))]
        found = [(index, entry) for index, entry in enumerate(entries) if entry is not None]
        if len(found) > self._effort.most:
            found = sorted(self._chance.sample(found, self._effort.most), key=lambda item: item[0])
        return dict(found)

    def _samples(
        self, group: CodedGroup, remembered: Mapping[int, Remembered]
    ) -> tuple[list[float], int, list[Sample]]:
        """Of the pictures of a group: their quantisers, cells in all, and what is remembered of some with what came."""
        quantisers, cells, samples = [], 0, []
        for index, picture in decoded(group):
            quantisers.append(QP_CENTRE if picture.qp is None else picture.qp)
            cells += -(-picture.height // self._cell) * -(-picture.width // self._cell)
            if index in remembered:
                samples.append(self._sample(picture, *remembered[index]))
        return quantisers, cells, samples

    def _price(
        self,
        group: CodedGroup,
        coarser: CodedGroup | None,
        remembered: Mapping[int, Remembered],
        samples: Sequence[Sample],
        cells: int,
        qp: float,
    ) -> float:
        """Squared error that a bit more of video would save: measured, or as where it was last, at this quantiser."""
        usual = self._rescaler.scale**2 / (LEVELS * DETAIL) ** 2 * 2 ** ((qp - 12) / 3)
        if coarser is not None and (bits := 8 * (group.bytes - coarser.bytes)) > 0 and samples:
            network, device = self._rescaler.network, self._rescaler.device
            some = dict(_held_out(list(remembered.items())))
            errors = [
                float(error(network, part, device) @ self._importance)
                for part in (self._samples(coarser, some)[2], _held_out(samples))
            ]
            if errors[0] > errors[1]:
                self._price_of_bit = (errors[0] - errors[1]) * cells / bits / usual
        return self._price_of_bit * usual

    def _hidden(
        self, samples: Sequence[Sample], general: Matrix, pricing: Pricing, steps: int, least: float
    ) -> Candidate:
        """The best of no change, that of the last group and new ones, on samples that these have not seen.

        Args:
            samples: of the group.
            general: error of the network as it is.
            pricing: tells what they gain.
            steps: of a round.
            least: that a round should gain.
        """
        device, effort = self._rescaler.device, self._effort
        held_out = _held_out(samples)
        seen = [sample for sample in samples if not any(sample is other for other in held_out)]

        def candidate(hidden: HiddenLayers | None) -> Candidate:
            update = WeightUpdate(hidden)
            gain = general - error(self._changed(update), held_out, device) if update else general - general
            return pricing(gain, update)

        best = max(candidate(None), candidate(self._last.hidden), key=value_of)
        change: Change | None = best.update.hidden.change if best.update.hidden is not None else None

        def gain_of(change: Change) -> float:
            return candidate(HiddenLayers.nearest(*change, _EXPONENTS[0])).gain

        for rank in effort.ranks if seen else ():
            change = self._rounds(change, rank, seen, pricing, steps, least, gain_of)
            for lower in sorted({rank, rank // 2}):
                best = max(best, _in_steps(of_lower_rank(change, lower), candidate), key=value_of)
        return best

    def _rounds(
        self,
        change: Change | None,
        rank: int,
        samples: Sequence[Sample],
        pricing: Pricing,
        steps: int,
        least: float,
        gain_of: Callable[[Change], float],
    ) -> Change:
        """Go on from a change, with a mixing of this rank, as long as a round gains enough and there is time."""
        effort, rescaler = self._effort, self._rescaler
        if self._toward is None:
            self._toward = preconditioner(rescaler.network, samples, pricing.importance, self._chance)
        toward = self._toward
        gained, until = -math.inf, time.monotonic() + effort.seconds / len(effort.ranks)
        for further in reversed(range(effort.rounds)):
            change = fine_tuned(
                *(rescaler.network, change, rank, samples, pricing.importance, toward),
                steps=steps,
                seconds=until - time.monotonic(),
                device=rescaler.device,
                chance=self._chance,
            )
            if not further or time.monotonic() >= until:
                break
            before, gained = gained, gain_of(change)
            if gained < before + least:
                break
        assert change is not None
        return change

    def _with_last_layer(self, update: WeightUpdate, samples: Sequence[Sample], pricing: Pricing) -> Candidate:
        """The best of no change of the last layer, that of the last group and new ones; what these gain alone."""
        network, hidden = self._changed(update), update.hidden
        cells = sum(sample.wanted[0, *sample.inner].numel() for sample in samples)
        solved = samples[:: math.ceil(cells / self._effort.solved)]  # from the first to the last picture
        # Each half has cells of its own, so that what holds only for some cells of a still scene does not hold in both.
        parts = [self._equations(network, sample, k % 2, k // 2 % 2) for k, sample in enumerate(solved)]
        halves = [Equations.total(half) for half in (parts[::2], parts[1::2]) if half]
        whole = Equations.total(halves)
        candidates = [pricing(np.zeros_like(pricing.importance), update)]
        if self._last.last is not None:
            candidates.append(pricing(whole.gain(change_of(self._last.last)), WeightUpdate(hidden, self._last.last)))
        for thrift in _THRIFTS if len(halves) == 2 else ():
            # What is found in one half of the pictures must hold in the other.
            prices = thrift * pricing.price / pricing.cells / pricing.importance
            one, other = halves
            crosswise = [b.gain(change_of(best_layer(a, prices))) for a, b in ((one, other), (other, one))]
            gain = (crosswise[0] + crosswise[1]) / 2
            if gain @ pricing.importance < 0:
                break  # with less thrift it would lose more
            candidates.append(pricing(gain, WeightUpdate(hidden, best_layer(whole, prices))))
        return max(candidates, key=value_of)

    def _changed(self, update: WeightUpdate) -> CodecAwareRescaler:
        """The network as the receiver will have it."""
        return tuned_network(self._rescaler.network, update.applied(self._rescaler.weights.arrays))

    def _sample(self, arrived: Picture, original: Picture, part: Part) -> Sample:
        network, scale, device = self._rescaler.network, self._rescaler.scale, self._rescaler.device
        with torch.inference_mode():
            lr = pack(*to_planes(part.of(arrived, self._cell), device.torch_device))
            height, width = (enlarged(2 * length, scale) for length in lr.shape[2:])
            clean, latent = network.downscale(self._packed(original, height, width))
            corrections, fine = (self._cells(samples) / DETAIL for samples in (clean - lr, fine_luma(clean)))
            wanted = torch.cat((corrections, latent / DETAIL), 1) if latent.shape[1] else corrections
            cells = network.cells(self._whole(lr))
        quantiser = torch.tensor([0.0 if arrived.qp is None else arrived.qp], device=lr.device)
        # Clones, since what was made in inference mode has no gradients.
        seen = cells.half().clone(memory_format=torch.channels_last)
        return Sample(seen, wanted[0].half().clone(), fine[0].half().clone(), quantiser, part.inner)

    def _whole(self, packed: Tensor) -> Tensor:
        """With edges repeated up to whole cells, as the receiver sees them."""
        height, width = packed.shape[2:]
        fold = self._rescaler.network.fold
        return F.pad(packed, (0, -width % fold, 0, -height % fold), mode="replicate")

    def _cells(self, packed: Tensor) -> Tensor:
        """(N, some, h, w) → (N, some·fold², h / fold, w / fold)."""
        return F.pixel_unshuffle(self._whole(packed), self._rescaler.network.fold)

    def _packed(self, picture: Picture, height: int, width: int) -> Tensor:
        """A part of the source, which is 4:2:0, padded to this size; (1, 6, height / 2, width / 2)."""
        planes = to_planes(picture, self._rescaler.device.torch_device)
        return pack(*pad(planes, Layout.YUV420, height, width))

    def _equations(self, network: CodecAwareRescaler, sample: Sample, top: int, left: int) -> Equations:
        with self._rescaler.device.inference():  # as the receiver does
            cells, restorer = sample.cells.float(), network.restorer
            features, condition = restorer.features(cells, sample.quantiser)
            answer = (restorer.last(features) + restorer.shortcut(cells, condition)).float()
        rows, columns = sample.inner
        some = (..., slice(top, None, _SPARSE), slice(left, None, _SPARSE))
        said = answer[0, :, rows, columns]
        targets = sample.wanted[:, rows, columns], sample.aim(sample.inner)
        around = F.pad(features[0].float(), (1, 1, 1, 1))[
            :, rows.start : rows.stop + 2, columns.start : columns.stop + 2
        ]
        taps = (around[:, dy : dy - 2 or None, dx : dx - 2 or None] for dy in range(3) for dx in range(3))
        seen = torch.stack([tap[some] for tap in taps], 1).flatten(2).flatten(0, 1)
        seen = torch.cat((seen, seen.new_ones(1, seen.shape[1])))
        return Equations.of(seen, *((target - said)[some].flatten(1) for target in targets))


def _in_steps(change: Change, candidate: Callable[[HiddenLayers], Candidate]) -> Candidate:
    """The best of a change in coarser and coarser steps, until these are worth less."""
    best = candidate(HiddenLayers.nearest(*change, _EXPONENTS[0]))
    for exponent in _EXPONENTS[1:]:
        coarser = candidate(HiddenLayers.nearest(*change, exponent))
        if coarser.value < best.value:
            break
        best = coarser
    return best


def _held_out(parts: Sequence[Kind]) -> Sequence[Kind]:
    """One of so many, which judge what the others have found; not the first, since a keyframe gains unlike others."""
    return parts[min(_HELD_OUT // 2, len(parts) - 1) :: _HELD_OUT]


@contextmanager
def _all_cores() -> Iterator[None]:
    """The other stages wait for the tuner, so it need not leave a core to them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(threads)
