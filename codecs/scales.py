"""Scales: HR samples per LR sample along each axis; `int` where whole, else the float 1.5, which is exact in binary.

Sizes follow from them in whole numbers alone, so that no side is ever a float.
"""

from __future__ import annotations

from irn_video.codecs.errors import BadOption

SCALES: tuple[float, ...] = (1, 1.5, 2, 4)
"""Those that there are networks or resamplers for."""
_NAMES: dict[str, float] = {f"{scale:g}": scale for scale in SCALES} | {"3/2": 1.5}


def parse_scale(text: str) -> float:
    """A scale as people write it: `2`, `1.5`, `3/2`.

    Raises:
        BadOption: it is none of `SCALES`.
    """
    if text not in _NAMES:
        raise BadOption(f"there is no scale {text[:20]!r}", hint=", ".join(f"{scale:g}" for scale in SCALES))
    return _NAMES[text]


def step_of(scale: float) -> int:
    """HR lengths that are multiples of this are a whole number of LR samples: 1, 3, 2, 4."""
    return scale.as_integer_ratio()[0]


def multiple_of(scale: float) -> int:
    """HR sizes of video are padded to multiples of this, so that a 4:2:0 LR picture has even sides: 2, 6, 4, 8."""
    return 2 * step_of(scale)


def lr_step_of(scale: float) -> int:
    """LR lengths that are multiples of this are a whole number of HR samples: 1, 2, 1, 1."""
    return scale.as_integer_ratio()[1]


def lr_multiple_of(scale: float) -> int:
    """LR sizes of video that are multiples of this are whole in HR, planes of 4:2:0 too: 2, 4, 2, 2."""
    return 2 * lr_step_of(scale)


def shrunk(length: int, scale: float) -> int:
    """LR samples for so many HR samples: ⌈length / scale⌉."""
    up, down = scale.as_integer_ratio()
    return -(-length * down // up)


def enlarged(length: int, scale: float) -> int:
    """HR samples from so many LR samples: ⌊length · scale⌋; `shrunk` gives back the same length."""
    up, down = scale.as_integer_ratio()
    return length * up // down
