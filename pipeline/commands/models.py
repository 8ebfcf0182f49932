"""The command `irn-models`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.completion import complete_models
from irn_video.pipeline.commandline.help import Group, option
from irn_video.pipeline.commandline.running import run_command

_LEAST_ROOM = 20  # of the last column
_HEADS = ("NAME", "SCALE", "TIER", "FROM", "WHAT")
_NO_TIER = "-"
_SHADER = ".glsl"
_name_argument = click.argument("name", metavar="NAME|FILE", shell_complete=complete_models)


@click.group(name="irn-models", cls=Group)
@click.version_option(package_name="irn-video")
def command() -> None:
    """List, show, import and export networks."""


@command.command("list")
@option("--json", "as_json", is_flag=True, help="Print the cards of the networks on stdout as JSON.")
def list_command(as_json: bool) -> None:
    """List what can be named: networks with their tiers, and ordinary resampling.

    A line each; where stdout is a terminal, as wide as it.
    """
    from irn_video.codecs.kernels import RESAMPLERS
    from irn_video.pipeline.zoo import DEFAULT_MODEL, list_models
    from irn_video.pipeline.zoo.tiers import tier_of

    entries = list_models()
    if as_json:
        click.echo(
            json.dumps(
                [
                    {**asdict(e.card), "tier": tier_of(e.card.macs_up), "path": str(e.path), "shipped": e.shipped}
                    for e in entries
                ],
                indent=1,
            )
        )
        return
    rows = [_HEADS]
    for entry in entries:
        origin = "default" if entry.path.stem == DEFAULT_MODEL else "shipped" if entry.shipped else "imported"
        card = entry.card
        tier = tier_of(card.macs_up) or _NO_TIER
        rows.append((entry.path.stem, f"x{card.network.scale:g}", tier, origin, card.summary))
    rows += [
        (name, f"x{scale:g}", _NO_TIER, "built in", _resampling(kernel)) for name, (kernel, scale) in RESAMPLERS.items()
    ]
    _print(rows)


@command.command("show")
@_name_argument
@option("--json", "as_json", is_flag=True, help="Print the card on stdout as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show the model card of a network, or what a name of ordinary resampling means."""
    values = _card(name)
    if as_json:
        click.echo(json.dumps(values, indent=1))
        return
    for key, value in values.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        click.echo(f"{key:12} {shown}")


@command.command("import")
@click.argument("checkpoint", metavar="FILE", type=click.Path(path_type=Path))
@option("--name", required=True, metavar="NAME", help="What to call it.")
@option("--overwrite", is_flag=True, help="Replace an imported network of this name.")
def import_command(checkpoint: Path, name: str, overwrite: bool) -> None:
    """Import an official IRN checkpoint (.pth, x2 or x4) under a name of your choice."""
    from irn_video.pipeline.zoo import import_model

    entry = import_model(checkpoint, name, overwrite=overwrite)
    click.echo(f"{name}: x{entry.card.network.scale:g}, kept as {entry.path}")


@command.command("export")
@_name_argument
@click.argument("output", metavar="[OUTPUT.onnx|OUTPUT.glsl]", required=False, type=click.Path(path_type=Path))
@option("--qp", type=float, metavar="N", help="Of a shader: the stream's mean H.264 quantiser, 0 to 51.")
@option("--for", "stream", type=click.Path(path_type=Path), metavar="LR_FILE", help="For this stream alone, see above.")
@option("--planar", is_flag=True, help="Of an ONNX file: one input and one output, of floats, see above.")
@option("--web", type=click.Path(path_type=Path), metavar="DIR", help="Write files for the player in the browser.")
@option("--overwrite", is_flag=True, help="Replace an existing file.")
def export_command(
    name: str,
    output: Path | None,
    qp: float | None,
    stream: Path | None,
    planar: bool,
    web: Path | None,
    overwrite: bool,
) -> None:
    """Write the receiver of a network for H.264 as an ONNX file, for programs without PyTorch, or as a user shader for
    mpv and FFmpeg's filter libplacebo.

    \b
    Inputs of the ONNX file:
             y, u, v       uint8 (1, 1, h, w), u and v h/2 by w/2, h and w even:
                           the decoded LR frame, 8 bits, 4:2:0
             qp            float32 (1,): its mean H.264 quantiser, 0 to 51
    Outputs: restored_y, restored_u, restored_v
                           uint8, each side times the scale of the network

    \b
    With --planar, for VapourSynth's vs-mlrt, at scales 1, 2 and 4:
    Input:   planes        float32 (1, 4, h, w): y, u, v divided by 255, u and v
                           with samples repeated, and qp divided by 51
    Output:  restored      float32 (1, 3, …): y, u and v likewise

    A shader has one quantiser for all frames: that of --qp, that of the stream of --for, or else a parameter, qp;
    players that know none, as mpv 0.35 and FFmpeg 5, refuse such a shader.

    --for takes from a stream its mean quantiser and size (a shader then runs for frames of that size alone, and cuts
    off what the sender padded), and the weights that were tuned for it: those that more than half of its frames go by,
    for all of them. Where groups of frames have weights of their own there are none such, and the general network is
    taken.

    There is no noise in the restored frame: the latent is its mean (irn-receive --temperature 0). Of what an ONNX file
    gives, the caller cuts off what the sender padded.

    With --web, DIR gets a manifest (networks.json) and what it names; networks that are there already stay.
    """
    if (output is None) == (web is None):
        raise BadOption("one output is needed", hint="irn-models export NAME OUTPUT.onnx, or --web DIR")
    if output is not None:
        _export(name, output, qp, stream, planar=planar, overwrite=overwrite)
        return
    if qp is not None or stream is not None or planar:
        raise BadOption("--qp, --for and --planar are for one file", hint="the player takes both from each stream")
    if web is not None:
        _export_web(name, web, overwrite)


def _export(name: str, output: Path, qp: float | None, stream: Path | None, *, planar: bool, overwrite: bool) -> None:
    from irn_video.codecs.writing.output import check_output
    from irn_video.pipeline.baking import bake
    from irn_video.pipeline.zoo.glsl_export import Shown, export_glsl
    from irn_video.pipeline.zoo.onnx_export import INPUTS, OUTPUTS, export_onnx

    shader = output.suffix == _SHADER
    if qp is not None and (stream is not None or not shader):
        raise BadOption("--qp is for a shader without --for", hint="an ONNX file has qp as an input")
    if planar and shader:
        raise BadOption("--planar is for an ONNX file", hint="leave it out, or name the output .onnx")
    inputs = [] if stream is None else [stream]
    check_output(output, inputs, overwrite)  # before a whole stream is read
    baked = None if stream is None else bake(stream, name)
    tuned = None if baked is None else baked.tuned
    if not shader:
        size = export_onnx(name, output, tuned=tuned, planar=planar, inputs=inputs, overwrite=overwrite)
        said = "planes to restored" if planar else f"{', '.join(INPUTS)} to {', '.join(OUTPUTS)}"
        click.echo(f"{output}: {said}, {size / 1e6:.1f} MB")
    else:
        shown = None if baked is None else Shown.of(baked.card)
        qp = qp if baked is None else baked.qp
        size = export_glsl(name, output, qp=qp, tuned=tuned, shown=shown, inputs=inputs, overwrite=overwrite)
        click.echo(f"{output}: quantiser {'by parameter' if qp is None else f'{qp:g}'}, {size / 1e6:.1f} MB")
    if baked is not None:
        kind = "tuned weights" if tuned is not None else "the general network"
        click.echo(f"{kind}, as irn-receive has for {baked.fitting} of {baked.frames} frames")


def _export_web(name: str, folder: Path, overwrite: bool) -> None:
    from irn_video.pipeline.zoo.web_export import MANIFEST, export_web

    size = export_web(name, folder, overwrite=overwrite)
    click.echo(f"{folder / MANIFEST}: {name} is in it, {size / 1e6:.1f} MB")


@command.command("score")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("scores")
def score_command(file: Path, scores: str) -> None:
    """Write what a network scored, and the command that measured it, into the card of a weights file."""
    from irn_video.pipeline.zoo.card import write_scores

    write_scores(file, scores)
    click.echo(f"{file}: {scores}")


def _card(name: str) -> dict[str, Any]:
    """What there is to say of a name or file."""
    from irn_video.codecs.kernels import RESAMPLERS

    if name in RESAMPLERS:
        kernel, scale = RESAMPLERS[name]
        return {"name": name, "scale": scale, "summary": _resampling(kernel), "parameters": 0}
    from irn_video.pipeline.zoo import find_model, read_model
    from irn_video.pipeline.zoo.tiers import tier_of

    path = find_model(name, also=tuple(RESAMPLERS))
    model = read_model(path)
    parameters = sum(p.numel() for p in model.network.parameters())
    tier = tier_of(model.card.macs_up)
    return {**asdict(model.card), "tier": tier, "parameters": parameters, "sha256": model.sha256, "path": str(path)}


def _resampling(kernel: str) -> str:
    return f"ordinary {kernel} resampling, no network, for comparison"


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns; the last one is wrapped on a terminal, so that the others stay columns."""
    *widths, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    indent = sum(widths) + 2 * len(widths)
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else sys.maxsize
    for *cells, text in rows:
        start = "".join(cell.ljust(width + 2) for cell, width in zip(cells, widths, strict=True))
        lines = textwrap.wrap(text, max(_LEAST_ROOM, room)) if room < len(text) else [text]
        click.echo("\n".join((start + lines[0], *(" " * indent + line for line in lines[1:]))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
