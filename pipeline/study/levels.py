"""The bit rates at which a study shows its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from irn_video.pipeline.quality.curves import Curve, Hull, hull, reach
from irn_video.pipeline.study.methods import FULL

_BESIDE = 1.4  # so many times less, and more, than the rate where another scale becomes the best
_WITHOUT = (1 / 3, 2 / 3)  # of the hull's logarithmic range of rates, where one scale is the best everywhere


def shown_rates(curves: Mapping[str, Curve], scales: Mapping[str, float]) -> tuple[float, ...]:
    """One or two bit rates in the middle of the hull over all curves of a clip, where methods can be told apart.

    They lie on either side of where the hull passes from one scale to another: the one of these places that is nearest
    to its middle. All curves reach them, if there are such rates; if the method that is the best there was measured
    nearby, it is at that rate.

    Args:
        curves: PSNR-Y over kbit/s, by method.
        scales: by method.

    Returns:
        kbit/s, rising; nothing where the curves say nothing of each other.
    """
    curves = {name: curve for name, curve in curves.items() if len(curve.rates) > 1}
    anchor = FULL if FULL in curves else next(iter(curves), None)
    if anchor is None or (within := reach(curves, anchor)) is None:
        return ()
    best = hull(curves, anchor, within)
    low, high = max(curve.rates[0] for curve in curves.values()), min(curve.rates[-1] for curve in curves.values())
    if low >= high:
        low, high = best.parts[0].low, best.parts[-1].high
    wanted = (min(max(rate, low), high) for rate in _wanted(best, scales))
    return tuple(sorted({_measured(rate, best, curves, (low, high)) for rate in wanted}))


def _wanted(best: Hull, scales: Mapping[str, float]) -> list[float]:
    low, high = (math.log(rate) for rate in (best.parts[0].low, best.parts[-1].high))
    changes = [math.log(one.high) for one, other in pairwise(best.parts) if scales[one.name] != scales[other.name]]
    if not changes:
        return [math.exp(low + share * (high - low)) for share in _WITHOUT]
    place = min(changes, key=lambda rate: abs(rate - (low + high) / 2))
    return [math.exp(place) / _BESIDE, math.exp(place) * _BESIDE]


def _measured(rate: float, best: Hull, curves: Mapping[str, Curve], within: tuple[float, float]) -> float:
    """The nearest rate of the method that is the best at a rate; the rate itself if none is near and in the range."""
    part = next((part for part in best.parts if rate <= part.high), best.parts[-1])
    near = max(within[0], rate / _BESIDE**0.5), min(within[1], rate * _BESIDE**0.5)
    rates = [measured for measured in curves[part.name].rates if near[0] <= measured <= near[1]]
    return min(rates, key=lambda measured: abs(math.log(measured / rate)), default=rate)
