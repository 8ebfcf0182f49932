"""What a frame is: native planes, their colour, and when to show them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from irn_video.codecs.hdr import HdrMetadata
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]


class Layout(StrEnum):
    """How a picture's three planes relate: Y′CbCr with subsampled chroma, or R, G, B."""

    YUV420 = "yuv420"
    YUV422 = "yuv422"
    YUV444 = "yuv444"
    RGB = "rgb"

    @property
    def subsampling(self) -> tuple[int, int]:
        """Luma samples per chroma sample, (vertical, horizontal)."""
        return {"yuv420": (2, 2), "yuv422": (1, 2)}.get(self.value, (1, 1))

    def plane_shapes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Shapes (height, width) of the three planes of a picture of this size; odd sizes round chroma up."""
        down, right = self.subsampling
        chroma = (-(-height // down), -(-width // right))
        return ((height, width), chroma, chroma)


@dataclass(frozen=True)
class ColorSpec:
    """Colour as tagged in the stream, in the code points of ITU-T H.273 (2 = unspecified).

    Attributes:
        matrix: MatrixCoefficients (1 = BT.709, 5 and 6 = BT.601, 9 = BT.2020, 0 = RGB).
        primaries: ColourPrimaries.
        transfer: TransferCharacteristics.
        full_range: True for 0…255, False for 16…235/240, None when not tagged (read as limited for Y′CbCr).
        chroma_siting: FFmpeg's AVChromaLocation (0 unspecified, 1 left, 2 center, 3 top left, 4 top, 5 bottom left).
    """

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool | None = None
    chroma_siting: int = 0


@dataclass(frozen=True, repr=False)
class Picture:
    """One picture with its native samples.

    Attributes:
        planes: Y, Cb, Cr (or R, G, B for `Layout.RGB`), each (height, width), uint8 at 8 bits, else uint16 holding
            `bit_depth` bits in its low bits.
        layout: relation of the planes.
        bit_depth: bits per sample, 8 to 16.
        color: colour tags.
        pts: presentation time in `time_base` units; the reader always fills it in.
        time_base: seconds per unit of `pts`.
        duration: in `time_base` units, 0 when unknown.
        qp: mean H.264 quantiser of the picture (0…51), None where the decoder does not tell.
        corrupt: the decoder concealed damage in this picture.
        interlaced: coded as interlaced fields.
        update: changed weights for the receiver that came with the last keyframe, empty for none.
        captions: closed captions (CEA-608, CEA-708) that came with the frame, in triplets of bytes, see `captions`.
        origins: where in an earlier picture what is seen at each place was, x and y, (h, w, 2); None where nobody has
            followed it.
    """

    planes: tuple[Plane, Plane, Plane]
    layout: Layout
    bit_depth: int
    color: ColorSpec
    pts: int
    time_base: Fraction
    duration: int = 0
    qp: float | None = None
    corrupt: bool = False
    interlaced: bool = False
    update: bytes = b""
    captions: bytes = b""
    origins: NDArray[np.float32] | None = None

    @property
    def height(self) -> int:
        """Height in luma samples."""
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        """Width in luma samples."""
        return int(self.planes[0].shape[1])

    @property
    def pts_seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    def __repr__(self) -> str:
        return (
            f"Picture({self.width}x{self.height} {self.layout} {self.bit_depth} bit, "
            f"pts={self.pts_seconds:.3f} s, matrix={self.color.matrix})"
        )


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """What all frames of a stream have in common, and how they are shown.

    Attributes:
        width, height: in luma samples, as coded (rotation and sample aspect ratio not applied).
        layout, bit_depth, color: of the pictures.
        time_base: seconds per unit of the timestamps.
        frame_rate: average, frames per second, None when not known.
        rotation: counter-clockwise degrees to turn the frame for display, as PyAV's `VideoFrame.rotation`.
        sample_aspect_ratio: width to height of a sample, None when not told.
        hdr: mastering display and content light level, None when there are none.
    """

    width: int
    height: int
    layout: Layout
    bit_depth: int
    color: ColorSpec
    time_base: Fraction
    frame_rate: Fraction | None = None
    rotation: int = 0
    sample_aspect_ratio: Fraction | None = None
    hdr: HdrMetadata | None = None

    @classmethod
    def of(cls, picture: Picture, frame_rate: Fraction | None, time_base: Fraction | None = None) -> VideoFormat:
        """That of a stream of such pictures; their time base unless another is given."""
        return cls(
            width=picture.width,
            height=picture.height,
            layout=picture.layout,
            bit_depth=picture.bit_depth,
            color=picture.color,
            time_base=time_base or picture.time_base,
            frame_rate=frame_rate,
        )

    def fits(self, picture: Picture) -> bool:
        """Whether a picture has this size, layout and depth."""
        return (self.width, self.height, self.layout, self.bit_depth) == (
            picture.width,
            picture.height,
            picture.layout,
            picture.bit_depth,
        )
