"""A window that shows restored frames, by OpenCV."""

from __future__ import annotations

import os
import sys

import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.planes import Samples, carried_color, convert
from irn_video.pipeline.system.opencv import cv2

_TITLE = "IRN Video"
_ENDING_KEYS = (ord("q"), 27)


def check_screen(otherwise: str) -> None:
    """Refuse to open a window without a screen: OpenCV would end the whole program.

    Args:
        otherwise: what to do instead.

    Raises:
        BadOption: there is none.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise BadOption("there is no screen to show frames on", hint=otherwise)


class Window:
    """Open from the first frame on, until `q`, Esc or its own button closes it; see `check_screen`."""

    def __init__(self) -> None:
        self._open = False

    def show(self, picture: Picture) -> bool:
        """Show a frame; returns whether the user wants to end."""
        color = carried_color(picture.color, Layout.RGB, picture.height)
        planes = convert(picture, Samples(Layout.RGB, 8, color)).planes
        cv2().imshow(_TITLE, np.stack(planes[::-1], axis=2))
        key = cv2().waitKey(1) & 0xFF
        closed = self._open and cv2().getWindowProperty(_TITLE, cv2().WND_PROP_VISIBLE) < 1
        self._open = True
        return key in _ENDING_KEYS or closed
