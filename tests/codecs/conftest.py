"""Small clips, made by another FFmpeg than the one under test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import ColorSpec, Layout, Picture, VideoFormat
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import VideoWriter, WriteSummary


def run_ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def draw(
    frames: int = 5,
    width: int = 64,
    height: int = 48,
    layout: Layout = Layout.YUV420,
    bit_depth: int = 8,
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    color: ColorSpec | None = None,
    seed: int = 0,
) -> list[Picture]:
    """Noise over a moving ramp: nothing an encoder could get right by luck."""
    rng = np.random.default_rng(seed)
    kind = np.uint8 if bit_depth == 8 else np.uint16
    color = color or ColorSpec(matrix=0 if layout is Layout.RGB else 2)
    pictures = []
    for index, at in enumerate(pts if pts is not None else range(frames)):
        planes = []
        for rows, columns in layout.plane_shapes(height, width):
            ramp = np.add.outer(np.arange(rows), np.arange(columns) + 3 * index) * (1 << (bit_depth - 8))
            noise = rng.integers(0, 1 << (bit_depth - 3), (rows, columns))
            planes.append(((ramp + noise) % (1 << bit_depth)).astype(kind))
        y, u, v = planes
        pictures.append(Picture((y, u, v), layout, bit_depth, color, at, time_base))
    return pictures


def write(
    path: Path, pictures: Sequence[Picture], settings: EncoderSettings | None = None, **options: Any
) -> WriteSummary:
    first = pictures[0]
    with open_writer(path, first, settings, **options) as writer:
        for picture in pictures:
            writer.write(picture)
        return writer.finish()


def open_writer(path: Path, like: Picture, settings: EncoderSettings | None = None, **options: Any) -> VideoWriter:
    names = {field.name for field in fields(VideoFormat)}
    video = replace(VideoFormat.of(like, Fraction(25)), **{name: options.pop(name) for name in names & {*options}})
    return VideoWriter(path, settings or EncoderSettings(preset="ultrafast"), video, **options)


def read(path: Path, **options: Any) -> list[Picture]:
    with VideoReader(path, **options) as reader:
        return list(reader)


def same(some: Iterable[Picture], others: Iterable[Picture]) -> bool:
    return all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for one, other in zip(some, others, strict=True)
        for a, b in zip(one.planes, other.planes, strict=True)
    )


def make_card(**changes: Any) -> StreamCard:
    card = StreamCard(
        model="base-x2",
        model_sha256="ab" * 32,
        scale=2,
        width=128,
        height=96,
        pad_right=0,
        pad_bottom=0,
        layout="yuv420",
        bit_depth=8,
        color=ColorSpec(matrix=1, full_range=False),
        codec="h264",
        crf=23.0,
        bitrate=None,
        lossless=False,
        latent_std=0.5,
        seed=7,
        source_name="clip ünïcode.mkv",
        source_bytes=123456,
        source_sha256="cd" * 32,
        frames=50,
    )
    return replace(card, **changes)


class Tools:
    """What the tests share: a fixture, because test modules cannot import each other."""

    ffmpeg = staticmethod(run_ffmpeg)
    draw = staticmethod(draw)
    write = staticmethod(write)
    open_writer = staticmethod(open_writer)
    read = staticmethod(read)
    same = staticmethod(same)
    card = staticmethod(make_card)

    @staticmethod
    def clip(path: Path, *arguments: object, size: str = "64x48", frames: int = 10, rate: object = 25) -> Path:
        """A test pattern, encoded with the given arguments of FFmpeg's."""
        width, height = map(int, size.split("x"))
        source = "testsrc" if width % 2 or height % 2 else "testsrc2"  # the second draws even sizes only
        pattern = ("-f", "lavfi", "-i", f"{source}=size={size}:rate={rate}")
        run_ffmpeg(*pattern, "-frames:v", frames, *arguments, path)
        return path


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def mp4(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of H.264 in MP4, index at the end."""
    return tools.clip(tmp_path_factory.mktemp("clip") / "clip.mp4", "-pix_fmt", "yuv420p", "-g", 5)
