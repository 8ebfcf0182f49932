"""Training sender and receiver together, with the encoder between them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.writing.roundtrip import x264_roundtrip
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler, quantise
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.mixing import mixed_batches
from irn_video.pipeline.training.samples import to_packed, to_planes
from irn_video.pipeline.training.sequences import SequenceSource
from irn_video.pipeline.training.surrogates import METHODS, Method, rate_proxy, through_codec
from irn_video.pipeline.training.task import Loss, Rates, Task
from torch import Tensor, nn
from torch.utils.data import IterableDataset, get_worker_info

_CROPS_PER_SEQUENCE = 6
_TRIES = 200
_PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)


@dataclass(frozen=True)
class MovingCrops(IterableDataset[Tensor]):
    """Endless groups of short clean sequences, (6, frames, 6, crop/2, crop/2) uint8 packed 4:2:0."""

    source: SequenceSource
    frames: int
    crop: int
    seed: str
    first: int = 0

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        start, step = (self.first, 1) if worker is None else (self.first + worker.id, worker.num_workers)
        return (self.group(index) for index in itertools.count(start, step))

    def group(self, index: int) -> Tensor:
        """Crops of one sequence, a function of `seed` and `index`.

        Raises:
            TrainingFailed: a file cannot be read, or all sequences are too small or too short.
        """
        rng = random.Random(f"{self.seed}/{index}")
        for _ in range(_TRIES):
            clean = self.source.draw(rng, self.frames)
            if min(clean[0][0].shape) >= self.crop and len(clean) == self.frames:
                packed = torch.cat([to_packed(planes) for planes in clean])
                return torch.stack([self._crop(packed, rng) for _ in range(_CROPS_PER_SEQUENCE)])
        what = f"no sequence has {self.frames} frames of {self.crop} lines"
        raise TrainingFailed(what, hint="choose a smaller crop")

    def _crop(self, packed: Tensor, rng: random.Random) -> Tensor:
        side = self.crop // 2
        top, left = (rng.randrange(length - side + 1) for length in packed.shape[2:])
        return (packed[:, :, top : top + side, left : left + side] * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class SenderTask(Task[Tensor]):
    """Codec-aware networks whose wavelet learns too: crops are joined to one mosaic, which the real x264 codes.

    The loss is that of the BD-rate itself, ln(error) + `rate_weight` · ln(bits): moving along a curve where
    d ln(error) / d ln(bits) is −`rate_weight` gains nothing. The gradient of ln(bits) is that of `rate_proxy`.
    """

    config: TrainConfig
    source: SequenceSource
    quality = "luma dB PSNR"

    def batches(self, shard: int, step: int) -> Generator[Tensor, None, None]:
        """Short clean sequences, (N, frames, 6, crop/2, crop/2)."""
        config, seed = self.config, f"{self.config.seed}/{shard}"

        def groups_from(first: int) -> MovingCrops:
            return MovingCrops(self.source, config.codec.frames, config.crop, seed, first)

        return mixed_batches(groups_from, torch.cat, size=config.batch // config.shards, step=step, seed=seed)

    def loss(self, network: InvertibleRescaler, batch: Tensor, rng: torch.Generator) -> Loss:
        """Down, x264, up; rate and error of the whole mosaic."""
        codec, frames = self.config.codec, batch.shape[1]
        hr = batch.transpose(0, 1).flatten(0, 1).float() / 255  # (frames · N, 6, h, w)
        crf = codec.crf_min + (codec.crf_max - codec.crf_min) * torch.rand((), generator=rng).item()
        sent = _mosaics(quantise(network.prefilter(network.downscale(hr)[0], crf)), frames)
        preset = codec.presets[int(torch.randint(len(codec.presets), (), generator=rng))]
        pictures = [to_planes(picture[None].detach()) for picture in sent]
        decoded, quantisers, _ = x264_roundtrip(pictures, crf=crf, preset=preset)
        qp = torch.tensor(quantisers)
        coded = torch.cat([to_packed(planes) for planes in decoded])
        with torch.autocast(hr.device.type, enabled=False):
            planes = zip(unpack(sent), unpack(coded), strict=True)
            arrived = pack(*(through_codec(a, b, qp, self._method) for a, b in planes))
        crops = _crops(arrived, batch.shape[0])
        restored = network.restore(crops, qp.repeat_interleave(batch.shape[0]))
        squared = (restored.float() - hr).square().mean((0, 2, 3))
        errors = torch.stack((squared[:4].mean(), squared[4], squared[5])) + 1e-7
        luma = unpack(sent)[0]
        before = torch.cat((torch.zeros_like(luma[:1]), unpack(coded)[0][:-1]))
        with torch.autocast(hr.device.type, enabled=False):
            bits = rate_proxy(luma, before, qp).sum()
        distortion = (errors.log() * torch.tensor(_PLANE_WEIGHTS)).sum()
        total = distortion + codec.rate_weight * bits.log()
        parts = {"distortion": distortion, "rate": bits.log()}
        return Loss(total, errors[0].detach(), torch.ones(()), parts)

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """The sender, if it is not to learn."""
        assert isinstance(network, CodecAwareRescaler)
        assert network.wavelet is not None
        return [] if self.config.codec.sender_rate else [network.wavelet]

    def rates(self, network: InvertibleRescaler) -> Rates:
        """The sender learns slowly."""
        assert isinstance(network, CodecAwareRescaler)
        assert network.wavelet is not None
        rest = [p for name, p in network.named_parameters() if p.requires_grad and not name.startswith("wavelet.")]
        sender = [p for p in network.wavelet.parameters() if p.requires_grad]
        return [(rest, 1.0), *([(sender, self.config.codec.sender_rate)] if sender else [])]

    def describe(self) -> tuple[str, str]:
        """For the card."""
        codec = self.config.codec
        return (
            f"sender and receiver through x264 at CRF {codec.crf_min:g} to {codec.crf_max:g}, gradient: {codec.sender}",
            f"{len(self.source.photos)} photographs in synthetic motion and {len(self.source.clips)} clips",
        )

    @property
    def _method(self) -> Method:
        assert self.config.codec.sender in METHODS
        return self.config.codec.sender


def _mosaics(crops: Tensor, frames: int) -> Tensor:
    """(frames · N, C, h, w) → (frames, C, rows · h, columns · w), rows · columns = N."""
    n = len(crops) // frames
    rows = _rows(n)
    tiles: Tensor = crops.unflatten(0, (frames, rows, n // rows))  # (T, rows, columns, C, h, w)
    return tiles.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def _crops(mosaics: Tensor, n: int) -> Tensor:
    """Undo `_mosaics`."""
    rows = _rows(n)
    tiles: Tensor = mosaics.unflatten(3, (n // rows, -1)).unflatten(2, (rows, -1))  # (T, C, rows, h, columns, w)
    return tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def _rows(n: int) -> int:
    return max(rows for rows in range(1, math.isqrt(n) + 1) if n % rows == 0)
