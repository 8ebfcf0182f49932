"""A piece of one picture of each cell, so that a report can show what its numbers look like."""

from __future__ import annotations

import base64
from itertools import islice
from pathlib import Path

import numpy as np
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.planes import Samples, carried_color, convert
from irn_video.pipeline.system.opencv import cv2

SIDE = 192
_STEP = 16


def crop_of(restored: Path, source: Path, pictures: int) -> str:
    """The most detailed square of the middle picture, PNG in base64; where it lies depends on the source alone."""
    index = pictures // 2
    original = picture_at(source, index)
    return _png(picture_at(restored, index), *_place(original))


def source_crop(source: Path, pictures: int) -> str:
    """The same square of the source."""
    original = picture_at(source, pictures // 2)
    return _png(original, *_place(original))


def picture_at(path: Path, index: int) -> Picture:
    """One picture of a video.

    Raises:
        SourceMismatch: it has fewer.
    """
    with VideoReader(path, frames=index + 1) as reader:
        found = next(islice(reader, index, None), None)
    if found is None:
        raise SourceMismatch(f"there is no frame {index}", path=path)
    return found


def _place(picture: Picture) -> tuple[int, int]:
    """Top and left of the square with most detail."""
    luma = picture.planes[0].astype(np.float32)
    detail = cv2().boxFilter(np.abs(cv2().Laplacian(luma, cv2().CV_32F)), -1, (SIDE, SIDE), anchor=(0, 0))
    rows, columns = (max(1, length - SIDE + 1) for length in luma.shape)
    choices = detail[:rows:_STEP, :columns:_STEP]
    top, left = np.unravel_index(int(choices.argmax()), choices.shape)
    return int(top) * _STEP, int(left) * _STEP


def _png(picture: Picture, top: int, left: int) -> str:
    rgb = convert(picture, Samples(Layout.RGB, 8, carried_color(picture.color, Layout.RGB, picture.height)))
    red, green, blue = (plane[top : top + SIDE, left : left + SIDE] for plane in rgb.planes)
    _, data = cv2().imencode(".png", np.dstack((blue, green, red)))
    return base64.b64encode(data.tobytes()).decode()
