"""Tiers: networks by what they cost the receiver, whatever their scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irn_video.codecs.errors import BadOption
from irn_video.pipeline.zoo.registry import NETWORKS, model_names


@dataclass(frozen=True)
class Tier:
    """Networks of about the same cost.

    Attributes:
        macs_up: multiply-accumulates per HR pixel of the receiver, at most.
        networks: names by scale.
    """

    macs_up: int
    networks: Mapping[float, str]


TIERS = {
    "lite": Tier(1_300, {2: "irn-h264-x2-lite"}),
    "fast": Tier(5_000, {1.5: "irn-h264-x1.5", 2: "irn-h264-x2"}),
    "base": Tier(25_000, {1: "irn-h264-x1", 1.5: "irn-h264-x1.5", 2: "irn-h264-x2-base", 4: "irn-h264-x4"}),
}
"""By name, the cheapest first; scale 2 has all of them, and where a tier has none of its own it may have a cheaper."""


def tier_of(macs_up: int) -> str | None:
    """The tier of a network that costs the receiver so many multiply-accumulates per HR pixel; None above all."""
    return next((name for name, tier in TIERS.items() if macs_up <= tier.macs_up), None)


def networks_of(tier: str | None) -> Mapping[float, str]:
    """The networks of a tier that are here, by scale; None for those that are taken where only the scale is chosen.

    Raises:
        BadOption: no such tier.
    """
    if tier is not None and tier not in TIERS:
        raise BadOption(f"no tier is called {tier!r}", hint=f"there are: {', '.join(TIERS)}")
    here = model_names()
    named = NETWORKS if tier is None else TIERS[tier].networks
    return {scale: name for scale, name in named.items() if name in here}


def network_of(scale: float | str, tier: str | None = None) -> str:
    """The network for a scale, of a tier where one is named.

    Raises:
        BadOption: there is none, or it is not here; names the tiers that this scale has.
    """
    if isinstance(scale, str) or scale not in NETWORKS:
        raise BadOption(f"no network has scale {scale}", hint="1, 1.5, 2, 4 or auto, or name a model")
    if (name := networks_of(tier).get(scale)) is not None:
        return name
    tiers = [other for other in TIERS if scale in networks_of(other)]
    of_tier = f" of the tier {tier}" if tier is not None else ""
    has = f"scale {scale:g} has: {', '.join(tiers)}" if tiers else f"lanczos-x{scale:g} is ordinary resampling"
    raise BadOption(f"there is no network{of_tier} for scale {scale:g}", hint=has)


def check_choice(model: str | None, tier: str | None) -> None:
    """Refuse a network that is chosen twice.

    Raises:
        BadOption: both are given, or no such tier.
    """
    if model is not None and tier is not None:
        raise BadOption("--model and --tier both choose the network", hint="give one of them")
    networks_of(tier)
