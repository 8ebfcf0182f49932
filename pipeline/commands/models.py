"""The command `irn-models`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from irn_video.pipeline.commandline.running import run_command


@click.group(name="irn-models", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
def command() -> None:
    """List, show, import and export networks."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the cards on stdout as JSON.")
def list_command(as_json: bool) -> None:
    """List the networks that can be named."""
    from irn_video.codecs.resample import RESAMPLERS
    from irn_video.pipeline.zoo import DEFAULT_MODEL, list_models

    entries = list_models()
    if as_json:
        click.echo(
            json.dumps([{**asdict(e.card), "path": str(e.path), "shipped": e.shipped} for e in entries], indent=1)
        )
        return
    for entry in entries:
        mark = " (default)" if entry.card.name == DEFAULT_MODEL else "" if entry.shipped else " (imported)"
        click.echo(f"{entry.path.stem}{mark}: x{entry.card.network.scale}, {entry.card.summary}")
    click.echo(f"{', '.join(RESAMPLERS)}: ordinary resampling, for comparison")


@command.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print the card on stdout as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show the model card of a network."""
    from irn_video.pipeline.zoo import find_model, read_model

    path = find_model(name)
    model = read_model(path)
    parameters = sum(p.numel() for p in model.network.parameters())
    values = {**asdict(model.card), "parameters": parameters, "sha256": model.sha256, "path": str(path)}
    if as_json:
        click.echo(json.dumps(values, indent=1))
        return
    for key, value in values.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        click.echo(f"{key:12} {shown}")


@command.command("import")
@click.argument("checkpoint", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="What to call it.")
@click.option("--overwrite", is_flag=True, help="Replace an imported network of this name.")
def import_command(checkpoint: Path, name: str, overwrite: bool) -> None:
    """Import an official IRN checkpoint (.pth, x2 or x4) under a name of your choice."""
    from irn_video.pipeline.zoo import import_model

    entry = import_model(checkpoint, name, overwrite=overwrite)
    click.echo(f"{name}: x{entry.card.network.scale}, kept as {entry.path}")


@command.command("export")
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--onnx", "path", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The ONNX file to write."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def export_command(name: str, path: Path, overwrite: bool) -> None:
    """Write the receiver of a network for H.264 as an ONNX file, for programs without PyTorch.

    \b
    Inputs:  y, u, v       uint8 (1, 1, h, w), u and v h/2 by w/2, h and w even:
                           the decoded LR frame, 8 bits, 4:2:0
             qp            float32 (1,): its mean H.264 quantiser, 0 to 51
    Outputs: restored_y, restored_u, restored_v
                           uint8, each side times the scale of the network

    There is no noise in the restored frame: the latent is its mean (irn-receive --temperature 0), in float32.
    Where the sender padded the frame, cropping is up to the caller.
    """
    from irn_video.pipeline.zoo.onnx_export import INPUTS, OUTPUTS, export_onnx

    size = export_onnx(name, path, overwrite=overwrite)
    click.echo(f"{path}: {', '.join(INPUTS)} to {', '.join(OUTPUTS)}, {size / 1e6:.1f} MB")


@command.command("score")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("scores")
def score_command(file: Path, scores: str) -> None:
    """Write what a network scored, and the command that measured it, into the card of a weights file."""
    from irn_video.pipeline.zoo.card import write_scores

    write_scores(file, scores)
    click.echo(f"{file}: {scores}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
