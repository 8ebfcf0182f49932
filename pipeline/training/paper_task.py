"""Training the paper's networks for a losslessly carried LR picture."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import InvertibleRescaler, quantise
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.task import Loss, Task
from irn_video.pipeline.training.workers import from_workers
from torch import Tensor
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from irn_video.pipeline.training.sequences import SequenceSource

# Decoding a photograph costs more than cutting crops from it.
_CROPS_PER_PICTURE = 8
_POOL_BATCHES = 16
_MANY_POOLS = 1 << 40
# Of the absolute difference in the reference implementation, sqrt(d² + eps).
_L1_EPS = 1e-6


@dataclass(frozen=True)
class CropPools(Dataset["Tensor | TrainingFailed"]):
    """Pools of R′G′B′ crops, (size, 3, side, side) uint8, mixed over several pictures, flipped and turned at random.

    Each is a pure function of seed, shard and index. An error is returned and not raised, since a data worker would
    wrap it in its traceback.
    """

    pictures: tuple[Path, ...]
    photos: frozenset[Path]
    size: int
    side: int
    seed: int
    shard: int

    def __getitem__(self, index: int) -> Tensor | TrainingFailed:
        rng = random.Random(f"{self.seed}/{self.shard}/{index}")
        crops: list[Tensor] = []
        try:
            while len(crops) < self.size:
                picture = self._draw(rng)
                crops += [self._crop(picture, rng) for _ in range(_CROPS_PER_PICTURE)]
        except TrainingFailed as error:
            return error
        rng.shuffle(crops)
        return torch.stack(crops[: self.size])

    def _draw(self, rng: random.Random) -> Tensor:
        """A picture that is large enough."""
        for path in rng.sample(self.pictures, len(self.pictures)):
            picture = _read_photo(path) if path in self.photos else _read_clip(path, rng)
            if min(picture.shape[1:]) >= self.side:
                return picture
        raise TrainingFailed(
            f"no image has {self.side} by {self.side} samples", hint="give larger images or lower crop"
        )

    def _crop(self, picture: Tensor, rng: random.Random) -> Tensor:
        top, left = (rng.randrange(side - self.side + 1) for side in picture.shape[1:])
        crop = picture[:, top : top + self.side, left : left + self.side].rot90(rng.randrange(4), (1, 2))
        return crop.flip(2) if rng.random() < 0.5 else crop


@dataclass(frozen=True)
class PaperTask(Task[Tensor]):
    """The paper's losses (section 3.4): LR guide, reconstruction, latent energy; weights 4/1/1 at x2, 16/1/1 at x4.

    The weight of the guide is scale², which makes up for the LR picture having fewer samples. `loss = "sum"` sums over
    the samples of a crop as the reference implementation does; "mean" is that over the number of HR samples, which
    changes nothing for Adam but what `gradient_norm` means. The latent is drawn with the network's own deviation.
    """

    config: TrainConfig
    source: SequenceSource
    quality = "dB PSNR of restored crops"

    def batches(self, shard: int, step: int) -> Generator[Tensor, None, None]:
        """Batches of crops, sixteen at a time made by worker processes."""
        pictures = self.source.photos or self.source.clips
        if not pictures:
            raise TrainingFailed("nothing to train on", hint="give --images or --clips")
        size = self.config.batch // self.config.shards
        pools = CropPools(
            pictures, frozenset(self.source.photos), _POOL_BATCHES * size, self.config.crop, self.config.seed, shard
        )
        first, skipped = divmod(step, _POOL_BATCHES)
        indices = range(first, first + _MANY_POOLS)
        made = from_workers(pools, workers=self.config.workers, prefetch=2, sampler=indices)
        with closing(made):
            for pool in made:
                if isinstance(pool, TrainingFailed):
                    raise pool
                yield from pool.split(size)[skipped:]
                skipped = 0

    def loss(self, network: InvertibleRescaler, batch: Tensor, rng: torch.Generator) -> Loss:
        """Down, rounding, up with a drawn latent."""
        return self.restored_loss(network, batch, rng)[0]

    def restored_loss(self, network: InvertibleRescaler, batch: Tensor, rng: torch.Generator) -> tuple[Loss, Tensor]:
        """The loss, and the restored crops with their gradient, R′G′B′ in [0, 1]."""
        hr = batch.float() / 255
        guide = F.interpolate(hr, scale_factor=1 / network.scale, mode="bicubic", antialias=True)
        lr, latent = network.downscale(hr)
        received = quantise(lr.float())
        prediction = network.predict(received)
        noise = torch.randn(prediction.mean.shape, generator=rng).to(hr.device)
        restored = network.upscale(received, prediction.mean + prediction.std * noise).float()
        difference = restored - hr
        parts = {
            "guide": network.scale**2 * (lr.float() - quantise(guide)).square().sum(),
            "reconstruction": (difference.square() + _L1_EPS).sqrt().sum(),
            "latent": latent.float().square().sum(),
        }
        size = hr.numel() if self.config.loss == "mean" else len(hr)
        error = difference.detach().square().mean((1, 2, 3)).sum()
        total = sum(parts.values(), hr.new_zeros(())) / size
        return Loss(total, error, error.new_tensor(float(len(hr))), parts), restored

    def describe(self) -> tuple[str, str]:
        """For the card."""
        photos, clips = self.source.photos, self.source.clips
        data = f"{len(photos)} photographs" if photos else f"{len(clips)} clips"
        return f"losses of the paper ({self.config.loss}), LR rounded to 8 bits, no codec", data


def _read_photo(path: Path) -> Tensor:
    photo = cv2().imread(str(path), cv2().IMREAD_COLOR)
    if photo is None:
        raise TrainingFailed("not an image that OpenCV reads", path=path, hint="remove it from the training folder")
    return torch.from_numpy(photo[:, :, ::-1].copy()).permute(2, 0, 1)


def _read_clip(path: Path, rng: random.Random) -> Tensor:
    """A picture of a clip, reduced by 2 where that is large enough."""
    from irn_video.codecs.reading.pixels import pack
    from irn_video.pipeline.training.sequences import clip_sequence

    planes = clip_sequence(path, rng, 1)[0]
    return torch.from_numpy(pack(planes, "yuv420p").to_ndarray(format="rgb24")).permute(2, 0, 1)
