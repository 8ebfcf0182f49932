"""Validation with real encodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from irn_video.codecs.errors import BadOption, TrainingFailed
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.validation import ClipValidation, ImageValidation, make_validator

CPU = choose_device("cpu", "fp32")
CODEC_AWARE = TrainConfig("x", NetworkSpec("codec-aware", width=8, depth=1), temperature=0.0)
PAPER = TrainConfig("x", NetworkSpec("paper", blocks=1, latent_std=0.01), temperature=0.0)


@pytest.mark.parametrize("scale", [1, 2])
def test_clips_are_coded_for_real(scale: int, moving: Path, tmp_path: Path) -> None:
    config = TrainConfig("x", NetworkSpec("codec-aware", scale=scale, width=8, depth=1), temperature=0.0)
    said: list[str] = []
    validator = ClipValidation(config, (moving,), said.append)
    rows = validator(config.network.build(), CPU)
    assert [row["name"] for row in rows] == ["moving.mp4", "mean"]
    rate = rows[0]["bd_rate_y"]
    assert isinstance(rate, float)
    assert rate == rows[1]["bd_rate_y"]
    # An untrained restorer changes nothing, but x264 may differ by a byte from call to call.
    assert abs(rate) < (0.1 if scale == 1 else 60)
    assert len(said) == 2
    assert "BD-rate" in said[0]


def test_images_of_paper_networks(photos: Path, tmp_path: Path) -> None:
    for photo in photos.iterdir():
        cv2().imwrite(str(tmp_path / photo.name), cv2().imread(str(photo))[:97, :129])  # odd sides are cropped
    said: list[str] = []
    (row,) = ImageValidation(PAPER, tuple(sorted(tmp_path.iterdir())), said.append)(PAPER.network.build(), CPU)
    psnr = row["psnr_y"]
    assert isinstance(psnr, float)
    assert 25 < psnr < 60  # smooth pictures through an untrained Haar transform
    assert said == [f"validation: 2 images: {psnr:.2f} dB PSNR-Y"]


def test_training_and_validation_are_kept_apart(photos: Path, tmp_path: Path) -> None:
    for training in (photos, photos.parent):
        with pytest.raises(BadOption, match="is trained on"):
            make_validator(PAPER, [photos], [training], print)
    with pytest.raises(TrainingFailed, match="no clips"):
        make_validator(CODEC_AWARE, [photos], [tmp_path / "other"], print)
    assert isinstance(make_validator(PAPER, [photos], [], print), ImageValidation)
