"""The networks of the paper, on PyTorch, behind the interface of the rescalers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.engine import tiles
from irn_video.pipeline.engine.cuda_graphs import Runner
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.latents import NoiseFields, with_noise
from irn_video.pipeline.engine.noise import places
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.engine.torch_engine import rounded
from irn_video.pipeline.network.paper import PaperRescaler
from irn_video.pipeline.planes import (
    Samples,
    carried_color,
    code_unit,
    crop,
    from_rgb,
    pad,
    resolved_color,
    to_rgb,
)
from irn_video.pipeline.zoo import LoadedModel
from numpy.typing import NDArray
from torch import Tensor


class RgbRescaler(Rescaler):
    """A network of the paper, on 8-bit RGB; large pictures are computed in tiles, see `tiles.py`."""

    wants_lossless = True

    def __init__(self, model: LoadedModel, device: Device) -> None:
        assert isinstance(model.network, PaperRescaler)
        self.name, self.sha256 = model.card.name, model.sha256
        self.scale, self.temperature = model.network.scale, model.card.temperature
        self.device, self.workers = device, device.workers
        self.warnings = (device.warning,) if device.warning else ()
        self.network: PaperRescaler = device.placed(model.network)
        self._run, self._fields = Runner(device.torch_device), NoiseFields(device.torch_device)

    @property
    def where(self) -> str:
        """Device and precision."""
        return str(self.device)

    def carried(self, source: Samples, height: int) -> Samples:
        """Any samples: they are restored from RGB."""
        return source

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """The network's own 8-bit RGB without loss; else the layout of the source, at 8 bits."""
        if lossless or source.layout is Layout.RGB:
            return Samples(Layout.RGB, 8, carried_color(source.color, Layout.RGB, height))
        return replace(source, bit_depth=8, color=resolved_color(source.color, height))

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """R′G′B′ through the forward pass."""
        source, size = Samples.of(picture), self.padded(picture.height, picture.width)

        def small(*planes: Tensor) -> tuple[Tensor, ...]:
            hr = to_rgb(pad(_normal(planes, source), source.layout, *size), source)
            with self.device.autocast(cached=False):
                rgb, _ = tiles.downscale(self.network, hr)
            return _codes(from_rgb(rgb.float(), lr), lr)

        return _picture(self._run(("down", source, lr), small, *picture.planes), lr, picture)

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """Nothing: the paper's latent does not depend on the picture."""
        return Received(picture, None)

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """R′G′B′ through the reverse pass."""
        picture, channels = received.picture, self.network.channels * (self.network.multiple**2 - 1)
        source, target = Samples.of(picture), to.samples
        noisy = to.temperature > 0
        field = self._fields(to.seed, picture.height * picture.width) if noisy else None
        seen = [places(to.seed, index, channels)] if noisy else []

        def large(a: Tensor, b: Tensor, c: Tensor, *windows: Tensor) -> tuple[Tensor, ...]:
            prediction = self.network.predict(to_rgb(_normal((a, b, c), source), source))
            latent = prediction.mean
            if field is not None:
                latent = with_noise(prediction, field.windows(*windows), to.temperature)
            with self.device.autocast(cached=False):
                rgb = tiles.upscale(self.network, prediction.lr, latent)
            return _codes(crop(from_rgb(rgb.float(), target), target.layout, to.height, to.width), target)

        key = "up", source, target, to.height, to.width, (to.seed, to.temperature) if noisy else None
        return _picture(self._run(key, large, *picture.planes, *seen), target, picture)


def _normal(planes: tuple[Tensor, ...], samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """As `to_planes`."""
    a, b, c = (plane.float()[None, None] / code_unit(samples.bit_depth) for plane in planes)
    return a, b, c


def _codes(planes: tuple[Tensor, ...], samples: Samples) -> tuple[Tensor, ...]:
    unit = code_unit(samples.bit_depth)
    return tuple(rounded(plane[0, 0] * unit, samples.bit_depth) for plane in planes)


def _picture(planes: tuple[NDArray[Any], ...], samples: Samples, like: Picture) -> Picture:
    """As `to_picture`."""
    a, b, c = planes
    layout, depth, color = samples.layout, samples.bit_depth, samples.color
    return replace(like, planes=(a, b, c), layout=layout, bit_depth=depth, color=color, qp=None)
