"""The best change of the hidden layers for some pictures, by gradient descent."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.zoo.tuned import gains_of, kernels_of, with_hidden
from irn_video.pipeline.zoo.weight_update import COARSEST, LARGEST
from numpy.typing import NDArray
from torch import Tensor

# Many small crops: cells at their edges lack neighbours, which costs less than looking at fewer places.
_BATCH, _SIDE = 8, 24
_MIXING_RATE, _WARMUP = 0.02, 10
# Gains and shifts make for where a quadratic would be least, by this part of the way at first. Its curvature is known
# from few probes, so what these leave open is damped: by the curvature of each, and by some of the mean.
_PACE, _DAMPING, _LEAST_DAMPING = 0.3, 3.0, 0.03
_PROBES, _PROBED, _PROBE_SIDE = 6, 32, 12
_MOST = LARGEST * 2 ** (COARSEST - 7)  # what can be sent of a gain in steps of 1/32
_REFRESHED = 4  # the contrast to aim at is found anew every so many steps
# The least squared error makes faint what is not sure, which VMAF-NEG takes for blur. So tuning aims at an LR picture
# of so much more contrast in its fine luma; at most at so much, where it would come out fainter than untuned.
_CONTRAST, _MOST_CONTRAST, _FIRMNESS = 0.02, 0.1, 20

Array = NDArray[np.float32]
Change = tuple[Array, Array, Array]
"""Of the hidden layers, as `HiddenLayers.nearest` takes it."""


@dataclass(frozen=True)
class Sample:
    """A part of a picture: what arrived, and what the receiver's network should say of it.

    Attributes:
        cells: what the network sees, (1, seen, h, w), float16.
        wanted: (outputs, h, w), float16, 1 for a large detail.
        fine: the fine luma of the LR picture as it was shrunk, in units of the first outputs, (some, h, w), float16.
        quantiser: (1,).
        inner: rows and columns that count; the others are neighbours.
    """

    cells: Tensor
    wanted: Tensor
    fine: Tensor
    quantiser: Tensor
    inner: tuple[slice, slice]

    def aim(self, place: tuple[slice, slice]) -> Tensor:
        """What tuning aims at, (outputs, rows, columns) of a place: a picture of somewhat more contrast."""
        wanted, fine = (part[:, *place].float() for part in (self.wanted, self.fine))
        return stronger(wanted[None], fine[None], _CONTRAST)[0]


def predicted(network: CodecAwareRescaler, cells: Tensor, quantiser: Tensor) -> Tensor:
    """What a network says of cells, (N, outputs, h, w)."""
    features, condition = network.restorer.features(cells, quantiser)
    result: Tensor = network.restorer.last(features) + network.restorer.shortcut(cells, condition)
    return result.float()


def stronger(wanted: Tensor, fine: Tensor, contrast: float | Tensor) -> Tensor:
    """What to say, (N, outputs, h, w), for a picture of so much more contrast in its fine luma, (N, some, h, w)."""
    some = fine.shape[1]
    return torch.cat((wanted[:, :some] + contrast * fine, wanted[:, some:]), 1)


def error(network: CodecAwareRescaler, samples: Sequence[Sample], device: Device) -> NDArray[np.float64]:
    """Mean squared error of each output."""
    with device.inference():
        parts = [
            (predicted(network, sample.cells.float(), sample.quantiser)[0] - sample.wanted)[:, *sample.inner].flatten(1)
            for sample in samples
        ]
        mean: NDArray[np.float64] = torch.cat(parts, 1).square().mean(1).double().cpu().numpy()
    return mean


def preconditioner(
    network: CodecAwareRescaler,
    samples: Sequence[Sample],
    importance: NDArray[np.float64],
    chance: random.Random,
) -> Tensor:
    """What makes a gradient by gains and shifts a step to where the error is least, (2·width·layers)².

    The damped inverse of the Gauss-Newton matrix Jᵀ·W·J, which is the mean of the outer products of Jᵀ·√W·r with
    random signs r. Each crop has gains of its own, so that one pass back gives as many products.

    Args:
        network: the general one.
        samples: what it sees in them is all that counts.
        importance: W, of the squared error of each output.
        chance: chooses crops and signs.
    """
    general, kernels = ([value.detach() for value in of(network)] for of in (gains_of, kernels_of))
    roots = torch.tensor(importance / importance.sum(), dtype=torch.float32, device=general[0].device).sqrt()
    signs, found, cells = torch.Generator().manual_seed(chance.randrange(1 << 32)), [], 0
    with torch.enable_grad():
        for _ in range(_PROBES):
            seen, _, _, quantiser = _batch(samples, chance, _PROBED, _PROBE_SIDE)
            own = [bias.expand(len(seen), -1).clone().requires_grad_() for bias in general]
            said = predicted(with_hidden(network, own, kernels), seen, quantiser)
            sign = (torch.randint(2, said.shape, generator=signs) * 2 - 1).to(said.device)
            found.append(torch.cat(torch.autograd.grad((said * sign * roots[:, None, None]).sum(), own), 1))
            cells += said[:, 0].numel()
    probes = torch.cat(found).double()
    matrix = probes.T @ probes / cells
    own_curvature = matrix.diagonal().clone()
    matrix.diagonal().add_(_DAMPING * (own_curvature + _LEAST_DAMPING * own_curvature.mean()))
    inverse: Tensor = torch.linalg.inv(matrix)
    return inverse.float()


def fine_tuned(
    network: CodecAwareRescaler,
    start: Change | None,
    rank: int,
    samples: Sequence[Sample],
    importance: NDArray[np.float64],
    toward: Tensor,
    *,
    steps: int,
    seconds: float = math.inf,
    device: Device,
    chance: random.Random,
) -> Change:
    """The change of the hidden layers after so many steps, or so long: of Gauss and Newton, for the mixing of Adam.

    Args:
        network: the general one.
        start: where to begin, if not there.
        rank: of the mixing, at least.
        samples: what it should do well on.
        importance: of the squared error of each output.
        toward: see `preconditioner`.
        steps: how many at most.
        seconds: how long at most; the learning rate falls to nothing by then.
        device: where, and in which precision.
        chance: chooses what each step looks at.
    """
    general, kernels = ([value.detach().clone() for value in of(network)] for of in (gains_of, kernels_of))
    on = device.torch_device
    with torch.enable_grad():
        gains, left, right = (
            torch.from_numpy(part).to(on).requires_grad_() for part in _begin(network, start, rank, chance)
        )
        weights = torch.tensor(importance / importance.sum(), dtype=torch.float32, device=on)
        # Loading PyTorch's optimizers takes seconds.
        adam = torch.optim.Adam([left, right]) if left.shape[2] else None
        contrast, wanting = torch.tensor(_CONTRAST, device=on), [gains, left, right] if adam else [gains]
        begin, step = time.monotonic(), 0
        while step < steps and seconds > 0 and (done := max(step / steps, (time.monotonic() - begin) / seconds)) < 1:
            biases = [bias + change for bias, change in zip(general, gains, strict=True)]
            mixed = kernels
            if left.shape[2]:
                mixed = [
                    kernel + ((one @ other) @ kernel.flatten(1)).view_as(kernel)
                    for kernel, one, other in zip(kernels, left, right, strict=True)
                ]
            cells, wanted, fine, quantiser = _batch(samples, chance, _BATCH, _SIDE)
            with device.autocast():
                said = predicted(with_hidden(network, biases, mixed), cells, quantiser)
                if step % _REFRESHED == 0:
                    with torch.no_grad():
                        before = predicted(network, cells, quantiser)
                    contrast = _contrast(said.detach(), before, fine)
            loss = (said - stronger(wanted, fine, contrast)).square().mean((0, 2, 3)) @ weights
            gradient, *others = torch.autograd.grad(loss, wanting)
            with torch.no_grad():
                move = (toward @ gradient.flatten() / 2).view_as(gains)
                gains.sub_(move, alpha=_PACE * (1 - done)).clamp_(-_MOST, _MOST)
            if adam:
                left.grad, right.grad = others
                adam.param_groups[0]["lr"] = _MIXING_RATE * min(1, (step + 1) / _WARMUP) * (1 - done)
                adam.step()
            step += 1
    return gains.detach().cpu().numpy(), left.detach().cpu().numpy(), right.detach().cpu().numpy()


def of_lower_rank(change: Change, rank: int) -> Change:
    """The nearest change with a mixing of this rank, its two factors equally strong."""
    gains, left, right = change
    u, sizes, v = np.linalg.svd(left @ right)
    roots = np.sqrt(sizes[:, None, :rank])
    return gains, u[:, :, :rank] * roots, v[:, :rank] * roots.transpose(0, 2, 1)


def _begin(network: CodecAwareRescaler, start: Change | None, rank: int, chance: random.Random) -> Change:
    """A start of at least this rank: further rows of `right` are random, columns of `left` nothing."""
    layers, width = len(gains_of(network)), network.restorer.last.in_channels
    if start is None:
        shapes = (layers, 2 * width), (layers, width, 0), (layers, 0, width)
        start = np.zeros(shapes[0], np.float32), np.zeros(shapes[1], np.float32), np.zeros(shapes[2], np.float32)
    gains, left, right = start
    more = max(0, rank - left.shape[2])
    rows = np.random.default_rng(chance.randrange(1 << 32)).standard_normal((layers, more, width), np.float32)
    left = np.concatenate((left, np.zeros((layers, width, more), np.float32)), 2)
    return gains, left, np.concatenate((right, rows / np.float32(math.sqrt(width))), 1)


def _contrast(said: Tensor, before: Tensor, fine: Tensor) -> Tensor:
    """How much more to aim at, by how much less of the fine luma is there than before; a picture of it has 1."""
    lost = ((before - said)[:, : fine.shape[1]] * fine).sum() / fine.square().sum().clamp_min(1e-9)
    return (_FIRMNESS * lost).clamp(_CONTRAST, _MOST_CONTRAST)


def _batch(
    samples: Sequence[Sample], chance: random.Random, count: int, side: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """So many crops of one size at random: what the network sees, what it should say, fine luma, quantisers."""
    chosen = [chance.choice(samples) for _ in range(count)]
    height, width = (min(side, *(sample.wanted.shape[axis] for sample in chosen)) for axis in (1, 2))
    cells, wanted, fine = [], [], []
    for sample in chosen:
        top, left = (chance.randrange(sample.wanted.shape[axis] - part + 1) for axis, part in ((1, height), (2, width)))
        place = slice(top, top + height), slice(left, left + width)
        cells.append(sample.cells[..., *place])
        wanted.append(sample.wanted[:, *place])
        fine.append(sample.fine[:, *place])
    seen = torch.cat(cells).float().contiguous(memory_format=torch.channels_last)
    quantisers = torch.cat([sample.quantiser for sample in chosen])
    return seen, torch.stack(wanted).float(), torch.stack(fine).float(), quantisers
