"""The receiver: decode an LR stream, restore it at full size, write it and measure it.

    from irn_video.receiver import receive

Names are loaded on first use, so that a command can answer `--help` without loading PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irn_video.receiver.receiving import ReceiveOptions, ReceiveResult, receive

__all__ = ["ReceiveOptions", "ReceiveResult", "receive"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("irn_video.receiver.receiving"), name)
