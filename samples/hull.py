"""Which scale at which quality: the hull over scales against H.264 at full size, from what bdrate.py measured.

python samples/bdrate.py CLIP... --model irn-h264-x1 --model irn-h264-x2 --model irn-h264-x4 --json CURVES.json
python samples/hull.py CURVES.json... [--markdown]     (points of one model from several files make one curve)

At each quality the hull takes the cheapest way that was measured, full size among them; its BD-rate against full size
is the mean saving over all qualities that full size reached. The crossover of two networks is the bit rate below which
the one of larger scale is better.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from irn_video.codecs.errors import BadOption
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from bdrate import FULL, crossover
from rates import RatePoint

Curves = Mapping[str, Sequence[RatePoint]]
_GRID = 1001


@dataclass(frozen=True)
class Hull:
    """The best of all ways on one clip.

    Attributes:
        clip: its name.
        saving: BD-rate of the hull against full size, per cent.
        shares: share of the qualities at which each way is the cheapest.
    """

    clip: str
    saving: float
    shares: dict[str, float]


def hull(clip: str, curves: Curves, metric: str = "psnr_y") -> Hull:
    """The hull over all curves of a clip.

    Args:
        clip: its name.
        curves: by model; that of full size is the anchor.
        metric: `psnr_y` or `psnr_yuv`.
    """
    anchor = [getattr(point, metric) for point in curves[FULL]]
    quality = np.linspace(min(anchor), max(anchor), _GRID)
    names = list(curves)
    rates = np.stack([_log_rates(curves[name], metric, quality) for name in names])
    full = rates[names.index(FULL)]
    best = rates.argmin(0)
    saving = 100 * (float(np.exp(np.mean(rates.min(0) - full))) - 1)
    return Hull(clip, saving, {name: float(np.mean(best == index)) for index, name in enumerate(names)})


def _log_rates(points: Sequence[RatePoint], metric: str, quality: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the rate at each quality; infinite where the curve does not reach it."""
    rising: list[RatePoint] = []
    for point in sorted(points, key=lambda p: p.kbps):
        if not rising or getattr(point, metric) > getattr(rising[-1], metric):
            rising.append(point)
    curve = PchipInterpolator([getattr(p, metric) for p in rising], np.log([p.kbps for p in rising]), extrapolate=False)
    values: NDArray[np.float64] = np.nan_to_num(curve(quality), nan=np.inf)
    return values


def read_curves(path: Path) -> dict[str, dict[str, list[RatePoint]]]:
    """Curves by clip and model from a file of bdrate.py.

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
        raise BadOption(f"not curves of bdrate.py: {error}", path=path, hint="bdrate.py --json writes them") from error


def table(curves: Mapping[str, Curves], *, markdown: bool) -> str:
    """One row per clip: saving and shares; then crossovers between each two models."""
    models = [name for name in next(iter(curves.values())) if name != FULL]
    if any(set(by_model) != {FULL, *models} for by_model in curves.values()):
        raise BadOption("not every clip was measured with every network", hint="give the curves of all")
    pairs = [(a, b) for a in models for b in models if a != b]
    heads = ["clip", "hull, Y", "YUV", *(f"{name} best" for name in (FULL, *models))]
    rows = []
    luma, all_planes = [], []
    for clip, by_model in curves.items():
        found, yuv = hull(clip, by_model), hull(clip, by_model, "psnr_yuv")
        luma.append(found.saving)
        all_planes.append(yuv.saving)
        rows.append([clip, _percent(found.saving), _percent(yuv.saving)])
        rows[-1] += [f"{100 * found.shares[name]:.0f} %" for name in (FULL, *models)]
    rows.append(["mean", _percent(float(np.mean(luma))), _percent(float(np.mean(all_planes)))])
    rows[-1] += [""] * (len(models) + 1)
    crossing = [
        [clip, large, small, f"{place} kb/s" if (place := crossover(by_model[large], by_model[small])) else "–"]
        for clip, by_model in curves.items()
        for large, small in pairs
        if _highest(by_model[small]) < _highest(by_model[large])
    ]
    blocks = [[heads, *rows], [["clip", "from", "to, below", "crossover"], *crossing]]
    return "\n\n".join(_block(block, markdown) for block in blocks if len(block) > 1)


def _highest(points: Sequence[RatePoint]) -> float:
    """At the finest CRF, networks of larger scale send less."""
    return max(point.kbps for point in points)


def _block(rows: Sequence[Sequence[str]], markdown: bool) -> str:
    if markdown:
        rule = "|" + "---|" * len(rows[0])
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], rule, *lines[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "\u2212")


@click.command()
@click.argument("paths", metavar="CURVES.json...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="Print tables for a README.")
def main(paths: tuple[Path, ...], markdown: bool) -> None:
    """Hull over scales and crossovers, from the curves in all files together."""
    merged: dict[str, dict[str, list[RatePoint]]] = {}
    try:
        for path in paths:
            for clip, curves in read_curves(path).items():
                for model, points in curves.items():
                    merged.setdefault(clip, {}).setdefault(model, []).extend(points)
        click.echo(table(merged, markdown=markdown))
    except BadOption as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
