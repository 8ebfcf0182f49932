"""What `report.html` shows rather than tells: plots with curves to switch on and off, and pieces of frames."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from html import escape

from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.drawing import css_colour
from irn_video.pipeline.study.plots import Plot, Series, series_class
from irn_video.pipeline.study.results import Level, Study
from irn_video.pipeline.study.runner import SAME_RATE
from irn_video.pipeline.study.sections import percent
from irn_video.pipeline.study.verdict import best_there

_FILL = "preserveAspectRatio='xMinYMin slice' style='image-rendering: pixelated'"
_MOVE = "this.parentNode.style.setProperty('--x', this.value + '%')"
MOST_SERIES = 24
"""Lines of a plot that can be switched off."""


def drawn(plots: Mapping[str, tuple[Plot, str]]) -> list[str]:
    """Plots with their SVG by name, side by side where there is room."""
    return [f"<div class=plots>{''.join(_figure(plot, svg) for plot, svg in plots.values())}</div>"] if plots else []


def _figure(plot: Plot, svg: str) -> str:
    keys = "".join(_key(index, series) for index, series in enumerate(plot.series[:MOST_SERIES]))
    return f"<figure class=plot><figcaption>{escape(plot.title)}</figcaption><div class=keys>{keys}</div>{svg}</figure>"


def _key(index: int, series: Series) -> str:
    line = f"border-top: 3px {'dashed' if series.dashed else 'solid'} {css_colour(series.colour)}"
    box = f"<input type=checkbox checked class={series_class(index)}>"
    return f"<label>{box}<i style='{line}'></i>{escape(series.label)}</label>"


def crops(study: Study, clip: str) -> list[str]:
    """Pieces of a clip's frames at its levels, over the source's, with a border between them that a slider moves."""
    sources, number = study.sources.get(clip, ()), study.clips.index(clip)
    levels = [level for level in study.levels(clip) if any(point.crops for point in level.points)]
    if not sources or not levels:
        return []
    images = (
        f"<image id='source{number}-{place}' width=256 height=256 href='{_data(source)}' {_FILL}/>"
        for place, source in enumerate(sources)
    )
    shared = f"<svg width=0 height=0><defs>{''.join(images)}</defs></svg>"
    slider = f"<input type=range value=50 aria-label='border' oninput=\"{_MOVE}\">"
    blocks = "".join(_level(study, clip, number, level) for level in levels)
    return [f"{shared}<div class=crops style='--x:50%'>{slider}{blocks}</div>"]


def _level(study: Study, clip: str, number: int, level: Level) -> str:
    shown = [point for point in level.points if point.crops]
    figures = "".join(_pieces(point, level.kbps, number) for point in shown)
    return f"<p class=best>{escape(best_there(study, clip, level.kbps))}</p><div class=row>{figures}</div>"


def _pieces(point: Measurement, kbps: float, number: int) -> str:
    values = point.values("psnr_y")
    quality = f", {statistics.fmean(values):.2f} dB" if values else ""
    caption = f"<figcaption>{escape(point.method)}<br>{point.kbps:.0f} kb/s{_apart(point, kbps)}{quality}</figcaption>"
    pairs = (
        f"<div class=pair><svg class=source><use href='#source{number}-{place}'/></svg>{_png(crop, point.method)}</div>"
        for place, crop in enumerate(point.crops)
    )
    return f"<figure>{caption}{''.join(pairs)}</figure>"


def _apart(point: Measurement, kbps: float) -> str:
    """How far a point's bit rate is from the one that was wanted; marked if it does not count as equal."""
    if point.kbps == kbps:
        return ""
    kind = "" if abs(math.log(point.kbps / kbps)) <= SAME_RATE else " class=bad"
    return f" (<span{kind}>{percent(100 * (point.kbps / kbps - 1))}</span>)"


def _png(data: str, name: str) -> str:
    return f"<img alt='{escape(name)}' src='{_data(data)}'>"


def _data(png: str) -> str:
    return f"data:image/png;base64,{escape(png)}"
