"""The command `irn-receive`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.commandline.options import device_options, encoder_options, latent_options, video_options
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import PartialResult, run_command, summary_line, warn


@click.command(name="irn-receive", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
@click.argument("lr", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure against this video [default: the file that was sent, if it lies beside INPUT].",
)
@click.option(
    "--source-stream",
    type=click.IntRange(0),
    metavar="N",
    help="Which video stream of --source, counted from 0 [default: the one a player shows].",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the PSNR of every picture, .json or .csv."
)
@click.option(
    "--upscaler",
    type=click.Choice(["model", "lanczos", "bicubic", "rcan"]),
    default="model",
    show_default=True,
    help="Restore with the network, or, for comparison, with ordinary resampling or RCAN super-resolution (needs "
    "--weights; 3.8 million multiply-accumulates per restored pixel at x2: minutes per 1080p picture without a GPU).",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Official checkpoint for --upscaler rcan, of the stream's scale: RCAN_BIX2.pt or RCAN_BIX4.pt.",
)
@click.option("--model", metavar="NAME|FILE", help="Weights, where those that the stream names are not installed.")
@latent_options(
    temperature_help="0 restores the mean (best PSNR), 1 samples full detail [default: the stream's].",
    seed_help="Of the sampled latents [default: the stream's].",
    seed=None,
)
@encoder_options(
    crf_help="Constant quality of the restored file, 0 (best) to 51 (63 for AV1) [default: 18 for h264 "
    "and h265, else the codec's].",
    preset_help="Speed against compression, in the codec's words [default: veryfast for h264 and h265].",
)
@video_options
@device_options
def command(lr: Path, output: Path, report: Path | None, as_json: bool, **options: Any) -> None:
    """Restore INPUT, a stream made by irn-send, at full size, and write it to OUTPUT.

    PSNR is measured on the restored pictures before they are encoded again.
    """
    from irn_video.pipeline.quality.report import check_report_name
    from irn_video.receiver.receiving import ReceiveOptions, receive

    settings = ReceiveOptions(**options)
    if report is not None:
        check_report_name(report)
        inputs = [Path(path) for path in (lr, output, settings.source, settings.weights) if path is not None]
        check_output(report, inputs, settings.overwrite)
    with progress("receiving") as advance:
        result = receive(lr, output, settings, advance=advance, say=lambda text: click.echo(text, err=True))
    for text in result.report.warnings:
        warn(text)
    if report is not None:
        result.report.write(report, overwrite=settings.overwrite)
    if as_json:
        click.echo(json.dumps(result.report.as_json(), indent=1))
    else:
        click.echo(f"{output}: {result.written.frames} pictures restored")
        summary = result.report.summary()
        click.echo(summary_line(summary) if summary else f"PSNR not measured: {result.unmeasured}")
    if result.report.damage:
        raise PartialResult(
            f"the input is damaged: {result.report.damage}; what could be decoded was restored", path=lr
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
