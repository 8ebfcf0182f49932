"""What the sender's coring is worth by itself: networks that have learned nothing, with it and without.

python samples/measure coring CLIP... [--strength 0.3,0.55,0.8] [--scale 1] [--tune psnr]

BD-rate in PSNR-Y over the first 16 pictures at CRF 18, 24, 30 and 36, x264 medium: at scale 1 against plain coding, at
scale 2 and 4 against the Lanczos pair (strength 0 then tells what the wavelet brings). With `--tune psnr` x264 leaves
its psychovisual optimisation, against which most of the coring works, on both sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.validation import ClipValidation

from measure.options import clips_argument, numbers
from measure.tables import percent, table


def measure(
    clips: tuple[Path, ...], scale: int, strengths: tuple[float, ...], tune: str | None
) -> dict[str, list[str]]:
    """BD-rates by clip, and their mean, one for each strength."""
    rows: dict[str, list[str]] = {}
    for strength in strengths:
        config = TrainConfig("untrained", NetworkSpec("codec-aware", scale, coring=strength), temperature=0.0)
        validate = ClipValidation(config, clips, lambda _: None, tune=tune)
        for row in validate(config.network.build(), choose_device("cpu", "fp32")):
            rows.setdefault(str(row["name"]), []).append(percent(cast("float | None", row["bd_rate_y"])))
    return rows


@click.command()
@clips_argument
@click.option("--strength", callback=numbers(), default="0.3,0.55,0.8", show_default=True, help="In quantiser steps.")
@click.option("--scale", type=click.Choice(["1", "2", "4"]), default="1", show_default=True, help="Of the network.")
@click.option("--tune", type=click.Choice(["psnr", "ssim", "film"]), help="x264's, of both sides [default: none].")
def command(clips: tuple[Path, ...], strength: tuple[float, ...], scale: str, tune: str | None) -> None:
    """BD-rate of the sender's coring alone on CLIPS."""
    rows = measure(clips, int(scale), strength, tune)
    head = ["strength", *(f"{value:g}" for value in strength)]
    click.echo(table([head, *([name, *cells] for name, cells in rows.items())]))
