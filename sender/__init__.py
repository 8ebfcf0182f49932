"""The sender: read a video, shrink every frame, encode the small stream with its card.

    from irn_video.sender import send

Names are loaded on first use, so that a command can answer `--help` without loading PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irn_video.sender.options import SendOptions
    from irn_video.sender.sending import SendResult, send

_HOMES = {"SendOptions": "options", "SendResult": "sending", "send": "sending"}
__all__ = ["SendOptions", "SendResult", "send"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"irn_video.sender.{_HOMES[name]}"), name)
