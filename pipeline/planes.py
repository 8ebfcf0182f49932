"""Pictures to tensors and back: normalised planes, colour, chroma sampling, padding.

Planes are float tensors (1, 1, h, w) in code values over 255·2^(bit depth − 8), so black and white of limited range
stay at 16/255 and 235/255 at every depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.codecs.picture import ColorSpec, Layout, Picture, Plane
from torch import Tensor

Planes = tuple[Tensor, Tensor, Tensor]

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
# Where a 4:2:0 chroma sample sits within its two luma samples, (vertical, horizontal), per AVChromaLocation.
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


def to_planes(picture: Picture, device: torch.device | str = "cpu") -> Planes:
    """Normalised planes of a picture, float32."""
    peak = _unit(picture.bit_depth)
    y, u, v = (_tensor(plane, device).div_(peak) for plane in picture.planes)
    return y, u, v


def to_picture(planes: Planes, samples: Samples, like: Picture) -> Picture:
    """Round planes to samples; times and flags are those of `like`."""
    a, b, c = (_round(plane, samples.bit_depth) for plane in planes)
    return replace(
        like, planes=(a, b, c), layout=samples.layout, bit_depth=samples.bit_depth, color=samples.color, qp=None
    )


def convert(picture: Picture, samples: Samples, device: torch.device | str = "cpu") -> Picture:
    """A picture in another layout, depth or colour matrix; the same object where nothing changes.

    Chroma is filtered according to its siting; colour primaries and transfer are never changed.
    """
    if Samples.of(picture) == samples:
        return picture
    kept = (picture.layout, picture.bit_depth) == (samples.layout, samples.bit_depth)
    if kept and _same_matrix(picture.color, samples.color, picture.height):
        return replace(picture, color=samples.color, qp=None)
    return to_picture(convert_planes(to_planes(picture, device), Samples.of(picture), samples), samples, picture)


def convert_planes(planes: Planes, source: Samples, target: Samples) -> Planes:
    """Planes of one layout and colour as planes of another; see `convert`."""
    height = planes[0].shape[-2]
    if source.layout is target.layout and _same_matrix(source.color, target.color, height):
        return planes
    if Layout.RGB not in (source.layout, target.layout) and _same_matrix(source.color, target.color, height):
        size = planes[0].shape[-2:]
        full = (_upsample_chroma(p, source.layout, source.color, size) for p in planes[1:])
        u, v = (_downsample_chroma(p, target.layout, target.color) for p in full)
        return planes[0], u, v
    return from_rgb(to_rgb(planes, source), target)


def to_rgb(planes: Planes, samples: Samples) -> Tensor:
    """Planes → R′G′B′ (1, 3, H, W) in [0, 1] (H.273, equations 11 to 45), not clamped."""
    if samples.layout is Layout.RGB:
        return torch.cat(planes, 1)
    y, cb, cr, (a, b) = _rgb_terms(planes, samples, (_range(samples.color)[0], 128 / 255))
    return torch.cat((y + cr, torch.add(y, cb, alpha=-a).sub_(cr, alpha=b), y + cb), 1)


def from_rgb(rgb: Tensor, samples: Samples) -> Planes:
    """R′G′B′ (1, 3, H, W) in [0, 1] → planes."""
    red, green, blue = rgb.split(1, 1)
    if samples.layout is Layout.RGB:
        return red, green, blue
    kr, kb = luma_weights(samples.color, rgb.shape[-2])
    low, luma_span, chroma_span = _range(samples.color)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = ((blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr)))
    u, v = (_downsample_chroma(c * chroma_span + 128 / 255, samples.layout, samples.color) for c in chroma)
    return y * luma_span + low, u, v


def rgb_mean_square(planes: Planes, samples: Samples) -> float:
    """Mean square over R′, G′ and B′ of a difference of two pictures.

    R = Y + Cr, B = Y + Cb and G = Y − a·Cb − b·Cr, with scaled chroma, so six inner products are all it takes.
    """
    y, cb, cr, (a, b) = _rgb_terms(planes, samples, (0.0, 0.0))
    yy, bb, rr = _mean_product(y, y), _mean_product(cb, cb), _mean_product(cr, cr)
    yb, yr, br = _mean_product(y, cb), _mean_product(y, cr), _mean_product(cb, cr)
    red, blue = yy + 2 * yr + rr, yy + 2 * yb + bb
    green = yy + a * a * bb + b * b * rr - 2 * a * yb - 2 * b * yr + 2 * a * b * br
    return max(0.0, red + green + blue) / 3


def luma_weights(color: ColorSpec, height: int) -> tuple[float, float]:
    """(K_R, K_B) of a colour matrix; untagged pictures are BT.709 from 720 lines up, else BT.601."""
    return _LUMA_WEIGHTS.get(resolved_color(color, height).matrix, _LUMA_WEIGHTS[_BT709])


def pad(planes: Planes, layout: Layout, height: int, width: int) -> Planes:
    """Replicate the last row and column until the picture has this size."""
    shapes = layout.plane_shapes(height, width)
    a, b, c = (
        F.pad(p, (0, w - p.shape[-1], 0, h - p.shape[-2]), mode="replicate") if p.shape[-2:] != (h, w) else p
        for p, (h, w) in zip(planes, shapes, strict=True)
    )
    return a, b, c


def crop(planes: Planes, layout: Layout, height: int, width: int) -> Planes:
    """The top left part of this size."""
    shapes = layout.plane_shapes(height, width)
    a, b, c = (p[..., :h, :w] for p, (h, w) in zip(planes, shapes, strict=True))
    return a, b, c


def _rgb_terms(
    planes: Planes, samples: Samples, zero: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor, tuple[float, float]]:
    """Y, scaled Cb and Cr on the luma grid, and what G takes of them; `zero` is the zero point of luma and chroma."""
    size = planes[0].shape[-2:]
    _, luma_span, chroma_span = _range(samples.color)
    kr, kb = luma_weights(samples.color, int(size[0]))
    # Scaled before they are spread to the luma grid, where there are fewer of them.
    gains = 2 * (1 - kb) / chroma_span, 2 * (1 - kr) / chroma_span
    scaled = ((p - zero[1]) * gain for p, gain in zip(planes[1:], gains, strict=True))
    cb, cr = (_upsample_chroma(p, samples.layout, samples.color, size) for p in scaled)
    return (planes[0] - zero[0]) / luma_span, cb, cr, (kb / (1 - kr - kb), kr / (1 - kr - kb))


def _mean_product(one: Tensor, other: Tensor) -> float:
    return float(torch.dot(one.flatten(), other.flatten())) / one.numel()


def _unit(bit_depth: int) -> float:
    return 255.0 * (1 << (bit_depth - 8))


def _tensor(plane: Plane, device: torch.device | str) -> Tensor:
    samples = plane if plane.dtype == np.uint8 else plane.astype(np.int32)
    return torch.from_numpy(np.ascontiguousarray(samples)).to(device).float()[None, None]


def _round(plane: Tensor, bit_depth: int) -> Plane:
    peak = (1 << bit_depth) - 1
    codes = (plane[0, 0].float() * _unit(bit_depth)).round_().clamp_(0, peak)
    if bit_depth == 8:
        array: Plane = codes.to(torch.uint8).cpu().numpy()
        return array
    return codes.to(torch.int32).cpu().numpy().astype(np.uint16)


def _range(color: ColorSpec) -> tuple[float, float, float]:
    """(black, luma span, chroma span) over 255; untagged Y′CbCr is of limited range."""
    return (0.0, 1.0, 1.0) if color.full_range else (16 / 255, 219 / 255, 224 / 255)


def _same_matrix(one: ColorSpec, other: ColorSpec, height: int) -> bool:
    return luma_weights(one, height) == luma_weights(other, height) and bool(one.full_range) == bool(other.full_range)


def _upsample_chroma(plane: Tensor, layout: Layout, color: ColorSpec, size: torch.Size | tuple[int, int]) -> Tensor:
    down, right = layout.subsampling
    vertical, horizontal = _SITING.get(color.chroma_siting, _SITING[1])
    if right == 2:
        plane = _interpolate(plane, -1, horizontal, size[1])
    if down == 2:
        plane = _interpolate(plane, -2, vertical, size[0])
    return plane


def _interpolate(plane: Tensor, dim: int, offset: float, size: int) -> Tensor:
    """Twice the samples along `dim`, linearly; sample k sits at 2k + offset (0, 0.5 or 1)."""
    before, after = _shifted(plane, dim, -1), _shifted(plane, dim, 1)
    near = (2 - offset) / 2  # weight of sample k at the even place 2k, the rest comes from k − 1
    even = plane * near + before * (1 - near) if offset else plane
    weight = (1 + offset) / 2
    odd = plane * weight + after * (1 - weight)
    joined = torch.stack((even, odd), plane.dim() if dim == -1 else plane.dim() - 1)
    return joined.flatten(dim - 1, dim).narrow(dim, 0, size)


def _downsample_chroma(plane: Tensor, layout: Layout, color: ColorSpec) -> Tensor:
    down, right = layout.subsampling
    vertical, horizontal = _SITING.get(color.chroma_siting, _SITING[1])
    if right == 2:
        plane = _decimate(plane, -1, horizontal)
    if down == 2:
        plane = _decimate(plane, -2, vertical)
    return plane


def _decimate(plane: Tensor, dim: int, offset: float) -> Tensor:
    """Half the samples along `dim`: a triangle around 2k or 2k + 1, or the mean of the two."""
    if plane.shape[dim] % 2:
        plane = torch.cat((plane, plane.narrow(dim, plane.shape[dim] - 1, 1)), dim)
    if offset == 0.5:
        shape = list(plane.shape)
        axis = plane.dim() + dim
        return plane.reshape(*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :]).mean(axis + 1)
    smooth = (_shifted(plane, dim, -1) + 2 * plane + _shifted(plane, dim, 1)) / 4
    indices = torch.arange(int(offset), plane.shape[dim], 2, device=plane.device)
    return smooth.index_select(dim, indices)


def _shifted(plane: Tensor, dim: int, step: int) -> Tensor:
    """plane[n + step] along `dim`, the edge sample repeated."""
    size = plane.shape[dim]
    if step > 0:
        return torch.cat((plane.narrow(dim, 1, size - 1), plane.narrow(dim, size - 1, 1)), dim)
    return torch.cat((plane.narrow(dim, 0, 1), plane.narrow(dim, 0, size - 1)), dim)
