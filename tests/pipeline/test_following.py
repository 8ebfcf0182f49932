"""Noise that goes along with what is seen: still where nothing moves, moved where it does, new where it is new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from irn_video.codecs.picture import Picture
from irn_video.pipeline import Rescaler, Restoration
from irn_video.pipeline.engine.following import CELL, FAINT, Follower, followed
from irn_video.pipeline.engine.noise import moved
from irn_video.pipeline.network.constants import fold_of, latent_channels_of, sampled_channels
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 160


def world(seed: int = 0) -> NDArray[np.uint8]:
    """A texture that is larger than the pictures."""
    coarse = np.random.default_rng(seed).integers(0, 255, (80, 120), np.uint8)
    return np.asarray(cv2().resize(coarse, (480, 320), interpolation=cv2().INTER_CUBIC), np.uint8)


def seen(luma: NDArray[np.uint8], like: Picture) -> Picture:
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return replace(like, planes=(np.ascontiguousarray(luma), grey, grey))


@pytest.fixture
def view(clips: Any, tmp_path: Any) -> Any:
    (like,) = clips.read(clips.make(tmp_path / "x.mkv", size=f"{WIDTH}x{HEIGHT}", frames=1))
    return lambda left, top=50, seed=0: seen(world(seed)[top : top + HEIGHT, left : left + WIDTH], like)


def test_still_pictures_keep_their_origins_whatever_the_coding_noise(view: Any) -> None:
    follower, rng = Follower(), np.random.default_rng(1)
    first = follower(view(50)).origins
    for _ in range(4):
        noisy = view(50)
        luma = np.clip(noisy.planes[0] + rng.normal(0, 1.5, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)
        found = follower(replace(noisy, planes=(luma, *noisy.planes[1:]))).origins
        assert (np.abs(found - first).max(-1) < 0.5).mean() > 0.98


@pytest.mark.parametrize("step", [3, 5])
def test_origins_go_with_a_moving_camera(step: int, view: Any) -> None:
    follower, count = Follower(), 6
    origins = [follower(view(50 + step * index)).origins for index in range(count)]
    inner = slice(12, -12), slice(4 * step, -4 * step)
    went = origins[-1][inner] - origins[0][inner]
    assert np.median(np.abs(went - (step * (count - 1), 0))) < 0.6


def test_another_scene_has_other_noise(view: Any) -> None:
    follower = Follower()
    before, after = (follower(view(50, seed=seed)).origins for seed in (0, 1))
    first, second = (np.stack(list(moved(0, origins, 2))) for origins in (before, after))
    assert (np.abs(first - second) < 1e-6).mean() < 0.1


def test_other_sizes_and_tiny_pictures_start_anew(clips: Any, tmp_path: Any, view: Any) -> None:
    (tiny,) = clips.read(clips.make(tmp_path / "tiny.mkv", size="16x16", frames=1))
    follower = Follower()
    for picture in (view(50), tiny, tiny, view(50)):
        origins = follower(picture).origins
        assert origins.shape == (-(-picture.height // CELL), -(-picture.width // CELL), 2)


def test_faint_noise_is_not_followed(view: Any) -> None:
    assert next(followed([view(50)], FAINT)).origins is None
    assert next(followed([view(50)], 0.5)).origins is not None


@pytest.mark.parametrize("scale", [1.5, 2, 4])
def test_moved_noise_is_normal_and_moves_by_whole_samples(scale: float) -> None:
    rows, columns = np.indices((96, 128), np.float32)
    still = np.stack((columns, rows), -1) * CELL
    here = np.stack(list(moved(3, still, scale)))
    assert len(here) == len(sampled_channels(scale))
    assert abs(here.mean()) < 0.02
    assert abs(here.std() - 1) < 0.02
    flat = here.reshape(len(here), -1)
    assert np.abs(np.corrcoef(flat) - np.eye(len(here))).max() < 0.1
    cell = fold_of(scale)
    away = np.stack(list(moved(3, still + CELL * cell, scale)))
    assert np.array_equal(away[:, :-1, :-1], here[:, 1:, 1:])
    assert np.array_equal(np.stack(list(moved(3, still, scale))), here)
    assert not np.array_equal(np.stack(list(moved(4, still, scale))), here)


@pytest.mark.parametrize("scale", [2, 4])
def test_noise_of_all_phases_is_one_field_for_each_band(scale: float) -> None:
    """Moved by one sample of the LR picture, which is less than a cell, the noise is that of the sample beside it."""
    import torch
    from irn_video.pipeline.training.texture_task import luma_bands

    rows, columns = np.indices((8, 8), np.float32)

    def bands(shift: float) -> list[NDArray[np.float32]]:
        latent = torch.zeros(1, latent_channels_of(scale), 8, 8)
        noise = moved(0, np.stack((columns * CELL + shift, rows * CELL), -1), scale)
        for channel, drawn in zip(sampled_channels(scale), noise, strict=True):
            latent[0, channel] = torch.from_numpy(drawn)
        return [band[0].numpy() for band in luma_bands(torch.zeros(1, 6, 8, 8), latent)[:-1]]

    for level, (here, beside) in enumerate(zip(bands(0), bands(1), strict=True)):
        step = int(scale) // 2 >> level
        assert np.array_equal(beside[:, :, :-step], here[:, :, step:])


@pytest.mark.parametrize("name", ["irn-h264-x1.5", "irn-h264-x2", "irn-h264-x4"])
def test_engines_draw_the_same_moved_noise(name: str, view: Any) -> None:
    ours, theirs = (Rescaler.load(name, device=device) for device in ("cpu", "torch"))
    small = Follower()(view(50))
    size = int(HEIGHT * ours.scale), int(WIDTH * ours.scale)
    to = Restoration(Samples.of(small), *size, temperature=1.0, seed=5)
    one, other = (rescaler.upscale(small, to, 3) for rescaler in (ours, theirs))
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(one.planes, other.planes, strict=True)) <= 1
    mean = ours.upscale(small, replace(to, temperature=0.0), 3)
    assert np.abs(one.planes[0].astype(int) - mean.planes[0]).max() > 1
    again = ours.upscale(small, to, 7)
    assert np.array_equal(again.planes[0], one.planes[0])  # not by its index, but by where things are
