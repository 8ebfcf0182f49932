"""Pairs of decoded LR crops and clean HR crops, made by the real encoder in worker processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from irn_video.codecs.roundtrip import Planes, x264_roundtrip
from irn_video.pipeline.network import InvertibleRescaler, quantise
from irn_video.pipeline.network.codec_aware import pack, unpack
from irn_video.pipeline.training.config import CodecConfig
from irn_video.pipeline.training.sequences import SequenceSource
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

# An encoded sequence is used for several crops, since rendering and coding it costs more than a training step.
_CROPS_PER_SEQUENCE = 24
_ENCODES_PER_SEQUENCE = 2
# Below this error (47 dB) a picture counts as perfect: weights stay bounded on flat scenes.
_LEAST_ERROR = 2e-5
# Channels of LR and latent that belong to Y (four phases of four subbands), U and V (four subbands each).
_PLANE_BANDS = ((*range(4), *range(6, 18)), (4, 18, 20, 22), (5, 19, 21, 23))


@dataclass(frozen=True)
class Samples:
    """A batch of training pairs, packed 4:2:0.

    Attributes:
        lr: decoded LR, (N, 6, h, w) uint8.
        target: LR picture and latent of the clean HR, (N, 24, h, w) float16.
        qp: mean quantiser of each LR picture, (N,).
        weight: one over the squared error of the plain wavelet reconstruction of the whole picture, Y, U, V, (N, 3).
    """

    lr: Tensor
    target: Tensor
    qp: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.lr)

    def select(self, index: Tensor) -> Samples:
        """The samples at these places."""
        return Samples(self.lr[index], self.target[index], self.qp[index], self.weight[index])


class CodedSequences(IterableDataset[Samples]):
    """Endless groups of samples; each group comes from one sequence coded at a few random qualities."""

    def __init__(
        self, source: SequenceSource, codec: CodecConfig, network: InvertibleRescaler, crop: int, seed: int
    ) -> None:
        super().__init__()
        self.source, self.codec, self.network, self.crop, self.seed = source, codec, network, crop, seed

    def __iter__(self) -> Iterator[Samples]:
        worker = get_worker_info()
        rng = random.Random(f"{self.seed}/{worker.id if worker else 0}")
        torch.set_num_threads(1)
        while True:
            clean = self.source.draw(rng, self.codec.frames)
            if min(clean[0][0].shape) < self.crop:
                continue
            for _ in range(_ENCODES_PER_SEQUENCE):
                yield self._coded(clean, rng)

    @torch.inference_mode()
    def _coded(self, clean: list[Planes], rng: random.Random) -> Samples:
        targets = [torch.cat(self.network.downscale(_to_packed(planes)), 1) for planes in clean]
        lr = [_to_planes(quantise(target[:, : self.network.channels])) for target in targets]
        crf = rng.uniform(self.codec.crf_min, self.codec.crf_max)
        decoded, qps, _ = x264_roundtrip(lr, crf=crf, preset=rng.choice(self.codec.presets))
        rows = []
        picked = rng.sample(range(len(decoded)), min(len(decoded), 6))
        for index in picked:
            arrived, target = _to_packed(decoded[index]), targets[index]
            plain = torch.cat((arrived, target.new_zeros(target[:, arrived.shape[1] :].shape)), 1)
            weight = 1 / (plane_errors(plain, target)[0] + _LEAST_ERROR)
            for _ in range(_CROPS_PER_SEQUENCE // len(picked)):
                crop = _crop(arrived, target, self.crop // 4, rng)
                rows.append((*crop, torch.tensor(qps[index]), weight))
        return Samples(*(torch.stack(column) for column in zip(*rows, strict=True)))


def plane_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the HR planes Y, U and V, (N, 3), from LR and latent, (N, 24, h, w) twice.

    The wavelet is nearly orthonormal, so the error of a plane is the sum of the errors of its subbands (Parseval).
    """
    bands = (predicted - target).square().mean((2, 3))
    return torch.stack([bands[:, list(of_plane)].sum(1) for of_plane in _PLANE_BANDS], 1) / torch.tensor([4, 1, 1])


class ShuffleBuffer:
    """Mixes groups, so that a batch does not come from one sequence; keeps `size` samples."""

    def __init__(self, loader: DataLoader[Samples], size: int, rng: torch.Generator) -> None:
        self._groups = iter(loader)
        self._rng = rng
        first = [next(self._groups)]
        while sum(map(len, first)) < size:
            first.append(next(self._groups))
        self._samples = _cat(first)

    def refresh(self) -> None:
        """Replace random samples by a new group."""
        group = next(self._groups)
        places = torch.randperm(len(self._samples), generator=self._rng)[: len(group)]
        for kept, new in zip(_tensors(self._samples), _tensors(group), strict=True):
            kept[places] = new

    def batch(self, size: int) -> Samples:
        """Random samples."""
        return self._samples.select(torch.randint(len(self._samples), (size,), generator=self._rng))


def _cat(groups: list[Samples]) -> Samples:
    return Samples(*(torch.cat(column) for column in zip(*map(_tensors, groups), strict=True)))


def _tensors(samples: Samples) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return samples.lr, samples.target, samples.qp, samples.weight


def _crop(lr: Tensor, target: Tensor, side: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Aligned crops: LR (6, side, side) uint8, target (24, side, side) float16."""
    top, left = rng.randrange(lr.shape[2] - side + 1), rng.randrange(lr.shape[3] - side + 1)
    window = (0, slice(None), slice(top, top + side), slice(left, left + side))
    return _bytes(lr[window]), target[window].half()


def _bytes(samples: Tensor) -> Tensor:
    return (samples * 255).round().to(torch.uint8)


def _to_packed(planes: Planes) -> Tensor:
    y, u, v = (torch.from_numpy(plane)[None, None].float() / 255 for plane in planes)
    return pack(y, u, v)


def _to_planes(packed: Tensor) -> Planes:
    y, u, v = (np.ascontiguousarray(_bytes(plane)[0, 0].numpy()) for plane in unpack(packed))
    return y, u, v
