"""How much of a picture's detail is still there, as VMAF-NEG sees it."""

from __future__ import annotations

import numpy as np
from irn_video.codecs.picture import Plane
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

_SIDE = 9  # of the squares that are compared
_NOISE = 2.0  # variance of what an eye does not see, in levels of 255
_TINY = 1e-4


def lost_detail(original: Plane, restored: Plane, unit: float) -> float:
    """1 less visual information fidelity in the pixel domain (Sheikh and Bovik, 2006), from 0 to 1.

    What is stronger than in the original counts no more than that, as in VMAF-NEG (Li et al., 2020). One scale of four.

    Args:
        original: luma.
        restored: likewise, of the same shape.
        unit: code value of 1 in normalised planes.
    """
    x, y = (plane * np.float32(255 / unit) for plane in (original, restored))
    mean_x, mean_y = _mean(x), _mean(y)
    var_x, var_y = np.maximum(_mean(x * x) - mean_x**2, 0), np.maximum(_mean(y * y) - mean_y**2, 0)
    both = _mean(x * y) - mean_x * mean_y
    gain = np.maximum(both / (var_x + np.float32(_TINY)), 0)
    noise = np.maximum(var_y - gain * both, 0)
    kept = float(np.log1p(np.minimum(gain, 1) ** 2 * var_x / (noise + np.float32(_NOISE))).sum())
    whole = float(np.log1p(var_x / np.float32(_NOISE)).sum())
    return 1 - kept / whole if whole else 0.0


def _mean(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = cv2().blur(samples, (_SIDE, _SIDE))
    return mean
