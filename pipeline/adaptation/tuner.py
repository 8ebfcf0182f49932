"""Tunes the receiver's network to the pictures that are being sent, one group after another."""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from av.packet import Packet
from av.video.stream import VideoStream
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import ColorSpec, Picture, Plane
from irn_video.codecs.pixels import unpacker
from irn_video.codecs.reader import mean_qp
from irn_video.codecs.roundtrip import h264_decoder
from irn_video.pipeline.adaptation.equations import Equations, Matrix, best_layer, change_of
from irn_video.pipeline.adaptation.gradient import Sample, descended, error
from irn_video.pipeline.adaptation.weight_update import MAX_MESSAGE_BYTES, Modulation, WeightUpdate
from irn_video.pipeline.engine.rescaler import PackedRescaler, Rescaler
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.codec_aware import DETAIL, PACKED, QP_CENTRE, pack
from irn_video.pipeline.planes import Samples, convert, to_planes


@dataclass(frozen=True)
class Effort:
    """How much of the pictures is looked at, and how long.

    Attributes:
        side: of a square in a picture, in cells of 2×2 LR samples.
        cells: of a picture, on average: so many pictures are taken, at random.
        most: of these parts in a group of pictures, so that memory is bounded.
        steps: of gradient descent, for each picture of a group.
    """

    side: int
    cells: int
    most: int
    steps: float


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

    def of(self, packets: Sequence[Packet[VideoStream]]) -> int:
        """In bytes, for a group of pictures."""
        return min(self.bytes, int(self.share * sum(packet.size for packet in packets)))


EFFORTS = {"fast": Effort(96, 96**2 // 4, 64, 0.2), "best": Effort(160, 160**2, 96, 3.0)}
_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(%|k|kB|KB)?")
_HALO = 12  # cells around it, which the network sees and whose own results are not used
_LONGEST = 1000  # pictures of a group after which no more are kept, so that memory is bounded
_SPARSE = 2  # of cells that lie beside each other, one tells nearly all
# Squared error, in luma levels of HR samples, that a bit must save at quantiser 12, twice as much three quantisers on:
# x264 pays 1.8 to 3.9 (six clips, CRF 22 to 35).
_PRICE = 3.0
_THRIFTS = (2.0, 8.0, 32.0)  # more is asked of each weight, since what is found in some cells holds for others in part
_HELD_OUT = 6  # one of so many samples judges what the others have found
_EXPONENTS = (7, 8)  # steps of the modulation of 1/32 and 1/64
_CHROMA = 0.25  # what squared error of chroma counts
_LEVELS = 255


class Tuner:
    """Give it every picture before it is encoded, and every group of packets after.

    Args:
        rescaler: the sender's.
        effort: a name in `EFFORTS`.
        budget: of each group of pictures.

    Raises:
        BadOption: only codec-aware networks that shrink have a layer to tune.
    """

    def __init__(self, rescaler: Rescaler, effort: str, budget: Budget | None = None) -> None:
        if not isinstance(rescaler, PackedRescaler) or rescaler.scale == 1:
            raise BadOption(f"{rescaler.name} cannot be tuned to a clip", hint="use irn-h264-x2, -base or -x4")
        self._rescaler, self._effort, self._budget = rescaler, EFFORTS[effort], budget or Budget()
        self._waiting: deque[tuple[Picture, _Part] | None] = deque()
        self._chance = random.Random(0)
        self._last: WeightUpdate | None = None

    def remember(self, picture: Picture) -> None:
        """Keep a part of a picture of the source, or nothing of it; all come here, in the order of their display."""
        scale, side = self._rescaler.scale, self._effort.side
        height, width = (length // (2 * scale) for length in self._rescaler.padded(picture.height, picture.width))
        share = self._effort.cells / (min(height, side) * min(width, side))
        if self._chance.random() >= share or len(self._waiting) > _LONGEST:
            self._waiting.append(None)
            return
        part = _Part.chosen(height, width, side, self._chance)
        # The colour matrix of a picture without tags depends on its height, so nothing is converted after the cut.
        carried = convert(picture, self._rescaler.carried(Samples.of(picture), picture.height))
        self._waiting.append((part.of(carried, 2 * scale), part))

    def message(self, packets: Sequence[Packet[VideoStream]], extradata: bytes | None) -> bytes:
        """What the receiver should change for a group of pictures: the payload of an SEI message, or nothing.

        Args:
            packets: H.264 from one keyframe to the next, as encoded.
            extradata: parameter sets, where they are not in the packets.
        """
        quantisers, cells, samples = [], 0, list[Sample]()
        for picture in _decoded(packets, extradata):
            quantisers.append(QP_CENTRE if picture.qp is None else picture.qp)
            cells += picture.height * picture.width // 4
            if self._waiting and (remembered := self._waiting.popleft()) is not None:
                self._keep(samples, picture, *remembered)
        if not samples:
            return b""
        price = _PRICE * 2 ** ((sum(quantisers) / len(quantisers) - 12) / 3) / (_LEVELS * DETAIL) ** 2
        worth = _Worth(self._rescaler.network, cells, price, self._budget.of(packets))
        modulation = self._modulation(samples, worth, math.ceil(self._effort.steps * len(quantisers)))
        self._last = self._with_last_layer(modulation, samples, worth)
        return self._last.to_message(self._rescaler.network) if self._last is not None else b""

    def _keep(self, samples: list[Sample], arrived: Picture, original: Picture, part: _Part) -> None:
        """Add a sample, or put it in the place of another where there are enough."""
        if len(samples) < self._effort.most:
            samples.append(self._sample(arrived, original, part))
        else:
            samples[self._chance.randrange(len(samples))] = self._sample(arrived, original, part)

    def _modulation(self, samples: Sequence[Sample], worth: _Worth, steps: int) -> Modulation | None:
        """The best of none, that of the last group and new ones, on samples that these have not seen."""
        network, device = self._rescaler.network, self._rescaler.device
        last = self._last.modulation if self._last is not None else None
        held_out, seen = samples[::_HELD_OUT], [s for index, s in enumerate(samples) if index % _HELD_OUT]
        general = error(network, held_out, device)

        def way(modulation: Modulation | None) -> tuple[float, Modulation | None]:
            if modulation is None:
                return 0.0, None
            gain = general - error(modulation.applied(network), held_out, device)
            return worth(gain, WeightUpdate(modulation)), modulation

        ways = [way(None), way(last)]
        if seen:
            start = max(ways, key=lambda found: found[0])[1]
            change = descended(network, start, seen, worth.importance, steps=steps, device=device, chance=self._chance)
            ways += [way(Modulation.nearest(change, exponent)) for exponent in _EXPONENTS]
        return max(ways, key=lambda found: found[0])[1]

    def _with_last_layer(
        self, modulation: Modulation | None, samples: Sequence[Sample], worth: _Worth
    ) -> WeightUpdate | None:
        """The best of no change of the last layer, that of the last group and new ones."""
        network = self._rescaler.network if modulation is None else modulation.applied(self._rescaler.network)
        halves = [
            Equations.total([self._equations(network, sample) for sample in half])
            for half in (samples[::2], samples[1::2])
            if half
        ]
        whole = Equations.total(halves)
        alone = None if modulation is None else WeightUpdate(modulation)
        ways: list[tuple[float, WeightUpdate | None]] = [(worth(np.zeros_like(worth.importance), alone), alone)]
        if self._last is not None and self._last.last is not None:
            again = WeightUpdate(modulation, self._last.last)
            ways.append((worth(whole.gain(change_of(self._last.last)), again), again))
        for thrift in _THRIFTS if len(halves) == 2 else ():
            # What is found in one half of the pictures must hold in the other.
            prices = thrift * worth.price / worth.cells / worth.importance
            one, other = halves
            crosswise = [b.gain(change_of(best_layer(a, prices))) for a, b in ((one, other), (other, one))]
            new = WeightUpdate(modulation, best_layer(whole, prices))
            ways.append((worth((crosswise[0] + crosswise[1]) / 2, new), new))
        return max(ways, key=lambda way: way[0])[1]

    def _sample(self, arrived: Picture, original: Picture, part: _Part) -> Sample:
        network, scale, device = self._rescaler.network, self._rescaler.scale, self._rescaler.device
        with torch.inference_mode():
            lr = pack(*to_planes(part.of(arrived, 2), device.torch_device))
            height, width = (2 * scale * length for length in lr.shape[2:])
            clean, latent = network.downscale(self._rescaler.packed(original, height, width))
            wanted = torch.cat((clean - lr, latent), 1)[0] / DETAIL
            cells = network.cells(lr)
        quantiser = torch.tensor([0.0 if arrived.qp is None else arrived.qp], device=lr.device)
        # Clones, since what was made in inference mode cannot be descended along.
        return Sample(cells.half().clone(), wanted.half().clone(), quantiser, part.inner)

    def _equations(self, network: CodecAwareRescaler, sample: Sample) -> Equations:
        with self._rescaler.device.inference():  # as the receiver does
            cells, restorer = sample.cells.float(), network.restorer
            features, condition = restorer.features(cells, sample.quantiser)
            answer = (restorer.last(features) + restorer.shortcut(cells, condition)).float()
        rows, columns = sample.inner
        missing = (sample.wanted - answer[0])[:, rows, columns][..., ::_SPARSE].flatten(1)
        around = F.pad(features[0].float(), (1, 1, 1, 1))[
            :, rows.start : rows.stop + 2, columns.start : columns.stop + 2
        ]
        taps = (around[:, dy : dy - 2 or None, dx : dx - 2 or None] for dy in range(3) for dx in range(3))
        seen = torch.stack([tap[..., ::_SPARSE] for tap in taps], 1).flatten(2).flatten(0, 1)
        seen = torch.cat((seen, seen.new_ones(1, seen.shape[1])))
        return Equations.of(seen.cpu().numpy(), missing.cpu().numpy())


class _Worth:
    """What an update gains for a group of pictures, less what its bits cost; never one that takes too much.

    Args:
        network: the general one.
        cells: in the pictures of the group.
        price: of a bit, in squared error.
        most: bytes.
    """

    def __init__(self, network: CodecAwareRescaler, cells: int, price: float, most: int) -> None:
        self._network, self._most = network, most
        self.cells, self.price, self.importance = cells, price, _importance(network)

    def __call__(self, gain: Matrix, update: WeightUpdate | None) -> float:
        """Of an update that lowers the mean squared error of each output by `gain`."""
        size = 0 if update is None else len(update.to_message(self._network))
        return float(gain @ self.importance) * self.cells - 8 * self.price * size if size <= self._most else -math.inf


@dataclass(frozen=True)
class _Part:
    """A part of a picture, in cells of 2×2 LR samples, with a halo; `inner` is where it lies without that."""

    rows: slice
    columns: slice
    inner: tuple[slice, slice]

    @classmethod
    def chosen(cls, height: int, width: int, side: int, chance: random.Random) -> _Part:
        """One of `side`² cells at random, in a picture of so many."""
        (rows, inner_rows), (columns, inner_columns) = (_span(length, side, chance) for length in (height, width))
        return cls(rows, columns, (inner_rows, inner_columns))

    def of(self, picture: Picture, cell: int) -> Picture:
        """A copy of it, where a cell has `cell`² luma samples; cut where the picture ends."""
        down, right = picture.layout.subsampling
        luma, *chroma = picture.planes
        planes = (_cut(luma, self, cell, cell), *(_cut(plane, self, cell // down, cell // right) for plane in chroma))
        return replace(picture, planes=cast("tuple[Plane, Plane, Plane]", planes))


def _importance(network: CodecAwareRescaler) -> Matrix:
    """What the squared error of each output is worth: by the samples of the HR picture it is spread over, and plane."""
    parts = [(1, 4 ** (network.levels - 1))]  # of the LR picture; then details, the finest first
    parts += [(3 * 4**level, 4 ** (network.levels - 1 - level)) for level in reversed(range(network.levels))]
    of_planes = np.append(np.ones(PACKED - 2), [_CHROMA] * 2)
    importance: Matrix = np.concatenate([spread * np.repeat(of_planes, count) for count, spread in parts])
    return importance


def _span(length: int, side: int, chance: random.Random) -> tuple[slice, slice]:
    """A stretch with its halo, and where it begins and ends in that."""
    begin = chance.randrange(max(1, length - side + 1))
    end = min(length, begin + side)
    first, last = max(0, begin - _HALO), min(length, end + _HALO)
    return slice(first, last), slice(begin - first, end - first)


def _cut(plane: Plane, part: _Part, height: int, width: int) -> Plane:
    rows, columns = part.rows, part.columns
    return plane[rows.start * height : rows.stop * height, columns.start * width : columns.stop * width].copy()


def _decoded(packets: Sequence[Packet[VideoStream]], extradata: bytes | None) -> Iterator[Picture]:
    """The pictures that the receiver will have, in order."""
    decoder = h264_decoder(extradata=extradata)
    for packet in (*packets, None):
        for frame in decoder.decode(packet):
            how = unpacker(frame.format.name)
            yield Picture(
                planes=how.planes(frame),
                layout=how.layout,
                bit_depth=how.bit_depth,
                color=ColorSpec(),
                pts=0,
                time_base=Fraction(1),
                qp=mean_qp(frame),
            )
