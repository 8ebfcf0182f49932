"""Looks: how a receiver fills in what it does not know, from what is likeliest to what looks real.

Two networks with the same sender and shape, `NAME` and `NAME-plus`, span them: the one has the least squared error,
the other was trained to be taken for the source. Between them lie interpolated weights (network interpolation, Wang et
al. 2018, ESRGAN, section 3.4) and less noise. The sender makes the same LR picture for all looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irn_video.codecs.errors import BadOption, BadWeights
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.registry import load_weights, model_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32]]

REAL_SUFFIX = "-plus"
_SENDER = "wavelet."


@dataclass(frozen=True)
class Look:
    """How detail is filled in.

    Attributes:
        share: of the weights of the network that looks real, the rest is of the one that is most exact.
        temperature: of the latents; None for the exact network's own.
    """

    share: float
    temperature: float | None


FAITHFUL = "faithful"
LOOKS = {FAITHFUL: Look(0.0, None), "balanced": Look(0.5, 0.5), "real": Look(1.0, 1.0)}
"""By name, the most exact first."""


@dataclass(frozen=True)
class Looked:
    """A network with a look.

    Attributes:
        temperature: of the latents.
        difference: what its weights have more than the general ones, or the tuned ones of a stream; those that are not
            named are the same.
    """

    temperature: float
    difference: Arrays

    def applied(self, arrays: Arrays) -> Arrays:
        """Weights with this look."""
        return {**arrays, **{name: arrays[name] + more for name, more in self.difference.items()}}


def with_look(weights: Weights, look: str | None) -> Looked:
    """What a look makes of a network; of either network of a pair. None for the network as it is.

    Raises:
        BadOption: no such look, or this network has no other.
        BadWeights: the two networks do not go together.
        MissingFile: see `load_weights`.
    """
    check_look(look)
    if look is None:
        return Looked(weights.card.temperature, {})
    chosen, name = LOOKS[look], weights.card.name
    exact = name.removesuffix(REAL_SUFFIX)
    other = name + REAL_SUFFIX if name == exact else exact
    much = chosen.share if name == exact else 1 - chosen.share
    if not much:
        return Looked(weights.card.temperature if chosen.temperature is None else chosen.temperature, {})
    if other not in model_names():
        raise BadOption(f"{name} has one look alone", hint="with others: " + ", ".join(names_with_looks()))
    sibling = load_weights(other)
    temperature = sibling.card.temperature if chosen.temperature is None else chosen.temperature
    return Looked(temperature, _difference(weights, sibling, much))


def check_look(look: str | None) -> None:
    """Refuse what is no look.

    Raises:
        BadOption: names the looks.
    """
    if look is not None and look not in LOOKS:
        raise BadOption(f"no look is called {look!r}", hint=f"there are: {', '.join(LOOKS)}")


def has_look(name: str, look: str | None) -> bool:
    """Whether a network, named without being read, has a look."""
    return look in (None, FAITHFUL) or name.removesuffix(REAL_SUFFIX) in names_with_looks()


def names_with_looks() -> list[str]:
    """Networks whose look can be chosen."""
    names = model_names()
    return [name for name in names if name + REAL_SUFFIX in names]


def _difference(weights: Weights, sibling: Weights, much: float) -> Arrays:
    same_shape = weights.card.network == sibling.card.network
    if not same_shape or any((sibling.arrays[key] != weights.arrays[key]).any() for key in _sender(weights)):
        raise BadWeights(f"{sibling.card.name} does not go with {weights.card.name}", hint="fetch both again")
    pairs = ((key, array, sibling.arrays[key]) for key, array in weights.arrays.items())
    return {key: much * (there - here) for key, here, there in pairs if (there != here).any()}


def _sender(weights: Weights) -> list[str]:
    return [key for key in weights.arrays if key.startswith(_SENDER)]
