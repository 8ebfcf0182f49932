"""`report.html`: one file that opens from disk, made from the results alone."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from irn_video.codecs.errors import StudyFailed
from irn_video.codecs.output import atomic_path
from irn_video.pipeline.quality.curves import bd_rate
from irn_video.pipeline.study import plots
from irn_video.pipeline.study.conclusions import Mean, compare, crossovers, hulls, mean_of, resamplers
from irn_video.pipeline.study.cost import Stage
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study
from irn_video.pipeline.study.words import measure_command, receive_command, send_command
from matplotlib.figure import Figure

REPORT = "report.html"
_JUDGED = ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg", "ms_ssim", "xpsnr_y")
_DRAWN = ("psnr_y", "vmaf")
_LEAST_OVERLAP = 0.75
_DISAGREEMENT = 2.0  # per cent between PCHIP and Akima above which a figure is marked
_CSS = """
:root { color-scheme: light dark; --line: #8884; --good: #0a7d4f; --bad: #c0392b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr.mean td { font-weight: 600; border-top: 2px solid var(--line); }
.good { color: var(--good); } .bad { color: var(--bad); }
ul.verdict { font-size: 1.05rem; padding-left: 1.2rem; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
small, .note { color: #888; } pre { overflow-x: auto; }
.scroll { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
.crops input { width: 20rem; max-width: 100%; }
.pair { position: relative; width: 256px; height: 256px; }
.pair img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; object-position: 0 0; }
.pair img:first-child { z-index: 1; clip-path: inset(0 calc(100% - var(--x)) 0 0); }
"""
_HEAD = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>irn-study</title><style>{_CSS}</style></head><body>"
)
_MOVE = "this.parentNode.style.setProperty('--x', this.value + '%')"
_MARKS = (
    "<p class=note>* the curves share less than 75 % of the smaller range; † PCHIP and Akima differ by more than 2 %; "
    "a cell's tooltip has both halves.</p>"
)


def verdict(study: Study) -> list[str]:
    """The findings, one line each, the most important first."""
    lines = []
    metrics = [metric for metric in ("psnr_y", "psnr_yuv", "vmaf", "vmaf_neg") if metric in study.metrics]
    for model in study.models:
        for anchor in study.anchors:
            found = [
                f"{plots.LABELS[m].removesuffix(', dB')} {_with_margin(_mean(study, model, anchor, m))}"
                for m in metrics
            ]
            lines.append(f"{model} against {anchor}, bit rate at equal quality: " + ", ".join(found))
    if FULL in study.anchors and study.models:
        lines.append(_hull_line(study))
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
            found = [f"{_name(m)} {_percent(bd_rate(*pair))}" for m, pair in zip(metrics, curves, strict=True)]
            lines.append(f"{method} {clip}: " + ", ".join(found))
    return lines


def write_report(folder: Path, study: Study) -> None:
    """`report.html`, and its plots in `plots/`.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    figures = _figures(study)
    (folder / "plots").mkdir(exist_ok=True)
    for name, figure in figures.items():
        plots.save(figure, folder / "plots" / name)
    with atomic_path(folder / REPORT, overwrite=True) as part:
        part.write_text(_page(study, figures), encoding="utf-8")


def _figures(study: Study) -> dict[str, Figure]:
    drawn = [metric for metric in _DRAWN if metric in study.metrics]
    figures = {}
    for clip in study.clips if drawn else ():
        figures[f"{clip}-curves"] = plots.rate_quality(study, clip, drawn)
        figures[f"{clip}-time"] = plots.over_time(study, clip, drawn[0])
        if FULL in study.anchors and study.models:
            figures[f"{clip}-hull"] = plots.hull_plot(study, clip, drawn[0])
    if drawn and study.anchors and study.measurements:
        figures["cost"] = plots.cost_gain(study, study.anchors[0], drawn[0])
    return figures


def _page(study: Study, figures: dict[str, Figure]) -> str:
    judged = [metric for metric in _JUDGED if metric in study.metrics]
    body = [
        "<h1>Bandwidth against quality</h1>",
        "<ul class=verdict>" + "".join(f"<li>{escape(line)}</li>" for line in verdict(study)) + "</ul>",
        "<p class=note>BD-rate: mean change of the bit rate at equal quality, negative is better; ± is the 95 % "
        "confidence interval of the mean over clips. Bits are those of video packets alone.</p>",
        *(_failures(study)),
        "<h2>Bit rate at equal quality</h2>",
        _MARKS,
        *(_comparison(study, model, anchor, judged) for model, anchor in _pairs(study)),
        *(_crossings(study, judged[0]) if judged else ()),
        *(_hull_table(study, judged[0]) if judged else ()),
        "<h2>Curves</h2>",
        *(_image(figure, name) for name, figure in figures.items()),
        *_crops(study),
        "<h2>Cost</h2>",
        _costs(study),
        "<h2>How it was measured</h2>",
        _settings(study),
        *_commands(study),
    ]
    return _HEAD + "\n".join(body) + "</body></html>\n"


def _pairs(study: Study) -> list[tuple[str, str]]:
    return [(model, anchor) for model in (*study.models, *study.anchors) for anchor in study.anchors if model != anchor]


def _comparison(study: Study, model: str, anchor: str, metrics: Sequence[str]) -> str:
    rows = []
    for clip in study.clips:
        found = [compare(study, clip, model, anchor, metric) for metric in metrics]
        cells = []
        for one in found:
            doubtful = one.akima is not None and one.rate is not None and abs(one.akima - one.rate) > _DISAGREEMENT
            marks = "*" * (one.overlap < _LEAST_OVERLAP) + "†" * doubtful
            halves = f"lower half {_percent(one.lower)}, upper half {_percent(one.upper)}, overlap {one.overlap:.0%}"
            cells.append(f"<td title='{escape(halves)}'>{_coloured(one.rate)}{marks}</td>")
        rows.append(f"<tr><td>{escape(clip)}</td>{''.join(cells)}</tr>")
    means = "".join(f"<td>{escape(_with_margin(_mean(study, model, anchor, metric)))}</td>" for metric in metrics)
    rows.append(f"<tr class=mean><td>mean</td>{means}</tr>")
    heads = "".join(f"<th>{escape(_name(metric))}</th>" for metric in metrics)
    title = f"<h3>{escape(model)} against {escape(anchor)}</h3>"
    return f"{title}<div class=scroll><table><tr><th>clip</th>{heads}</tr>{''.join(rows)}</table></div>"


def _crossings(study: Study, metric: str) -> list[str]:
    found = crossovers(study, metric)
    models = list(dict.fromkeys(model for _, model in found))
    if not models:
        return []
    rows = [
        [clip, *(f"{place} kb/s" if (place := found[clip, model]) else "–" for model in models)] for clip in study.clips
    ]
    intro = f"<p>Bit rate below which each is better than full size in {_name(metric)}.</p>"
    return ["<h2>Crossovers</h2>", intro, _table(["clip", *models], rows)]


def _hull_table(study: Study, metric: str) -> list[str]:
    if FULL not in study.anchors or not study.models:
        return []
    found = hulls(study, metric, study.models)
    peers = hulls(study, metric, resamplers(study)) if resamplers(study) else {}
    rows = []
    for clip, one in found.items():
        shares = ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items() if share)
        against = [_percent(one.against(peers[clip]))] if clip in peers else []
        rows.append([clip, _percent(one.saving), *against, shares])
    means = [_hull_mean([one.saving for one in found.values()])]
    means += [_hull_mean([one.against(peers[clip]) for clip, one in found.items()])] if peers else []
    rows.append(["mean", *means, ""])
    heads = ["clip", "against full size", *(["against the hull with resampling"] if peers else []), "cheapest"]
    intro = (
        f"<p>The cheapest of full size and our networks at each {_name(metric)} that full size reaches: its bit rate "
        "against full size alone, and against the cheapest of full size and resampling.</p>"
    )
    return ["<h2>Hull</h2>", intro, _table(heads, rows)]


def _hull_mean(values: Sequence[float]) -> str:
    return _with_margin(mean_of(values))


def _crops(study: Study) -> list[str]:
    """The middle points' crops over the source's, each with the border between them where the slider of its clip is."""
    blocks = []
    for clip in study.clips:
        source = study.sources.get(clip)
        shown = [point for point in study.middle_points(clip) if point.crop]
        if not source or not shown:
            continue
        figures = []
        for point in shown:
            values = point.values("psnr_y")
            quality = f", {statistics.fmean(values):.2f} dB" if values else ""
            pair = _png(source, "source") + _png(point.crop, point.method)
            caption = f"<figcaption>{escape(point.method)}<br>{point.kbps:.0f} kb/s{quality}</figcaption>"
            figures.append(f"<figure><div class=pair>{pair}</div>{caption}</figure>")
        slider = f"<input type=range value=50 aria-label='border' oninput=\"{_MOVE}\">"
        title = f"<h3>{escape(clip)}</h3>"
        blocks.append(f"<div class=crops style='--x:50%'>{title}{slider}<div class=row>{''.join(figures)}</div></div>")
    if not blocks:
        return []
    intro = "<p>The middle picture's most detailed square: the source left of the border, each method right of it.</p>"
    return ["<h2>What it looks like</h2>", intro, *blocks]


def _png(data: str, name: str) -> str:
    return f"<img alt='{escape(name)}' src='data:image/png;base64,{escape(data)}'>"


def _costs(study: Study) -> str:
    rows = []
    for method in (*study.anchors, *study.models):
        points = [point for point in study.measurements if point.method == method]
        if points:
            pictures = sum(point.pictures for point in points)
            stages = [_stage([getattr(p.cost, name) for p in points], pictures) for name in ("send", "receive")]
            facts = study.methods[method]
            macs = ["–" if value is None else f"{value:,}" for value in (facts.macs_down, facts.macs_up)]
            rows.append([method, *stages[0], *stages[1], *macs])
    stage = ("pictures a second", "processor, ms a picture", "peak memory, MB")
    heads = ["method", *(f"{name}: {what}" for name in ("send", "receive") for what in stage)]
    heads += ["multiply-accumulates a pixel, down", "up"]
    note = (
        "Send is reading, downscaling and encoding; receive is decoding, upscaling, measuring PSNR and storing without "
        "loss. All clips together; cells that ran side by side slow each other."
    )
    return _table(heads, rows) + f"<p class=note>{note}</p>"


def _stage(stages: Sequence[Stage], pictures: int) -> list[str]:
    wall, cpu = sum(stage.seconds for stage in stages), sum(stage.cpu_seconds for stage in stages)
    peak = max(stage.peak_bytes for stage in stages)
    return [f"{pictures / wall:.1f}", f"{1000 * cpu / pictures:.0f}", f"{peak / 1e6:.0f}"]


def _settings(study: Study) -> str:
    builds = dict.fromkeys(point.encoder.partition(" - options: ")[0] for point in study.measurements if point.encoder)
    formats = dict.fromkeys(point.pixel_format for point in study.measurements if point.pixel_format)
    written = {"encoder": "; ".join(builds) or None, "pixel format of the streams": ", ".join(formats) or None}
    pairs = {**study.settings, **written, **study.environment}
    return _table(["", ""], [[name, "the encoder's own" if v is None else str(v)] for name, v in pairs.items()])


def _commands(study: Study) -> list[str]:
    """What makes the middle point of the first clip by each method, and what each encoder says it did."""
    if not study.clips:
        return []
    lines, words = [], []
    for point in study.middle_points(study.clips[0]):
        method = study.methods[point.method].method
        lines.append(f"# {point.method}")
        lines.append(send_command(method, point.clip, study.settings, point.crf, point.bitrate))
        restored = "lr.mkv"
        if method.sender != FULL:
            lines.append(receive_command(method, point.clip))
            restored = "restored.mkv"
        lines.append(measure_command(point.clip, restored))
        words += [f"{point.method}: {point.encoder}"] if point.encoder else []
    blocks = [f"<pre>{escape(chr(10).join(lines))}</pre>"]
    if words:
        blocks += ["<p>What the encoders say of these streams:</p>", f"<pre>{escape(chr(10).join(words))}</pre>"]
    return ["<h2>Commands</h2>", "<p>The middle point of the first clip, by hand:</p>", *blocks]


def _failures(study: Study) -> list[str]:
    lines = [f"failed: {failure.cell}: {failure.error}" for failure in study.failures] + list(study.notes)
    return [f"<p class=bad>{escape(line)}</p>" for line in lines]


def _mean(study: Study, model: str, anchor: str, metric: str) -> Mean:
    return mean_of([compare(study, clip, model, anchor, metric).rate for clip in study.clips])


def _hull_line(study: Study) -> str:
    ours = hulls(study, "psnr_y", study.models)
    line = (
        f"hull of full size and our networks, PSNR-Y: {_hull_mean([h.saving for h in ours.values()])} against full size"
    )
    if not resamplers(study):
        return line
    peers = hulls(study, "psnr_y", resamplers(study))
    found = _hull_mean([one.against(peers[clip]) for clip, one in ours.items()])
    return f"{line}, {found} against the hull of full size and {', '.join(resamplers(study))}"


def _name(metric: str) -> str:
    return plots.LABELS[metric].removesuffix(", dB")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"


def _image(figure: Figure, name: str) -> str:
    data = base64.b64encode(plots.as_svg(figure)).decode()
    return f"<p><img alt='{escape(name)}' src='data:image/svg+xml;base64,{data}'></p>"


def _coloured(value: float | None) -> str:
    kind = "" if value is None else "good" if value < 0 else "bad"
    return f"<span class='{kind}'>{_percent(value)}</span>"


def _with_margin(mean: Mean) -> str:
    return _percent(mean.mean) + (f" ± {mean.margin:.1f}" if mean.margin is not None and mean.mean is not None else "")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f} %".replace("-", "\u2212")
