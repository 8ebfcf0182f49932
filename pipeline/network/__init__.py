"""Invertible rescaling networks: the paper's, and the codec-aware ones made for H.264.

Start at `rescaler.py`, which states the contract that all of them keep. Names are loaded on first use, so that a card
can be read without PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irn_video.pipeline.network.codec_aware import CodecAwareRescaler
    from irn_video.pipeline.network.paper import PaperRescaler
    from irn_video.pipeline.network.rescaler import InvertibleRescaler, Prediction, quantise

__all__ = ["CodecAwareRescaler", "InvertibleRescaler", "PaperRescaler", "Prediction", "quantise"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = {"CodecAwareRescaler": "codec_aware", "PaperRescaler": "paper"}.get(name, "rescaler")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
