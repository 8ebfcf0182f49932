"""ONNX Runtime, imported when first needed and told not to report to its makers."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def onnxruntime() -> Any:
    """The `onnxruntime` module.

    Its official builds send what they are used for to Microsoft and keep an identifier of the device in the user's
    cache (its Privacy.md); that is off unless the user has set `ORT_DISABLE_TELEMETRY` otherwise.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as module

    return module
