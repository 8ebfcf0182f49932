"""Clips that measurements make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import ColorSpec, Layout, Picture, VideoFormat
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import VideoWriter

RATE = Fraction(25)
_PAN = 3  # samples a frame


@dataclass(frozen=True)
class Sample:
    """The part of a clip that is measured.

    Attributes:
        path: of the whole clip.
        size: such as 1280x720.
        frames: the first so many.
    """

    path: Path
    size: str
    frames: int

    @classmethod
    def of(cls, path: Path, frames: int) -> Sample:
        """The first frames of a clip, or all if it has fewer."""
        with VideoReader(path, frames=frames) as reader:
            return cls(path, f"{reader.info.width}x{reader.info.height}", sum(1 for _ in reader))


def write_clip(path: Path, pictures: Iterable[Picture], settings: EncoderSettings) -> Path:
    """A video of these frames, 25 a second; what was there is replaced."""
    pictures = iter(pictures)
    first = next(pictures)
    with VideoWriter(path, settings, VideoFormat.of(first, RATE, 1 / RATE), overwrite=True) as writer:
        for index, picture in enumerate(chain([first], pictures)):
            writer.write(replace(picture, pts=index, time_base=1 / RATE, duration=1))
    return path


def moving_clip(path: Path, width: int, height: int, frames: int) -> Path:
    """A pan over a texture with the spectrum of a photograph (amplitude falls as one over frequency)."""
    return write_clip(path, _pan(width, height, frames), EncoderSettings(crf=20, preset="ultrafast"))


def still_clips(folder: Path, width: int, height: int, frames: int) -> dict[str, Path]:
    """Clips of which much stands still: a scene, a moving head before it, a page on which one types."""
    kinds = {"still": _still, "head": _head, "screen": _screen}
    return {
        name: write_clip(
            folder / f"{name}.mp4", make(width, height, frames), EncoderSettings(crf=12, preset="veryfast")
        )
        for name, make in kinds.items()
    }


def _still(width: int, height: int, frames: int) -> Iterator[Picture]:
    return (next(_pan(width, height, 1)) for _ in range(frames))


def _head(width: int, height: int, frames: int) -> Iterator[Picture]:
    """An ellipse a third as wide as the frame, in which another texture sways."""
    behind = next(_pan(width, height, 1))
    for index, moved in enumerate(_pan(width, height, frames)):
        sway = round(width / 40 * np.sin(index / 6))
        planes = []
        for still, other in zip(behind.planes, moved.planes, strict=True):
            rows, columns = (np.arange(side) / side - 0.5 for side in still.shape)
            inside = (rows[:, None] / 0.4) ** 2 + ((columns - sway / width)[None] / 0.17) ** 2 < 1
            planes.append(np.where(inside, other[::-1], still))
        yield replace(moved, planes=(planes[0], planes[1], planes[2]))


def _screen(width: int, height: int, frames: int) -> Iterator[Picture]:
    """Black marks like letters, a new one every third frame, under lines that are there already."""
    rng, page = np.random.default_rng(1), np.full((height, width), 235, np.uint8)
    places = [(top, left) for top in range(24, height - 24, 24) for left in range(32, width - 32, 14)]
    for top, left in places[: len(places) // 2]:
        page[top : top + 16, left : left + 10] = np.kron(rng.choice((16, 235), (8, 5)), np.ones((2, 2)))
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    for index in range(frames):
        if index % 3 == 0:
            top, left = places[(len(places) // 2 + index // 3) % len(places)]
            page[top : top + 16, left : left + 10] = np.kron(rng.choice((16, 235), (8, 5)), np.ones((2, 2)))
        yield Picture((page.copy(), grey, grey), Layout.YUV420, 8, ColorSpec(1, 1, 1, False, 1), index, 1 / RATE, 1)


def _pan(width: int, height: int, frames: int) -> Iterator[Picture]:
    luma = _texture(width + 64, height + 64)
    chroma = np.clip(128 + (luma[::2, ::2].astype(np.float32) - 128) / 4, 16, 240).astype(np.uint8)
    for index in range(frames):
        shift = _PAN * index
        y = np.roll(luma, -shift, 1)[:height, :width]
        c = np.roll(chroma, -(shift // 2), 1)[: height // 2, : width // 2]
        planes = (np.ascontiguousarray(y), np.ascontiguousarray(c), np.ascontiguousarray(255 - c))
        yield Picture(planes, Layout.YUV420, 8, ColorSpec(1, 1, 1, False, 1), index, 1 / RATE, 1)


def _texture(width: int, height: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    rng = np.random.default_rng(0)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(down, across)
    radius[0, 0] = np.inf
    spectrum = np.exp(2j * np.pi * rng.random(radius.shape)) / radius
    texture = np.fft.irfft2(spectrum, (height, width))
    luma: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    luma = np.clip(128 + 45 * texture / texture.std(), 16, 235).astype(np.uint8)
    return luma
