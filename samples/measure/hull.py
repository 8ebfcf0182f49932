"""Which scale at which quality: the hull over scales against H.264 at full size, from what bdrate measured.

python samples/measure bdrate CLIP... --model irn-h264-x1 --model irn-h264-x1.5 --model irn-h264-x2 --json CURVES.json
python samples/measure hull CURVES.json... [--markdown]     (points of one model from several files make one curve)

At each quality the hull takes the cheapest way that was measured, full size among them; its BD-rate against full size
is the mean saving over all qualities that full size reached. The crossover of two networks is the bit rate below which
the one of larger scale is better. Of curves that were measured with `bdrate --vmaf-neg`, `hull --vmaf-neg` adds a table
of the hull by VMAF-NEG.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.quality.curves import crossover, hull

from measure.bdrate import FULL, METRICS, curve
from measure.options import markdown_option
from measure.rates import RatePoint
from measure.tables import percent, table

Curves = Mapping[str, Sequence[RatePoint]]
_LEVELS = (60.0, 75.0, 90.0)
"""VMAF-NEG of a thin line, of a good stream and of one that is hard to tell from the source."""


def read_curves(path: Path) -> dict[str, dict[str, list[RatePoint]]]:
    """Curves by clip and model from a file of bdrate.

    Raises:
        BadOption: not such a file.
    """
    try:
        table = json.loads(path.read_text())["curves"]
        return {
            clip: {model: [RatePoint(**point) for point in points] for model, points in by_model.items()}
            for clip, by_model in table.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadOption(f"not curves of bdrate: {error}", path=path, hint="bdrate --json writes them") from error


def hull_tables(curves: Mapping[str, Curves], *, markdown: bool) -> str:
    """One row per clip: saving and shares; then crossovers between each two models."""
    models = [name for name in next(iter(curves.values())) if name != FULL]
    if any(set(by_model) != {FULL, *models} for by_model in curves.values()):
        raise BadOption("not every clip was measured with every network", hint="give the curves of all")
    pairs = [(a, b) for a in models for b in models if a != b]
    heads = ["clip", "hull, Y", "YUV", *(f"{name} best" for name in (FULL, *models))]
    rows = []
    luma, all_planes = [], []
    for clip, by_model in curves.items():
        found, yuv = (hull({name: curve(points, m) for name, points in by_model.items()}, FULL) for m in METRICS)
        luma.append(found.saving)
        all_planes.append(yuv.saving)
        rows.append([clip, percent(found.saving), percent(yuv.saving)])
        rows[-1] += [f"{100 * found.shares[name]:.0f} %" for name in (FULL, *models)]
    rows.append(["mean", percent(float(np.mean(luma))), percent(float(np.mean(all_planes)))])
    rows[-1] += [""] * (len(models) + 1)
    luma_curves = {clip: {n: curve(points, "psnr_y") for n, points in own.items()} for clip, own in curves.items()}
    crossing = [
        [clip, large, small, f"{place} kb/s" if (place := crossover(own[large], own[small])) else "–"]
        for clip, own in luma_curves.items()
        for large, small in pairs
        if _sends_less(curves[clip][small], curves[clip][large])
    ]
    blocks = [[heads, *rows], [["clip", "from", "to, below", "crossover"], *crossing]]
    return "\n\n".join(table(block, markdown=markdown) for block in blocks if len(block) > 1)


def _sends_less(one: Sequence[RatePoint], other: Sequence[RatePoint]) -> bool:
    """Whether a network sends less than another at the same CRF, as those of larger scale do."""
    both = [sorted((point.crf, point.kbps) for point in points) for points in (one, other)]
    crf = (max(points[0][0] for points in both) + min(points[-1][0] for points in both)) / 2
    less, more = (float(np.interp(crf, [p[0] for p in points], [p[1] for p in points])) for points in both)
    return less < more


def vmaf_neg_table(curves: Mapping[str, Curves], *, markdown: bool) -> str:
    """One row per clip: saving and shares by VMAF-NEG.

    Raises:
        BadOption: it was not measured at every point.
    """
    if any(point.vmaf_neg is None for own in curves.values() for points in own.values() for point in points):
        raise BadOption("not every curve has VMAF-NEG", hint="bdrate --vmaf-neg measures it")
    names = list(next(iter(curves.values())))
    rows, savings = [["clip", "hull, VMAF-NEG", *(f"{name} best" for name in names)]], []
    for clip, by_model in curves.items():
        found = hull({name: curve(points, "vmaf_neg") for name, points in by_model.items()}, FULL)
        savings.append(found.saving)
        rows.append([clip, percent(found.saving), *(f"{100 * found.shares[name]:.0f} %" for name in names)])
    rows.append(["mean", percent(float(np.mean(savings))), *("" for _ in names)])
    return table(rows, markdown=markdown)


def levels_table(curves: Mapping[str, Curves], levels: Sequence[float], *, markdown: bool) -> str:
    """One row per clip: at each VMAF-NEG the cheapest way, and what it saves against full size."""
    rows = [["clip", *(f"VMAF-NEG {level:g}" for level in levels)]]
    for clip, by_model in curves.items():
        own = {name: curve(points, "vmaf_neg").log_rates(np.array(levels)) for name, points in by_model.items()}
        found = ({name: float(rates[at]) for name, rates in own.items()} for at in range(len(levels)))
        rows.append([clip, *map(_cheapest, found)])
    return table(rows, markdown=markdown)


def _cheapest(rates: Mapping[str, float]) -> str:
    """In words; `rates` are logarithms, infinite where a way does not reach."""
    if not np.isfinite(rates[FULL]):
        return "–"
    best = min(rates, key=rates.__getitem__)
    return f"{percent(100 * float(np.expm1(rates[best] - rates[FULL])))} ({best})"


@click.command()
@click.argument("paths", metavar="CURVES.json...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--vmaf-neg", is_flag=True, help="The hull by VMAF-NEG too, and what is saved at 60, 75 and 90.")
@markdown_option
def command(paths: tuple[Path, ...], vmaf_neg: bool, markdown: bool) -> None:
    """Which scale at which quality: hull over scales and crossovers, from the curves in all files together."""
    merged: dict[str, dict[str, list[RatePoint]]] = {}
    for path in paths:
        for clip, curves in read_curves(path).items():
            for model, points in curves.items():
                merged.setdefault(clip, {}).setdefault(model, []).extend(points)
    click.echo(hull_tables(merged, markdown=markdown))
    if vmaf_neg:
        click.echo("\n" + vmaf_neg_table(merged, markdown=markdown))
        click.echo("\n" + levels_table(merged, _LEVELS, markdown=markdown))
