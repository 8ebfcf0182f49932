"""Plots as files, and as SVG inside a page: values are told where they are pointed at, lines can be switched off."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.study.plots import COLOURS, INK, STYLE, Plot, series_class

_POINTS_PER_INCH = 72  # Matplotlib's unit in SVG
_MOST_TARGETS = 100  # of a line; more would lie on each other
_LINE_HEIGHT = 13
# On their own, files are dark on white; a page may set the variables and leave out the background.
_OWN_STYLE = (
    "<style>.value circle { fill-opacity: 0 } .value:hover circle { fill-opacity: .4 } .value text { display: none; "
    "font: 11px sans-serif; paint-order: stroke; stroke: var(--paper, #ffffff); stroke-width: 5px; "
    "stroke-linejoin: round; pointer-events: none } .value:hover text { display: inline }</style>\n"
)
# On dark paper, each colour in its turn.
_LIGHTER = ("#4ba3e3", "#ff8a3d", "#2cc295", "#e6a5c9", "#a9dcf8", "#f5b82e", "#ffffff")
_GREYS = {"#777777": "#a6a6a6", "#999999": "#c0c0c0", "#909090": "#8c8c8c"}
_DARK = {INK: "#dddddd", **dict(zip(COLOURS, _LIGHTER, strict=True)), **_GREYS}
DARK_COLOURS = " ".join(f"--c{colour[1:]}: {lighter};" for colour, lighter in _DARK.items())
"""CSS variables for a dark page; without them plots have the colours of their files."""


def css_colour(colour: str) -> str:
    """A colour of a plot, as CSS that follows the page's variables."""
    return f"var(--c{colour[1:]}, {colour})"


def save(plot: Plot, path: Path) -> str:
    """As `path` with .svg and .png; returns the SVG element, to stand in a page.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    drawing = _drawing(plot)
    plot.figure.set_layout_engine("none")  # it has been found, which takes as long as drawing
    for suffix, data in ((".svg", drawing.encode()), (".png", _bytes(plot, "png"))):
        with atomic_path(path.with_name(path.name + suffix), overwrite=True) as part:
            part.write_bytes(data)
    return drawing[drawing.index("<svg") :]


def _drawing(plot: Plot) -> str:
    drawing, end, rest = _bytes(plot, "svg").decode().rpartition("</svg>")
    drawing = drawing.replace('<g id="', '<g class="')  # several of them may stand in one page
    drawing = re.sub(r"#[0-9a-f]{6}\b", lambda found: css_colour(found[0]) if found[0] in _DARK else found[0], drawing)
    return "".join((drawing, _OWN_STYLE, *_targets(plot), end, rest))


def _targets(plot: Plot) -> Iterator[str]:
    """A circle around each value of each line, seen only while it is pointed at, with what it tells."""
    figure = plot.figure
    points = _POINTS_PER_INCH / figure.dpi
    width, height = (length * points for length in (figure.bbox.width, figure.bbox.height))
    (panel,) = figure.axes
    for index, series in enumerate(plot.series):
        line = next(line for line in panel.lines if line.get_gid() == series_class(index))
        values = np.asarray(line.get_xydata())
        step = max(1, math.ceil(len(values) / _MOST_TARGETS))
        values = values[np.isfinite(values).all(axis=1)][::step]
        for value, (left, up) in zip(values, line.get_transform().transform(values) * points, strict=True):
            said = (series.label, *map(_named, (panel.get_xlabel(), panel.get_ylabel()), value))
            yield _target(series_class(index), css_colour(series.colour), (left, height - up), width, said)


def _target(kind: str, colour: str, place: tuple[float, float], width: float, said: tuple[str, ...]) -> str:
    left, top = place
    side = -1 if left > width / 2 else 1
    last = top - _LINE_HEIGHT if top > (len(said) + 1) * _LINE_HEIGHT else top + len(said) * _LINE_HEIGHT
    rows = "".join(
        f"<tspan x='{left + 8 * side:.1f}' y='{last - _LINE_HEIGHT * row:.1f}'>{escape(text)}</tspan>"
        for row, text in enumerate(reversed(said))
    )
    circle = f"<circle cx='{left:.1f}' cy='{top:.1f}' r='3.5' fill='{colour}'/>"
    anchor = "end" if side < 0 else "start"
    text = f"<text text-anchor='{anchor}' fill='{css_colour(INK)}'>{rows}</text>"
    return f"<g class='value {kind}'>{circle}{text}</g>\n"


def _named(name: str, value: float) -> str:
    return f"{name}: {value:.0f}" if abs(value) >= 1000 else f"{name}: {value:.4g}"


def _bytes(plot: Plot, kind: str) -> bytes:
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        plot.figure.savefig(file, format=kind, dpi=110, metadata=metadata)
    return file.getvalue()
