"""OpenCV, imported when first needed, since it asks for system libraries that a bare machine may lack."""

from __future__ import annotations

from functools import cache
from typing import Any

from irn_video.codecs.errors import IrnError


class MissingLibrary(IrnError, RuntimeError):
    """A system library is not installed."""


@cache
def cv2() -> Any:
    """The `cv2` module, held to one thread: callers bring their own processes.

    Raises:
        MissingLibrary: OpenCV cannot be loaded; names the Debian packages that it needs.
    """
    try:
        import cv2 as module
    except ImportError as error:
        raise MissingLibrary(
            f"OpenCV does not load: {error}", hint="on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0"
        ) from error
    module.setNumThreads(1)
    return module
