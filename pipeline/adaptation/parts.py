"""Parts of pictures that are looked at in place of whole ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from irn_video.codecs.picture import Picture, Plane

_HALO = 8  # cells around it, which the network sees and whose own results are not used


@dataclass(frozen=True)
class Part:
    """A part of a picture, in cells of a network, with a halo; `inner` is where it lies without that."""

    rows: slice
    columns: slice
    inner: tuple[slice, slice]

    @classmethod
    def all(cls, height: int, width: int, side: int) -> list[Part]:
        """A picture of so many cells in parts of nearly `side`², so that each cell is as likely as any other."""
        places = itertools.product(_spans(height, side), _spans(width, side))
        return [
            cls(rows, columns, (inner_rows, inner_columns)) for (rows, inner_rows), (columns, inner_columns) in places
        ]

    def of(self, picture: Picture, cell: int) -> Picture:
        """A copy of it, where a cell has `cell`² luma samples; cut where the picture ends."""
        down, right = picture.layout.subsampling
        luma, *chroma = picture.planes
        planes = (_cut(luma, self, cell, cell), *(_cut(plane, self, cell // down, cell // right) for plane in chroma))
        return replace(picture, planes=cast("tuple[Plane, Plane, Plane]", planes))


def _spans(length: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Stretches of nearly equal length, each with its halo, and where it begins and ends in that."""
    count = max(1, round(length / side))
    for begin, end in itertools.pairwise(length * index // count for index in range(count + 1)):
        first, last = max(0, begin - _HALO), min(length, end + _HALO)
        yield slice(first, last), slice(begin - first, end - first)


def _cut(plane: Plane, part: Part, height: int, width: int) -> Plane:
    rows, columns = part.rows, part.columns
    return plane[rows.start * height : rows.stop * height, columns.start * width : columns.stop * width].copy()


Remembered = tuple[Picture, Part]
"""A part of a picture of the source, and where it lies."""
