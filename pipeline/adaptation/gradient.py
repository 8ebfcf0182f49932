"""The best gains and shifts of the hidden layers' channels for some pictures, by gradient descent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irn_video.pipeline.adaptation.weight_update import Modulation, modulation_of, with_modulation
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.network import CodecAwareRescaler
from numpy.typing import NDArray
from torch import Tensor

# Many small crops: cells at their edges lack neighbours, which costs less than looking at fewer places.
_BATCH, _SIDE = 16, 24
_RATE, _WARMUP = 0.008, 10


@dataclass(frozen=True)
class Sample:
    """A part of a picture: what arrived, and what the receiver's network should say of it.

    Attributes:
        cells: what the network sees, (1, seen, h, w), float16.
        wanted: (outputs, h, w), float16, 1 for a large detail.
        quantiser: (1,).
        inner: rows and columns that count; the others are neighbours.
    """

    cells: Tensor
    wanted: Tensor
    quantiser: Tensor
    inner: tuple[slice, slice]


def said(network: CodecAwareRescaler, cells: Tensor, quantiser: Tensor) -> Tensor:
    """What a network says of cells, (N, outputs, h, w)."""
    features, condition = network.restorer.features(cells, quantiser)
    result: Tensor = network.restorer.last(features) + network.restorer.shortcut(cells, condition)
    return result.float()


def error(network: CodecAwareRescaler, samples: Sequence[Sample], device: Device) -> NDArray[np.float64]:
    """Mean squared error of each output."""
    with device.inference():
        parts = [
            (said(network, sample.cells.float(), sample.quantiser)[0] - sample.wanted)[:, *sample.inner].flatten(1)
            for sample in samples
        ]
        mean: NDArray[np.float64] = torch.cat(parts, 1).square().mean(1).double().cpu().numpy()
    return mean


def descended(
    network: CodecAwareRescaler,
    start: Modulation | None,
    samples: Sequence[Sample],
    importance: NDArray[np.float64],
    *,
    steps: int,
    device: Device,
    chance: random.Random,
) -> NDArray[np.float32]:
    """The change of the modulation's biases after so many steps of Adam, (layers, 2·width).

    Args:
        network: the general one.
        start: where to begin, if not there.
        samples: what it should do well on.
        importance: of the squared error of each output.
        steps: how many.
        device: where, and in which precision.
        chance: chooses what each step looks at.
    """
    general = [bias.detach().clone() for bias in modulation_of(network)]
    begin = general if start is None else modulation_of(start.applied(network))
    with torch.enable_grad():
        biases = [bias.detach().clone().requires_grad_() for bias in begin]
        tuned = with_modulation(network, biases)
        weights = torch.tensor(importance / importance.sum(), dtype=torch.float32, device=biases[0].device)
        adam = torch.optim.Adam(biases, lr=_RATE)
        for step in range(steps):
            cells, wanted, quantiser = _batch(samples, chance)
            with device.autocast():
                difference = said(tuned, cells, quantiser) - wanted
            loss = difference.square().mean((0, 2, 3)) @ weights
            for bias, gradient in zip(biases, torch.autograd.grad(loss, biases), strict=True):
                bias.grad = gradient
            adam.param_groups[0]["lr"] = _RATE * min(1, (step + 1) / _WARMUP) * (1 - step / steps)
            adam.step()
    change = torch.stack([bias.detach() - first for bias, first in zip(biases, general, strict=True)])
    moved: NDArray[np.float32] = change.cpu().numpy()
    return moved


def _batch(samples: Sequence[Sample], chance: random.Random) -> tuple[Tensor, Tensor, Tensor]:
    """Crops of one size at random."""
    chosen = [chance.choice(samples) for _ in range(_BATCH)]
    height, width = (min(_SIDE, *(sample.wanted.shape[axis] for sample in chosen)) for axis in (1, 2))
    cells, wanted = [], []
    for sample in chosen:
        top, left = (chance.randrange(sample.wanted.shape[axis] - side + 1) for axis, side in ((1, height), (2, width)))
        cells.append(sample.cells[..., top : top + height, left : left + width])
        wanted.append(sample.wanted[None, :, top : top + height, left : left + width])
    return torch.cat(cells).float(), torch.cat(wanted).float(), torch.cat([sample.quantiser for sample in chosen])
