"""Parts of pictures that are looked at in place of whole ones, and what arrives of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import ColorSpec, Picture, Plane
from irn_video.codecs.reading.frame_data import mean_qp
from irn_video.codecs.reading.pixels import unpacker
from irn_video.codecs.scales import enlarged
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.codecs.writing.roundtrip import h264_decoder
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.network.constants import fold_of
from irn_video.pipeline.planes import Samples, convert

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
        y, u, v = _cut(picture, (self.rows, self.columns), cell)
        return replace(picture, planes=(y.copy(), u.copy(), v.copy()))

    def inside(self, part: Picture, cell: int) -> tuple[Plane, Plane, Plane]:
        """The planes of such a copy without the halo."""
        return _cut(part, self.inner, cell)


def _spans(length: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Stretches of nearly equal length, each with its halo, and where it begins and ends in that."""
    count = max(1, round(length / side))
    for begin, end in itertools.pairwise(length * index // count for index in range(count + 1)):
        first, last = max(0, begin - _HALO), min(length, end + _HALO)
        yield slice(first, last), slice(begin - first, end - first)


def _cut(picture: Picture, place: tuple[slice, slice], cell: int) -> tuple[Plane, Plane, Plane]:
    down, right = picture.layout.subsampling
    luma, *chroma = picture.planes
    planes = (_cells(luma, place, cell, cell), *(_cells(plane, place, cell // down, cell // right) for plane in chroma))
    return cast("tuple[Plane, Plane, Plane]", planes)


def _cells(plane: Plane, place: tuple[slice, slice], height: int, width: int) -> Plane:
    rows, columns = place
    return plane[rows.start * height : rows.stop * height, columns.start * width : columns.stop * width]


Remembered = tuple[Picture, Part]
"""A part of a picture of the source, and where it lies."""


def tunable(rescaler: Rescaler) -> PackedRescaler:
    """The same.

    Raises:
        BadOption: only codec-aware networks are tuned.
    """
    if not isinstance(rescaler, PackedRescaler):
        raise BadOption(
            f"{rescaler.name} cannot be tuned to a clip", hint="use a network made for H.264, such as irn-h264-x2"
        )
    return rescaler


def cell_of(scale: float) -> int:
    """LR luma samples along a side of a network's cell: 4 at scales 1 and 3/2, else 2."""
    return 2 * fold_of(scale)


def parts_of(picture: Picture, scale: float, side: int) -> list[Part]:
    """See `Part.all`, of a picture of the source."""
    cell = enlarged(cell_of(scale), scale)
    return Part.all(-(-picture.height // cell), -(-picture.width // cell), side)


def kept(picture: Picture, part: Part, rescaler: PackedRescaler) -> Remembered:
    """What to keep of a picture of the source, as 4:2:0."""
    # The colour matrix of a picture without tags depends on its height, so nothing is converted after the cut.
    carried = convert(picture, rescaler.carried(Samples.of(picture), picture.height))
    return part.of(carried, enlarged(cell_of(rescaler.scale), rescaler.scale)), part


def decoded(group: CodedGroup, wanted: Collection[int] | None = None) -> Iterator[tuple[int, Picture]]:
    """Pictures that the receiver will have, in order, with their places in the group: all, or those that are wanted."""
    decoder, times = h264_decoder(extradata=group.extradata), [packet.pts for packet in group.packets]
    in_order = sorted(pts for pts in times if pts is not None)
    places: dict[int | None, int] = {pts: place for place, pts in enumerate(in_order)}
    some = places.values() if wanted is None else wanted
    for pts, packet in (*zip(times, group.packets, strict=True), (None, None)):
        # What no other picture refers to need not be decoded.
        decoder.skip_frame = "DEFAULT" if packet is None or places[pts] in some else "NONREF"
        for frame in decoder.decode(packet):
            if (place := places[frame.pts]) in some:
                how = unpacker(frame.format.name)
                yield (
                    place,
                    Picture(
                        planes=how.planes(frame),
                        layout=how.layout,
                        bit_depth=how.bit_depth,
                        color=ColorSpec(),
                        pts=0,
                        time_base=Fraction(1),
                        qp=mean_qp(frame),
                    ),
                )
            if place >= max(some):
                return
