"""The command `irn-rescale`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options, latent_options
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import run_command, warn


@click.command(
    name="irn-rescale",
    short_help="Shrink or enlarge pictures.",
    cls=Command,
    examples=("photos/ --out small", "small/ --up --out restored"),
)
@click.version_option(package_name="irn-video")
@click.argument("images", metavar="IMAGE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@option(
    "--down/--up",
    group="Output",
    default=True,
    show_default=True,
    help="Shrink by the network's scale, or enlarge by it.",
)
@option(
    "--out",
    group="Output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the images go, under their own names; made where it is missing.",
)
@option(
    "--model",
    group="Network",
    metavar="NAME|FILE",
    help="What shrinks or enlarges [default: irn-h264-x2; for --up what the image's card names]. A network of "
    "irn-models list, a weights file, an official checkpoint of IRN (.pth) or RCAN (.pt, only up), or bicubic-x2, "
    "lanczos-x4, …. For --up, one that is not the card's is refused.",
)
@option(
    "--card/--no-card",
    "obey_card",
    group="Network",
    rare=True,
    default=True,
    show_default=True,
    help="For --up: take network, size and temperature from the image's card. Without, --model enlarges to the size "
    "times its scale.",
)
@option(
    "--format",
    group="Output",
    type=click.Choice(["png", "webp", "jpg"]),
    default="png",
    show_default=True,
    help="Of the output. png and webp keep every sample; jpg drops alpha and what a network hid in the LR picture.",
)
@option(
    "--quality",
    group="Output",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    metavar="N",
    help="Of jpg, 100 is best.",
)
@latent_options(
    temperature_help="0 restores the mean (best PSNR), 1 samples full detail [default: the card's or the network's]. "
    "For --down it goes into the card.",
    seed_help="Of the sampled latents; the same for every image [default: the card's or 0].",
    seed=None,
)
@option("--overwrite", group="Output", is_flag=True, help="Replace existing output files.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print what was written on stdout as JSON.")
@device_options
def command(
    images: tuple[Path, ...], out: Path, down: bool, as_json: bool, device: str, precision: str, **options: Any
) -> None:
    """Shrink or enlarge images (PNG, JPEG, WebP, BMP, TIFF) and folders of them, without a reference.

    What --down writes carries a card: network and its weights, scale, size of the original, temperature. --up obeys it,
    and refuses an image that has changed its size since. Without a card, --up takes --model and gives the size times
    the scale.

    Any size: where it does not divide, the edge is repeated and cut off again. Alpha is kept, by bicubic resampling.
    Grey images become colour images; 16 bits are rounded to 8; other metadata (EXIF, ICC profiles) is not kept, but
    images are turned upright. Codec-aware networks (made for video) work in Y'CbCr 4:2:0, so the chroma of their
    output has half the resolution.
    """
    from irn_video.pipeline.evaluation.rescale import RescaleOptions, rescale
    from irn_video.pipeline.evaluation.rescalers import StillRescaler, load_stills

    def load(name: str) -> StillRescaler:
        rescaler = load_stills(name, device=device, precision=precision)
        click.echo(f"{rescaler.name} on {rescaler.where}", err=True)
        return rescaler

    settings = RescaleOptions(up=not down, **options)
    with progress("rescaling", "images") as advance:
        result = rescale(load, images, out, settings, advance=advance)
    for text in result.warnings:
        warn(text)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1))
        return
    for image in result.images:
        click.echo(f"{image.output}: {image.width}x{image.height}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
