"""Plots of a study: rate against quality, quality over time, cost against gain. They read results alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.study.conclusions import hulls, mean_rate
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Level, Study

if TYPE_CHECKING:  # Matplotlib takes a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that people with any colour vision tell apart (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
INK = "#222222"
_ANCHORS = ((INK, "--"), ("#777777", "-."), ("#999999", ":"), ("#909090", (0, (5, 1, 1, 1, 1, 1))))
# The same results make the same file to the byte.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "irn-study",
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.titlesize": 10,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}
_SIZE = (5.2, 3.7)  # inches: wide enough for a phone's screen, so that letters keep their size there


@dataclass(frozen=True)
class Plot:
    """A figure with one panel.

    Attributes:
        title: says what it shows; the figure has it too.
        figure: each line has the class of its series as its Matplotlib gid, see `series_class`.
        series: labels of the lines that can be told apart by name, with their colours and dashes.
    """

    title: str
    figure: Figure
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Series:
    """A line, or a dot.

    Attributes:
        label: for the legend.
        colour: `#rrggbb`.
        dashed: an anchor's.
    """

    label: str
    colour: str
    dashed: bool


def rate_quality(study: Study, clip: str, metric: str) -> Plot:
    """Each method's curve over kbit/s."""
    with _panel(f"{clip}: {metric_label(metric)} over bit rate") as (figure, panel):
        for method in _methods(study):
            curve = study.curve(clip, method, metric)
            panel.plot(curve.rates, curve.qualities, marker=".", label=method, **_style(study, method))
        _rate_axis(panel)
        panel.set_ylabel(metric_label(metric, unit=True))
        return _finished(figure, panel)


def over_time(study: Study, clip: str, level: Level, metric: str) -> Plot:
    """Each frame's quality at one of the clip's levels."""
    with _panel(f"{clip}: {metric_label(metric)} of each frame at about {level.kbps:.0f} kb/s") as (figure, panel):
        for point in level.points:
            values = [frame.get(metric) for frame in point.frames]
            shown = [float("nan") if value is None else value for value in values]
            panel.plot(shown, label=f"{point.method}, {point.kbps:.0f} kb/s", **_style(study, point.method))
        panel.set_xlabel("frame")
        panel.set_ylabel(metric_label(metric, unit=True))
        return _finished(figure, panel)


def hull_plot(study: Study, clip: str, metric: str) -> Plot | None:
    """What the hulls with our networks and with resampling spend at each quality, against full size; None without."""
    found = hulls(study, metric).get(clip)
    if found is None:
        return None
    full = study.curve(clip, FULL, metric)
    with _panel(f"{clip}: what choosing the scale saves in {metric_label(metric)}") as (figure, panel):
        ways = (
            ("full size or resampling", found.peers, COLOURS[5]),
            ("full size or our networks", found.ours, COLOURS[0]),
        )
        for label, hull, colour in ways:
            if hull is not None:
                qualities, rates = np.array(hull.curve.qualities), np.array(hull.curve.rates)
                change = 100 * (rates / np.exp(full.log_rates(qualities)) - 1)
                name = f"the cheapest of {label}: {hull.saving:+.1f} %".replace("-", "\u2212")
                panel.plot(qualities, change, color=colour, label=name)
        panel.axhline(0, color=INK, linestyle="--", linewidth=1)
        panel.set_xlabel(metric_label(metric, unit=True))
        panel.set_ylabel("bit rate against full size, %")
        return _finished(figure, panel)


def cost_gain(study: Study, anchor: str, metric: str) -> Plot:
    """Mean BD-rate against processor seconds per frame, one dot per method."""
    with _panel(f"What each method costs and saves ({metric_label(metric)})") as (figure, panel):
        for method in _methods(study):
            gain = mean_rate(study, method, anchor, metric).rate.mean
            points = [point for point in study.measurements if point.method == method]
            if points and gain is not None:
                cost = statistics.fmean(point.cost.cpu_seconds / point.pictures for point in points)
                panel.plot(cost, gain, "o", color=_style(study, method)["color"], label=method)
        panel.set_xlabel("processor seconds a frame, sending and receiving")
        panel.set_ylabel(f"BD-rate against {anchor}, %")
        return _finished(figure, panel)


def plots(study: Study, metrics: tuple[str, ...]) -> dict[str, dict[str, Plot]]:
    """All of a study by clip and file name; what is not of one clip under the empty name.

    Args:
        study: the results.
        metrics: to draw over the rate, with their hulls; the first one is also drawn over time.
    """
    found: dict[str, dict[str, Plot]] = {}
    for clip in study.clips if metrics else ():
        own = found[clip] = {f"{clip}-curves-{name}": rate_quality(study, clip, name) for name in metrics}
        drawn = {name: hull_plot(study, clip, name) for name in metrics}
        own |= {f"{clip}-hull-{name}": hull for name, hull in drawn.items() if hull is not None}
        for number, level in enumerate(study.levels(clip), 1):
            own[f"{clip}-time-{number}"] = over_time(study, clip, level, metrics[0])
    if metrics and study.anchors and study.measurements:
        found[""] = {"cost": cost_gain(study, study.anchors[0], metrics[0])}
    return found


@contextmanager
def _panel(title: str) -> Iterator[tuple[Figure, Axes]]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        panel = figure.subplots()
        panel.set_title(title, gid="title", wrap=True)
        yield figure, panel


def _finished(figure: Figure, panel: Axes) -> Plot:
    from matplotlib.colors import to_hex

    lines = [line for line in panel.lines if not str(line.get_label()).startswith("_")]  # Matplotlib's own names
    for index, line in enumerate(lines):
        line.set_gid(series_class(index))
    if lines:
        panel.legend(frameon=False, fontsize=8).set_gid("legend")
    series = [
        Series(str(line.get_label()), to_hex(line.get_color()), line.get_linestyle() not in ("-", "None"))
        for line in lines
    ]
    return Plot(panel.get_title(), figure, tuple(series))


def series_class(index: int) -> str:
    """Of the elements of a plot's line in SVG."""
    return f"s{index}"


def _methods(study: Study) -> tuple[str, ...]:
    return (*study.anchors, *study.models)


def _rate_axis(panel: Axes) -> None:
    from matplotlib import ticker

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    panel.xaxis.set_minor_locator(ticker.NullLocator())
    panel.set_xlabel("kbit/s")


def _style(study: Study, method: str) -> dict[str, Any]:
    """Models in colour, anchors in grey and dashed."""
    if method in study.anchors:
        colour, dashes = _ANCHORS[study.anchors.index(method) % len(_ANCHORS)]
        return {"color": colour, "linestyle": dashes}
    return {"color": COLOURS[study.models.index(method) % len(COLOURS)]}
