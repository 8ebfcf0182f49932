"""The command `irn-send`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.commandline.options import device_options, encoder_options, latent_options, video_options
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import PartialResult, run_command, summary_line, warn

if TYPE_CHECKING:
    from irn_video.sender.sending import SendOptions

_AUTO = "auto"


@click.command(name="irn-send", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="A network (see irn-models list), a weights file, or lanczos-x2 and bicubic-x2 for ordinary "
    "resampling [default: irn-h264-x2].",
)
@click.option(
    "--scale",
    type=click.Choice(["1", "2", "4", _AUTO]),
    help="Shrink by this factor, with the network made for it; must fit --model if that is given [default: 2]. "
    "4 is for the lowest rates; 1 sends full size, and the receiver takes the coding error away; auto tries them on "
    "samples of INPUT and takes the one with the best VMAF at --bitrate, which takes a few minutes.",
)
@encoder_options(
    crf_help="Constant quality of the LR stream, 0 (best) to 51 (63 for AV1); +6 halves the bit rate [default: 23].",
    preset_help="Speed against compression, in the codec's words [default: medium].",
)
@latent_options(
    temperature_help="Default for the receiver: 0 restores the mean, 1 samples full detail [default: the network's].",
    seed_help="Default seed of the receiver's latents.",
)
@click.option(
    "--adapt",
    metavar="fast|best|SECONDS",
    help="Tune the receiver's network to each group of pictures and send the change with its keyframe, where it "
    "is worth its bits; H.264 only. fast looks at some pictures, best at all and much longer, SECONDS so long for "
    "each group (not the same bytes each time).",
)
@click.option(
    "--adapt-budget",
    metavar="2%|4k",
    help="Spend at most this part of a group of pictures, or so many bytes, on its change [default: what is worth it].",
)
@click.option(
    "--verify", is_flag=True, help="Afterwards restore the LR stream and report the PSNR the receiver will see."
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write a report, .json or .csv.")
@video_options
@device_options
def command(source: Path, output: Path, report: Path | None, as_json: bool, scale: str | None, **options: Any) -> None:
    """Shrink every picture of INPUT and write the small stream to OUTPUT.

    OUTPUT (.mp4, .mkv, .mov, .ts …) is an ordinary video that carries what irn-receive needs to restore it. Audio,
    subtitles, chapters and tags are copied.
    """
    from irn_video.pipeline.quality.report import check_report_name
    from irn_video.sender.sending import SendOptions, send

    settings = SendOptions(scale=None if scale in (None, _AUTO) else int(scale), **options)
    if report is not None:
        check_report_name(report)
        check_output(report, [source, output], settings.overwrite)
    check_output(output, [source], settings.overwrite)
    if scale == _AUTO:
        settings = replace(settings, model=_best_model(source, settings))
    with progress("sending") as advance:
        result = send(source, output, settings, advance=advance, say=lambda text: click.echo(text, err=True))
    for text in result.report.warnings:
        warn(text)
    if report is not None:
        result.report.write(report, overwrite=settings.overwrite)
    if as_json:
        click.echo(json.dumps(result.report.as_json(), indent=1))
    else:
        stream = result.report.stream.as_json()
        card = result.card
        click.echo(
            f"{output}: {result.written.frames} pictures, {card.width}x{card.height} sent as "
            f"{(card.width + card.pad_right) // card.scale}x{(card.height + card.pad_bottom) // card.scale}, "
            f"{stream['bytes']} bytes of video" + (f", {stream['kbps']:.0f} kb/s" if stream["kbps"] else "")
        )
        if groups := result.report.adaptation:
            spent, tuned = sum(group.bytes for group in groups), sum(group.bytes > 0 for group in groups)
            click.echo(f"tuned {tuned} of {len(groups)} groups of pictures, in {spent} of these bytes")
        if summary := result.report.summary():
            click.echo(summary_line(summary))
    if result.report.damage:
        raise PartialResult(
            f"the input is damaged: {result.report.damage}; what could be decoded was sent", path=source
        )


def _best_model(source: Path, options: SendOptions) -> str:
    """The network whose stream of samples of the source has the best VMAF at the bit rate."""
    from irn_video.pipeline.study.methods import Method
    from irn_video.pipeline.study.recommend import Goal, choose
    from irn_video.pipeline.study.store import Store
    from irn_video.pipeline.study.workers import LocalPool
    from irn_video.pipeline.zoo import NETWORKS

    encoder = options.encoder
    if encoder.bitrate is None or options.model is not None:
        raise BadOption("--scale auto chooses the network for a bit rate", hint="give --bitrate, and no --model")
    goal = Goal(encoder.bitrate / 1000, "kbps", "vmaf")
    methods = [Method(name) for name in NETWORKS.values()]
    with TemporaryDirectory(prefix="irn-send-") as folder, progress("choosing the scale", "cells") as advance:
        found = choose(source, goal, methods, encoder, Store(Path(folder)), LocalPool(1), advance=advance)
    for failure in found.failures:
        warn(f"{failure.cell}: {failure.error}")
    tried = ", ".join(f"{way.method.label} {way.quality:.1f}" for way in found.ways)
    click.echo(f"scale {found.ways[0].method.scale}; VMAF of samples at {goal}: {tried}", err=True)
    return found.ways[0].method.sender


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
