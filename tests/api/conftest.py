"""A sent clip with B-frames, and tuned weights in each group of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import irn_video as irn
import pytest


@pytest.fixture(scope="session")
def folder(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`input.mp4` of 40 frames of 192x128 at 25 per second, `out_lr.mp4` in two groups of 20."""
    folder = tmp_path_factory.mktemp("api")
    clips.make(folder / "input.mp4", size="192x128", frames=40)
    irn.send(folder / "input.mp4", folder / "out_lr.mp4", crf=20, preset="fast", keyint=20, adapt="fast")
    return folder
