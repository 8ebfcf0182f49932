"""Codec-aware networks on Y′CbCr 4:2:0 behind the interface of the rescalers, whatever engine runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from irn_video.codecs.errors import BadOption, BadUpdate
from irn_video.codecs.picture import Layout, Picture
from irn_video.pipeline.engine.engine import Draw, Engine, Planes
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.network.constants import QP_STEPS
from irn_video.pipeline.planes import (
    Samples,
    carried_color,
    code_unit,
    convert_planes,
    resolved_color,
    same_planes,
    to_picture,
    to_planes,
)
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.looks import Looked, with_look
from irn_video.pipeline.zoo.weight_update import WeightUpdate
from numpy.typing import NDArray

if TYPE_CHECKING:
    from irn_video.pipeline.engine.device import Device
    from irn_video.pipeline.engine.torch_engine import TorchEngine
    from irn_video.pipeline.network import CodecAwareRescaler

Array = NDArray[np.float32]


class PackedRescaler(Rescaler):
    """A codec-aware network.

    Args:
        weights: of the network.
        engine: what runs it, with its look.
        warnings: where that is not what was asked for.
        looked: its look; None for its own.

    Attributes:
        weights: likewise, without a look.
    """

    def __init__(
        self, weights: Weights, engine: Engine, warnings: Sequence[str] = (), looked: Looked | None = None
    ) -> None:
        self.weights, self._engine, self._looked = weights, engine, looked or with_look(weights, None)
        self.name, self.sha256, self.warnings = weights.card.name, weights.sha256, tuple(warnings)
        self.scale, self.temperature = weights.card.network.scale, self._looked.temperature
        self.workers = engine.workers
        self._last_update: tuple[bytes, Engine] = (b"", engine)

    @property
    def where(self) -> str:
        """What the engine runs on."""
        return self._engine.where

    @cached_property
    def torch_engine(self) -> TorchEngine:
        """The network on PyTorch without a look, for what needs more than its results: tuning, batches of tensors."""
        from irn_video.pipeline.engine.device import choose_device
        from irn_video.pipeline.engine.torch_engine import TorchEngine

        if isinstance(self._engine, TorchEngine) and not self._looked.difference:
            return self._engine
        return TorchEngine.of(self.weights, choose_device("cpu", "fp32"))

    @property
    def network(self) -> CodecAwareRescaler:
        """That of `torch_engine`."""
        return self.torch_engine.network

    @property
    def device(self) -> Device:
        """Likewise."""
        return self.torch_engine.device

    def carried(self, source: Samples, height: int) -> Samples:
        """4:2:0 of the same depth."""
        return replace(source, layout=Layout.YUV420, color=carried_color(source.color, Layout.YUV420, height))

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """4:2:0 of the same depth."""
        carried = self.carried(source, height)
        return replace(carried, color=resolved_color(carried.color, height))

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """Wavelet analysis and prefilter."""
        if lr.layout is not Layout.YUV420:
            raise BadOption(f"{self.name} sends 4:2:0 only, not {lr.layout}", hint="use --pix-fmt yuv420p")
        planes, unit = _planes(picture, self.carried(Samples.of(picture), picture.height))
        padded = _padded(planes, *self.padded(picture.height, picture.width))
        if unit == code_unit(lr.bit_depth):
            y, u, v = self._engine.downscale(padded, unit, qp, lr.bit_depth)
            return replace(picture, planes=(y, u, v), layout=lr.layout, color=lr.color, qp=None)
        return to_picture(_normalised(self._engine.downscale(padded, unit, qp, None), unit), lr, picture)

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """The distribution of the latent, by convolutions in the engine's precision."""
        planes, unit = _planes(picture, _subsampled(picture))
        quantiser = picture.qp if picture.qp is not None else to.quantiser
        if quantiser is not None:
            quantiser = round(quantiser * QP_STEPS) / QP_STEPS
        return Received(picture, self._tuned(picture.update).predict(planes, unit, quantiser, to.temperature))

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Wavelet synthesis with the drawn latent, in float32."""
        picture, samples = received.picture, to.samples
        draw = Draw(to.temperature, to.seed, index, picture.origins)
        carried = replace(samples, layout=Layout.YUV420, color=to.carried_color or samples.color)
        shapes = Layout.YUV420.plane_shapes(to.height, to.width)
        kept = same_planes(Samples.of(picture), _subsampled(picture), picture.height)
        if kept and same_planes(carried, samples, to.height) and picture.bit_depth == samples.bit_depth:
            y, u, v = _cropped(self._engine.reverse(received.prediction, draw, samples.bit_depth), shapes)
            return replace(picture, planes=(y, u, v), color=samples.color, layout=samples.layout, qp=None)
        unit = code_unit(picture.bit_depth) if kept else 1.0
        planes = _normalised(_cropped(self._engine.reverse(received.prediction, draw, None), shapes), unit)
        return to_picture(convert_planes(planes, carried, samples), samples, picture)

    def _tuned(self, update: bytes) -> Engine:
        """The engine with the weights that came with a picture; the general one where they are damaged."""
        if not update:
            return self._engine
        last, tuned = self._last_update
        if last != update:
            try:
                arrays = WeightUpdate.from_message(update, self.weights.arrays)
                tuned = self._engine.tuned(self._looked.applied(arrays))
            except BadUpdate as error:
                tuned = self._engine
                text = f"{error.what}; the general network was used instead"
                self.warnings = tuple(dict.fromkeys((*self.warnings, text)))
            self._last_update = update, tuned
        return tuned


def _subsampled(picture: Picture) -> Samples:
    """What a network takes of an LR picture."""
    return replace(Samples.of(picture), layout=Layout.YUV420)


def _planes(picture: Picture, wanted: Samples) -> tuple[Planes, float]:
    """Planes of a picture with such samples, and their unit: as they are where nothing changes, else float32."""
    source = Samples.of(picture)
    if same_planes(source, wanted, picture.height):
        return picture.planes, code_unit(picture.bit_depth)
    y, u, v = (plane[0, 0] for plane in convert_planes(to_planes(picture), source, wanted))
    return (y, u, v), 1.0


def _normalised(planes: Planes, unit: float) -> tuple[Array, Array, Array]:
    y, u, v = (np.multiply(plane, np.float32(1 / unit), dtype=np.float32)[None, None] for plane in planes)
    return y, u, v


def _padded(planes: Planes, height: int, width: int) -> Planes:
    """Edges repeated to this size of the picture."""
    y, u, v = (
        np.pad(p, ((0, h - p.shape[0]), (0, w - p.shape[1])), "edge") if p.shape != (h, w) else p
        for p, (h, w) in zip(planes, Layout.YUV420.plane_shapes(height, width), strict=True)
    )
    return y, u, v


def _cropped(planes: Planes, shapes: Sequence[tuple[int, int]]) -> Planes:
    y, u, v = (plane[:h, :w] for plane, (h, w) in zip(planes, shapes, strict=True))
    return y, u, v
