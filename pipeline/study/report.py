"""`report.html`: one file that opens from disk, made from the results alone."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from html import escape
from pathlib import Path

from irn_video.codecs.errors import StudyFailed
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.curves import bd_rate
from irn_video.pipeline.study import plots
from irn_video.pipeline.study.conclusions import Comparison, comparisons, hulls, resamplers
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study
from irn_video.pipeline.study.sections import (
    commands,
    comparison,
    costs,
    crops,
    crossings,
    failures,
    hull_mean,
    hull_table,
    image,
    matrix,
    mean,
    metric_name,
    pairs,
    percent,
    settings,
    steadiness,
    with_margin,
)
from matplotlib.figure import Figure

REPORT, COMPARISONS = "report.html", "comparisons.csv"
_JUDGED = ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg", "ms_ssim", "xpsnr_y")
_DRAWN = ("psnr_y", "vmaf")
_CSS = """
:root { color-scheme: light dark; --line: #8884; --good: #0a7d4f; --bad: #c0392b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr.mean td { font-weight: 600; border-top: 2px solid var(--line); }
.good { color: var(--good); } .bad { color: var(--bad); }
details { margin: .4rem 0; } summary { cursor: pointer; }
ul.verdict { font-size: 1.05rem; padding-left: 1.2rem; }
img, object { max-width: 100%; background: #fff; border-radius: 4px; }
small, .note { color: #888; } pre { overflow-x: auto; }
.scroll { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
.crops input { width: 20rem; max-width: 100%; }
.pair { position: relative; width: 256px; height: 256px; }
.pair > * { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; object-position: 0 0; }
.pair img { image-rendering: pixelated; }
.pair .source { z-index: 1; clip-path: inset(0 calc(100% - var(--x)) 0 0); }
"""
_HEAD = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>irn-study</title><style>{_CSS}</style></head><body>"
)
_MARKS = (
    "<p class=note>* the curves share less than 75 % of the smaller range; † PCHIP and Akima differ by more than 2 %; "
    "a cell's tooltip has the gain at equal bit rate and both halves.</p>"
)


def verdict(study: Study) -> list[str]:
    """The findings, one line each, the most important first: the hull, then each model against its peers.

    A model's peers are full size and the anchors of its own scale.
    """
    lines = [_hull_line(study)] if FULL in study.anchors and study.models else []
    metrics = [metric for metric in ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg") if metric in study.metrics]
    for model in study.models:
        scale = study.methods[model].scale
        for anchor in study.anchors:
            if anchor == FULL or study.methods[anchor].scale == scale:
                found = [f"{metric_name(m)} {with_margin(mean(study, model, anchor, m))}" for m in metrics]
                lines.append(f"{model} against {anchor}, bit rate at equal quality: " + ", ".join(found))
    return lines


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
            found = [f"{metric_name(m)} {percent(bd_rate(*pair))}" for m, pair in zip(metrics, curves, strict=True)]
            lines.append(f"{method} {clip}: " + ", ".join(found))
    return lines


def write_report(folder: Path, study: Study) -> None:
    """`report.html`, its plots in `plots/`, and `comparisons.csv` with every comparison's figures.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    (folder / "plots").mkdir(exist_ok=True)
    drawings = {name: plots.save(figure, folder / "plots" / name) for name, figure in _figures(study).items()}
    with atomic_path(folder / COMPARISONS, overwrite=True) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Comparison)])
        table.writeheader()
        table.writerows(asdict(one) for one in comparisons(study, study.metrics))
    with atomic_path(folder / REPORT, overwrite=True) as part:
        part.write_text(_page(study, drawings), encoding="utf-8")


def _hull_line(study: Study) -> str:
    ours = hulls(study, "psnr_y", study.models)
    line = (
        f"hull of full size and our networks, PSNR-Y: {hull_mean([h.saving for h in ours.values()])} against full size"
    )
    if not resamplers(study):
        return line
    peers = hulls(study, "psnr_y", resamplers(study))
    found = hull_mean([one.against(peers[clip]) for clip, one in ours.items()])
    return f"{line}, {found} against the hull of full size and {', '.join(resamplers(study))}"


def _figures(study: Study) -> dict[str, Figure]:
    drawn = [metric for metric in _DRAWN if metric in study.metrics]
    figures = {}
    for clip in study.clips if drawn else ():
        figures[f"{clip}-curves"] = plots.rate_quality(study, clip, drawn)
        figures[f"{clip}-time"] = plots.over_time(study, clip, drawn[0])
        if study.models and study.curve(clip, FULL, drawn[0]).rates:
            figures[f"{clip}-hull"] = plots.hull_plot(study, clip, drawn[0])
    if drawn and study.anchors and study.measurements:
        figures["cost"] = plots.cost_gain(study, study.anchors[0], drawn[0])
    return figures


def _page(study: Study, drawings: dict[str, bytes]) -> str:
    judged = [metric for metric in _JUDGED if metric in study.metrics]
    body = [
        "<h1>Bandwidth against quality</h1>",
        "<ul class=verdict>" + "".join(f"<li>{escape(line)}</li>" for line in verdict(study)) + "</ul>",
        "<p class=note>BD-rate: mean change of the bit rate at equal quality, negative is better; ± is the 95 % "
        "confidence interval of the mean over clips, from three on. Bits are those of video packets alone.</p>",
        *(failures(study)),
        "<h2>Bit rate at equal quality</h2>",
        _MARKS,
        *(matrix(study, metric) for metric in judged[:1] + [m for m in ("vmaf",) if m in judged]),
        *(comparison(study, model, anchor, judged) for model, anchor in pairs(study)),
        *(crossings(study, judged[0]) if judged else ()),
        *(hull_table(study, judged[0]) if judged else ()),
        "<h2>Curves</h2>",
        "<p class=note>Point at a value to read it.</p>" if drawings else "",
        *(image(drawing, name) for name, drawing in drawings.items()),
        *crops(study),
        *steadiness(study),
        "<h2>Cost</h2>",
        costs(study),
        "<h2>How it was measured</h2>",
        settings(study),
        *commands(study),
    ]
    return _HEAD + "\n".join(body) + "</body></html>\n"
