"""How well `irn-send --bitrate` chooses: how far from the best way at its rate it lands, and what the search takes.

python samples/measure choice CLIP... --bitrates 300,700,1600 --points POINTS.json [--markdown]

Each clip is sent whole in every way at every bit rate, and pairs of frames at twelve places are measured as a receiver
would see them; these points are kept in POINTS.json, and not measured again. Then whole `irn-send` commands, in turn:
the search at a bit rate, and a plain send of what it chose. "more bits" is what the choice takes beyond the best way,
for the quality that it has at its rate; curves are straight in VMAF-NEG over the logarithm of the rate, with the rates
that came out. Processor seconds hardly count what else the machine does.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.card_search import find_card
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.sender import SendOptions, send
from irn_video.sender.search.checking import scores_of_sent
from irn_video.sender.search.sample import Sample, SampleSize, read_sample

from measure.against import this_product
from measure.commands import Product, Run
from measure.machine import machine, machine_line
from measure.options import clips_argument, markdown_option, models_option, numbers, write_json
from measure.tables import table

_PLACES = SampleSize(frames=24, stretches=12, pairs=12)
_METRIC = "vmaf_neg"
_WAYS = ("lanczos-x1", "irn-h264-x1", "irn-h264-x1.5", "irn-h264-x2", "irn-h264-x4")

Points = Mapping[str, Sequence[tuple[float, float]]]
"""By model: (kbit/s, VMAF-NEG), by rising rate."""


@dataclass(frozen=True)
class Choice:
    """A search, and a plain send of what it chose.

    Attributes:
        kbps: asked for.
        model: chosen.
        searching, plain: the two commands.
    """

    kbps: float
    model: str
    searching: Run
    plain: Run


def quality_at(points: Sequence[tuple[float, float]], kbps: float) -> tuple[float, float]:
    """Quality at a rate, and its gain by twice the rate, on straight lines through at least two points, and beyond."""
    rates = [math.log2(rate) for rate, _ in points]
    first = min(max(int(np.searchsorted(rates, math.log2(kbps))) - 1, 0), len(points) - 2)
    (_, low), (_, high) = points[first : first + 2]
    slope = (high - low) / (rates[first + 1] - rates[first])
    return low + slope * (math.log2(kbps) - rates[first]), slope


def behind(points: Points, model: str, kbps: float) -> tuple[str, float]:
    """The best way at a rate, and how much more bits another takes for the quality that it has; a share."""
    best = max(points, key=lambda name: quality_at(points[name], kbps)[0])
    own, slope = quality_at(points[model], kbps)
    return best, 2 ** ((quality_at(points[best], kbps)[0] - own) / slope) - 1


def measured(clip: Path, models: Sequence[str], rates: Sequence[float], known: Points) -> Points:
    """With the ways that are not known yet, each sent at all rates."""
    missing = [model for model in models if model not in known]
    if not missing:
        return known
    sample = read_sample(clip, _PLACES, SendOptions())
    return {**known, **{model: sorted(_sent(clip, model, rate, sample) for rate in rates) for model in missing}}


def choices(product: Product, clip: Path, rates: Sequence[float], folder: Path) -> list[Choice]:
    """Search at each rate, and send plainly what was chosen; whole commands."""
    found = []
    for rate in rates:
        lr, plain = folder / "lr.mp4", folder / "plain.mp4"
        aim = ("--bitrate", f"{rate:g}k", "--overwrite")
        searching = product.run("irn-send", clip, lr, *aim)
        card = find_card(lr)
        assert card is not None
        again = product.run("irn-send", clip, plain, *aim, "--model", card.model, "--no-advice")
        found.append(Choice(rate, card.model, searching, again))
    return found


def choice_rows(clip: str, points: Points, found: Sequence[Choice]) -> list[list[str]]:
    """One for each search.

    Raises:
        BadOption: one chose what was not measured.
    """
    rows = []
    for choice in found:
        if choice.model not in points:
            raise BadOption(f"{choice.model} was chosen, but not measured", hint=f"--model {choice.model}")
        best, more = behind(points, choice.model, choice.kbps)
        times = choice.searching.cpu_seconds / choice.plain.cpu_seconds
        cpu = f"{choice.searching.cpu_seconds:.1f} / {choice.plain.cpu_seconds:.1f}"
        rows.append(
            [clip, f"{choice.kbps:g}", choice.model, best, f"{100 * more:.1f} %", cpu, f"{times:.2f}"],
        )
    return rows


def _sent(clip: Path, model: str, rate: float, sample: Sample) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        lr = Path(folder) / "lr.mp4"
        made = send(clip, lr, SendOptions(model=model, bitrate=round(1000 * rate)))
        scores = scores_of_sent(lr, Rescaler.load(model), made.card, sample, (_METRIC,))
    return made.written.video_bytes * 8 / 1000 / made.written.seconds, scores[_METRIC]


def read_points(path: Path) -> dict[str, Points]:
    """By clip; none where there is no such file.

    Raises:
        BadOption: not such a file.
    """
    try:
        clips = json.loads(path.read_text()) if path.exists() else {}
        return {
            clip: {model: [(float(rate), float(score)) for rate, score in points] for model, points in known.items()}
            for clip, known in clips.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadOption(f"not points of choice: {error}", path=path, hint="choice --points writes them") from error


@click.command()
@clips_argument
@click.option(
    "--bitrates",
    default="300,700,1600",
    show_default=True,
    callback=numbers(least=2),
    help="kbit/s, at least two.",
)
@click.option(
    "--points",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file with the points of each clip: what is in it is not measured again.",
)
@partial(models_option, default=_WAYS)
@markdown_option
def command(
    clips: tuple[Path, ...], bitrates: tuple[float, ...], path: Path, models: tuple[str, ...], markdown: bool
) -> None:
    """How far from the best way the search at a bit rate lands, and what it takes."""
    known = read_points(path)
    rows = [["clip", "kb/s", "chosen", "best", "more bits", "CPU s, searching / plain", "times"]]
    with tempfile.TemporaryDirectory() as folder:
        product = this_product(Path(folder) / "product")
        for clip in clips:
            known[clip.stem] = measured(clip, models, bitrates, known.get(clip.stem, {}))
            write_json(path, known, list(clips), True)
            rows += choice_rows(clip.stem, known[clip.stem], choices(product, clip, bitrates, Path(folder)))
    click.echo(f"{machine_line(machine())}\n\n{table(rows, markdown=markdown)}")
