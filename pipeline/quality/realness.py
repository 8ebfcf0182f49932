"""How real a restored video looks, by measures that need no training: see `texture` and `flicker`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Layout, Picture, Plane
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.flow import ahead
from irn_video.pipeline.planes import Samples, carried_color, convert
from irn_video.pipeline.quality.flicker import Change, flicker
from irn_video.pipeline.quality.metrics import REAL_METRICS
from irn_video.pipeline.quality.texture import COARSE, EDGE, FINE, FLAT, TEXTURE, Energies, texture

_RATIOS = {
    "texture_fine": (TEXTURE, FINE),
    "texture_coarse": (TEXTURE, COARSE),
    "flat_fine": (FLAT, FINE),
    "edge_fine": (EDGE, FINE),
}
_CHANGES = ("flicker", "flicker_static")


def measure_realness(restored: Path, source: Path, wanted: Collection[str] = REAL_METRICS) -> dict[str, float | None]:
    """Those `wanted`, of all frames of `restored` against the first ones of `source`, by name; None where undefined.

    Raises:
        SourceMismatch: the source has fewer frames, or others.
    """
    energies, change = Energies(), Change()
    before: tuple[Plane, Plane] | None = None
    textures, changes = (bool({*names} & {*wanted}) for names in (_RATIOS, _CHANGES))
    for own, other, bit_depth in luma_pairs(restored, source) if textures or changes else ():
        if textures:
            energies += texture(own, other, bit_depth)
        if changes and before is not None:
            change += flicker((before[0], own), (before[1], other), bit_depth)
        before = own, other
    ratios = {name: energies.ratio(*which) for name, which in _RATIOS.items()}
    ratios |= dict(zip(_CHANGES, (change.followed_ratio, change.static_ratio), strict=True))
    return {name: ratios[name] for name in wanted}


def luma_pairs(restored: Path, source: Path) -> Iterator[tuple[Plane, Plane, int]]:
    """Luma of the source and of the restored video, frame by frame, and the bits of both.

    Raises:
        SourceMismatch: the source has fewer frames, or others.
    """
    with (
        VideoReader(source) as originals,
        VideoReader(restored) as shown,
        ahead(originals) as left,
        ahead(shown) as right,
    ):
        for tagged in right:
            one = next(left, None)
            if one is None:
                raise SourceMismatch("more frames than the source", path=restored)
            other = replace(tagged, color=one.color)  # samples are compared, whatever the tags say
            yield _luma(convert(one, Samples.of(other))), _luma(other), other.bit_depth


def _luma(picture: Picture) -> Plane:
    if picture.layout is Layout.RGB:
        color = carried_color(picture.color, Layout.YUV444, picture.height)
        picture = convert(picture, Samples(Layout.YUV444, picture.bit_depth, color))
    return picture.planes[0]
