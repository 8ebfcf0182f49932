"""A sent clip with B-frames, and other weights in each group of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import irn_video as irn
import numpy as np
import pytest
from irn_video.pipeline.adaptation.tuner import Tuner
from irn_video.pipeline.zoo import load_weights
from irn_video.pipeline.zoo.weight_update import MAX_EXPONENT, LastLayer, WeightUpdate


@pytest.fixture(scope="session")
def folder(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`input.mp4` of 40 frames of 192x128 at 25 per second, `out_lr.mp4` in two groups of 20."""
    folder = tmp_path_factory.mktemp("api")
    clips.make(folder / "input.mp4", size="192x128", frames=40)
    weights, chance = load_weights().arrays, np.random.default_rng(0)
    outputs, channels = weights["restorer.last.weight"].shape[:2]
    shape = 9, channels + 1, outputs

    def message(*_: object) -> bytes:
        """Some change, at once; what would be worth its bits takes the tuner seconds."""
        steps = (chance.random(shape) < 0.02).astype(np.int8)
        steps[np.arange(9) != 4, -1] = 0
        exponents = np.full(shape[1], MAX_EXPONENT, np.uint8)
        return WeightUpdate(None, LastLayer(steps, exponents)).to_message(weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuner, "message", message)
        irn.send(folder / "input.mp4", folder / "out_lr.mp4", crf=20, preset="fast", keyint=20, adapt="fast")
    return folder
