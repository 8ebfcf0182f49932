"""Plots of a study: rate against quality, quality over time, cost against gain. They read results alone."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.study.conclusions import compare, hulls, mean_of, resamplers
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that people with any colour vision tell apart (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_ANCHORS = (("#222222", "--"), ("#777777", "-."), ("#999999", ":"), ("#b0b0b0", (0, (5, 1, 1, 1, 1, 1))))
LABELS = {
    "psnr_y": "PSNR-Y, dB",
    "psnr_u": "PSNR-U, dB",
    "psnr_v": "PSNR-V, dB",
    "psnr_yuv": "PSNR-YUV, dB",
    "psnr_rgb": "PSNR-RGB, dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "vmaf": "VMAF",
    "vmaf_neg": "VMAF-NEG",
    "xpsnr_y": "XPSNR-Y, dB",
}
_POINTS_PER_INCH = 72  # Matplotlib's unit in SVG
_MOST_TARGETS = 250  # of a line; more would lie on each other
_TARGET_STYLE = "<style>.value { fill-opacity: 0 } .value:hover { fill-opacity: .3 }</style>\n"
# The same results make the same file to the byte.
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "irn-study",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.fonttype": "path",
}


def rate_quality(study: Study, clip: str, metrics: Sequence[str]) -> Figure:
    """One panel per metric: each method's curve over kbit/s."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2 * len(metrics), 3.6), layout="constrained")
        axes: list[Axes] = list(figure.subplots(1, len(metrics), squeeze=False)[0])
        for metric, panel in zip(metrics, axes, strict=True):
            for method in (*study.anchors, *study.models):
                curve = study.curve(clip, method, metric)
                panel.plot(curve.rates, curve.qualities, marker=".", label=method, **_style(study, method))
            _rate_axis(panel)
            panel.set_ylabel(LABELS[metric])
        axes[0].legend(frameon=False)
        figure.suptitle(clip)
    return figure


def over_time(study: Study, clip: str, metric: str) -> Figure:
    """Each frame's quality, at the middle points."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10.4, 2.6), layout="constrained")
        panel = figure.subplots()
        for point in study.middle_points(clip):
            values = [frame.get(metric) for frame in point.frames]
            shown = [float("nan") if value is None else value for value in values]
            panel.plot(shown, label=f"{point.method}, {point.kbps:.0f} kb/s", **_style(study, point.method))
        panel.set_xlabel("frame")
        panel.set_ylabel(LABELS[metric])
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        panel.set_title(clip)
    return figure


def hull_plot(study: Study, clip: str, metric: str) -> Figure:
    """What the hulls with our networks and with resampling spend at each quality, against full size."""
    full = study.curve(clip, FULL, metric)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        panel = figure.subplots()
        ways = (
            ("full size or resampling", resamplers(study), "#e69f00"),
            ("full size or our networks", study.models, "#0072b2"),
        )
        for label, methods, colour in ways:
            if methods and (found := hulls(study, metric, methods).get(clip)):
                qualities, rates = np.array(found.curve.qualities), np.array(found.curve.rates)
                change = 100 * (rates / np.exp(full.log_rates(qualities)) - 1)
                panel.plot(
                    qualities,
                    change,
                    color=colour,
                    label=f"the cheapest of {label}: {found.saving:+.1f} %".replace("-", "\u2212"),
                )
        panel.axhline(0, color="#222222", linestyle="--", linewidth=1)
        panel.set_xlabel(LABELS[metric])
        panel.set_ylabel("bit rate against full size, %")
        panel.legend(frameon=False)
        panel.set_title(clip)
    return figure


def cost_gain(study: Study, anchor: str, metric: str) -> Figure:
    """Mean BD-rate against processor seconds per frame, one dot per method."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        panel = figure.subplots()
        for method in (*study.anchors, *study.models):
            gain = mean_of([compare(study, clip, method, anchor, metric).rate for clip in study.clips]).mean
            points = [point for point in study.measurements if point.method == method]
            if points and gain is not None:
                cost = statistics.fmean(point.cost.cpu_seconds / point.pictures for point in points)
                panel.plot(cost, gain, "o", color=_style(study, method)["color"], label=method)
        panel.set_xlabel("processor seconds a frame, sending and receiving")
        panel.set_ylabel(f"BD-rate against {anchor}, %")
        if panel.lines:
            panel.legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> bytes:
    """As `path` with .svg and .png; returns the former's content.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    drawing = _drawing(figure)
    for suffix, data in ((".svg", drawing), (".png", _bytes(figure, "png"))):
        with atomic_path(path.with_name(path.name + suffix), overwrite=True) as part:
            part.write_bytes(data)
    return drawing


def _drawing(figure: Figure) -> bytes:
    """SVG in which a browser tells the values that are pointed at."""
    drawing, end, rest = _bytes(figure, "svg").decode().rpartition("</svg>")
    return "".join((drawing, _TARGET_STYLE, *_targets(figure), end, rest)).encode()


def _targets(figure: Figure) -> Iterator[str]:
    """A circle around each value of each line, seen only while it is pointed at, whose title tells the value."""
    points = _POINTS_PER_INCH / figure.dpi
    for panel in figure.axes:
        for line in panel.lines:
            name = str(line.get_label())
            if name.startswith("_"):  # Matplotlib's own name for a line without one
                continue
            values = np.asarray(line.get_xydata())
            step = max(1, math.ceil(len(values) / _MOST_TARGETS))
            values = values[np.isfinite(values).all(axis=1)][::step]
            for value, (left, up) in zip(values, line.get_transform().transform(values) * points, strict=True):
                top = figure.bbox.height * points - up
                said = (name, *map(_named, (panel.get_xlabel(), panel.get_ylabel()), value))
                title = escape("\n".join(said))
                yield f"<circle class='value' cx='{left:.1f}' cy='{top:.1f}' r='3'><title>{title}</title></circle>\n"


def _named(name: str, value: float) -> str:
    return f"{name}: {value:.0f}" if abs(value) >= 1000 else f"{name}: {value:.4g}"


def _bytes(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(_STYLE):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(file, format=kind, dpi=110, metadata=metadata)
    return file.getvalue()


def _rate_axis(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    panel.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    panel.set_xlabel("kbit/s")


def _style(study: Study, method: str) -> dict[str, Any]:
    """Models in colour, anchors in grey and dashed."""
    if method in study.anchors:
        colour, dashes = _ANCHORS[study.anchors.index(method) % len(_ANCHORS)]
        return {"color": colour, "linestyle": dashes}
    return {"color": _COLOURS[study.models.index(method) % len(_COLOURS)]}
