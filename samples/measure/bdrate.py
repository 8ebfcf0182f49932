"""The table of bandwidth against quality: each network against the Lanczos pair and against H.264 at full size.

python samples/measure bdrate CLIP... [--model irn-h264-x2] [--crf 14,18,22,26,30,34] [--markdown]

BD-rate is the mean change of the bit rate at equal PSNR (Bjøntegaard, PCHIP over log rate), negative is better. The
crossover is the bit rate below which shrinking beats full size in PSNR-Y. Every point is a real x264 encode at preset
medium; see rates.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.pipeline.quality.curves import Crossover, Curve, bd_rate, crossover
from irn_video.pipeline.zoo import find_model
from irn_video.pipeline.zoo.card import read_card

from measure.options import (
    check_clips,
    clips_argument,
    frames_option,
    json_options,
    markdown_option,
    models_option,
    numbers,
    write_json,
)
from measure.rates import MAX_CRF, RatePoint, full_size, rescaled
from measure.tables import percent, table

DEFAULT_PEER = "lanczos-x2"
FULL = "full size"
METRICS = ("psnr_y", "psnr_yuv")
_crfs = numbers(least=3, highest=MAX_CRF)


@dataclass(frozen=True)
class Comparison:
    """One model on one clip.

    Attributes:
        clip, model: their names.
        peer_y, peer_yuv: BD-rate against the peer in per cent, None where the curves do not overlap.
        full_y, full_yuv: likewise against full size.
        crossover: against full size, None where the curves do not overlap.
    """

    clip: str
    model: str
    peer_y: float | None
    peer_yuv: float | None
    full_y: float | None
    full_yuv: float | None
    crossover: Crossover | None


BD_FIELDS = ("peer_y", "peer_yuv", "full_y", "full_yuv")


def curve(points: Sequence[RatePoint], metric: str) -> Curve:
    """Quality by `metric`, a field of `RatePoint` that was measured, over kbit/s."""
    return Curve.through((point.kbps, getattr(point, metric)) for point in points)


def compare(clip: str, model: str, peer_name: str, curves: Mapping[str, Sequence[RatePoint]]) -> Comparison:
    """One model's curve against those of the peer and of full size."""
    peer, full, own = ([curve(curves[n], metric) for metric in METRICS] for n in (peer_name, FULL, model))
    (peer_y, peer_yuv), (full_y, full_yuv) = (map(bd_rate, other, own) for other in (peer, full))
    return Comparison(clip, model, peer_y, peer_yuv, full_y, full_yuv, crossover(full[0], own[0]))


def means(rows: Sequence[Comparison]) -> dict[str, float | None]:
    """Mean BD-rates over the clips; None where a clip has none, since a mean without it would flatter."""
    columns = {name: [getattr(row, name) for row in rows] for name in BD_FIELDS}
    return {name: None if None in values else sum(values) / len(values) for name, values in columns.items()}


def measure(
    clips: Sequence[Path],
    models: Sequence[str],
    small_crfs: Sequence[float],
    full_crfs: Sequence[float],
    frames: int | None,
    say: Callable[[str], None],
    *,
    vmaf_neg: bool = False,
) -> dict[str, dict[str, list[RatePoint]]]:
    """Curves by clip and by model, that of full size among them."""
    result: dict[str, dict[str, list[RatePoint]]] = {}
    with tempfile.TemporaryDirectory(prefix="bdrate-") as folder:
        for clip in clips:
            say(f"{clip.name}: {FULL}")
            curves = {FULL: [full_size(clip, crf, Path(folder), frames, vmaf_neg=vmaf_neg) for crf in full_crfs]}
            for model in dict.fromkeys(models):
                say(f"{clip.name}: {model}")
                crfs = full_crfs if _scale_of(model) == 1 else small_crfs
                curves[model] = [rescaled(model, clip, crf, Path(folder), frames, vmaf_neg=vmaf_neg) for crf in crfs]
            result[clip.name] = curves
    return result


def _scale_of(model: str) -> float:
    return RESAMPLERS[model][1] if model in RESAMPLERS else read_card(find_model(model)).network.scale


def comparison_tables(rows: Sequence[Comparison], peer: str, *, markdown: bool) -> str:
    """Rows and means, one block per model, for a terminal or for a README."""
    head = [f"vs {peer}, Y", "YUV", f"vs {FULL}, Y", "YUV", "wins below, kb/s"]
    blocks = []
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        lines = [[model, *head]]
        for row in own:
            values = [getattr(row, name) for name in BD_FIELDS]
            lines.append([row.clip, *map(percent, values), str(row.crossover) if row.crossover else "–"])
        blocks.append(table([*lines, ["mean", *map(percent, means(own).values()), ""]], markdown=markdown))
    return "\n\n".join(blocks)


def as_json(
    curves: Mapping[str, Mapping[str, Sequence[RatePoint]]],
    rows: Sequence[Comparison],
    models: Sequence[str],
    peer: str,
) -> dict[str, Any]:
    """Everything measured, for plots and later comparison."""
    return {
        "schema": 1,
        "command": "bdrate",
        "peer": peer,
        "curves": {
            clip: {model: [asdict(point) for point in points] for model, points in by_model.items()}
            for clip, by_model in curves.items()
        },
        "comparisons": [asdict(row) for row in rows],
        "means": {model: means([row for row in rows if row.model == model]) for model in models},
    }


@click.command()
@clips_argument
@models_option
@click.option("--peer", default=DEFAULT_PEER, show_default=True, help="What networks are compared with.")
@click.option("--crf", callback=_crfs, default="14,18,22,26,30,34", show_default=True, help="Of smaller streams.")
@click.option("--full", callback=_crfs, default="20,23,26,29,32,35,38,41", show_default=True,
              help="Of full size and of scale 1.")  # fmt: skip
@click.option("--vmaf-neg", is_flag=True, help="Measure VMAF-NEG too, for `hull --vmaf-neg`.")
@frames_option
@json_options
@markdown_option
def command(
    clips: tuple[Path, ...],
    models: tuple[str, ...],
    peer: str,
    crf: tuple[float, ...],
    full: tuple[float, ...],
    vmaf_neg: bool,
    frames: int | None,
    json_path: Path | None,
    overwrite: bool,
    markdown: bool,
) -> None:
    """Compare networks with the Lanczos pair and with H.264 at full size on CLIPS: BD-rates and crossovers."""
    check_clips(clips, json_path, overwrite=overwrite)
    models_and_peer = (peer, *models)
    curves = measure(
        clips, models_and_peer, crf, full, frames, lambda text: click.echo(text, err=True), vmaf_neg=vmaf_neg
    )
    rows = [compare(clip, model, peer, by_model) for model in models for clip, by_model in curves.items()]
    if json_path is not None:
        write_json(json_path, as_json(curves, rows, models, peer), clips, overwrite)
    click.echo(comparison_tables(rows, peer, markdown=markdown))
