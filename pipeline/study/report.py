"""`report.html`: one file that opens from disk, made from the results alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from html import escape
from pathlib import Path
from typing import Any

from irn_video.codecs.errors import StudyFailed
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.curves import bd_rate
from irn_video.pipeline.quality.metrics import METRICS, metric_label
from irn_video.pipeline.study import drawing
from irn_video.pipeline.study.conclusions import Comparison, comparisons, hull_savings, mean_rates
from irn_video.pipeline.study.plots import Plot, plots
from irn_video.pipeline.study.results import Study
from irn_video.pipeline.study.sections import (
    commands,
    comparison,
    costs,
    crossings,
    failures,
    hull_tables,
    matrix,
    pairs,
    percent,
    realness,
    savings,
    settings,
    steadiness,
)
from irn_video.pipeline.study.showing import crops, drawn
from irn_video.pipeline.study.style import CSS
from irn_video.pipeline.study.verdict import MEANS, verdict

REPORT, COMPARISONS, CONCLUSIONS = "report.html", "comparisons.csv", "conclusions.json"
_JUDGED = ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg", "ms_ssim", "xpsnr_y")
_HEAD = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>irn-study</title><style>{CSS}</style></head><body>"
)
_MARKS = (
    "<p class=note>* the curves share less than 75 % of the smaller range; † PCHIP and Akima differ by more than 2 %; "
    "a cell's tooltip has the gain at equal bit rate and both halves.</p>"
)


def changes(before: Study, after: Study) -> list[str]:
    """BD-rate of each method and clip that both studies have, the earlier one being the anchor.

    Raises:
        StudyFailed: they have nothing in common.
    """
    metrics = [metric for metric in _JUDGED if metric in before.metrics and metric in after.metrics]
    methods = [name for name in (*after.anchors, *after.models) if name in (*before.anchors, *before.models)]
    clips = [clip for clip in after.clips if clip in before.clips]
    if not (metrics and methods and clips):
        raise StudyFailed("the studies have no clip and method in common", hint="compare studies of the same clips")
    lines = []
    for method in methods:
        for clip in clips:
            curves = [(before.curve(clip, method, metric), after.curve(clip, method, metric)) for metric in metrics]
            found = [f"{metric_label(m)} {percent(bd_rate(*pair))}" for m, pair in zip(metrics, curves, strict=True)]
            lines.append(f"{method} {clip}: " + ", ".join(found))
    return lines


def write_report(folder: Path, study: Study) -> None:
    """`report.html`, its plots in `plots/`, `comparisons.csv` with every comparison, `conclusions.json` with the means.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    (folder / "plots").mkdir(exist_ok=True)
    found = plots(study, tuple(metric for metric in MEANS if metric in study.metrics))
    drawings = {
        clip: {name: (plot, drawing.save(plot, folder / "plots" / name)) for name, plot in own.items()}
        for clip, own in found.items()
    }
    with atomic_path(folder / COMPARISONS, overwrite=True) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Comparison)])
        table.writeheader()
        table.writerows(asdict(one) for one in comparisons(study, _rising(study)))
    with atomic_path(folder / CONCLUSIONS, overwrite=True) as part:
        part.write_text(json.dumps(_conclusions(study), indent=1) + "\n")
    with atomic_path(folder / REPORT, overwrite=True) as part:
        part.write_text(_page(study, drawings), encoding="utf-8")


def _conclusions(study: Study) -> dict[str, Any]:
    hulls, rates = hull_savings(study, _rising(study)), mean_rates(study, _rising(study))
    found = {"hulls": [asdict(one) for one in hulls], "rates": [asdict(one) for one in rates]}
    same_time = None if study.same_time is None else _conclusions(study.same_time)
    return {"schema": 1, "preset": study.settings.get("preset"), **found, "same_time": same_time}


def _rising(study: Study) -> list[str]:
    """Metrics of which more is better: only they have a bit rate at equal quality."""
    return [metric for metric in study.metrics if metric in METRICS]


def _page(study: Study, drawings: Mapping[str, Mapping[str, tuple[Plot, str]]]) -> str:
    judged = [metric for metric in _JUDGED if metric in study.metrics]
    claimed = [metric for metric in MEANS if metric in study.metrics]
    body = [
        "<h1>Bandwidth against quality</h1>",
        "<ul class=verdict>" + "".join(f"<li>{escape(line)}</li>" for line in verdict(study)) + "</ul>",
        "<p class=note>For each clip, the method that needs the fewest bits for the same quality. BD-rate: mean "
        "change of the bit rate at equal quality, negative is better; ± is the 95 % confidence interval of the mean "
        "over clips, from three on. Bits are those of video packets alone.</p>",
        *failures(study),
        *savings(study, judged),
        *_clips(study, drawings),
        "<h2>Bit rate at equal quality</h2>",
        _MARKS,
        *(matrix(one, metric) for one in study.comparisons for metric in claimed),
        *(comparison(study, model, anchor, judged) for model, anchor in pairs(study)),
        *crossings(study, claimed),
        *hull_tables(study, claimed),
        *realness(study),
        *steadiness(study),
        "<h2>Cost</h2>",
        *drawn(drawings.get("", {})),
        costs(study),
        "<h2>How it was measured</h2>",
        settings(study),
        *commands(study),
    ]
    return _HEAD + "\n".join(body) + "</body></html>\n"


def _clips(study: Study, drawings: Mapping[str, Mapping[str, tuple[Plot, str]]]) -> list[str]:
    """Curves and frames of each clip."""
    blocks = []
    for clip in study.clips:
        blocks += [f"<h3>{escape(clip)}</h3>", *drawn(drawings.get(clip, {})), *crops(study, clip)]
    intro = (
        "<p class=note>Point at a value, or touch it, to read it; the boxes under a title switch its curves off and "
        "on. Frames are shown in the middle of the curves, at bit rates on either side of where another scale becomes "
        "the best: three places of the middle frame, the one with most detail first, the source left of the border "
        "that the slider moves. In brackets, how much more or less a bit rate is than it should be.</p>"
    )
    return ["<h2>Clip by clip</h2>", intro, *blocks] if blocks else []
