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

_DEFAULT_MODEL = "irn-h264-x2"  # that of the zoo, named here so that --help is quick


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
    default=_DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|FILE",
    help="A network of irn-models list, a weights file, an official checkpoint of IRN (.pth) or RCAN (.pt, only up), "
    "or bicubic-x2, lanczos-x4, …. Going up takes the one that went down.",
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
    temperature_help="For --up: 0 restores the mean (best PSNR), 1 samples full detail [default: the network's].",
    seed_help="Of the sampled latents; the same for every picture.",
)
@option("--overwrite", group="Output", is_flag=True, help="Replace existing output files.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print what was written on stdout as JSON.")
@device_options
def command(images: tuple[Path, ...], out: Path, down: bool, model: str, as_json: bool, **options: Any) -> None:
    """Shrink or enlarge images (PNG, JPEG, WebP, BMP, TIFF) and folders of them, without a reference.

    Any size: where it does not divide, the edge is repeated and cut off again. A PNG image made with --down remembers
    the size of its original, and --up returns to it; from other formats --up gives the size times the scale. Alpha
    is kept, by bicubic resampling. Grey images become colour images; 16 bits are rounded to 8; other metadata
    (EXIF, ICC profiles) is not kept, but images are turned upright. Codec-aware networks (made for video) work in
    Y'CbCr 4:2:0, so the chroma of their output has half the resolution.
    """
    from irn_video.pipeline.evaluation.rescale import RescaleOptions, rescale
    from irn_video.pipeline.evaluation.rescalers import load_stills

    names = ("format", "quality", "temperature", "seed", "overwrite")
    settings = RescaleOptions(up=not down, **{name: options[name] for name in names})
    rescaler = load_stills(model, device=options["device"], precision=options["precision"])
    click.echo(f"{rescaler.name} on {rescaler.where}", err=True)
    with progress("rescaling", "images") as advance:
        result = rescale(rescaler, images, out, settings, advance=advance)
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
