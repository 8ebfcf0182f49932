"""Pieces of frames side by side, enlarged without smoothing, each under its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from irn_video.codecs.picture import Picture
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.planes import Samples, to_planes, to_rgb
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

STRIP, GAP = 36, 8  # label above each panel, space between panels
_MARGIN, _SMALLEST = 4, 0.4

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A rectangle of a frame, in samples."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """What lies there."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def worst_place(source: Picture, restored: Picture, width: int, height: int) -> Place:
    """Where the luma of a frame is furthest from its source."""
    rows, columns = (min(side, whole) for side, whole in zip((height, width), source.planes[0].shape, strict=True))
    difference = source.planes[0].astype(np.float32) - restored.planes[0].astype(np.float32)
    energy = cv2().boxFilter(difference * difference, -1, (columns, rows), anchor=(0, 0))
    inside = energy[: source.height - rows + 1, : source.width - columns + 1]
    top, left = np.unravel_index(np.argmax(inside), inside.shape)
    return Place(int(left), int(top), columns, rows)


def write_panels(path: Path, pictures: Mapping[str, Picture], place: Place, zoom: int, *, overwrite: bool) -> None:
    """A PNG of the same place of each, by label."""
    panels = [_panel(place.of(_bgr(picture)), label, zoom) for label, picture in pictures.items()]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    image = np.hstack([part for panel in panels for part in (gap, panel)][1:])
    with atomic_path(path, overwrite=overwrite) as part:
        _, data = cv2().imencode(".png", image, [cv2().IMWRITE_PNG_COMPRESSION, 9])
        part.write_bytes(data.tobytes())


def _bgr(picture: Picture) -> Image:
    rgb = np.rint(to_rgb(to_planes(picture), Samples.of(picture))[0].clip(0, 1) * 255).astype(np.uint8)
    image: Image = rgb.transpose(1, 2, 0)[..., ::-1]
    return image


def _panel(crop: Image, label: str, zoom: int) -> Image:
    large = np.repeat(np.repeat(crop, zoom, 0), zoom, 1)
    strip = np.full((STRIP, large.shape[1], 3), 255, np.uint8)
    font, room = cv2().FONT_HERSHEY_SIMPLEX, large.shape[1] - 2 * _MARGIN
    (width, _), _ = cv2().getTextSize(label, font, 1.0, 1)
    size = max(_SMALLEST, min(0.6, room / width))
    cv2().putText(strip, label, (_MARGIN, STRIP - 12), font, size, (0, 0, 0), 1, cv2().LINE_AA)
    return np.vstack([strip, large])
