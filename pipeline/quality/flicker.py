"""How much a restored video changes from frame to frame, of the source's own change: what boils or flickers.

Optical flow from each frame of the source to the one before (DIS: Kroeger, Timofte, Dai and Van Gool, "Fast Optical
Flow using Dense Inverse Search", ECCV 2016; OpenCV's) says where things come from. What is left between a frame and the
one before, warped by that flow, is change: of the source its noise, its light and what the flow misses; of the restored
video its flicker too. As in video stabilisation and style transfer ("warping error", Lai et al., ECCV 2018), but
against the source's own, so that its grain is not counted as flicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.picture import Plane
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

Pair = tuple[Plane, Plane]
"""Luma of a frame and of the one after it."""
_LEAST_SIDE = 32  # DIS has patches of 8 samples on a picture of a quarter of the size
_STILL = 0.5  # samples that a static place may move
# Of the source's change around a sample, root mean square, levels of 8 bits. On all training clips but one, held by
# hand, nine tenths of what does not move, grain and all, change less; what the flow lost changes more.
_TRUSTED_CHANGE = 6.0
_LEAST_SHARE = 0.01  # of all samples: with a moving camera a few seem to stand still
_LEAST_CHANGE = 0.1 * 2 / 12  # mean square; a tenth of what rounding two frames to 8 bits leaves
_AROUND = 9  # samples: so many that single ones of a restored video's noise are not chosen by the source's


@dataclass(frozen=True)
class Sums:
    """Squared changes added up, in levels of 8 bits squared.

    Attributes:
        source, restored: of each.
        samples: how many.
    """

    source: float = 0.0
    restored: float = 0.0
    samples: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.source + other.source, self.restored + other.restored, self.samples + other.samples)


@dataclass(frozen=True)
class Change:
    """How much a clip or a part of it changes.

    Attributes:
        static: where the source stands still.
        followed: wherever the flow can be trusted.
        samples: all there are.
    """

    static: Sums = Sums()
    followed: Sums = Sums()
    samples: int = 0

    def __add__(self, other: Change) -> Change:
        return Change(self.static + other.static, self.followed + other.followed, self.samples + other.samples)

    @property
    def static_ratio(self) -> float | None:
        """Of root mean squares in static places, 1 is the source's own.

        None where less than 1 % of all samples are static, or the source hardly changes there, as after strong coding.
        """
        return self._ratio(self.static)

    @property
    def followed_ratio(self) -> float | None:
        """The same wherever the flow can be trusted."""
        return self._ratio(self.followed)

    def _ratio(self, sums: Sums) -> float | None:
        enough = sums.samples > _LEAST_SHARE * self.samples and sums.source > _LEAST_CHANGE * sums.samples
        return float((sums.restored / sums.source) ** 0.5) if enough else None


def flicker(source: Pair, restored: Pair, bit_depth: int = 8) -> Change:
    """Change of one frame from that before it; that of a clip is their sum.

    Static is what the flow moves by less than half a sample, compared as it is, without interpolation. Both there and
    where the flow is followed, only places count where the source itself changes by less than 6 levels (root mean
    square of 9×9 samples around): elsewhere the flow is wrong, or something appears.

    Args:
        source, restored: luma (height, width) of both frames, integers of `bit_depth` bits.
        bit_depth: 8 to 16.

    Returns:
        All zero for frames with a side under 32 samples.

    Raises:
        SourceMismatch: the sizes differ.
    """
    shapes = {plane.shape for plane in (*source, *restored)}
    if len(shapes) > 1:
        raise SourceMismatch(f"luma of different sizes, {shapes}, cannot be compared")
    if min(source[0].shape) < _LEAST_SIDE:
        return Change()
    flow = _flow(*(np.right_shift(plane, bit_depth - 8).astype(np.uint8) for plane in source))
    (before, now), (before_restored, now_restored) = (
        [_levels(p, bit_depth) for p in pair] for pair in (source, restored)
    )
    still = np.hypot(flow[..., 0], flow[..., 1]) < _STILL
    static = _sums(now - before, now_restored - before_restored, still)
    warped, warped_restored = _warped((before, before_restored), flow)
    return Change(static, _sums(now - warped, now_restored - warped_restored, np.ones_like(still)), now.size)


def _flow(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(height, width, 2): where in the frame before each sample lay, relative to now; x first."""
    search = cv2().DISOpticalFlow_create(cv2().DISOPTICAL_FLOW_PRESET_FAST)
    flow: NDArray[np.float32] = search.calc(now, before, None)
    return flow


def _warped(planes: tuple[NDArray[np.float32], ...], flow: NDArray[np.float32]) -> list[Any]:
    rows, columns = (np.arange(side, dtype=np.float32) for side in flow.shape[:2])
    places = (flow[..., 0] + columns, flow[..., 1] + rows[:, None])
    # Linear interpolation would take the grain out of the frame before.
    return [cv2().remap(p, *places, cv2().INTER_CUBIC, borderMode=cv2().BORDER_REPLICATE) for p in planes]


def _sums(source: NDArray[np.float32], restored: NDArray[np.float32], where: NDArray[np.bool_]) -> Sums:
    around = cv2().boxFilter(source * source, -1, (_AROUND, _AROUND))
    mask = (where & (around < _TRUSTED_CHANGE**2)).astype(np.uint8)
    own, other = (float(cv2().norm(change, cv2().NORM_L2SQR, mask)) for change in (source, restored))
    return Sums(own, other, int(mask.sum()))


def _levels(plane: Plane, bit_depth: int) -> NDArray[np.float32]:
    return plane.astype(np.float32) / np.float32(1 << (bit_depth - 8))
