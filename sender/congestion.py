"""How a live sender answers its receiver's reports: the bit rate it sends with, and the scale that suits it.

The rules are those of Google's congestion control (Carlucci et al., "Analysis and design of the Google congestion
control for WebRTC", MMSys 2016): more than 10 % loss takes half of that share off the rate, 2 to 10 % holds it, a
queue that grows takes it below what arrives, and otherwise it climbs by 8 % a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irn_video.codecs.links.link_report import LinkReport

FLOOR = 50_000
"""bit/s below which no frame is worth sending."""
_MUCH_LOSS, _SOME_LOSS = 0.10, 0.02
_QUEUE_MS = 100
_BELOW = 0.85
_CLIMB = 1.08
_SETTLING_SECONDS = 1.0  # until a change can be seen in the reports
_WINDOW_SECONDS = 1.5
# Bits per full-size pixel below which a scale is taken, and above which it is left. Scales 4 and 2 are equally good at
# 0.006 to 0.039 on seven clips, 0.0086 their median (the crossovers in docs/results.md); 2 and 1.5 at 0.007 to 0.14 on
# six training clips at live settings with Lanczos, 0.015 their median, and networks gain more at scale 2.
_LIMITS = {4: (0.0075, 0.010), 2: (0.018, 0.024)}


@dataclass(frozen=True)
class _Report:
    at: float
    report: LinkReport


class CongestionControl:
    """The bit rate for one receiver.

    Args:
        ceiling: bit/s that is wanted; more is never sent.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self._bitrate = float(ceiling)
        self._reports: list[_Report] = []
        self._changed = float("-inf")

    @property
    def bitrate(self) -> int:
        """bit/s to send with now."""
        return round(min(self._bitrate, self.ceiling))

    def limit(self, ceiling: int) -> None:
        """Another bit rate is wanted: go there at once."""
        if ceiling != self.ceiling:
            self.ceiling, self._bitrate = ceiling, float(ceiling)

    def heard(self, report: LinkReport, now: float) -> None:
        """Take in a report that came at `now`, in seconds."""
        if self._reports and not _follows(self._reports[-1].report, report):
            self._reports = []
        self._reports = [r for r in self._reports if now - r.at <= _WINDOW_SECONDS] + [_Report(now, report)]
        if now - self._changed < _SETTLING_SECONDS or len(self._reports) < 2:
            return
        wanted = self._wanted()
        if wanted != self._bitrate:
            self._bitrate, self._changed = wanted, now

    def _wanted(self) -> float:
        first, last = self._reports[0], self._reports[-1]
        lost = last.report.lost - first.report.lost
        packets = lost + last.report.received - first.report.received
        share = lost / packets if packets else 0.0
        floor = min(FLOOR, self.ceiling)
        if share > _MUCH_LOSS:
            return max(floor, self._bitrate * (1 - 0.5 * share))
        if last.report.queue_ms > _QUEUE_MS:
            arrived = 8 * (last.report.carried - first.report.carried) / (last.at - first.at)
            return max(floor, min(self._bitrate, _BELOW * arrived))
        if share > _SOME_LOSS:
            return self._bitrate
        return min(self.ceiling, self._bitrate * _CLIMB)


def _follows(last: LinkReport, report: LinkReport) -> bool:
    """Of the same receiver, with counts that have grown."""
    grown = (report.received, report.lost, report.carried) >= (last.received, last.lost, last.carried)
    return grown and report.carried >= last.carried


def suitable_scale(bits_per_pixel: float, scale: float | None) -> float:
    """1.5, 2 or 4, whichever restores best at so many bits per full-size pixel, with some inertia around `scale`."""
    if scale is None:
        return _below(bits_per_pixel, {suits: sum(limits) / 2 for suits, limits in _LIMITS.items()})
    if scale == 1:
        return scale
    least, most = (_below(bits_per_pixel, {suits: limits[end] for suits, limits in _LIMITS.items()}) for end in (0, 1))
    return min(max(scale, least), most)


def _below(bits_per_pixel: float, limits: Mapping[int, float]) -> float:
    return next((scale for scale, limit in limits.items() if bits_per_pixel < limit), 1.5)
