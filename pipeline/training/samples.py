"""Pairs of decoded LR crops and clean HR crops, made by the real encoder in worker processes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import InvertibleRescaler, quantise
from irn_video.pipeline.network.packed import error_weights, pack, unpack
from irn_video.pipeline.training.config import CodecConfig
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

if TYPE_CHECKING:
    from irn_video.codecs.writing.roundtrip import Planes
    from irn_video.pipeline.training.sequences import SequenceSource

# An encoded sequence is used for several crops, since rendering and coding it costs more than a training step.
_PICTURES_PER_ENCODE, _CROPS_PER_PICTURE = 6, 4
_ENCODES_PER_GROUP = 2
_TRIES = 200
# Below this error (47 dB) a picture counts as perfect: weights stay bounded on flat scenes.
_LEAST_ERROR = 2e-5


@dataclass(frozen=True)
class Samples:
    """Training pairs, packed 4:2:0.

    Attributes:
        lr: decoded LR, (N, 6, h, w) uint8.
        target: LR picture and latent of the clean HR as `in_cells` has them, float16.
        qp: mean quantiser of each LR picture, (N,).
        weight: one over the squared error of the plain wavelet reconstruction of the whole picture, Y, U, V, (N, 3).
        taught: what a teacher makes of `lr`, shaped as the target; no channels without a teacher.
    """

    lr: Tensor
    target: Tensor
    qp: Tensor
    weight: Tensor
    taught: Tensor

    def __len__(self) -> int:
        return len(self.lr)

    def __getitem__(self, index: slice) -> Samples:
        return Samples(*(tensor[index] for tensor in self.tensors()))

    def to(self, device: torch.device) -> Samples:
        """On another device."""
        return Samples(*(tensor.to(device, non_blocking=True) for tensor in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        """All parts, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


def concatenate(parts: list[Samples]) -> Samples:
    """All samples of all parts."""
    return Samples(*(torch.cat(column) for column in zip(*(part.tensors() for part in parts), strict=True)))


@dataclass(frozen=True)
class CodedGroups(IterableDataset[Samples]):
    """Endless groups of samples, each from one sequence coded at a few random qualities.

    Group number `index` is a function of `seed`, `index` and `teacher` alone; iteration begins at `first`.
    """

    source: SequenceSource
    codec: CodecConfig
    network: InvertibleRescaler
    crop: int
    seed: str
    first: int = 0
    teacher: InvertibleRescaler | None = None

    def __iter__(self) -> Iterator[Samples]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        start, step = (self.first, 1) if worker is None else (self.first + worker.id, worker.num_workers)
        return (self.group(index) for index in itertools.count(start, step))

    def group(self, index: int) -> Samples:
        """Samples from one sequence.

        Raises:
            TrainingFailed: a file cannot be read, or all pictures are smaller than the crops.
        """
        rng = random.Random(f"{self.seed}/{index}")
        for _ in range(_TRIES):
            clean = self.source.draw(rng, self.codec.frames)
            if min(clean[0][0].shape) >= self.crop:
                return concatenate([self._coded(clean, rng) for _ in range(_ENCODES_PER_GROUP)])
        raise TrainingFailed(f"no frame is larger than the crops of {self.crop}", hint="choose a smaller crop")

    @torch.inference_mode()
    def _coded(self, clean: list[Planes], rng: random.Random) -> Samples:
        from irn_video.codecs.writing.roundtrip import x264_roundtrip

        pairs = [self.network.downscale(to_packed(_whole(planes, 2 * self.network.multiple))) for planes in clean]
        crf = rng.uniform(self.codec.crf_min, self.codec.crf_max)
        lr = [to_planes(quantise(self.network.prefilter(picture, crf))) for picture, _ in pairs]
        decoded, qps, _ = x264_roundtrip(lr, crf=crf, preset=rng.choice(self.codec.presets))
        rows = []
        side = int(self.crop / (2 * self.network.scale))
        for index in rng.sample(range(len(decoded)), min(len(decoded), _PICTURES_PER_ENCODE)):
            arrived, (clean_lr, latent) = to_packed(decoded[index]), pairs[index]
            target, plain = in_cells(clean_lr, latent), in_cells(arrived, torch.zeros_like(latent))
            weight = 1 / (plane_errors(plain, target)[0] + _LEAST_ERROR)
            qp = torch.tensor(qps[index])
            rows += [(*_crop(arrived, target, side, rng), qp, weight) for _ in range(_CROPS_PER_PICTURE)]
        arrived, target, qp, weight = (torch.stack(column) for column in zip(*rows, strict=True))
        return Samples(arrived, target, qp, weight, self._taught(arrived, target, qp))

    def _taught(self, arrived: Tensor, target: Tensor, qp: Tensor) -> Tensor:
        """The teacher sees the crops alone, as who learns from it does."""
        if self.teacher is None:
            return target[:, :0]
        prediction = self.teacher.predict(arrived.float() / 255, qp)
        return in_cells(prediction.lr, prediction.mean).half()


def in_cells(lr: Tensor, latent: Tensor) -> Tensor:
    """LR picture (N, 6, h, w) and latent on one grid, (N, 6·p², h/q, w/q) for a scale of p/q."""
    return torch.cat((F.pixel_unshuffle(lr, lr.shape[-1] // latent.shape[-1]), latent), 1)


def plane_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the HR planes Y, U and V, (N, 3), from LR and latent as `in_cells` has them, twice."""
    bands = (predicted - target).square().mean((2, 3))
    return (bands[:, :, None] * error_weights(target.shape[1]).to(bands.device)).sum(1)


def _crop(lr: Tensor, target: Tensor, side: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Aligned crops: LR (6, side, side) uint8, target float16."""
    # Even places, so that the cells of H.264's transform lie in the crop as they do in the picture.
    top, left = (2 * rng.randrange((length - side) // 2 + 1) for length in lr.shape[2:])
    cell = lr.shape[2] // target.shape[2]
    rows, columns = (slice(at // cell, (at + side) // cell) for at in (top, left))
    return _bytes(lr[0, :, top : top + side, left : left + side]), target[0, :, rows, columns].half()


def _whole(planes: Planes, multiple: int) -> Planes:
    """As much of a picture as has sides that are multiples of this."""
    height, width = (length // multiple * multiple for length in planes[0].shape)
    y, u, v = planes
    return y[:height, :width], u[: height // 2, : width // 2], v[: height // 2, : width // 2]


def _bytes(samples: Tensor) -> Tensor:
    return (samples * 255).round().to(torch.uint8)


def to_packed(planes: Planes) -> Tensor:
    """Y, Cb and Cr of one picture, uint8 → (1, 6, H/2, W/2)."""
    y, u, v = (torch.from_numpy(plane)[None, None].float() / 255 for plane in planes)
    return pack(y, u, v)


def to_planes(packed: Tensor) -> Planes:
    """Undo `to_packed`."""
    y, u, v = (np.ascontiguousarray(_bytes(plane)[0, 0].numpy()) for plane in unpack(packed))
    return y, u, v
