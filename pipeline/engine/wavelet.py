"""The wavelets of the codec-aware networks on planes, by OpenCV's filters; `network/packed.py` says what they are.

A lifting step by 2 is one filter with 15 taps, of which 14 are not zero: 0.2 ms for 640×360 samples on one core (AMD
EPYC, AVX2). Arrays are float32 and of whatever unit their owner likes, since all of it is linear.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from irn_video.pipeline.engine.engine import Planes
from irn_video.pipeline.network.constants import LUMA, PACKED, THIRDS_DETAIL, THIRDS_EDGE
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

Plane = NDArray[np.float32]
_KINDS = 5
"""Details of 3×3 samples."""


class Wavelet(ABC):
    """Analysis and synthesis with the taps of a network."""

    @staticmethod
    def of(spec: NetworkSpec, arrays: Mapping[str, NDArray[np.float32]]) -> Wavelet | None:
        """That of a network with these weights; None at scale 1."""
        if spec.scale == 1:
            return None
        taps = arrays["wavelet.taps"]
        if spec.scale == 1.5:
            return Thirds(taps)
        return Halves(np.concatenate((-taps[:, ::-1], np.zeros_like(taps[:, :1]), taps), 1), spec.scale)

    @abstractmethod
    def averages(self, plane: Plane) -> Plane:
        """(H, W) → (H/scale, W/scale)."""

    @abstractmethod
    def synthesis(self, planes: Planes, latent: NDArray[np.float32], bits: int | None) -> Planes:
        """Averages and details → the larger planes.

        Args:
            planes: averages, float32, written over.
            latent: details, packed as `network/packed.py` says, (channels, h, w).
            bits: samples are rounded and clipped to so many bits, 8 to 16; None for float32.
        """


@dataclass(frozen=True)
class Halves(Wavelet):
    """By 2 along each axis, once or several times.

    Attributes:
        kernels: of the lifting steps, odd-sized and antisymmetric, (steps, taps).
        scale: a power of two.
    """

    kernels: NDArray[np.float32]
    scale: float

    @property
    def _levels(self) -> int:
        return int(self.scale).bit_length() - 1

    def averages(self, plane: Plane) -> Plane:
        """Level by level."""
        for _ in range(self._levels):
            columns = self._averages(plane[:, ::2], plane[:, 1::2], 1)
            plane = self._averages(columns[::2], columns[1::2], 0)
        return plane

    def synthesis(self, planes: Planes, latent: NDArray[np.float32], bits: int | None) -> Planes:
        """The coarsest level first."""
        (y, u, v), levels = planes, self._levels
        ends = np.cumsum([3 * PACKED * 4**level for level in reversed(range(levels))])[:-1]
        for level, part in enumerate(reversed(np.split(latent, ends))):
            details = shuffled(part, 1 << level)
            last = bits if level == levels - 1 else None
            luma = [joined_phases(band) for band in details[: 3 * LUMA].reshape(3, LUMA, *details.shape[1:])]
            chroma = details[3 * LUMA :]
            y = self._synthesis(y, luma, last)
            u, v = (
                self._synthesis(plane, [band.copy() for band in chroma[at::2]], last) for at, plane in enumerate((u, v))
            )
        return y, u, v

    def _synthesis(self, low: Plane, details: Sequence[Plane], bits: int | None) -> NDArray[Any]:
        """Averages (h, w), details (horizontal, vertical, diagonal) likewise, all written over → (2h, 2w)."""
        horizontal, vertical, diagonal = details
        (height, width), opencv = low.shape, cv2()
        s, d = np.empty((2 * height, width), np.float32), np.empty((2 * height, width), np.float32)
        for whole, averages, differences in ((s, low, vertical), (d, horizontal, diagonal)):
            self._undo(averages, differences, 0)
            opencv.add(averages, differences, dst=whole[::2])
            opencv.subtract(averages, differences, dst=whole[1::2])
        self._undo(s, d, 1)
        kind = _kind(bits)
        return _joined((opencv.add(s, d, dtype=kind), opencv.subtract(s, d, dtype=kind)), bits)

    def _averages(self, even: Plane, odd: Plane, axis: int) -> Plane:
        half = np.float32(0.5)
        s, d = (even + odd) * half, (even - odd) * half
        for step, kernel in enumerate(self.kernels[: len(self.kernels) // 2 * 2]):
            changed, other = (d, s) if step % 2 == 0 else (s, d)
            changed += _filtered(other, kernel, axis)
        return s

    def _undo(self, s: Plane, d: Plane, axis: int) -> None:
        """The lifting steps backwards, in place."""
        for step, kernel in reversed(list(enumerate(self.kernels))):
            changed, other = (d, s) if step % 2 == 0 else (s, d)
            changed -= _filtered(other, kernel, axis)


@dataclass(frozen=True)
class Thirds(Wavelet):
    """By 3/2 along each axis.

    Attributes:
        kernels: of the lifting steps, odd-sized, (steps, taps).
    """

    kernels: NDArray[np.float32]

    def averages(self, plane: Plane) -> Plane:
        """Along rows, then along columns."""
        left, right = self._averages(plane[:, ::3], plane[:, 1::3], plane[:, 2::3], 1)
        columns = _joined((left, right), None)
        return _interleaved(self._averages(columns[::3], columns[1::3], columns[2::3], 0))

    def synthesis(self, planes: Planes, latent: NDArray[np.float32], bits: int | None) -> Planes:
        """Along columns, then along rows."""
        (y, u, v), (luma, chroma) = planes, np.split(latent, (_KINDS * LUMA,))
        details = [joined_phases(band) for band in luma.reshape(_KINDS, LUMA, *latent.shape[1:])]
        u, v = (self._synthesis(plane, list(chroma[at::2]), bits) for at, plane in enumerate((u, v)))
        return self._synthesis(y, details, bits), u, v

    def _synthesis(self, low: Plane, details: Sequence[Plane], bits: int | None) -> NDArray[Any]:
        """Averages (2h, 2w), details (h, w): vertical (left, right), horizontal (top, bottom), diagonal → (3h, 3w)."""
        left, right, top, bottom, diagonal = details
        vertical = _joined((left, right), None)
        columns = _interleaved(self._samples(low[::2], low[1::2], vertical, 0))
        horizontal = _interleaved(self._samples(top, bottom, diagonal, 0))
        s0, s1 = cv2().split(columns.reshape(len(columns), -1, 2))
        return _joined(self._samples(s0, s1, horizontal, 1, bits), bits)

    def _averages(self, left: Plane, middle: Plane, right: Plane, axis: int) -> tuple[Plane, Plane]:
        """Three samples at a time → two averages."""
        sides = left + right
        mean, edge = (sides + middle) * np.float32(1 / 3), (left - right) * np.float32(THIRDS_EDGE)
        s0, s1, d = mean + edge, mean - edge, (middle - sides * np.float32(0.5)) * np.float32(THIRDS_DETAIL)
        for step, kernel in enumerate(self.kernels[: len(self.kernels) // 2 * 2]):
            if step % 2 == 0:
                d += _filtered(s0, kernel, axis) + _filtered(s1, kernel[::-1], axis)
            else:
                s0 += _filtered(d, kernel, axis)
                s1 += _filtered(d, kernel[::-1], axis)
        return s0, s1

    def _samples(
        self, s0: Plane, s1: Plane, d: Plane, axis: int, bits: int | None = None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Two averages and a detail → three samples."""
        opencv, kind = cv2(), _kind(bits)
        for step, kernel in reversed(list(enumerate(self.kernels))):
            if step % 2 == 0:
                d = d - _filtered(s0, kernel, axis) - _filtered(s1, kernel[::-1], axis)
            else:
                s0, s1 = s0 - _filtered(d, kernel, axis), s1 - _filtered(d, kernel[::-1], axis)
        slope = 0.25 / THIRDS_EDGE
        mean, edge = opencv.addWeighted(s0, 0.5, s1, 0.5, 0), opencv.addWeighted(s0, slope, s1, -slope, 0)
        detail = d * np.float32(1 / (3 * THIRDS_DETAIL))
        sides = mean - detail
        left, right = opencv.add(sides, edge, dtype=kind), opencv.subtract(sides, edge, dtype=kind)
        return left, opencv.addWeighted(mean, 1, detail, 2, 0, dtype=kind), right


def joined_phases(phases: NDArray[np.float32]) -> Plane:
    """Four phases of 2×2 cells, (4, h, w) → (2h, 2w)."""
    height, width = phases.shape[1:]
    whole = np.empty((2 * height, 2 * width), np.float32)
    for phase, (top, left) in zip(phases, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        whole[top::2, left::2] = phase
    return whole


def shuffled(channels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(C·side², h, w) → (C, side·h, side·w), as PyTorch's `pixel_shuffle` does; the same array where side is 1."""
    if side == 1:
        return channels
    count, height, width = len(channels) // side**2, *channels.shape[1:]
    cells = channels.reshape(count, side, side, height, width).transpose(0, 3, 1, 4, 2)
    return cells.reshape(count, side * height, side * width)


def _kind(bits: int | None) -> int:
    """OpenCV's type for samples of so many bits, to which it rounds and clips."""
    opencv = cv2()
    return int(opencv.CV_32F if bits is None else opencv.CV_8U if bits == 8 else opencv.CV_16U)


def _joined(parts: Sequence[NDArray[Any]], bits: int | None) -> NDArray[Any]:
    """Samples that take turns along the rows, clipped where OpenCV has no type of so many bits."""
    height, width = parts[0].shape
    joined: NDArray[Any] = cv2().merge(parts).reshape(height, len(parts) * width)
    return joined if bits in (None, 8, 16) else np.minimum(joined, (1 << bits) - 1)


def _interleaved(parts: Sequence[Plane]) -> Plane:
    """Rows that take turns."""
    whole = np.empty((len(parts) * len(parts[0]), parts[0].shape[1]), np.float32)
    for at, part in enumerate(parts):
        whole[at :: len(parts)] = part
    return whole


def _filtered(plane: Plane, kernel: NDArray[np.float32], axis: int) -> Plane:
    """Σ kernel[reach + k] · x[n+k] along an axis, edges replicated."""
    opencv = cv2()
    shaped = kernel[:, None] if axis == 0 else kernel[None]
    filtered: Plane = opencv.filter2D(plane, -1, shaped, borderType=opencv.BORDER_REPLICATE)
    return filtered
