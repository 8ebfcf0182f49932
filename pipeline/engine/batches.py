"""Rescaling of R′G′B′ tensors, a batch at a time: networks take it in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.engine import tiles
from irn_video.pipeline.engine.engine import Draw
from irn_video.pipeline.engine.latents import drawn
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.rgb import RgbRescaler
from irn_video.pipeline.network import Prediction
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.planes import Samples, carried_color, from_rgb, to_rgb
from torch import Tensor

_RGB = Samples(Layout.RGB, 16, ColorSpec(matrix=0, full_range=True))
_PEAK = 65535


def downscale_rgb(rescaler: Rescaler, hr: Tensor, qp: float | None = None) -> Tensor:
    """HR (N, 3, H, W) in [0, 1] → LR (N, 3, h, w) of the padded size over `scale`, float32, on the same device.

    Args:
        rescaler: what does it.
        hr: H and W are padded by repeating the edge, see `Rescaler.padded`.
        qp: see `Rescaler.downscale`.
    """
    height, width = hr.shape[-2:]
    tall, wide = rescaler.padded(height, width)
    padded = F.pad(hr.float(), (0, wide - width, 0, tall - height), mode="replicate")
    match rescaler:
        case PackedRescaler():
            samples = _carried(height)
            with torch.inference_mode():
                packed = pack(*from_rgb(padded.to(rescaler.device.torch_device), samples))
                lr = rescaler.network.prefilter(rescaler.network.lowpass(packed), qp)
                small = to_rgb(unpack(lr), samples)
        case RgbRescaler():
            with rescaler.device.inference():
                small, _ = tiles.downscale(rescaler.network, padded.to(rescaler.device.torch_device))
        case _:
            small = torch.cat([_rgb(rescaler.downscale(picture, _RGB, qp)) for picture in _pictures(padded)])
    return small.to(hr.device, torch.float32).clamp(0, 1)


def upscale_rgb(
    rescaler: Rescaler, lr: Tensor, qp: float | Tensor | None, *, temperature: float, seed: int, index: int
) -> Tensor:
    """LR (N, 3, h, w) in [0, 1] → HR (N, 3, ⌊h·scale⌋, ⌊w·scale⌋), float32, on the same device.

    Args:
        rescaler: what does it.
        lr: as it arrived.
        qp: H.264 quantiser of the LR frames, one for all or (N,); None for frames without loss.
        temperature: of the latents.
        seed: of the latents.
        index: of the first frame; each frame's latent goes by its own, whatever batch it comes in.
    """
    height, width = lr.shape[-2:]
    tall, wide = rescaler.padded_lr(height, width)
    even = F.pad(lr.float(), (0, wide - width, 0, tall - height), mode="replicate")
    full = enlarged(height, rescaler.scale), enlarged(width, rescaler.scale)
    match rescaler:
        case PackedRescaler():
            samples = _carried(full[0])
            with rescaler.device.inference():
                packed = pack(*from_rgb(even.to(rescaler.device.torch_device), samples))
                prediction = rescaler.network.predict(packed, qp)
            with torch.inference_mode():
                latent = _latent(prediction, temperature, seed, index)
                large = to_rgb(unpack(rescaler.network.upscale(prediction.lr, latent)), samples)
        case RgbRescaler():
            with rescaler.device.inference():
                prediction = rescaler.network.predict(even.to(rescaler.device.torch_device))
                latent = _latent(prediction, temperature, seed, index)
                large = tiles.upscale(rescaler.network, prediction.lr, latent)
        case _:
            to = Restoration(_RGB, *full)
            large = torch.cat([_rgb(rescaler.upscale(picture, to)) for picture in _pictures(even)])
    large = large[..., : full[0], : full[1]]
    return large.to(lr.device, torch.float32).clamp(0, 1)


def _latent(prediction: Prediction, temperature: float, seed: int, index: int) -> Tensor:
    """The latents of a batch, each drawn as if its frame came alone."""
    log_std = prediction.log_std.expand_as(prediction.mean)
    alone = zip(*(part.split(1) for part in (prediction.lr, prediction.mean, log_std)), strict=True)
    drawings = (Draw(temperature, seed, number) for number in count(index))
    return torch.cat([drawn(Prediction(*parts), draw) for parts, draw in zip(alone, drawings, strict=False)])


def _carried(height: int) -> Samples:
    """4:2:0 as it is usual for frames of this height."""
    return Samples(Layout.YUV420, 8, carried_color(_RGB.color, Layout.YUV420, height))


def _pictures(rgb: Tensor) -> Iterator[Picture]:
    """The frames of a batch, at 16 bits."""
    for red, green, blue in (rgb.clamp(0, 1) * _PEAK).round().cpu().numpy().astype(np.uint16):
        yield Picture((red, green, blue), _RGB.layout, _RGB.bit_depth, _RGB.color, 0, Fraction(1))


def _rgb(picture: Picture) -> Tensor:
    return torch.from_numpy(np.stack(picture.planes).astype(np.float32))[None] / _PEAK
