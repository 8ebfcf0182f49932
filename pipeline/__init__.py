"""Pictures and networks: planes and colour, invertible networks and their weights, engines, quality, training.

    from irn_video.pipeline import Rescaler, load_model

Names are loaded on first use, so that a command can answer `--help` without loading PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
    from irn_video.pipeline.zoo import LoadedModel, ModelCard, list_models, load_model

__all__ = ["LoadedModel", "ModelCard", "Rescaler", "Restoration", "list_models", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "engine.rescaler" if name in ("Rescaler", "Restoration") else "zoo"
    return getattr(importlib.import_module(f"irn_video.pipeline.{home}"), name)
