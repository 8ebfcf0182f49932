"""The sections of `report.html`, made from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from irn_video.pipeline.quality.metrics import CLASSIFIER, REAL_METRICS, metric_label
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.conclusions import (
    Comparison,
    HullSaving,
    Mean,
    compare,
    crossovers,
    hull_savings,
    hulls,
    mean_rate,
)
from irn_video.pipeline.study.cost import Stage
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.study.results import Study, statistics_of
from irn_video.pipeline.study.runner import OVERLAP
from irn_video.pipeline.study.words import measure_command, receive_command, send_command

_DISAGREEMENT = 2.0  # per cent between PCHIP and Akima above which a figure is marked


def pairs(study: Study) -> list[tuple[str, str]]:
    """Models against anchors, and the other anchors against the first."""
    ours = [(model, anchor) for model in study.models for anchor in study.anchors]
    return ours + [(anchor, study.anchors[0]) for anchor in study.anchors[1:]]


def savings(study: Study, metrics: Sequence[str]) -> list[str]:
    """What the hull saves against full size, by clip and metric; with the same preset, in the same time, or both."""
    blocks = []
    for one in study.comparisons:
        if found := hull_savings(one, metrics):
            rows = [[clip, *(percent(saving.against_full[clip]) for saving in found)] for clip in one.clips]
            rows.append(["mean", *(with_margin(saving.mean_against_full) for saving in found)])
            heads = ["clip", *(metric_label(saving.metric) for saving in found)]
            blocks += [f"<h3>{comparison_name(one)}</h3>", table(heads, rows), efforts(one)]
    intro = (
        "<p>Bit rate of the cheapest of full size and our networks, chosen at each quality, against full size alone; "
        "more under Hull. Beneath, the preset of each method and the processor time that reading and encoding took "
        "without shrinking, over all clips and rates.</p>"
    )
    return ["<h2>What choosing saves</h2>", intro, *blocks] if blocks else []


def comparison_name(study: Study) -> str:
    """What is the same for all methods."""
    return "Same encoding time, presets by scale" if study.by_scale else "Same preset"


def efforts(study: Study) -> str:
    """Preset and measured time of encoding of each method."""
    taken = {}
    for method in (*study.anchors, *study.models):
        if points := [point for point in study.measurements if point.method == method]:
            seconds = sum(point.cost.encode_cpu_seconds for point in points)
            taken[method] = 1000 * seconds / sum(point.pictures for point in points)
    full = taken.get(FULL)
    rows = [
        [method, study.preset(method) or "–", f"{time:.1f}", f"{time / full:.2f}" if full else "–"]
        for method, time in taken.items()
    ]
    return table(["method", "preset", "encoding, ms a frame", "times full size"], rows)


def matrix(study: Study, metric: str) -> str:
    """Means over the clips: every method against every anchor."""
    rows = []
    for model in (*study.models, *study.anchors):
        means = [mean_rate(study, model, anchor, metric).rate for anchor in study.anchors]
        pairs = zip(study.anchors, means, strict=True)
        rows.append([model, *("" if model == anchor else with_margin(mean) for anchor, mean in pairs)])
    title = f"<h3>{metric_label(metric)}, mean over the clips, {comparison_name(study).lower()}</h3>"
    return title + table(["", *(f"against {anchor}" for anchor in study.anchors)], rows)


def comparison(study: Study, model: str, anchor: str, metrics: Sequence[str]) -> str:
    """BD-rates by clip and metric, and their means."""
    rows = []
    for clip in study.clips:
        cells = "".join(_rate_cell(compare(study, clip, model, anchor, metric)) for metric in metrics)
        rows.append(f"<tr><td>{escape(clip)}</td>{cells}</tr>")
    means = [with_margin(mean_rate(study, model, anchor, metric).rate) for metric in metrics]
    rows.append("<tr class=mean><td>mean</td>" + "".join(f"<td>{escape(one)}</td>" for one in means) + "</tr>")
    heads = "".join(f"<th>{escape(metric_label(metric))}</th>" for metric in metrics)
    title = f"<summary>{escape(model)} against {escape(anchor)}, by clip</summary>"
    found = f"<div class=scroll><table><tr><th>clip</th>{heads}</tr>{''.join(rows)}</table></div>"
    return f"<details>{title}{found}</details>"


def _rate_cell(one: Comparison) -> str:
    doubtful = one.akima is not None and one.rate is not None and abs(one.akima - one.rate) > _DISAGREEMENT
    marks = "*" * (one.overlap < OVERLAP) + "†" * doubtful
    gain = "–" if one.quality is None else f"{one.quality:+.2f}"
    halves = f"lower half {percent(one.lower)}, upper half {percent(one.upper)}"
    tip = f"at equal bit rate {gain}; {halves}; overlap {one.overlap:.0%}"
    kind = "" if one.rate is None else "good" if one.rate < 0 else "bad"
    return f"<td title='{escape(tip)}'><span class='{kind}'>{percent(one.rate)}</span>{marks}</td>"


def crossings(study: Study, metrics: Sequence[str]) -> list[str]:
    """Where shrinking begins to pay, a table for each metric."""
    blocks = []
    for metric in metrics:
        found = crossovers(study, metric)
        models = list(dict.fromkeys(model for _, model in found))
        rows = [
            [clip, *(f"{place} kb/s" if (place := found[clip, model]) else "–" for model in models)]
            for clip in study.clips
        ]
        blocks += [f"<h3>{metric_label(metric)}</h3>", table(["clip", *models], rows)] if models else []
    intro = "<p>Bit rate below which each is better than full size.</p>"
    return ["<h2>Crossovers</h2>", intro, *blocks] if blocks else []


def hull_tables(study: Study, metrics: Sequence[str]) -> list[str]:
    """What the cheapest way at each quality saves and which it is, a table for each metric."""
    blocks = [_hull_table(study, one) for one in hull_savings(study, metrics)]
    intro = (
        "<p>The cheapest of full size and our networks at each quality: its bit rate against full size alone, and "
        "against the cheapest of full size and resampling; over the qualities in the last column, where it is known: "
        "no curve ends inside that is the cheapest at its end.</p>"
    )
    return ["<h2>Hull</h2>", intro, *blocks] if blocks else []


def _hull_table(study: Study, saving: HullSaving) -> str:
    found = hulls(study, saving.metric)
    resampled = any(one.peers for one in found.values())
    rows = []
    for clip, one in found.items():
        shares = ", ".join(f"{name} {share:.0%}" for name, share in one.ours.shares.items() if share)
        against = [percent(one.against_peers)] if resampled else []
        rows.append([clip, percent(one.ours.saving), *against, shares, "{:.1f} to {:.1f}".format(*one.qualities)])
    means = [saving.mean_against_full, *([saving.mean_against_peers] if resampled else [])]
    rows.append(["mean", *map(with_margin, means), "", ""])
    against = ["against full size", *(["against the hull with resampling"] if resampled else [])]
    heads = ["clip", *against, "cheapest", metric_label(saving.metric, unit=True)]
    return f"<h3>{metric_label(saving.metric)}</h3>" + table(heads, rows)


def realness(study: Study) -> list[str]:
    """How real the frames look at each clip's levels."""
    shown = [metric for metric in (*REAL_METRICS, CLASSIFIER) if metric in study.metrics]
    rows = [
        [clip, point.method, f"{point.kbps:.0f}", *(_number(point.value(metric)) for metric in shown)]
        for clip in study.clips
        for level in study.levels(clip)
        for point in level.points
    ]
    heads = ["clip", "method", "kb/s", *(metric_label(metric, unit=True) for metric in shown)]
    intro = (
        "<p>The streams that are shown above. Texture: wavelet energy of the luma, of the source's own, in the finest "
        "band and the next one, where the source has texture, is flat, or has an edge. Flicker: change from frame to "
        "frame along the source's motion, of the source's own, everywhere and where the source stands still. 1 is as "
        "the source.</p>"
    )
    told = (
        "<p>Classifier: how many in a hundred crops, of the source and of the restored clip, a small network takes for "
        "the other kind after training to tell them apart; 50 is no difference to see.</p>"
    )
    notes = [intro, *([told] if CLASSIFIER in shown else [])]
    return ["<h2>How real it looks</h2>", *notes, table(heads, rows)] if shown else []


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def steadiness(study: Study) -> list[str]:
    """Quality over the frames at each clip's levels."""
    shown = [metric for metric in ("psnr_y", "vmaf_neg") if metric in study.metrics]
    rows = [
        [clip, point.method, f"{point.kbps:.0f}", f"{point.bpp:.3f}", *(n for m in shown for n in _spread(point, m))]
        for clip in study.clips
        for level in study.levels(clip)
        for point in level.points
    ]
    heads = ["clip", "method", "kb/s", "bits a pixel"]
    for metric in shown:
        heads += [metric_label(metric), "harmonic mean", "5th percentile", "least", "unsteadiness"]
    intro = (
        "<p>The streams that are shown above, over their frames; unsteadiness is the standard deviation of the change "
        "from one frame to the next.</p>"
    )
    return ["<h2>Steadiness</h2>", intro, table(heads, rows)] if shown else []


def _spread(point: Measurement, metric: str) -> list[str]:
    values = point.values(metric)
    if not values:
        return ["–"] * 5
    found = statistics_of(values)
    numbers = (found.mean, found.harmonic, found.low, found.min, found.flicker)
    return [_number(number) for number in numbers]


def costs(study: Study) -> str:
    """Speed, memory and arithmetic of each method."""
    rows = []
    for method in (*study.anchors, *study.models):
        points = [point for point in study.measurements if point.method == method]
        if points:
            pictures = sum(point.pictures for point in points)
            stages = [_stage([getattr(p.cost, name) for p in points], pictures) for name in ("send", "receive")]
            facts = study.methods[method]
            macs = ["–" if value is None else f"{value:,}" for value in (facts.macs_down, facts.macs_up)]
            rows.append([method, *stages[0], *stages[1], *macs])
    stage = ("frames a second", "processor, ms a frame", "peak memory, MB")
    heads = ["method", *(f"{name}: {what}" for name in ("send", "receive") for what in stage)]
    heads += ["multiply-accumulates a pixel, down", "up"]
    note = (
        "Send is reading, downscaling and encoding; receive is decoding, upscaling, measuring PSNR and storing without "
        "loss. All clips together; cells that ran side by side slow each other."
    )
    return table(heads, rows) + f"<p class=note>{note}</p>"


def _stage(stages: Sequence[Stage], pictures: int) -> list[str]:
    wall, cpu = sum(stage.seconds for stage in stages), sum(stage.cpu_seconds for stage in stages)
    peak = max(stage.peak_bytes for stage in stages)
    return [f"{pictures / wall:.1f}", f"{1000 * cpu / pictures:.0f}", f"{peak / 1e6:.0f}"]


def settings(study: Study) -> str:
    """Encoder and environment."""
    builds = dict.fromkeys(point.encoder.partition(" - options: ")[0] for point in study.measurements if point.encoder)
    formats = dict.fromkeys(point.pixel_format for point in study.measurements if point.pixel_format)
    written = {"encoder": "; ".join(builds) or None, "pixel format of the streams": ", ".join(formats) or None}
    pairs = {**study.settings, **written, **study.environment}
    return table(["", ""], [[name, "the encoder's own" if v is None else str(v)] for name, v in pairs.items()], "facts")


def commands(study: Study) -> list[str]:
    """What makes the first clip's lower level by each method, and what each encoder says it did."""
    if not study.clips:
        return []
    lines, words = [], []
    for point in study.levels(study.clips[0])[0].points:
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
    return ["<h2>Commands</h2>", "<p>The first clip at the lower of its rates, by hand:</p>", *blocks]


def failures(study: Study) -> list[str]:
    """What went wrong, and curves that do not meet."""
    lines = [f"failed: {failure.cell}: {failure.error}" for failure in study.failures] + list(study.notes)
    return [f"<p class=bad>{escape(line)}</p>" for line in lines]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "figures") -> str:
    """A table of texts; the last column of `facts` has words."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table class={kind}><tr>{head}</tr>{body}</table></div>"


def with_margin(mean: Mean) -> str:
    """A mean and its confidence."""
    return percent(mean.mean) + (f" ± {mean.margin:.1f}" if mean.margin is not None and mean.mean is not None else "")


def percent(value: float | None) -> str:
    """With its sign."""
    return "–" if value is None else f"{value:+.1f} %".replace("-", "\u2212")
