"""The command `irn-receive`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.commandline.config import settled
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import (
    device_options,
    encoder_options,
    latent_options,
    look_option,
    paths_argument,
    video_options,
)
from irn_video.pipeline.commandline.running import run_command
from irn_video.pipeline.commandline.several import (
    Job,
    Naming,
    arranged,
    check_undamaged,
    jobs_of,
    talk_for,
    unfinished,
    work_on,
)
from irn_video.pipeline.commandline.talk import Talk

if TYPE_CHECKING:
    from irn_video.pipeline.quality.report import Report
    from irn_video.receiver.receiving import ReceiveOptions


@click.command(
    name="irn-receive",
    short_help="Restore a small stream at full size and measure it.",
    cls=Command,
    examples=("out_lr.mp4 restored.mp4 --source input.mp4", "small/*.mp4 --out restored"),
)
@paths_argument
@option(
    "--source",
    group="Measuring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure PSNR against this video [default: what was sent, if it is beside INPUT].",
)
@option(
    "--source-stream",
    group="Measuring",
    rare=True,
    type=click.IntRange(0),
    metavar="N",
    help="Which video stream of --source, counted from 0 [default: the one a player shows].",
)
@option(
    "--report",
    group="Measuring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the PSNR of every frame, .json or .csv.",
)
@option(
    "--metrics",
    group="Measuring",
    default="psnr",
    show_default=True,
    metavar="A,B",
    help="psnr, ssim, ms-ssim, vmaf, vmaf-neg, xpsnr. All but psnr are computed by FFmpeg on copies without "
    "loss, which lie beside OUTPUT meanwhile: some megabytes for a 1080p frame.",
)
@option(
    "--plot",
    group="Measuring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the PSNR of every frame over time and the bit rate beneath, .png or .svg.",
)
@option(
    "--model",
    group="Network",
    metavar="NAME|FILE",
    help="Weights, where those that the stream names are not here.",
)
@option(
    "--upscaler",
    group="Network",
    type=click.Choice(["model", "lanczos", "bicubic", "rcan"]),
    default="model",
    show_default=True,
    help="What restores. Ordinary resampling and RCAN super-resolution are for comparison; RCAN needs --weights and "
    "3.8 million multiply-accumulates per restored pixel at x2: minutes per 1080p frame without a GPU.",
)
@option(
    "--weights",
    group="Network",
    rare=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Official checkpoint for --upscaler rcan, of the stream's scale: RCAN_BIX2.pt or RCAN_BIX4.pt.",
)
@option(
    "--rung",
    group="Restored file",
    rare=True,
    metavar="N|NAME",
    help="Which stream of a playlist, by its number from 1 or its name [default: the highest that can be restored].",
)
@option(
    "--no-reuse",
    "reuse",
    group="Network",
    rare=True,
    is_flag=True,
    flag_value=False,
    default=True,
    help="Compute what stands still again for every frame; changes the time, never the result.",
)
@option(
    "--play",
    group="Restored file",
    is_flag=True,
    help="Watch INPUT, in mpv or else without sound. It shows each frame as soon as it is restored; where the machine "
    "is slower than the video, mpv waits.",
)
@look_option(
    "How detail is filled in that is not known [default: the stream's]. faithful leaves it out, nearest to the source; "
    "real invents what looks like it; balanced is between them. irn-h264-x2 and irn-h264-x4 have all three."
)
@latent_options(
    temperature_help="0 restores the mean (best PSNR), 1 samples full detail [default: the look's].",
    seed_help="Of the sampled latents [default: the stream's].",
    seed=None,
    rare=True,
)
@encoder_options(
    group="Restored file",
    crf_help="Constant quality, 0 (best) to 51 [default: 18 for h264 and h265, else the codec's]. 63 is the worst of "
    "AV1.",
    preset_help="Speed against compression [default: veryfast for h264 and h265].",
)
@video_options
@device_options
@click.version_option(package_name="irn-video")
def command(
    paths: tuple[Path, ...],
    out: Path | None,
    report: Path | None,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
    resume: bool,
    play: bool,
    **options: Any,
) -> None:
    """Restore INPUT, a stream made by irn-send, at full size, and write it to OUTPUT.

    Without OUTPUT, clip_lr.mp4 becomes clip_restored.mp4 beside it. PSNR is measured on the restored frames before they
    are encoded again. irn-info INPUT says what a stream is. - is standard input or output; a .y4m or frames/%05d.png as
    OUTPUT keeps every sample. INPUT may be a playlist of HLS, also at http://….
    """
    from irn_video.pipeline.quality.report import check_report_name
    from irn_video.receiver.receiving import ReceiveOptions

    settings = ReceiveOptions(**settled(click.get_current_context(), options, "crf", "bitrate", "lossless"))
    if play:
        writes = out is not None or report is not None or plot is not None or as_json
        _play(paths, settings, Talk(quiet), writes=writes)
        return
    paths, out = arranged(paths, out)
    if out is not None:
        _check_several(report, plot, settings)
    talk = talk_for(paths if out is None else (), quiet, as_json)
    jobs = jobs_of(paths, out, Naming(settings.codec, "_restored", instead_of="_lr"))
    if resume:
        jobs = unfinished(jobs, lambda _: True, talk)
    if out is not None or not jobs:
        work_on(jobs, lambda job: _receive(job, settings, talk), as_json=as_json)
        return
    inputs = [Path(path) for path in (*paths, settings.source, settings.weights) if path is not None]
    if report is not None:
        check_report_name(report)
        check_output(report, inputs, settings.overwrite)
    if plot is not None:
        _check_plot(plot, inputs, settings.overwrite)
    received = _receive(jobs[0], settings, talk)
    if report is not None:
        received.write(report, overwrite=settings.overwrite)
    if plot is not None:
        _draw(received, plot, jobs[0].output.name, settings.overwrite)
    if as_json:
        click.echo(json.dumps(received.as_json(), indent=1))
    check_undamaged(received, jobs[0].source)


def _play(paths: tuple[Path, ...], options: ReceiveOptions, talk: Talk, *, writes: bool) -> None:
    """Show one video.

    Raises:
        BadOption: something is to be written too.
    """
    from irn_video.receiver.playing import play

    if writes or len(paths) > 1 or options.source is not None:
        raise BadOption("--play shows one INPUT and writes nothing", hint="leave out OUTPUT and what measures")
    with talk.phases() as phase:
        advance = phase(f"playing {paths[0].name}")
        play(paths[0], options, advance=advance, say=talk.before(advance))


def _check_several(report: Path | None, plot: Path | None, options: ReceiveOptions) -> None:
    """Refuse what is for one video."""
    for name, value, hint in (
        ("--report", report, "--json prints all reports"),
        ("--plot", plot, "receive that video alone"),
        ("--source", options.source, "leave it out: sources beside the inputs are found"),
    ):
        if value is not None:
            raise BadOption(f"{name} is for one video", hint=hint)


def _check_plot(path: Path, inputs: list[Path], overwrite: bool) -> None:
    from irn_video.pipeline.quality.plot import check_plot_name

    check_plot_name(path)
    check_output(path, inputs, overwrite)


def _draw(report: Report, path: Path, title: str, overwrite: bool) -> None:
    from irn_video.pipeline.quality.plot import plot

    plot(report, path, title, overwrite=overwrite)


def _receive(job: Job, options: ReceiveOptions, talk: Talk) -> Report:
    """Restore one video and say how it went."""
    from irn_video.pipeline.quality.metrics import parse_metrics
    from irn_video.receiver.receiving import receive

    with talk.phases() as phase:
        advance = phase(f"receiving {job.source.name}")
        result = receive(job.source, job.output, options, advance=advance, say=talk.before(advance), phase=phase)
    for text in result.report.warnings:
        talk.warn(text)
    if result.report.advice:
        talk.say(f"note: {result.report.advice}")
    talk.tell(f"{job.output}: {result.written.frames} frames restored")
    measured = result.report.means(parse_metrics(options.metrics)) if result.report.frames else ""
    talk.tell(measured or f"PSNR not measured: {result.unmeasured}")
    talk.tell(result.report.outcome())
    return result.report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
