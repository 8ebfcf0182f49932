"""Static HDR metadata: the mastering display (SMPTE ST 2086) and the content light level (CTA-861.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class MasteringDisplay:
    """The display a film was graded on.

    Attributes:
        red, green, blue, white: CIE 1931 (x, y).
        min_luminance, max_luminance: in cd/m².
    """

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    min_luminance: float
    max_luminance: float


@dataclass(frozen=True)
class HdrMetadata:
    """What HDR10 carries besides the colour tags.

    Attributes:
        mastering: the mastering display, None when not told.
        max_content: brightest sample of the film (MaxCLL) in cd/m², 0 when not told.
        max_average: brightest picture on average (MaxFALL) in cd/m², 0 when not told.
    """

    mastering: MasteringDisplay | None = None
    max_content: int = 0
    max_average: int = 0

    @classmethod
    def from_side_data(cls, mastering: bytes | None, light: bytes | None) -> HdrMetadata | None:
        """Parse FFmpeg's frame side data; None when neither says anything."""
        display = _mastering(mastering) if mastering else None
        content, average = struct.unpack_from("=2I", light) if light and len(light) >= 8 else (0, 0)
        if display is None and not content and not average:
            return None
        return cls(display, content, average)

    def x264_params(self) -> list[str]:
        """The same as for x265, by x264's names."""
        names = {"master-display": "mastering-display", "max-cll": "cll"}
        return [f"{names[name]}={value}" for name, _, value in (p.partition("=") for p in self.x265_params())]

    def x265_params(self) -> list[str]:
        """Parameters `master-display` and `max-cll` (units 0.00002 and 0.0001 cd/m²)."""
        params = []
        if (m := self.mastering) is not None:
            points = (("G", m.green), ("B", m.blue), ("R", m.red), ("WP", m.white))
            text = "".join(f"{name}({round(x * 50000)},{round(y * 50000)})" for name, (x, y) in points)
            params.append(f"master-display={text}L({round(m.max_luminance * 10000)},{round(m.min_luminance * 10000)})")
        if self.max_content or self.max_average:
            params.append(f"max-cll={self.max_content},{self.max_average}")
        return params

    def svtav1_params(self) -> list[str]:
        """Parameters `mastering-display` and `content-light`, as SVT-AV1 spells them (plain numbers)."""
        params = []
        if (m := self.mastering) is not None:
            points = (("G", m.green), ("B", m.blue), ("R", m.red), ("WP", m.white))
            text = "".join(f"{name}({x:.5f},{y:.5f})" for name, (x, y) in points)
            params.append(f"mastering-display={text}L({m.max_luminance:.4f},{m.min_luminance:.4f})")
        if self.max_content or self.max_average:
            params.append(f"content-light={self.max_content},{self.max_average}")
        return params


def _mastering(data: bytes) -> MasteringDisplay | None:
    if len(data) < 22 * 4:
        return None
    numbers = struct.unpack_from("=22i", data)
    rx, ry, gx, gy, bx, by, wx, wy, low, high = (
        top / bottom if bottom else 0.0 for top, bottom in zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    )
    has_primaries, has_luminance = numbers[20:22]
    if not (has_primaries and has_luminance):
        return None
    return MasteringDisplay((rx, ry), (gx, gy), (bx, by), (wx, wy), low, high)
