"""What a user wants of a stream: a quality, a rate, or a size."""

from __future__ import annotations

import re
from dataclasses import dataclass

from irn_video.codecs.errors import BadOption
from irn_video.pipeline.quality.metrics import metric_label

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
_LEAST_SIZE = 1000
_RANGES = {"psnr_y": (10.0, 70.0), "vmaf": (1.0, 100.0), "vmaf_neg": (1.0, 100.0)}
JUDGE = "vmaf_neg"
"""What is best at an equal rate: it does not reward sharpening."""


@dataclass(frozen=True)
class Goal:
    """What is wanted.

    Attributes:
        value: kbit/s of video if `by_rate`, else a mean of the metric; None for what full size has at `crf`.
        metric: what quality is, a key of reports.
        by_rate: whether the rate is given, and the best quality wanted; else the quality, and the lowest rate.
        crf: of full size, where that says the quality.
        size: bytes of the file, where that says the rate; `value` is what it leaves for the video.
    """

    value: float | None
    metric: str = JUDGE
    by_rate: bool = False
    crf: float | None = None
    size: int | None = None

    @property
    def label(self) -> str:
        """Its metric, for people."""
        return metric_label(self.metric)

    def __str__(self) -> str:
        if self.by_rate:
            rate = f"{self.value:.0f} kb/s" if self.value is not None else "what is left"
            return rate if self.size is None else f"{self.size} bytes with {rate} of video"
        return f"{self.label} {self.value:.2f}" if self.value is not None else f"full size at CRF {self.crf:g}"


def quality_goal(metric: str, value: float) -> Goal:
    """What a user asks for.

    Raises:
        BadOption: a quality that makes no sense.
    """
    low, high = _RANGES[metric]
    if not low <= value <= high:
        raise BadOption(f"{metric_label(metric)} of {value:g} cannot be aimed at", hint=f"{low:g} to {high:g}")
    return Goal(value, metric)


def parse_size(text: str) -> int:
    """Bytes from `20M`, `1.5G`, `700k`, `20MB` (k = 1000) or `20MiB` (Ki = 1024).

    Raises:
        BadOption: not a size, or not a sensible one.
    """
    match = _SIZE.fullmatch(text.strip())
    size = float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].lower()] if match else 0.0
    if match is None or (match[3] and not match[2]) or size < _LEAST_SIZE:
        raise BadOption(f"{text!r} is not a size", hint="write 20M, 700k or 1.5G (bytes)")
    return round(size)
