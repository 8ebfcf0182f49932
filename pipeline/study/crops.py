"""Pieces of one picture of each cell, so that a report can show what its numbers look like."""

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

SIDE = 128
_STEP = 16
_OTHERS = (0.25, 0.5)  # how far down by detail the other places are, among all that do not touch the first one


def crops_of(restored: Path, source: Path, pictures: int) -> tuple[str, ...]:
    """Up to three squares of the middle picture, PNG in base64; where they lie depends on the source alone.

    The first has the most detail, the second more than three quarters of the picture have, the third more than half.
    """
    index = pictures // 2
    shown, places = picture_at(restored, index), _places(picture_at(source, index))
    return tuple(_png(shown, *place) for place in places)


def source_crops(source: Path, pictures: int) -> tuple[str, ...]:
    """The same squares of the source."""
    return crops_of(source, source, pictures)


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


def _places(picture: Picture) -> list[tuple[int, int]]:
    """Top and left of each square."""
    luma = picture.planes[0].astype(np.float32)
    detail = cv2().boxFilter(np.abs(cv2().Laplacian(luma, cv2().CV_32F)), -1, (SIDE, SIDE), anchor=(0, 0))
    rows, columns = (max(1, length - SIDE + 1) for length in luma.shape)
    choices = detail[:rows:_STEP, :columns:_STEP]
    order = [divmod(int(index), choices.shape[1]) for index in np.argsort(-choices, axis=None, kind="stable")]
    places = [(row * _STEP, column * _STEP) for row, column in order]
    chosen = places[:1]
    for share in _OTHERS:
        free = [place for place in places if all(_apart(place, one) for one in chosen)]
        chosen += free[int(share * len(free)) :][:1]
    return chosen


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= SIDE


def _png(picture: Picture, top: int, left: int) -> str:
    rgb = convert(picture, Samples(Layout.RGB, 8, carried_color(picture.color, Layout.RGB, picture.height)))
    red, green, blue = (plane[top : top + SIDE, left : left + SIDE] for plane in rgb.planes)
    _, data = cv2().imencode(".png", np.dstack((blue, green, red)))
    return base64.b64encode(data.tobytes()).decode()
