"""Whether restored crops can be told from the source's: the error of a classifier two-sample test.

A fresh network is trained to tell the two kinds apart and then asked about crops that it has not seen: its error is the
score (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017). One half cannot be told apart. A score
holds for this network, these crops and these steps alone: others are put beside it only where all of them are the same.

Crops are of luma without its low frequencies, so that no colour, light or content gives a clip away, each with what was
there in the frame before, so that what boils or stands too still does. Every place is there twice, of both kinds. Those
to learn from and those to be asked about never share a place nor a time: a frame is a chequerboard of blocks, the black
ones of the first 60 % of the frames and the white ones of the last 30 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.codecs.picture import Plane
from irn_video.pipeline.quality.realness import luma_pairs
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray
from torch import Tensor, nn

STEPS = 2000
"""Of training: about five minutes on two ordinary cores."""
SIDE = 32
"""Of a crop, in samples."""
PAIRS = (4096, 1024)
"""Places of a clip to learn from, and to be asked about."""
_BLOCK = 2 * SIDE
_FRAMES = (32, 16)  # at most so many of a clip are cut up
_LEARNT, _ASKED = 0.6, 0.7  # shares of a clip's frames: up to, and from where on
_LOWEST = 2.0  # standard deviation in samples of the low-pass filter whose output is taken away
_FAINT = 2.0  # levels up to which detail is seen as it is; stronger one is compressed, since faint one tells more
_BATCH, _RATE, _DECAY = 48, 3e-3, 1e-2
_WIDTHS = (24, 32, 32, 48, 48)
_THREADS = 2  # always as many, since their number changes the rounding, and that the outcome

Crop = NDArray[np.float16]
"""(places, kinds, frames, SIDE, SIDE): kinds are source and restored, frames the one before and this one."""


@dataclass(frozen=True)
class Crops:
    """Pairs of crops at the same places.

    Attributes:
        learnt: to learn from.
        asked: to be asked about; of other places and times.
    """

    learnt: Crop
    asked: Crop

    def __add__(self, other: Crops) -> Crops:
        return Crops(*(np.concatenate(pair) for pair in ((self.learnt, other.learnt), (self.asked, other.asked))))


def crops_of_files(
    restored: Path, source: Path, frames: int, *, pairs: tuple[int, int] = PAIRS, seed: int = 0
) -> Crops:
    """Crops of a clip; none of a clip too short (4 frames) or too small (two blocks) to keep places and times apart.

    Args:
        restored: the video.
        source: what it is compared with, may be longer.
        frames: of the restored video.
        pairs: how many to learn from, and to be asked about.
        seed: of the places.

    Raises:
        SourceMismatch: the source has fewer frames, or others.
    """
    rng = np.random.default_rng(seed)
    wanted = [_spread(*ends, min(most, n)) for ends, most, n in zip(_times(frames), _FRAMES, pairs, strict=True)]
    found: tuple[list[Crop], list[Crop]] = ([], [])
    used, before = {*wanted[0], *wanted[1]}, None
    for index, (own, other, bit_depth) in enumerate(luma_pairs(restored, source) if used else ()):
        if not used & {index, index + 1}:
            continue
        now = details(own, bit_depth), details(other, bit_depth)
        for which, times in enumerate(wanted):
            if index in times and before is not None:
                count = -(-pairs[which] // len(times))
                found[which].append(cut((before, now), places(own.shape, which, count, rng)))
        before = now
    empty = np.zeros((0, 2, 2, SIDE, SIDE), np.float16)
    learnt, asked = (np.concatenate([empty, *cuts])[:most] for cuts, most in zip(found, pairs, strict=True))
    return Crops(learnt, asked)


def details(luma: Plane, bit_depth: int = 8) -> NDArray[np.float32]:
    """What a network sees of a luma plane (height, width): its fine detail, strong one compressed."""
    levels = luma.astype(np.float32) / np.float32(1 << (bit_depth - 8))
    found: NDArray[np.float32] = np.arcsinh((levels - cv2().GaussianBlur(levels, (0, 0), _LOWEST)) / _FAINT)
    return found


def places(shape: tuple[int, ...], which: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tops and lefts of crops (count, 2) in black (0) or white (1) blocks of a frame; none if it has no such block."""
    rows, columns = np.indices([side // _BLOCK for side in shape])
    blocks = np.argwhere((rows + columns) % 2 == which)
    if not len(blocks):
        return np.zeros((0, 2), np.int64)
    chosen: NDArray[np.int64] = blocks[rng.integers(len(blocks), size=count)]
    return chosen * _BLOCK + rng.integers(_BLOCK - SIDE + 1, size=(count, 2))


def cut(frames: tuple[tuple[NDArray[np.float32], ...], ...], where: NDArray[np.int64]) -> Crop:
    """Crops of the details of both kinds of both frames, as `Crop` has them."""
    both = np.stack([np.stack(kinds) for kinds in frames], 1).astype(np.float16)
    if not len(where):
        return np.zeros((0, 2, 2, SIDE, SIDE), np.float16)
    return np.stack([both[..., top : top + SIDE, left : left + SIDE] for top, left in where])


def classifier_error(crops: Crops, steps: int = STEPS, seed: int = 0) -> float | None:
    """How many of a hundred crops a network takes for the other kind after `steps` of training; 50 is a coin's.

    The same crops, steps and seed give the same value on the same machine.

    Args:
        crops: of one clip or of several.
        steps: of training, with 48 places each.
        seed: of weights, order and turns.

    Returns:
        Per cent; None without crops of either sort.
    """
    if not (len(crops.learnt) and len(crops.asked)):
        return None
    with _reproducible(seed):
        network = _network()
        _train(network, torch.from_numpy(crops.learnt), steps)
        return 100 * _error(network.eval(), torch.from_numpy(crops.asked))


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 2
    for index, width in enumerate(_WIDTHS):
        layers += [
            nn.Conv2d(before, width, 3, 1 + index % 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1))


def _train(network: nn.Module, pairs: Tensor, steps: int) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=max(steps, 2))
    batch = min(_BATCH, len(pairs))
    for step in range(steps):
        at = step * batch % (len(pairs) // batch * batch)
        if at == 0:
            order = torch.randperm(len(pairs))
        both = _turned(pairs[order[at : at + batch]].float())
        loss = F.binary_cross_entropy_with_logits(network(both.flatten(0, 1))[:, 0], _kinds(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _turned(crops: Tensor) -> Tensor:
    """One of the eight symmetries of a square, the same for all."""
    turns, mirrored = (int(torch.randint(most, ())) for most in (4, 2))
    crops = torch.rot90(crops, turns, (-2, -1))
    return crops.flip(-1) if mirrored else crops


def _kinds(places: int) -> Tensor:
    """Source, restored, source, restored…"""
    return torch.tensor([0.0, 1.0]).repeat(places)


@torch.inference_mode()
def _error(network: nn.Module, pairs: Tensor) -> float:
    wrong = 0
    for part in pairs.split(256):
        said = network(part.float().flatten(0, 1))[:, 0] > 0
        wrong += int((said != _kinds(len(part)).bool()).sum())
    return wrong / (2 * len(pairs))


def _times(frames: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and end of the frames to learn from, and of those to be asked about; the first one has none before it."""
    return (1, math.floor(_LEARNT * frames)), (math.ceil(_ASKED * frames), frames)


def _spread(first: int, end: int, most: int) -> list[int]:
    """At most so many of these frames, evenly."""
    count = min(most, end - first)
    return [first + index * (end - first) // count for index in range(count)]


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """PyTorch's own random numbers and threads are as before afterwards."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(_THREADS)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
