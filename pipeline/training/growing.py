"""Starting from trained weights, those of a shallower network or of one for another scale included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.network.constants import PACKED, fold_of
from irn_video.pipeline.network.spec import NetworkSpec
from torch import Tensor

if TYPE_CHECKING:
    from irn_video.pipeline.zoo import LoadedModel


def start_from(network: InvertibleRescaler, spec: NetworkSpec, start: LoadedModel) -> None:
    """Load the weights of `start` into a new network.

    A network of the paper may start from one with fewer coupling layers (or another latent deviation): those it has
    more come last in each ×2 step and change nothing until they are trained, since new ones are identities.

    A codec-aware network may start from one of another scale with cells of the same size: from what that makes of the
    LR picture. Its details begin at zero.

    Raises:
        TrainingFailed: `start` is of another architecture.
    """
    given = start.card.network
    paper, same_cells = spec.family == "paper", fold_of(given.scale) == fold_of(spec.scale)
    free = replace(given, coring=spec.coring, scale=spec.scale if same_cells and not paper else given.scale)
    grown = replace(free, blocks=spec.blocks, latent_std=spec.latent_std) if paper else free
    if grown != spec or (paper and given.blocks > spec.blocks):
        raise TrainingFailed(
            f"{start.card.name} is of another architecture than the configuration's",
            hint="start from weights of the same [network], or train without --init",
        )
    weights = start.network.state_dict()
    if paper:
        weights = network.state_dict() | _spread(weights, given.blocks, spec.blocks)
    elif given.scale != spec.scale:
        weights = _corrections(weights, network.state_dict(), PACKED * fold_of(spec.scale) ** 2)
    network.load_state_dict(weights)


def _spread(weights: dict[str, Tensor], blocks: int, wanted: int) -> dict[str, Tensor]:
    """Weights of a paper network, renamed to their places in one of `wanted` coupling layers per step.

    A step's operations are its Haar transform and its coupling layers.
    """

    def place(name: str) -> str:
        kind, number, rest = name.split(".", 2)
        step, within = divmod(int(number), blocks + 1)
        return f"{kind}.{step * (wanted + 1) + within}.{rest}"

    return {place(name): tensor for name, tensor in weights.items()}


def _corrections(weights: dict[str, Tensor], fresh: dict[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Fresh weights with those of another scale, as far as they are for the first so many channels of the result."""
    started = dict(fresh)
    for name, tensor in weights.items():
        if name.startswith(("restorer.last.", "restorer.shortcut.")):
            parts = 2 if ".modulation." in name else 1  # gains, then shifts
            rows = fresh[name].unflatten(0, (parts, -1)).clone()
            rows[:, :channels] = tensor.unflatten(0, (parts, -1))[:, :channels]
            started[name] = rows.flatten(0, 1)
        elif not name.startswith(("wavelet.", "restorer.spread.")):
            started[name] = tensor
    return started
