"""A folder for a blind comparison: clips at equal bits by networks, by the Lanczos pair and as full-size H.264.

python samples/measure blind CLIP... --out DIR [--model NAME]... [--crf 30] [--frames N]
irn-study compare --blind DIR

The first network's stream has this CRF, at preset medium as all; those of the others are searched until all have the
same size within 1 %. Videos are stored without loss, as they were restored. The streams stay in DIR/.streams, to be
restored in other ways too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import OutputRefused
from irn_video.pipeline.study.cells import encode_full_size
from irn_video.pipeline.zoo import find_model
from irn_video.pipeline.zoo.card import read_card

from measure.options import clips_argument, frames_option, models_option
from measure.rates import RatePoint, at_rate, full_size, label_of, rescaled, restored_video
from measure.tables import table

_FULL = "full"
_TOLERANCE = 0.01
_CRF_AT_FULL_SIZE = 8  # more than that of a stream of scale 2, about


def fill(
    clip: Path,
    out: Path,
    models: Sequence[str],
    crf: float,
    frames: int | None = None,
    *,
    tolerance: float = _TOLERANCE,
) -> dict[str, RatePoint]:
    """One clip's folder in `out`, and its streams; returns the rate of each method.

    Args:
        clip: any video.
        out: the comparison's folder.
        models: networks, or `lanczos-x2` and the like; all get as many bytes as the first.
        crf: of the first one's stream.
        frames: only the first so many.
        tolerance: of the sizes.

    Raises:
        OutputRefused: the clip's folder exists.
        NoRateError: a method cannot have that size.
    """
    folder, streams = out / clip.stem, out / ".streams" / clip.stem
    if folder.exists():
        raise OutputRefused("it exists", path=folder, hint="remove it or choose another --out")
    streams.mkdir(parents=True, exist_ok=True)
    first = rescaled(models[0], clip, crf, streams, frames)

    def by(model: str) -> RatePoint:
        return at_rate(first.bytes, lambda at: rescaled(model, clip, at, streams, frames), crf, tolerance)

    def plain() -> RatePoint:
        start = crf + _CRF_AT_FULL_SIZE
        return at_rate(first.bytes, lambda at: full_size(clip, at, streams, frames), start, tolerance)

    points = {label_of(models[0]): first, **{label_of(model): by(model) for model in models[1:]}, _FULL: plain()}
    with tempfile.TemporaryDirectory(dir=streams) as name:  # there is no folder with half of the videos
        part = Path(name) / clip.stem
        part.mkdir()
        for source, method in ((clip, "source"), (streams / "full_size.mp4", _FULL)):
            encode_full_size(source, part / f"{method}.mkv", EncoderSettings(codec="ffv1"), frames)
        for model in models:
            label = label_of(model)
            restored_video(streams / f"{label}.mp4", model, part / f"{label}.mkv", frames)
        part.rename(folder)
    return points


def peer_of(model: str) -> str:
    """The Lanczos pair of a network's scale."""
    return f"lanczos-x{read_card(find_model(model)).network.scale:g}"


@click.command()
@clips_argument
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of the comparison; made if missing.")  # fmt: skip
@models_option
@click.option(
    "--crf", type=click.FloatRange(1, 50), default=30, show_default=True, help="Of the first network's stream."
)
@frames_option
def command(clips: tuple[Path, ...], out: Path, models: tuple[str, ...], crf: float, frames: int | None) -> None:
    """CLIPS at equal bits in DIR, for irn-study compare --blind DIR: networks, the Lanczos pair, full-size H.264."""
    out.mkdir(parents=True, exist_ok=True)
    methods = list(dict.fromkeys((*models, peer_of(models[0]))))
    for clip in clips:
        points = fill(clip, out, methods, crf, frames)
        rows = [["", "CRF", "kb/s", "PSNR-Y"]]
        rows += [[name, f"{p.crf:.2f}", f"{p.kbps:.1f}", f"{p.psnr_y:.2f} dB"] for name, p in points.items()]
        click.echo(f"{clip.stem}\n{table(rows)}\n")
    click.echo(f"irn-study compare --blind {out}")
