"""The picture of a report: quality of each frame over time, and what each frame takes beneath."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.quality.report import Report
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg")
_SHOWN = ("psnr_y", "psnr_yuv")
# Colours that people with any colour vision tell apart (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#d55e00")
# The same report makes the same file to the byte.
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "irn-receive",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def check_plot_name(path: Path) -> None:
    """Refuse a plot of another kind.

    Raises:
        BadOption: neither PNG nor SVG.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise BadOption("a plot is .png or .svg", path=path)


def plot(report: Report, path: Path, title: str, *, overwrite: bool = False) -> None:
    """Draw a report.

    Args:
        report: with the frames of a stream; where they were not measured, rates alone are drawn.
        path: the file, `.png` or `.svg`.
        title: above it.
        overwrite: replace an existing file.

    Raises:
        BadOption: another suffix.
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    check_plot_name(path)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 5), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _quality(report, upper)
        _rate(report, lower)
        upper.set_title(title)
        with atomic_path(path, overwrite=overwrite) as part:
            name = path.suffix[1:].lower()
            figure.savefig(part, format=name, dpi=120, metadata={"Date": None} if name == "svg" else {"Software": None})


def _quality(report: Report, panel: Axes) -> None:
    times = [frame.pts_seconds for frame in report.frames]
    for name, colour in zip(_SHOWN, _COLOURS, strict=True):
        values = [frame.error.psnr()[name] for frame in report.frames]
        mean = report.summary()[name]["mean"]
        if mean is not None:
            shown = [float("nan") if value is None else value for value in values]
            panel.plot(times, shown, color=colour, linewidth=1.2, label=f"{metric_label(name)}, mean {mean:.2f} dB")
    panel.set_ylabel("PSNR, dB")
    if panel.lines:
        panel.legend(frameon=False, ncols=2)
    else:
        text = "every frame is identical" if report.frames else "PSNR was not measured"
        panel.text(0.5, 0.5, text, transform=panel.transAxes, ha="center")


def _rate(report: Report, panel: Axes) -> None:
    """What each frame takes, as the rate at which such frames would come; and the mean."""
    frames = [frame for frame in report.coded if frame.bytes is not None]
    lengths = [later.pts_seconds - frame.pts_seconds for frame, later in pairwise(frames)]
    lengths = [*lengths, lengths[-1]] if lengths else []
    if lengths and min(lengths) > 0:
        rates = [8 * (frame.bytes or 0) / 1000 / length for frame, length in zip(frames, lengths, strict=True)]
        times = [frame.pts_seconds for frame in frames]
        colours = ["#555555" if frame.keyframe else "#009e73" for frame in frames]
        panel.bar(times, rates, width=lengths, align="edge", color=colours, linewidth=0)
        mean = sum(8 * (frame.bytes or 0) / 1000 for frame in frames) / sum(lengths)
        panel.axhline(mean, color="#222222", linestyle="--", linewidth=1, label=f"mean {mean:.0f} kb/s")
        panel.legend(frameon=False, title="keyframes grey", title_fontsize=8)
    panel.set_ylabel("bit rate, kb/s")
    panel.set_xlabel("time, s")
