"""Clean HR sequences: photographs set in motion, and real clips reduced until their own coding is gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.writing.roundtrip import Planes, picture_planes
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_GOOD_SWSCALE = "LANCZOS"
# HR sizes of synthetic sequences, width by height: several so that the network sees no one ratio of edge to middle.
# The small ones are reduced most and hold the finest texture.
_PHOTO_SIZES = ((768, 432), (640, 480), (512, 512), (448, 640), (960, 448), (480, 360), (416, 272))
# How sharp a camera or a scaler leaves a picture differs widely; the last two kernels alias.
_REDUCING = ("INTER_AREA", "INTER_AREA", "INTER_LINEAR", "INTER_CUBIC")
# Moving a picture by parts of a sample softens it. Most are moved at twice the size and reduced afterwards, so that
# they keep what they have up to the finest frequency; the last kernel takes every second sample.
_SUPERSAMPLED = 0.6
_HALVING = ("INTER_AREA", "INTER_AREA", "INTER_CUBIC", "INTER_CUBIC", "INTER_NEAREST")
_MOST_SHARPENING, _SHARPENED = 0.8, 0.15
_MOST_NOISE, _NOISY = 3.0, 0.2


@dataclass(frozen=True)
class SequenceSource:
    """Where sequences come from.

    Attributes:
        photos: picture files.
        clips: video files.
        clip_fraction: share of sequences taken from clips, when there are both.
    """

    photos: tuple[Path, ...]
    clips: tuple[Path, ...]
    clip_fraction: float

    def draw(self, rng: random.Random, frames: int) -> list[Planes]:
        """A sequence of 8-bit 4:2:0 pictures of one size, a multiple of 8."""
        if self.clips and (not self.photos or rng.random() < self.clip_fraction):
            return clip_sequence(rng.choice(self.clips), rng, frames)
        return photo_sequence(rng.choice(self.photos), rng, frames)


def find_files(folders: tuple[Path, ...], *, photos: bool) -> tuple[Path, ...]:
    """All files below `folders` that are (or are not) photographs by their suffix, sorted."""
    found = [p for folder in folders for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return tuple(sorted(p for p in found if (p.suffix.lower() in PHOTO_SUFFIXES) == photos))


def photo_sequence(path: Path, rng: random.Random, frames: int) -> list[Planes]:
    """A photograph, turned and flipped at random, under a smooth pan, zoom and rotation with sub-pixel steps.

    Raises:
        TrainingFailed: the file is not a picture.
    """
    photo = cv2().imread(str(path), cv2().IMREAD_COLOR)
    if photo is None:
        raise TrainingFailed("not an image that OpenCV reads", path=path, hint="remove it from the training folder")
    photo = np.rot90(photo, rng.randrange(4))
    if rng.random() < 0.5:
        photo = photo[:, ::-1]
    size = rng.choice(_PHOTO_SIZES)
    if rng.random() < _SUPERSAMPLED:
        kernel = getattr(cv2(), rng.choice(_HALVING))
        doubled = _moving(photo, (2 * size[0], 2 * size[1]), rng, frames)
        views = [cv2().resize(view, size, interpolation=kernel) for view in doubled]
    else:
        views = _moving(photo, size, rng, frames)
    if rng.random() < _NOISY:
        views = _noisy(views, rng)
    return [_to_yuv420(view) for view in views]


def _moving(photo: Rgb, size: tuple[int, int], rng: random.Random, frames: int) -> list[Rgb]:
    """Views of a photograph, width by height, that pans, zooms and turns steadily."""
    width, height = size
    cover = max(width / photo.shape[1], height / photo.shape[0])
    scale = max(cover * rng.uniform(1.05, 1.5), rng.uniform(0.4, 1.0))
    if scale < 1:
        reduced = (max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale)))
        photo = cv2().resize(photo, reduced, interpolation=getattr(cv2(), rng.choice(_REDUCING)))
        scale = 1.0
    if rng.random() < _SHARPENED:
        photo = _sharpened(photo, rng.uniform(0, _MOST_SHARPENING))
    zoom, angle = rng.gauss(0, 0.002), rng.gauss(0, 0.1)
    fast = width / 640
    speed = (rng.gauss(0, 3 * fast), rng.gauss(0, 1.5 * fast)) if rng.random() < 0.85 else (0.0, 0.0)
    slack_x, slack_y = photo.shape[1] * scale - width, photo.shape[0] * scale - height
    x, y = rng.uniform(0, max(slack_x, 0)), rng.uniform(0, max(slack_y, 0))
    return [
        _view(photo, size, scale * (1 + zoom * t), angle * t, (x + speed[0] * t, y + speed[1] * t))
        for t in range(frames)
    ]


def _noisy(views: list[Rgb], rng: random.Random) -> list[Rgb]:
    """With a camera's noise, new in every picture: what cannot be restored should not be smoothed away either."""
    deviation, random_samples = rng.uniform(0, _MOST_NOISE), np.random.default_rng(rng.getrandbits(64))
    shape = views[0].shape
    noise = (random_samples.standard_normal(shape, np.float32) * deviation for _ in views)
    return [np.clip(np.rint(view + added), 0, 255).astype(np.uint8) for view, added in zip(views, noise, strict=True)]


def _sharpened(photo: Rgb, amount: float) -> Rgb:
    """Unsharp masking."""
    soft = cv2().GaussianBlur(photo, (0, 0), 1.0)
    sharp: Rgb = cv2().addWeighted(photo, 1 + amount, soft, -amount, 0)
    return sharp


def _view(photo: Rgb, size: tuple[int, int], scale: float, degrees: float, origin: tuple[float, float]) -> Rgb:
    centre = ((origin[0] + size[0] / 2) / scale, (origin[1] + size[1] / 2) / scale)
    matrix = cv2().getRotationMatrix2D(centre, degrees, scale)
    matrix[:, 2] += np.array(size) / 2 - np.array(centre)
    view: Rgb = cv2().warpAffine(photo, matrix, size, flags=cv2().INTER_CUBIC, borderMode=cv2().BORDER_REFLECT_101)
    return view


def clip_sequence(path: Path, rng: random.Random, frames: int) -> list[Planes]:
    """Consecutive pictures of a clip from a random place, flipped at random, reduced by 2 where it is large enough.

    Raises:
        TrainingFailed: the clip cannot be decoded.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            if container.duration:
                latest = max(0.0, container.duration / av.time_base - 2 * frames / float(stream.average_rate or 25))
                container.seek(int(rng.uniform(0, latest) * av.time_base))
            decoded = _some(container.decode(stream), rng.randrange(8), frames)
    except (av.FFmpegError, IndexError) as error:
        raise TrainingFailed(f"cannot decode: {error}", path=path, hint="remove it from the training folder") from error
    if not decoded:
        raise TrainingFailed("no images", path=path, hint="remove it from the training folder")
    factor = 2 if min(decoded[0].width, decoded[0].height) >= 480 else 1
    width, height = (side // factor // 8 * 8 for side in (decoded[0].width, decoded[0].height))
    reduced = [
        f.reformat(width, height, "yuv420p", interpolation="AREA" if factor == 2 else "BICUBIC") for f in decoded
    ]
    planes = [picture_planes(frame) for frame in reduced]
    return [_flipped(picture) for picture in planes] if rng.random() < 0.5 else planes


def _flipped(picture: Planes) -> Planes:
    y, u, v = (np.ascontiguousarray(plane[:, ::-1]) for plane in picture)
    return y, u, v


def _some(decoded: Iterator[av.VideoFrame], skip: int, frames: int) -> list[av.VideoFrame]:
    kept: list[av.VideoFrame] = []
    for index, frame in enumerate(decoded):
        if index >= skip:
            kept.append(frame)
        if len(kept) == frames:
            break
    return kept


def _to_yuv420(bgr: Rgb) -> Planes:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), "bgr24")
    return picture_planes(frame.reformat(format="yuv420p", interpolation=_GOOD_SWSCALE))
