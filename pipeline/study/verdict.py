"""What a study found, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from irn_video.pipeline.quality.curves import Cheapest
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.study.conclusions import Mean, cheapest, hull_savings, mean_rate, ranking, resamplers
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study
from irn_video.pipeline.study.sections import comparison_name, with_margin

_BEST_BY = ("psnr_y", "vmaf_neg")
MEANS = ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg")
"""Metrics that claims are made in; of these there are curves, too."""


def verdict(study: Study) -> list[str]:
    """The findings, one line each: what is best for each clip, the hull, then each model against its peers.

    A model's peers are full size and the anchors of its own scale.
    """
    lines = [line for clip in study.clips if (line := _clip_line(study, clip))]
    metrics = [metric for metric in MEANS if metric in study.metrics]
    lines += [line for one in study.comparisons for line in _hull_lines(one, metrics)]
    for model in study.models:
        scale = study.methods[model].scale
        for anchor in study.anchors:
            if anchor == FULL or study.methods[anchor].scale == scale:
                rates = _listed({metric: mean_rate(study, model, anchor, metric).rate for metric in metrics})
                lines.append(f"{model} against {anchor}, bit rate at equal quality: {rates}")
    return lines


def best_there(study: Study, clip: str, kbps: float) -> str:
    """Which method is the best at a bit rate, and how much the others have less, by each metric."""
    sentences = []
    for metric in _judged(study):
        (best, quality), *others = ranking(study, clip, metric, kbps) or [("", 0.0)]
        if best:
            unit = " dB" if metric.startswith("psnr") else ""
            less = ", ".join(f"{_way(name)} \u2212{quality - other:.2f}" for name, other in others)
            found = f"{quality:.2f}{unit}" + (f" ({less})" if less else "")
            sentences.append(f"by {metric_label(metric)} {_way(best)} is best, {found}")
    return f"At {kbps:.0f} kb/s, " + "; ".join(sentences) + "."


def _clip_line(study: Study, clip: str) -> str:
    found = {metric: parts for metric in _judged(study) if (parts := cheapest(study, clip, metric))}
    words = "; ".join(f"{_in_words(parts)} ({metric_label(metric)})" for metric, parts in found.items())
    return f"{Path(clip).stem}: {words}" if words else ""


def _judged(study: Study) -> list[str]:
    return [metric for metric in _BEST_BY if metric in study.metrics]


def _in_words(parts: Sequence[Cheapest]) -> str:
    first, *others = parts
    if not others:
        return f"{_way(first.name)} at every rate, {first.low:.0f} to {first.high:.0f} kb/s"
    middle = [f"{_way(part.name)} from {part.low:.0f} to {part.high:.0f}" for part in others[:-1]]
    return ", ".join([f"{_way(first.name)} below {first.high:.0f} kb/s", *middle, f"{_way(parts[-1].name)} above"])


def _way(method: str) -> str:
    return "full size" if method == FULL else method


def _hull_lines(study: Study, metrics: Sequence[str]) -> list[str]:
    found = hull_savings(study, metrics)
    if not found:
        return []
    against_full = _listed({one.metric: one.mean_against_full for one in found})
    how = comparison_name(study).lower()
    lines = [f"hull of full size and our networks against full size, {how}: {against_full}"]
    if peers := resamplers(study):
        against_peers = _listed({one.metric: one.mean_against_peers for one in found})
        lines.append(f"the same against the hull of full size and {', '.join(peers)}: {against_peers}")
    return lines


def _listed(means: Mapping[str, Mean]) -> str:
    return ", ".join(f"{metric_label(metric)} {with_margin(mean)}" for metric, mean in means.items())
