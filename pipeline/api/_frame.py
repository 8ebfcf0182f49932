"""Frames as a program wants them: arrays, tensors, PyAV's frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.pixels import pack, pixel_format, samples_of, tag_color
from irn_video.pipeline.planes import Samples, carried_color, convert, to_planes, to_rgb
from numpy.typing import NDArray
from torch import Tensor

_RGB_PEAKS = {"rgb24": 255, "rgb48": 65535}


@dataclass(frozen=True, repr=False, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        picture: its native samples, see `Picture`.
        index: counts the frames of the video, from 0.
    """

    picture: Picture
    index: int

    @property
    def width(self) -> int:
        """In luma samples."""
        return self.picture.width

    @property
    def height(self) -> int:
        """In luma samples."""
        return self.picture.height

    @property
    def pts_seconds(self) -> float:
        """When it is shown."""
        return self.picture.pts_seconds

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of its native samples: `yuv420p`, `yuv444p10le`, `gbrp`, …"""
        return pixel_format(self.picture.layout, self.picture.bit_depth)

    @property
    def qp(self) -> float | None:
        """Mean H.264 quantiser (0…51) of a decoded frame; None where the decoder does not tell."""
        return self.picture.qp

    def to_tensor(self) -> Tensor:
        """R′G′B′ in [0, 1], (3, H, W), float32.

        Converted as ITU-T H.273 has it, with the matrix and range that the video is tagged with (untagged: BT.709 from
        720 lines up, else BT.601, limited range); chroma is interpolated linearly, from where it sits. Primaries and
        transfer stay as they are.
        """
        return rgb_of(self.picture)[0]

    def to_ndarray(self, format: str = "rgb24") -> NDArray[Any]:
        """Samples as an array.

        Args:
            format: `rgb24` (H, W, 3) uint8, `rgb48` (H, W, 3) uint16, both of `to_tensor`, or a planar format of
                `to_video_frame`, laid out as PyAV does: `yuv420p` is (H·3/2, W).

        Raises:
            BadOption: no such format, or PyAV makes no array of it.
        """
        if peak := _RGB_PEAKS.get(format):
            codes = (self.to_tensor() * peak).round_().permute(1, 2, 0)
            return codes.contiguous().numpy().astype(np.uint8 if peak == 255 else np.uint16)
        frame = self.to_video_frame(format)
        try:
            return frame.to_ndarray()
        except (ValueError, AssertionError) as error:
            raise BadOption(
                f"PyAV makes no array of {format} at {self.width}x{self.height}", hint="use rgb24, or picture.planes"
            ) from error

    def to_video_frame(self, format: str | None = None) -> av.VideoFrame:
        """A frame of PyAV's, with time and colour tags.

        Args:
            format: `rgb24` or a planar format: `yuv420p`, `yuv422p10le`, `yuv444p`, `gbrp`, …; None for `pixel_format`.

        Raises:
            BadOption: no such format.
        """
        format = format or self.pixel_format
        samples = samples_of(format)
        if samples is None:
            raise BadOption(f"no pixel format {format!r}", hint="rgb24, yuv420p, yuv444p10le, gbrp, …")
        color = carried_color(self.picture.color, samples[0], self.height)
        return video_frame(convert(self.picture, Samples(*samples, color)), format)

    def __repr__(self) -> str:
        return f"Frame({self._described()})"

    def _described(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format}, index={self.index}, pts_seconds={self.pts_seconds:.3f}"


@dataclass(frozen=True, repr=False, eq=False)
class RestoredFrame(Frame):
    """A restored frame and what it was restored from.

    Attributes:
        lr: the LR frame as decoded.
    """

    lr: Frame

    def __repr__(self) -> str:
        return f"RestoredFrame({self._described()}, lr={self.lr.width}x{self.lr.height})"


def rgb_of(picture: Picture) -> Tensor:
    """R′G′B′ (1, 3, H, W) in [0, 1]."""
    rgb = to_rgb(to_planes(picture, "cpu"), Samples.of(picture))
    if picture.layout is Layout.RGB:
        # Planes are in units of 255 at 8 bits, and of 1020 at 10, but white is 1023.
        rgb *= 255 * (1 << (picture.bit_depth - 8)) / ((1 << picture.bit_depth) - 1)
    return rgb.clamp_(0, 1)


def video_frame(picture: Picture, name: str) -> av.VideoFrame:
    """A frame of PyAV's in a pixel format that has the frame's samples."""
    frame = pack(picture.planes, name)
    frame.pts, frame.time_base, frame.duration = picture.pts, picture.time_base, picture.duration
    tag_color(frame, picture.color)
    return frame
