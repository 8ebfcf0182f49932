"""Pictures to arrays and back: normalised planes, colour, chroma sampling, padding.

Planes are float32 arrays (1, 1, h, w) in code values over 255·2^(bit depth − 8), so black and white of limited range
stay at 16/255 and 235/255 at every depth. They are NumPy's, or PyTorch's where a network needs them so; all that is
done with them here is written once, in what the two have in common. PyTorch is only imported for its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from irn_video.codecs.picture import ColorSpec, Layout, Picture, Plane
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = TypeVar("Array", NDArray[np.float32], "Tensor")
"""Of NumPy or of PyTorch."""
Planes = tuple[Array, Array, Array]

# Luma weights (K_R, K_B) per H.273 MatrixCoefficients; others are read as BT.709.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_BT709, _BT601, _RGB, _UNSPECIFIED = 1, 6, 0, 2
_HD_LINES = 720
# See `chroma_places`; by AVChromaLocation.
_SITING = {0: (0.5, 0.0), 1: (0.5, 0.0), 2: (0.5, 0.5), 3: (0.0, 0.0), 4: (0.0, 0.5), 5: (1.0, 0.0), 6: (1.0, 0.5)}


@dataclass(frozen=True)
class Samples:
    """How samples are laid out: what a stream, a network or a file carries.

    Attributes:
        layout: relation of the planes.
        bit_depth: bits per sample.
        color: colour tags.
    """

    layout: Layout
    bit_depth: int
    color: ColorSpec

    @classmethod
    def of(cls, picture: Picture) -> Samples:
        """Those of a picture."""
        return cls(picture.layout, picture.bit_depth, picture.color)


def carried_color(color: ColorSpec, layout: Layout, height: int) -> ColorSpec:
    """Colour tags of a picture once it has another layout: RGB has matrix 0, Y′CbCr the one for its size."""
    if layout is Layout.RGB:
        return replace(color, matrix=_RGB, full_range=True, chroma_siting=0)
    if color.matrix == _RGB:
        return replace(color, matrix=_BT709 if height >= _HD_LINES else _BT601, full_range=False, chroma_siting=1)
    return color


def resolved_color(color: ColorSpec, height: int) -> ColorSpec:
    """Colour with the matrix spelled out, since an LR picture has too few lines for the usual guess."""
    if color.matrix != _UNSPECIFIED:
        return color
    return replace(color, matrix=_BT709 if height >= _HD_LINES else _BT601)


@overload
def to_planes(picture: Picture) -> Planes[NDArray[np.float32]]: ...


@overload
def to_planes(picture: Picture, device: torch.device | str) -> Planes[Tensor]: ...


def to_planes(
    picture: Picture, device: torch.device | str | None = None
) -> Planes[NDArray[np.float32]] | Planes[Tensor]:
    """Normalised planes of a picture, float32; tensors where a device is named, else NumPy's arrays."""
    unit = code_unit(picture.bit_depth)
    if device is None:
        a, b, c = (np.divide(plane, np.float32(unit), dtype=np.float32)[None, None] for plane in picture.planes)
        return a, b, c
    x, y, z = (_tensor(plane, device).div_(unit) for plane in picture.planes)
    return x, y, z


def to_picture(planes: Planes[Array], samples: Samples, like: Picture) -> Picture:
    """Round planes to samples; times and flags are those of `like`."""
    a, b, c = (_rounded(plane, samples.bit_depth) for plane in planes)
    return replace(
        like, planes=(a, b, c), layout=samples.layout, bit_depth=samples.bit_depth, color=samples.color, qp=None
    )


def same_planes(source: Samples, target: Samples, height: int) -> bool:
    """Whether planes of a picture of this height need no conversion but that of depth."""
    return source.layout is target.layout and _same_matrix(source.color, target.color, height)


def convert(picture: Picture, samples: Samples) -> Picture:
    """A picture in another layout, depth or colour matrix; the same object where nothing changes.

    Chroma is filtered according to its siting; colour primaries and transfer are never changed.
    """
    if Samples.of(picture) == samples:
        return picture
    kept = (picture.layout, picture.bit_depth) == (samples.layout, samples.bit_depth)
    if kept and _same_matrix(picture.color, samples.color, picture.height):
        return replace(picture, color=samples.color, qp=None)
    return to_picture(convert_planes(to_planes(picture), Samples.of(picture), samples), samples, picture)


def convert_planes(planes: Planes[Array], source: Samples, target: Samples) -> Planes[Array]:
    """Planes of one layout and colour as planes of another; see `convert`."""
    height = planes[0].shape[-2]
    if same_planes(source, target, height):
        return planes
    if Layout.RGB not in (source.layout, target.layout) and _same_matrix(source.color, target.color, height):
        full = (_upsample_chroma(p, source, planes[0]) for p in planes[1:])
        u, v = (_downsample_chroma(p, target) for p in full)
        return planes[0], u, v
    return _from_rgb(_to_rgb(planes, source), target)


def to_rgb(planes: Planes[Array], samples: Samples) -> Array:
    """Planes → R′G′B′ (1, 3, H, W) in [0, 1] (H.273, equations 11 to 45), not clamped."""
    rgb: Array = _library(planes[0]).concat(_to_rgb(planes, samples), 1)
    return rgb


def from_rgb(rgb: Array, samples: Samples) -> Planes[Array]:
    """R′G′B′ (1, 3, H, W) in [0, 1] → planes."""
    return _from_rgb((rgb[:, 0:1], rgb[:, 1:2], rgb[:, 2:3]), samples)


def luma_weights(color: ColorSpec, height: int) -> tuple[float, float]:
    """(K_R, K_B) of a colour matrix; untagged pictures are BT.709 from 720 lines up, else BT.601."""
    return _LUMA_WEIGHTS.get(resolved_color(color, height).matrix, _LUMA_WEIGHTS[_BT709])


def code_range(color: ColorSpec) -> tuple[float, float, float]:
    """(black, luma span, chroma span) over 255; untagged Y′CbCr is of limited range."""
    return (0.0, 1.0, 1.0) if color.full_range else (16 / 255, 219 / 255, 224 / 255)


def chroma_places(samples: Samples) -> tuple[float | None, float | None]:
    """Where a chroma sample sits within its two luma samples, (vertical, horizontal), from 0, the first, to 1.

    None along an axis that has as many samples of chroma as of luma.
    """
    down, right = samples.layout.subsampling
    vertical, horizontal = _SITING.get(samples.color.chroma_siting, _SITING[1])
    return vertical if down == 2 else None, horizontal if right == 2 else None


def interpolation_weights(place: float) -> tuple[float, float]:
    """What chroma sample k counts at luma samples 2k and 2k + 1; the rest comes from k − 1 and from k + 1."""
    return (2 - place) / 2, (1 + place) / 2


def pad(planes: Planes[Array], layout: Layout, height: int, width: int) -> Planes[Array]:
    """Replicate the last row and column until the picture has this size."""
    a, b, c = (
        _edged(_edged(p, -1, 0, w - p.shape[-1]), -2, 0, h - p.shape[-2])
        for p, (h, w) in zip(planes, layout.plane_shapes(height, width), strict=True)
    )
    return a, b, c


def crop(planes: Planes[Array], layout: Layout, height: int, width: int) -> Planes[Array]:
    """The top left part of this size."""
    a, b, c = (p[..., :h, :w] for p, (h, w) in zip(planes, layout.plane_shapes(height, width), strict=True))
    return a, b, c


def stacked(pictures: Sequence[Picture], samples: Samples, height: int, width: int) -> tuple[Plane, Plane, Plane]:
    """Pictures one below the other as planes of one, each with its last row and column repeated up to this size.

    Args:
        pictures: from top to bottom, none of them larger.
        samples: of the planes; pictures are converted where they have others.
        height, width: of each, in luma samples that the subsampling divides.
    """
    shown = [convert(picture, samples).planes for picture in pictures]
    shapes = samples.layout.plane_shapes(height, width)
    y, u, v = (
        np.concatenate([np.pad(p[n], ((0, h - p[n].shape[0]), (0, w - p[n].shape[1])), "edge") for p in shown])
        for n, (h, w) in enumerate(shapes)
    )
    return y, u, v


def _to_rgb(planes: Planes[Array], samples: Samples) -> Planes[Array]:
    if samples.layout is Layout.RGB:
        return planes
    black, luma_span, chroma_span = code_range(samples.color)
    kr, kb = luma_weights(samples.color, planes[0].shape[-2])
    y = (planes[0] - black) / luma_span
    # Scaled before they are spread to the luma grid, where there are fewer of them.
    gains = 2 * (1 - kb) / chroma_span, 2 * (1 - kr) / chroma_span
    scaled = ((p - 128 / 255) * gain for p, gain in zip(planes[1:], gains, strict=True))
    cb, cr = (_upsample_chroma(p, samples, y) for p in scaled)
    return y + cr, y - cb * (kb / (1 - kr - kb)) - cr * (kr / (1 - kr - kb)), y + cb


def _from_rgb(rgb: Planes[Array], samples: Samples) -> Planes[Array]:
    if samples.layout is Layout.RGB:
        return rgb
    red, green, blue = rgb
    black, luma_span, chroma_span = code_range(samples.color)
    kr, kb = luma_weights(samples.color, red.shape[-2])
    y = kr * red + (1 - kr - kb) * green + kb * blue
    # Scaled after they have left the luma grid.
    gains = chroma_span / (2 * (1 - kb)), chroma_span / (2 * (1 - kr))
    small = (_downsample_chroma(c, samples) for c in (blue - y, red - y))
    u, v = (p * gain + 128 / 255 for p, gain in zip(small, gains, strict=True))
    return y * luma_span + black, u, v


def _library(array: object) -> Any:
    """The library of an array; of its functions only those that both have, with the same arguments."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def code_unit(bit_depth: int) -> float:
    """Code value that is 1 in normalised planes."""
    return 255.0 * (1 << (bit_depth - 8))


def _tensor(plane: Plane, device: torch.device | str) -> Tensor:
    import torch

    samples = plane if plane.dtype == np.uint8 else plane.astype(np.int32)
    return torch.from_numpy(np.ascontiguousarray(samples)).to(device).float()[None, None]


def _rounded(plane: Array, bit_depth: int) -> Plane:
    library = _library(plane)
    codes: Any = plane[0, 0] * code_unit(bit_depth)
    library.round(codes, out=codes)
    library.clip(codes, 0, (1 << bit_depth) - 1, out=codes)
    if not isinstance(codes, np.ndarray):  # as integers, which are the fewest bytes to carry off a device
        codes = codes.to(library.uint8 if bit_depth == 8 else library.int32).cpu().numpy()
    rounded: Plane = codes.astype(np.uint8 if bit_depth == 8 else np.uint16, copy=False)
    return rounded


def _same_matrix(one: ColorSpec, other: ColorSpec, height: int) -> bool:
    return luma_weights(one, height) == luma_weights(other, height) and bool(one.full_range) == bool(other.full_range)


def _upsample_chroma(plane: Array, samples: Samples, luma: Array) -> Array:
    vertical, horizontal = chroma_places(samples)
    if horizontal is not None:
        plane = _interpolate(plane, -1, horizontal, luma.shape[-1])
    if vertical is not None:
        plane = _interpolate(plane, -2, vertical, luma.shape[-2])
    return plane


def _interpolate(plane: Array, axis: int, place: float, size: int) -> Array:
    """Twice the samples along an axis, linearly, see `chroma_places`."""
    near, weight = interpolation_weights(place)
    edged = _edged(plane, axis, 1, 1)
    before, after = _part(edged, axis, 0, -2), _part(edged, axis, 2, None)
    even = plane * near + before * (1 - near) if near < 1 else plane
    odd = plane * weight + after * (1 - weight) if weight < 1 else plane
    shape = list(plane.shape)
    shape[axis] *= 2
    joined: Array = _library(plane).stack((even, odd), plane.ndim + axis + 1)
    return _part(joined.reshape(shape), axis, 0, size)


def _downsample_chroma(plane: Array, samples: Samples) -> Array:
    vertical, horizontal = chroma_places(samples)
    if horizontal is not None:
        plane = _decimate(plane, -1, horizontal)
    if vertical is not None:
        plane = _decimate(plane, -2, vertical)
    return plane


def _decimate(plane: Array, axis: int, place: float) -> Array:
    """Half the samples along an axis: a triangle around 2k or 2k + 1, or the mean of the two."""
    odd = plane.shape[axis] % 2
    if place == 0.5:
        even = _edged(plane, axis, 0, odd)
        return (_part(even, axis, 0, None, 2) + _part(even, axis, 1, None, 2)) * 0.5
    edged, first = _edged(plane, axis, 1, 1 + odd), int(place)
    before, here = _part(edged, axis, first, -2, 2), _part(edged, axis, first + 1, -1, 2)
    return (before + 2 * here + _part(edged, axis, first + 2, None, 2)) * 0.25


def _part(plane: Array, axis: int, start: int, stop: int | None, step: int = 1) -> Array:
    """A slice along the last axis or the one before it."""
    piece = slice(start, stop, step)
    return plane[..., piece] if axis == -1 else plane[..., piece, :]


def _edged(plane: Array, axis: int, before: int, after: int) -> Array:
    """The first sample along an axis repeated `before` times more, the last one `after` times."""
    if not before and not after:
        return plane
    pieces = [_part(plane, axis, 0, 1)] * before + [plane] + [_part(plane, axis, -1, None)] * after
    edged: Array = _library(plane).concat(pieces, axis)
    return edged
