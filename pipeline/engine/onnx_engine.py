"""Codec-aware networks on ONNX Runtime, their wavelet on OpenCV; nothing here needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import numpy as np
from irn_video.pipeline.engine.engine import Draw, Engine, Planes
from irn_video.pipeline.engine.noise import moved, windows
from irn_video.pipeline.engine.onnx_coring import coring_graph
from irn_video.pipeline.engine.onnx_network import CPU, OnnxNetwork, Runtime
from irn_video.pipeline.engine.wavelet import Wavelet, joined_phases, shuffled
from irn_video.pipeline.network.constants import LUMA, PACKED, fold_of, quantiser_step, sampled_channels
from irn_video.pipeline.system.cores import usable_cores
from irn_video.pipeline.system.memory import keep_freed_memory
from irn_video.pipeline.zoo.card import Weights
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.float32]
# Samples of restored luma from which on few pictures go through the reverse pass at a time, for the memory it takes.
_LARGE, _CORES_FOR_ONE = 1_500_000, 4


@dataclass(frozen=True)
class Predicted:
    """What the network infers from an LR picture.

    Attributes:
        planes: as decoded.
        correction: of the LR picture, packed, (6, h/2, w/2), in code values; like what follows not to be written to,
            since the next picture may share it.
        mean: of the latent, likewise.
        spread: temperature times standard deviation of those channels of the latent that are drawn; None at
            temperature 0.
    """

    planes: Planes
    correction: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32] | None


class OnnxEngine(Engine):
    """See `Engine`.

    Args:
        weights: of a codec-aware network.
        runtime: where it runs.
    """

    def __init__(self, weights: Weights, runtime: Runtime) -> None:
        keep_freed_memory()
        self._weights, self._runtime, self._spec = weights, runtime, weights.card.network
        self.where, self.workers = str(runtime), max(1, usable_cores() // runtime.threads)
        self._wavelet = Wavelet.of(self._spec, weights.arrays)
        self._network = OnnxNetwork(weights.arrays, self._spec, runtime)
        self._few_large = BoundedSemaphore(max(1, usable_cores() // _CORES_FOR_ONE))
        self._coring = lru_cache(maxsize=4)(self._made_coring)

    def tuned(self, arrays: Mapping[str, NDArray[np.float32]]) -> OnnxEngine:
        """The same with other weights."""
        return OnnxEngine(replace(self._weights, arrays=arrays), self._runtime)

    def downscale(self, planes: Planes, unit: float, qp: float | None, bits: int | None) -> Planes:
        """Averages of the wavelet, then the prefilter."""
        y, u, v = (self._shrunk(plane, unit, qp) for plane in planes)
        return rounded((y, u, v), bits)

    def predict(self, planes: Planes, unit: float, qp: float | None, temperature: float) -> Predicted:
        """By one pass of the network."""
        temperature = temperature if self._wavelet else 0.0  # no latent at scale 1
        packed, fold, (height, width) = _packed(planes, unit), fold_of(self._spec.scale), planes[1].shape
        if height % fold or width % fold:
            packed = np.pad(packed, ((0, 0), (0, -height % fold), (0, -width % fold)), "edge")
        said, *spread = self._network(packed, 0.0 if qp is None else qp, unit, temperature)
        correction, mean = np.split(said, (PACKED * fold**2,))
        correction = shuffled(correction, fold)[:, :height, :width]
        return Predicted(planes, correction, mean, spread[0] if spread else None)

    def reverse(self, predicted: Predicted, draw: Draw, bits: int | None) -> Planes:
        """Synthesis of the wavelet."""
        large = predicted.planes[0].size * self._spec.scale**2 > _LARGE
        with self._few_large if large else nullcontext():
            return self._reversed(predicted, draw, bits)

    def _reversed(self, predicted: Predicted, draw: Draw, bits: int | None) -> Planes:
        correction = predicted.correction
        y, u, v = (plane.astype(np.float32) for plane in predicted.planes)
        y += joined_phases(correction[:LUMA])
        u, v = u + correction[LUMA], v + correction[LUMA + 1]
        if self._wavelet is None:
            return rounded((y, u, v), bits)
        return self._wavelet.synthesis((y, u, v), self._drawn(predicted, draw), bits)

    def _drawn(self, predicted: Predicted, draw: Draw) -> Array:
        """A latent, (channels, h, w)."""
        mean, spread = predicted.mean, predicted.spread
        if spread is None:
            return mean
        drawn, channels = mean.copy(), sampled_channels(self._spec.scale)
        for channel, deviation, noise in zip(channels, spread, self._noise(mean, draw), strict=True):
            drawn[channel] += deviation * noise.reshape(deviation.shape)
        return drawn

    def _noise(self, mean: Array, draw: Draw) -> Iterable[Array]:
        """Of each channel that is drawn."""
        if draw.origins is not None:
            return moved(draw.seed, draw.origins, self._spec.scale)
        every = windows(draw.seed, draw.index, len(mean), mean[0].size)
        return (every[channel] for channel in sampled_channels(self._spec.scale))

    def _shrunk(self, plane: NDArray[Any], unit: float, qp: float | None) -> NDArray[np.float32]:
        small = plane.astype(np.float32)
        if self._wavelet:
            small = self._wavelet.averages(small)
        if not self._spec.coring or qp is None:
            return small
        threshold = self._spec.coring * quantiser_step(qp) / 255 * unit
        feed = {"plane": small, "threshold": np.array(threshold, np.float32)}
        cored: NDArray[np.float32] = self._coring(*small.shape).run(None, feed)[0]
        return cored

    def _made_coring(self, height: int, width: int) -> InferenceSession:
        return replace(self._runtime, provider=CPU).session(coring_graph(height, width))


def rounded(planes: Planes, bits: int | None) -> Planes:
    """Rounded and clipped to so many bits; as they are for None."""
    if bits is None:
        return planes
    kind = np.uint8 if bits == 8 else np.uint16
    y, u, v = (np.clip(np.rint(plane), 0, (1 << bits) - 1).astype(kind) for plane in planes)
    return y, u, v


def _packed(planes: Planes, unit: float) -> NDArray[np.float32]:
    """Planes → packed picture less 0.5, (6, h/2, w/2)."""
    y, u, v = planes
    packed = np.empty((PACKED, *u.shape), np.float32)
    phases = (y[::2, ::2], y[::2, 1::2], y[1::2, ::2], y[1::2, 1::2], u, v)
    for channel, phase in zip(packed, phases, strict=True):
        np.multiply(phase, np.float32(1 / unit), out=channel)
    packed -= np.float32(0.5)
    return packed
