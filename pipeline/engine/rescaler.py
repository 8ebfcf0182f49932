"""Pictures down and up: the one interface that sender and receiver use, for networks and for ordinary resampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import cast

import torch
from irn_video.codecs.errors import BadOption, BadUpdate
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.picture import ColorSpec, Layout, Picture, Plane
from irn_video.codecs.resample import Resampler
from irn_video.pipeline.engine.device import Device, choose_device
from irn_video.pipeline.network import CodecAwareRescaler, Prediction
from irn_video.pipeline.network.codec_aware import pack, unpack
from irn_video.pipeline.planes import (
    Samples,
    carried_color,
    convert,
    convert_planes,
    crop,
    from_rgb,
    pad,
    resolved_color,
    to_picture,
    to_planes,
    to_rgb,
)
from irn_video.pipeline.zoo import DEFAULT_MODEL, LoadedModel, load_model
from irn_video.pipeline.zoo.card import arrays_of
from irn_video.pipeline.zoo.registry import find_model, unknown_model
from irn_video.pipeline.zoo.tuned import tuned_network
from irn_video.pipeline.zoo.weight_update import WeightUpdate
from torch import Tensor

_SEED_STEP = 1_000_003
_SEED_LIMIT = 1 << 63


@dataclass(frozen=True)
class Restoration:
    """What the receiver makes of an LR picture.

    Attributes:
        samples: layout, depth and colour of the restored pictures.
        height: of the restored picture, without padding.
        width: likewise.
        temperature: of the latent; 0 for its mean.
        seed: of the latent; each picture adds its index.
        quantiser: used where the decoder does not tell the quantiser of a picture; None if there is none.
        carried_color: of the pictures as the stream carries them; None for that of `samples`.
    """

    samples: Samples
    height: int
    width: int
    temperature: float = 0.0
    seed: int = 0
    quantiser: float | None = None
    carried_color: ColorSpec | None = None


@dataclass(frozen=True)
class Received:
    """An LR picture between the two halves of `Rescaler.upscale`.

    Attributes:
        picture: as decoded.
        prediction: what the network infers from it; None for ordinary resampling.
    """

    picture: Picture
    prediction: Prediction | None


class Rescaler(ABC):
    """Shrinks and restores pictures; one may be used from several threads, since no result depends on those before.

    Attributes:
        name: of the network or kernel.
        sha256: digest of the weights, empty without weights.
        scale: HR samples per LR sample along each axis.
        temperature: default temperature of the latent.
        warnings: where it does not run as asked for, one line each.
        wants_lossless: whether its LR pictures only work when they arrive as they were sent.
    """

    name: str
    sha256: str
    scale: int
    temperature: float = 0.0
    warnings: tuple[str, ...] = ()
    wants_lossless: bool = False

    @staticmethod
    def load(name: str = DEFAULT_MODEL, *, device: str = "auto", precision: str = "auto") -> Rescaler:
        """A rescaler by name: a network of the zoo, a weights file, `lanczos-x2`, `bicubic-x4`, ….

        Raises:
            UnknownModel, MissingFile, BadWeights: see `load_model`.
            BadOption, UnavailableDevice: see `choose_device`.
        """
        if name in RESAMPLERS:
            choose_device(device, precision)  # which it does not need, but what was asked for must be there
            return KernelRescaler(name)
        try:
            path = str(find_model(name))
        except LookupError as error:
            raise unknown_model(name, tuple(RESAMPLERS)) from error
        model = load_model(path)
        if precision == "auto" and not isinstance(model.network, CodecAwareRescaler):
            precision = "fp32"  # the paper's networks live from exactness: bf16 costs them more than it gains
        return network_rescaler(model, choose_device(device, precision))

    @property
    def multiple(self) -> int:
        """HR sizes are padded to multiples of this, so that a 4:2:0 LR picture has even sides."""
        return 2 * self.scale

    @property
    def where(self) -> str:
        """What it runs on, for people."""
        return "swscale"

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """HR size with padding."""
        step = self.multiple
        return -(-height // step) * step, -(-width // step) * step

    @abstractmethod
    def carried(self, source: Samples, height: int) -> Samples:
        """The nearest samples to those of the source that this rescaler restores."""

    @abstractmethod
    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """The samples of the LR pictures it makes for such a source."""

    @abstractmethod
    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """HR picture → LR picture of the padded size over `scale`, rounded to the depth of `lr`.

        With the H.264 quantiser that is to be expected, a network may leave out what that would hardly carry.
        """

    def upscale(self, picture: Picture, to: Restoration, index: int = 0) -> Picture:
        """LR picture as decoded → restored HR picture; `index` counts the pictures of a stream."""
        return self.reverse(self.predict(picture, to), to, index)

    @abstractmethod
    def predict(self, picture: Picture, to: Restoration) -> Received:
        """First half of `upscale`: what can be told about the latent from the LR picture."""

    @abstractmethod
    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Second half of `upscale`: draw the latent and run the reverse pass."""


class KernelRescaler(Rescaler):
    """Ordinary resampling, plane by plane, as a peer for the networks."""

    sha256 = ""

    def __init__(self, name: str) -> None:
        self.name = name
        kernel, self.scale = RESAMPLERS[name]
        self._resampler = Resampler(kernel)

    def carried(self, source: Samples, height: int) -> Samples:
        """Any samples."""
        return source

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """Any samples."""
        return replace(source, color=resolved_color(source.color, height))

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """Resample with an antialiased kernel."""
        picture = convert(picture, lr)
        height, width = self.padded(picture.height, picture.width)
        planes = pad(to_planes(picture), picture.layout, height, width)
        padded = to_picture(planes, lr, picture) if (height, width) != (picture.height, picture.width) else picture
        return self._resized(padded, height // self.scale, width // self.scale)

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """Nothing to predict."""
        return Received(picture, None)

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Resample to the padded size, then crop."""
        picture = received.picture
        large = self._resized(picture, picture.height * self.scale, picture.width * self.scale)
        shapes = picture.layout.plane_shapes(to.height, to.width)
        planes = tuple(p[:h, :w] for p, (h, w) in zip(large.planes, shapes, strict=True))
        return convert(replace(large, planes=cast("tuple[Plane, Plane, Plane]", planes)), to.samples)

    def _resized(self, picture: Picture, height: int, width: int) -> Picture:
        shapes = picture.layout.plane_shapes(height, width)
        a, b, c = (
            self._resampler.resize(p, h, w, picture.bit_depth) for p, (h, w) in zip(picture.planes, shapes, strict=True)
        )
        return replace(picture, planes=(a, b, c))


class _NetworkRescaler(Rescaler):
    def __init__(self, model: LoadedModel, device: Device) -> None:
        self.name, self.sha256 = model.card.name, model.sha256
        self.scale, self.temperature = model.network.scale, model.card.temperature
        self.device = device
        self.warnings = (device.warning,) if device.warning else ()
        self.network = model.network.to(device.torch_device)

    @property
    def where(self) -> str:
        return str(self.device)

    def generator(self, seed: int, index: int) -> torch.Generator:
        """For the latent of a picture, see `Restoration.seed`."""
        generator = torch.Generator(self.device.torch_device)
        return generator.manual_seed((seed * _SEED_STEP + index) % _SEED_LIMIT)


class PackedRescaler(_NetworkRescaler):
    """A codec-aware network on Y′CbCr 4:2:0.

    Attributes:
        weights: of the network, as arrays for a `WeightUpdate`.
    """

    network: CodecAwareRescaler

    def __init__(self, model: LoadedModel, device: Device) -> None:
        super().__init__(model, device)
        self.weights = arrays_of(model.network.state_dict())
        self._last_update: tuple[bytes, CodecAwareRescaler] = (b"", self.network)

    def carried(self, source: Samples, height: int) -> Samples:
        """4:2:0 of the same depth."""
        return replace(source, layout=Layout.YUV420, color=carried_color(source.color, Layout.YUV420, height))

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """4:2:0 of the same depth."""
        carried = self.carried(source, height)
        return replace(carried, color=resolved_color(carried.color, height))

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """Wavelet analysis and prefilter; always in float32, so that every precision sends the same picture."""
        if lr.layout is not Layout.YUV420:
            raise BadOption(f"{self.name} sends 4:2:0 only, not {lr.layout}", hint="use --pix-fmt yuv420p")
        with torch.inference_mode():
            small = self.network.lowpass(self.packed(picture, *self.padded(picture.height, picture.width)))
            return to_picture(unpack(self.network.prefilter(small, qp)), lr, picture)

    def packed(self, picture: Picture, height: int, width: int) -> Tensor:
        """A picture of the source as the network takes it, padded to this size; (1, 6, height / 2, width / 2)."""
        planes = to_planes(picture, self.device.torch_device)
        planes = convert_planes(planes, Samples.of(picture), self.carried(Samples.of(picture), picture.height))
        return pack(*pad(planes, Layout.YUV420, height, width))

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """The distribution of the latent, by convolutions in the device's precision."""
        with self.device.inference():
            arrived = Samples.of(picture)
            planes = to_planes(picture, self.device.torch_device)
            planes = convert_planes(planes, arrived, replace(arrived, layout=Layout.YUV420))
            quantiser = picture.qp if picture.qp is not None else to.quantiser
            return Received(picture, self._tuned(picture.update).predict(pack(*planes), quantiser))

    def _tuned(self, update: bytes) -> CodecAwareRescaler:
        """The network with the weights that came with a picture; the general one where they are damaged."""
        if not update:
            return self.network
        last, tuned = self._last_update
        if last != update:
            try:
                tuned = tuned_network(self.network, WeightUpdate.from_message(update, self.weights))
            except BadUpdate as error:
                tuned = self.network
                text = f"{error.what}; the general network was used instead"
                self.warnings = tuple(dict.fromkeys((*self.warnings, text)))
            self._last_update = update, tuned
        return tuned

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Wavelet synthesis with the drawn latent, in float32."""
        assert received.prediction is not None
        with torch.inference_mode():
            latent = received.prediction.latent(to.temperature, self.generator(to.seed, index))
            planes = unpack(self.network.upscale(received.prediction.lr, latent))
            planes = crop(planes, Layout.YUV420, to.height, to.width)
            carried = replace(to.samples, layout=Layout.YUV420, color=to.carried_color or to.samples.color)
            return to_picture(convert_planes(planes, carried, to.samples), to.samples, received.picture)


class RgbRescaler(_NetworkRescaler):
    """A network of the paper, on 8-bit RGB."""

    wants_lossless = True

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


def network_rescaler(model: LoadedModel, device: Device) -> Rescaler:
    """The rescaler for a network of either family."""
    if isinstance(model.network, CodecAwareRescaler):
        return PackedRescaler(model, device)
    return RgbRescaler(model, device)
