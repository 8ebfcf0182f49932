"""Names and shapes of a codec-aware network's weights, so that a file is checked without PyTorch."""

from __future__ import annotations

from irn_video.pipeline.network.constants import PACKED, fold_of, latent_channels_of
from irn_video.pipeline.network.spec import NetworkSpec

Shapes = dict[str, tuple[int, ...]]

_CONDITION = 16
_HALVES, _THIRDS = (3, 7), (3, 9)
"""Taps of the wavelet."""


def shapes_of(spec: NetworkSpec) -> Shapes | None:
    """As in the state dict of the network that `spec.build` makes; None for other families."""
    if spec.family != "codec-aware":
        return None
    width, fold = spec.width, fold_of(spec.scale)
    seen, latent = PACKED * fold**2 + 3, latent_channels_of(spec.scale)
    corrected = PACKED * fold**2 + latent
    body = [_modulated(f"restorer.body.{index}", width, width) for index in range(spec.depth)]
    parts: list[Shapes] = [
        {"wavelet.taps": _THIRDS if spec.scale == 1.5 else _HALVES} if latent else {},
        _layer("restorer.embedding.0", _CONDITION, 1),
        _layer("restorer.embedding.2", _CONDITION, _CONDITION),
        _modulated("restorer.first", width, seen),
        *body,
        _modulated("restorer.shortcut", corrected, seen),
        _layer("restorer.last", corrected, width, 3, 3),
        _layer("restorer.spread", latent, width, 1, 1) if latent else {},
    ]
    return {name: shape for part in parts for name, shape in part.items()}


def _modulated(name: str, outputs: int, inputs: int) -> Shapes:
    modulation = _layer(f"{name}.modulation", 2 * outputs, _CONDITION)
    return _layer(f"{name}.conv", outputs, inputs, 3, 3) | modulation


def _layer(name: str, outputs: int, *inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}
