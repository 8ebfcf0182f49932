"""The best way to send a clip at a bit rate, or for a quality: read off the curves of a study."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from irn_video.codecs.errors import StudyFailed
from irn_video.pipeline.study.plan import FULL, scale_of
from irn_video.pipeline.study.results import Study
from scipy.interpolate import PchipInterpolator

# A network for each scale, and a ladder that reaches from broadcast to very low rates.
CANDIDATES = ("irn-h264-x1", "irn-h264-x2", "irn-h264-x4")
CRFS = (14.0, 20.0, 26.0, 32.0, 38.0, 44.0)
_LEAST_POINTS = 2


@dataclass(frozen=True)
class Choice:
    """One way to send the clip.

    Attributes:
        method: network, resampler or `full`.
        crf: interpolated between measured ones.
        kbps: expected bit rate in kbit/s.
        quality: expected mean of the metric.
    """

    method: str
    crf: float
    kbps: float
    quality: float

    def command(self, clip: Path) -> str:
        """What makes it; a player of full-size H.264 needs no irn-receive."""
        name, crf = shlex.quote(str(clip)), f"{self.crf:.1f}"
        if self.method == FULL:
            return f"ffmpeg -i {name} -c:v libx264 -preset medium -crf {crf} out.mp4"
        return f"irn-send {name} out_lr.mp4 --model {shlex.quote(self.method)} --crf {crf} --preset medium"


def best_at_rate(study: Study, clip: str, metric: str, kbps: float) -> list[Choice]:
    """Ways to meet a bit rate, the best quality first.

    Raises:
        StudyFailed: no curve reaches it.
    """
    found = []
    for method, rates, qualities, crfs in _curves(study, clip, metric):
        if rates[0] <= kbps <= rates[-1]:
            at = np.log(kbps)
            quality, crf = (float(PchipInterpolator(np.log(rates), column)(at)) for column in (qualities, crfs))
            found.append(Choice(method, crf, kbps, quality))
    if not found:
        raise _unreached(study, clip, f"{kbps:g} kb/s")
    return sorted(found, key=lambda choice: (-choice.quality, scale_of(choice.method)))


def best_for_quality(study: Study, clip: str, metric: str, quality: float) -> list[Choice]:
    """Ways to reach a quality, the lowest bit rate first.

    Raises:
        StudyFailed: no curve reaches it.
    """
    found = []
    for method, rates, qualities, crfs in _curves(study, clip, metric):
        if qualities[0] <= quality <= qualities[-1]:
            log_rate, crf = (float(PchipInterpolator(qualities, column)(quality)) for column in (np.log(rates), crfs))
            found.append(Choice(method, crf, float(np.exp(log_rate)), quality))
    if not found:
        raise _unreached(study, clip, f"{metric} {quality:g}")
    return sorted(found, key=lambda choice: (choice.kbps, scale_of(choice.method)))


def _curves(study: Study, clip: str, metric: str) -> Iterator[tuple[str, list[float], list[float], list[float]]]:
    """Each method with its rates, qualities and CRFs, where both of the first rise."""
    for method in (*study.models, *study.anchors):
        rows: list[tuple[float, float, float]] = []
        for point in study.points(clip, method):
            values = point.values(metric)
            if values and point.crf is not None and (not rows or statistics.fmean(values) > rows[-1][1]):
                rows.append((point.kbps, statistics.fmean(values), point.crf))
        if len(rows) >= _LEAST_POINTS:
            rates, qualities, crfs = ([row[column] for row in rows] for column in range(3))
            yield method, rates, qualities, crfs


def _unreached(study: Study, clip: str, wanted: str) -> StudyFailed:
    rates = [point.kbps for point in study.measurements if point.clip == clip]
    measured = f"measured were {min(rates):.0f} to {max(rates):.0f} kb/s" if rates else "nothing could be measured"
    return StudyFailed(f"no method reaches {wanted} on {clip}", hint=measured)
