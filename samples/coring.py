"""What the sender's coring is worth by itself: networks that have learned nothing, with it and without.

python samples/coring.py CLIP... [--strength 0.3,0.55,0.8] [--scale 1] [--tune psnr]

BD-rate in PSNR-Y over the first 16 pictures at CRF 18, 24, 30 and 36, x264 medium: at scale 1 against plain coding, at
scale 2 and 4 against the Lanczos pair (strength 0 then tells what the wavelet brings). With `--tune psnr` x264 leaves
its psychovisual optimisation, against which most of the coring works, on both sides.
"""

from __future__ import annotations

from pathlib import Path

from irn_video.pipeline.commandline.running import share_cores

share_cores()  # before PyTorch is loaded

import click
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.validation import ClipValidation


def measure(
    clips: tuple[Path, ...], scale: int, strengths: tuple[float, ...], tune: str | None
) -> dict[str, list[str]]:
    """BD-rates by clip, and their mean, one for each strength."""
    rows: dict[str, list[str]] = {}
    for strength in strengths:
        config = TrainConfig("untrained", NetworkSpec("codec-aware", scale, coring=strength), temperature=0.0)
        validate = ClipValidation(config, clips, lambda _: None, tune=tune)
        for row in validate(config.network.build(), choose_device("cpu", "fp32")):
            rate = row["bd_rate_y"]
            cell = "–" if rate is None else f"{rate:+.1f} %".replace("-", "\u2212")
            rows.setdefault(str(row["name"]), []).append(cell)
    return rows


def _strengths(_: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 0.3,0.55", param=option) from error


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--strength", callback=_strengths, default="0.3,0.55,0.8", show_default=True, help="In quantiser steps.")
@click.option("--scale", type=click.Choice(["1", "2", "4"]), default="1", show_default=True, help="Of the network.")
@click.option("--tune", type=click.Choice(["psnr", "ssim", "film"]), help="x264's, of both sides [default: none].")
def main(clips: tuple[Path, ...], strength: tuple[float, ...], scale: str, tune: str | None) -> None:
    """BD-rate of coring alone on CLIPS."""
    try:
        rows = measure(clips, int(scale), strength, tune)
    except IrnError as error:
        raise click.ClickException(str(error)) from error
    width = max(map(len, rows))
    for name, cells in {"strength": [f"{value:g}" for value in strength], **rows}.items():
        click.echo(f"{name:{width}}" + "".join(f"{cell:>10}" for cell in cells))


if __name__ == "__main__":
    main()
