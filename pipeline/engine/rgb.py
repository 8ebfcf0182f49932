"""The networks of the paper, on PyTorch, behind the interface of the rescalers."""

from __future__ import annotations

from dataclasses import replace

import torch
from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.planes import (
    Samples,
    carried_color,
    crop,
    from_rgb,
    pad,
    resolved_color,
    to_picture,
    to_planes,
    to_rgb,
)
from irn_video.pipeline.zoo import LoadedModel

_SEED_STEP = 1_000_003
_SEED_LIMIT = 1 << 63


class RgbRescaler(Rescaler):
    """A network of the paper, on 8-bit RGB."""

    wants_lossless = True

    def __init__(self, model: LoadedModel, device: Device) -> None:
        self.name, self.sha256 = model.card.name, model.sha256
        self.scale, self.temperature = model.network.scale, model.card.temperature
        self.device = device
        self.warnings = (device.warning,) if device.warning else ()
        self.network = model.network.to(device.torch_device)

    @property
    def where(self) -> str:
        """Device and precision."""
        return str(self.device)

    def generator(self, seed: int, index: int) -> torch.Generator:
        """For the latent of a picture, see `Restoration.seed`."""
        generator = torch.Generator(self.device.torch_device)
        return generator.manual_seed((seed * _SEED_STEP + index) % _SEED_LIMIT)

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
        with self.device.inference():
            planes = to_planes(picture, self.device.torch_device)
            planes = pad(planes, picture.layout, *self.padded(picture.height, picture.width))
            small, _ = self.network.downscale(to_rgb(planes, Samples.of(picture)))
            return to_picture(from_rgb(small.float(), lr), lr, picture)

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """The paper's latent does not depend on the picture."""
        with self.device.inference():
            lr = to_rgb(to_planes(picture, self.device.torch_device), Samples.of(picture))
            return Received(picture, self.network.predict(lr))

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """R′G′B′ through the reverse pass."""
        assert received.prediction is not None
        with self.device.inference():
            latent = received.prediction.latent(to.temperature, self.generator(to.seed, index))
            planes = from_rgb(self.network.upscale(received.prediction.lr, latent).float(), to.samples)
            return to_picture(crop(planes, to.samples.layout, to.height, to.width), to.samples, received.picture)
