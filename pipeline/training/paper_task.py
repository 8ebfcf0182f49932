"""Training the paper's networks for a losslessly carried LR picture."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import InvertibleRescaler, quantise
from irn_video.pipeline.opencv import cv2
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.sequences import SequenceSource
from irn_video.pipeline.training.task import Loss, leave_signals_to_parent
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

# Decoding a photograph costs more than cutting crops from it.
_CROPS_PER_PHOTO = 8
_BUFFER_BATCHES = 16


class PhotoCrops(IterableDataset[Tensor]):
    """Endless groups of R′G′B′ crops, (8, 3, size, size) uint8, flipped and turned at random."""

    def __init__(self, photos: tuple[Path, ...], size: int, seed: int) -> None:
        super().__init__()
        self.photos, self.size, self.seed = photos, size, seed

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        rng = random.Random(f"{self.seed}/{worker.id if worker else 0}")
        while True:
            photo = _read_rgb(rng.choice(self.photos))
            if min(photo.shape[1:]) >= self.size:
                yield torch.stack([self._crop(photo, rng) for _ in range(_CROPS_PER_PHOTO)])

    def _crop(self, photo: Tensor, rng: random.Random) -> Tensor:
        top, left = (rng.randrange(side - self.size + 1) for side in photo.shape[1:])
        crop = photo[:, top : top + self.size, left : left + self.size].rot90(rng.randrange(4), (1, 2))
        return crop.flip(2) if rng.random() < 0.5 else crop


@dataclass(frozen=True)
class PaperTask:
    """The paper's losses (section 3.4): LR guide, reconstruction, latent energy; weights 4/1/1 at x2, 16/1/1 at x4.

    The paper sums over samples; means are used here, with weights that give the same balance: guide and reconstruction
    1, latent 1 − 1/scale². The latent is drawn with the network's own small standard deviation.
    """

    config: TrainConfig
    source: SequenceSource
    quality = "dB PSNR of restored crops"

    def batches(self, seed: int) -> Iterator[Tensor]:
        """Batches of crops, mixed over several photographs."""
        if not self.source.photos:
            raise TrainingFailed("no photographs to train on", hint="give --images")
        data = PhotoCrops(self.source.photos, self.config.crop, seed)
        groups = iter(
            DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=4, worker_init_fn=leave_signals_to_parent)
        )
        rng = torch.Generator().manual_seed(seed)
        while True:
            needed = -(-_BUFFER_BATCHES * self.config.batch // _CROPS_PER_PHOTO)
            pool = torch.cat([next(groups) for _ in range(needed)])
            yield from pool[torch.randperm(len(pool), generator=rng)].split(self.config.batch)

    def loss(self, network: InvertibleRescaler, batch: Tensor) -> Loss:
        """Down, rounding, up with a drawn latent."""
        hr = batch.float() / 255
        guide = F.interpolate(hr, scale_factor=1 / network.scale, mode="bicubic", antialias=True).clamp(0, 1)
        with torch.autocast("cpu", torch.bfloat16):
            lr, latent = network.downscale(hr)
            received = quantise(lr.float())
            drawn = network.predict(received).latent(1.0)
            restored = network.upscale(received, drawn).float()
        guide_loss = (lr.float() - guide).square().mean()
        energy = (1 - 1 / network.scale**2) * latent.float().square().mean()
        total = guide_loss + (restored - hr).abs().mean() + energy
        error = (restored.detach() - hr).square().mean((1, 2, 3)).sum()
        return Loss(total, error, torch.tensor(float(len(hr))))

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """Nothing."""
        return []

    def describe(self) -> tuple[str, str]:
        """For the card."""
        return "losses of the paper, LR rounded to 8 bits, no codec", f"{len(self.source.photos)} photographs"


def _read_rgb(path: Path) -> Tensor:
    photo = cv2().imread(str(path), cv2().IMREAD_COLOR)
    if photo is None:
        raise TrainingFailed("not a picture that OpenCV reads", path=path, hint="remove it from the training folder")
    return torch.from_numpy(photo[:, :, ::-1].copy()).permute(2, 0, 1)
