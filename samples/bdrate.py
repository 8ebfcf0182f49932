"""The table of bandwidth against quality: each network against the Lanczos pair and against H.264 at full size.

python samples/bdrate.py CLIP... [--model irn-h264-x2] [--crf 14,18,22,26,30,34] [--markdown]

BD-rate is the mean change of the bit rate at equal PSNR (Bjøntegaard, PCHIP over log rate), negative is better. The
crossover is the bit rate below which shrinking beats full size in PSNR-Y. Every point is a real x264 encode at preset
medium; see rates.py.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from irn_video.pipeline.commandline.running import share_cores

share_cores()  # before PyTorch is loaded

import click
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.codecs.resample import RESAMPLERS
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.quality.curves import Crossover, Curve, bd_rate, crossover
from irn_video.pipeline.zoo import DEFAULT_MODEL, find_model
from irn_video.pipeline.zoo.card import read_card

from rates import MAX_CRF, RatePoint, full_size, rescaled

DEFAULT_PEER = "lanczos-x2"
FULL = "full size"
METRICS = ("psnr_y", "psnr_yuv")


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
    """Quality by `metric`, `psnr_y` or `psnr_yuv`, over kbit/s."""
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
) -> dict[str, dict[str, list[RatePoint]]]:
    """Curves by clip and by model, that of full size among them."""
    result: dict[str, dict[str, list[RatePoint]]] = {}
    with tempfile.TemporaryDirectory(prefix="bdrate-") as folder:
        for clip in clips:
            say(f"{clip.name}: {FULL}")
            curves = {FULL: [full_size(clip, crf, Path(folder), frames) for crf in full_crfs]}
            for model in dict.fromkeys(models):
                say(f"{clip.name}: {model}")
                crfs = full_crfs if _scale_of(model) == 1 else small_crfs
                curves[model] = [rescaled(model, clip, crf, Path(folder), frames) for crf in crfs]
            result[clip.name] = curves
    return result


def _scale_of(model: str) -> int:
    return RESAMPLERS[model][1] if model in RESAMPLERS else read_card(find_model(model)).network.scale


def table(rows: Sequence[Comparison], peer: str, *, markdown: bool) -> str:
    """Rows and means, one block per model, for a terminal or for a README."""
    heads = [f"vs {peer}, Y", "YUV", f"vs {FULL}, Y", "YUV", "wins below, kb/s"]
    lines: list[list[str]] = []
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        lines.append([model, *heads])
        for row in own:
            values = [getattr(row, name) for name in BD_FIELDS]
            lines.append([row.clip, *map(_percent, values), str(row.crossover) if row.crossover else "–"])
        lines.append(["mean", *map(_percent, means(own).values()), ""])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if not markdown:
        return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)
    rule = "|" + "|".join(["---"] + ["---:"] * len(heads)) + "|"
    text = []
    for line in lines:
        if line[1:] == heads:
            text += ["", "| " + " | ".join(line) + " |", rule]
        else:
            text.append("| " + " | ".join(line) + " |")
    return "\n".join(text[1:])


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


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f} %".replace("-", "\u2212")


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]


def _crfs(_: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        values = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 18,22,26", param=option) from error
    if len(values) < 3 or not 0 <= values[0] <= values[-1] <= MAX_CRF:
        raise click.BadParameter(f"at least three different values from 0 to {MAX_CRF:g}", param=option)
    return values


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "models", multiple=True, default=[DEFAULT_MODEL], show_default=True,
              help="A network or weights file; may be given several times.")  # fmt: skip
@click.option("--peer", default=DEFAULT_PEER, show_default=True, help="What networks are compared with.")
@click.option("--crf", callback=_crfs, default="14,18,22,26,30,34", show_default=True, help="Of smaller streams.")
@click.option("--full", callback=_crfs, default="20,23,26,29,32,35,38,41", show_default=True,
              help="Of full size and of scale 1.")  # fmt: skip
@click.option("--frames", type=click.IntRange(1), help="Only the first so many pictures of each clip [default: all].")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write curves and comparisons here.")
@click.option("--overwrite", is_flag=True, help="Replace an existing JSON file.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def main(
    clips: tuple[Path, ...],
    models: tuple[str, ...],
    peer: str,
    crf: tuple[float, ...],
    full: tuple[float, ...],
    frames: int | None,
    json_path: Path | None,
    overwrite: bool,
    markdown: bool,
) -> None:
    """Compare networks with the Lanczos pair and with H.264 at full size on CLIPS."""
    try:
        if len({clip.name for clip in clips}) < len(clips):
            raise BadOption("two clips have the same name", hint="rename one")
        if json_path is not None:
            check_output(json_path, clips, overwrite)
        curves = measure(clips, (peer, *models), crf, full, frames, lambda text: click.echo(text, err=True))
        rows = [compare(clip, model, peer, by_model) for model in models for clip, by_model in curves.items()]
        if json_path is not None:
            with atomic_path(json_path, clips, overwrite) as part:
                part.write_text(json.dumps(as_json(curves, rows, models, peer), indent=1) + "\n")
    except IrnError as error:
        raise click.ClickException(str(error)) from error
    click.echo(table(rows, peer, markdown=markdown))


if __name__ == "__main__":
    main()
