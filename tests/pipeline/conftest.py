"""Pictures to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from irn_video.pipeline.opencv import cv2


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two photographs' worth of smooth texture with edges."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        small = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        large = cv2().resize(small, (960, 720), interpolation=cv2().INTER_CUBIC)
        cv2().circle(large, (480, 360), 200, (255, 255, 255), 9)
        cv2().imwrite(str(folder / name), large)
    return folder
