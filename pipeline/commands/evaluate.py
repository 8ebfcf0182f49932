"""The command `irn-eval`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options, latent_options
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import run_command, warn
from irn_video.pipeline.quality.metrics import metric_label

if TYPE_CHECKING:
    from irn_video.pipeline.evaluation.complexity import Complexity
    from irn_video.pipeline.evaluation.evaluate import EvalReport

_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
_CELL = 11


@click.command(
    name="irn-eval",
    short_help="Measure a network on folders of images, as in the papers.",
    cls=Command,
    examples=("Set5 Set14 --model irn-x4", "--complexity --model irn-x2 --input 192x192"),
)
@click.version_option(package_name="irn-video")
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@option(
    "--model",
    group="Network",
    required=True,
    metavar="NAME|FILE",
    help="A network of irn-models list, a weights file, an official checkpoint of IRN (.pth) or RCAN (.pt), or "
    "bicubic-x2, lanczos-x4, ….",
)
@option(
    "--mode",
    group="Method",
    type=click.Choice(["rescale", "upscale"]),
    default="rescale",
    show_default=True,
    help="Where the LR image comes from: the network's forward pass, or bicubic resampling of the HR image.",
)
@option(
    "--lr",
    group="Method",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="LR images for --mode upscale, called as the HR images or with x2 (x4) behind [default: bicubic].",
)
@option(
    "--draws",
    group="Method",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Latents per image, whose PSNR and SSIM are averaged; takes N times as long.",
)
@latent_options(
    temperature_help="Of the latents: 0 is their mean (best PSNR, one draw), 1 as they were trained, as in the paper's "
    "tables [default: the network's].",
    seed_help="Of the latents.",
)
@option(
    "--out",
    group="Output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write NAME_lr.png, NAME_lr_bicubic.png and NAME_restored.png (first latent) there; one folder per DIR "
    "where there are several.",
)
@option("--overwrite", group="Output", is_flag=True, help="Replace existing images of --out.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print the report on stdout as JSON.")
@option(
    "--complexity",
    group="Complexity",
    is_flag=True,
    help="In place of images: parameters, multiply-accumulates, operations and memory of activations. Of rcan-x2 "
    "and rcan-x4 without weights, too.",
)
@option(
    "--input",
    "size",
    group="Complexity",
    metavar="WxH",
    help="For --complexity: size in samples of the network's input, an HR image, or an LR image for RCAN.",
)
@device_options
def command(folders: tuple[Path, ...], model: str, complexity: bool, size: str | None, **options: Any) -> None:
    """Measure a network on folders of HR images, as in the papers.

    PSNR-RGB and PSNR-Y in dB, SSIM-RGB and SSIM-Y, between the 8-bit restored image and the HR image: over R, G and
    B, and on Y (ITU-R BT.601), per image and their mean; LR- is that of the LR image against the bicubic one. HR
    images are cropped to a multiple of the scale (3 for 1.5), SCALE samples (2 for 1.5) are cut off at every
    border, the LR image has 8 bits; SSIM has a Gaussian window of 11x11, sigma 1.5. Grey images count as three
    equal channels, so their PSNR on Y is 1.3 dB above that of tables that take grey itself for Y. Bicubic
    resampling is MATLAB's; lanczos is swscale's.

    Codec-aware networks (made for video) send Y'CbCr 4:2:0 and are measured so: their LR image is 8-bit 4:2:0,
    carried without loss. Their figures are for comparison with themselves, not for the tables of RGB networks, which
    compute in fp32 unless --precision says otherwise.
    """
    if complexity:
        _complexity(folders, model, size, options["as_json"])
        return
    if size is not None:
        raise click.UsageError("--input is for --complexity.")
    if not folders:
        raise click.UsageError("Missing argument '[DIR]...': folders of HR pictures.")
    from irn_video.pipeline.evaluation.evaluate import EvalOptions, evaluate
    from irn_video.pipeline.evaluation.rescalers import load_stills

    names = ("mode", "lr", "draws", "temperature", "seed", "out", "overwrite")
    settings = EvalOptions(**{name: options[name] for name in names})
    rescaler = load_stills(model, device=options["device"], precision=options["precision"])
    click.echo(f"{rescaler.name} on {rescaler.where}", err=True)
    with progress("evaluating", "images") as advance:
        report = evaluate(rescaler, folders, settings, advance=advance)
    for text in report.warnings:
        warn(text)
    if options["as_json"]:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        _print(report)


def _complexity(folders: tuple[Path, ...], model: str, size: str | None, as_json: bool) -> None:
    if folders:
        raise click.UsageError("--complexity takes no folders.")
    if size is None:
        raise click.UsageError("--complexity needs --input WxH.")
    if (found := _SIZE.fullmatch(size)) is None:
        raise BadOption(f"{size!r} is not a size", hint="width x height in samples, such as --input 192x192")
    from irn_video.pipeline.evaluation.complexity import complexity_of
    from irn_video.pipeline.evaluation.evaluate import SCHEMA

    cost = complexity_of(model, int(found[1]), int(found[2]))
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "command": "irn-eval", **cost.as_json()}, indent=1))
    else:
        _print_cost(cost)


def _print_cost(cost: Complexity) -> None:
    click.echo(f"{cost.model}, x{cost.scale:g}, input {cost.width}x{cost.height}: {cost.parameters:,} parameters")
    up = [("upscale", cost.forward)] if cost.reverse is None else [("forward", cost.forward), ("reverse", cost.reverse)]
    for name, one in up:
        click.echo(
            f"{name}: {one.macs / 1e9:.2f} G multiply-accumulates, {one.operations / 1e9:.2f} G operations, "
            f"{one.activation_bytes / 1e6:.1f} MB of activations, {one.peak_bytes / 1e6:.1f} MB at a time (fp32)"
        )


def _print(report: EvalReport) -> None:
    """A table per folder; a dash where images are identical, or too small."""
    from irn_video.pipeline.evaluation.evaluate import summary

    for folder, images in report.sets():
        means = {name: values["mean"] for name, values in summary(images).items()}
        rows = [*((image.name, image.as_json()) for image in images), ("mean", means)]
        width = max(len(name) for name, _ in rows)
        click.echo(f"{folder}: {len(images)} images, {report.options.mode}, x{report.rescaler.scale:g}")
        click.echo(" ".join(["".ljust(width), *(metric_label(name).rjust(_CELL) for name in means)]))
        for name, row in rows:
            click.echo(" ".join([name.ljust(width), *(_cell(row.get(metric)) for metric in means)]))


def _cell(value: float | None) -> str:
    return ("-" if value is None else f"{value:.4f}").rjust(_CELL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
