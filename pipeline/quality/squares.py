"""Sums of squares, by OpenCV."""

from __future__ import annotations

from typing import Any

from irn_video.codecs.picture import Plane
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray


def sum_of_squares(array: NDArray[Any]) -> float:
    """Of integers as uint8, uint16, int16 or float32; exact but for the rounding of float64."""
    return float(cv2().norm(array, cv2().NORM_L2SQR)) if array.size else 0.0


def sum_of_squared_differences(one: Plane, other: Plane) -> float:
    """Of samples as uint8 or uint16, with no difference written (for int16, OpenCV 5.0 computes it a little wrong)."""
    return float(cv2().norm(one, other, cv2().NORM_L2SQR))
