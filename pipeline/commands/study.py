"""The command `irn-study`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commandline.help import Group, option
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import PartialResult, run_command, warn

if TYPE_CHECKING:
    from irn_video.pipeline.study.plan import StudyConfig
    from irn_video.pipeline.study.recommend import Goal, Metric
    from irn_video.pipeline.study.results import Study
    from irn_video.pipeline.study.workers import Pool

_FOLDER = click.Path(path_type=Path, file_okay=False)


class _DefaultRun(Group):
    """`irn-study CLIP…` is `irn-study run CLIP…`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            return "run", self.get_command(ctx, "run"), args
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help", "--version", "--config"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(name="irn-study", cls=_DefaultRun)
@click.version_option(package_name="irn-video")
def command() -> None:
    """Bandwidth against quality.

    irn-study CLIP… --out DIR measures what each method buys at each bit rate and writes results.json, results.csv and
    report.html to DIR; see irn-study run --help. Stopped, the same command goes on.
    """


def _numbers(_: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 18,22,26", param=option) from error


def _words(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _metrics(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = (name.replace("-", "_") for name in _words(ctx, option, text))
    return tuple("xpsnr_y" if name == "xpsnr" else name for name in names)


_workers = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Processes that measure side by side; they share the cores [default: 1].",
)


@command.command()
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@option("--out", required=True, type=_FOLDER, metavar="DIR", help="Folder of the study; made if missing.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="A study file (TOML); options win over it."
)
@option(
    "--models",
    callback=_words,
    metavar="A,B",
    help="Networks, weights files, or SENDER+UPSCALER: lanczos, bicubic or RCAN's checkpoint enlarges what SENDER "
    "has made, as in bicubic-x2+RCAN_BIX2.pt [default: irn-h264-x2].",
)
@option("--anchors", callback=_words, metavar="A,B", help="full, lanczos, bicubic, … [default: full,lanczos].")
@option("--codec", metavar="NAME", help="h264, h265 or av1 [default: h264].")
@option("--preset", metavar="NAME", help="Of the encoder [default: its own, medium for h264].")
@option("--tune", metavar="NAME", help="Of the encoder [default: none].")
@click.option("--keyint", type=int, metavar="N", help="Largest distance of keyframes [default: the codec's].")
@click.option("--crf", "crfs", callback=_numbers, metavar="A,B", help="At least four [default: a ladder by scale].")
@click.option("--bitrates", callback=_words, metavar="A,B", help="Such as 400k,800k,1.6M,3M instead of --crf.")
@click.option(
    "--metrics", callback=_metrics, metavar="A,B", help="psnr,ssim,ms-ssim,vmaf,vmaf-neg,xpsnr [default: all]."
)
@click.option("--frames", type=click.IntRange(1), metavar="N", help="Only the first N frames of each clip.")
@click.option(
    "--no-extend",
    is_flag=True,
    help="Do not add rates until the curves overlap by 75 % in PSNR-Y, nor one at equal bit rate to compare frames.",
)
@_workers
@click.option(
    "--cluster",
    metavar="tcp://HOST:PORT",
    help="The workers of this Dask scheduler measure, instead of --workers; clips and weights must have the same "
    "paths there. Only for schedulers that you trust.",
)
def run(clips: tuple[Path, ...], out: Path, config: Path | None, **options: Any) -> None:
    """Measure CLIPS and report. Every stream is really encoded, decoded and restored."""
    from irn_video.pipeline.study.report import write_report
    from irn_video.pipeline.study.results import Study, write_results
    from irn_video.pipeline.study.runner import run_study
    from irn_video.pipeline.study.store import Store

    workers, cluster = options.pop("workers"), options.pop("cluster")
    study = _config(clips, config, options)
    _make_folder(out)
    pool = _pool(workers, cluster)
    with progress("study", "cells") as advance:
        outcome = run_study(study, Store(out / "cells"), pool=pool, advance=advance)
    results = Study.of(study, outcome)
    write_results(out, results)
    write_report(out, results)
    _conclude(out, results)


@command.command()
@click.argument("folder", type=_FOLDER)
def report(folder: Path) -> None:
    """Make the report in FOLDER again from its results.json."""
    from irn_video.pipeline.study.report import write_report
    from irn_video.pipeline.study.results import read_results

    results = read_results(folder)
    write_report(folder, results)
    _conclude(folder, results)


@command.command()
@click.argument("before", type=_FOLDER)
@click.argument("after", type=_FOLDER)
def compare(before: Path, after: Path) -> None:
    """What changed from the study in BEFORE to that in AFTER: BD-rate of each method against itself, by clip."""
    from irn_video.pipeline.study.report import changes
    from irn_video.pipeline.study.results import read_results

    for line in changes(read_results(before), read_results(after)):
        click.echo(line)


@command.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--bitrate", metavar="RATE", help="Of the video, such as 800k: the best quality at it.")
@click.option("--vmaf", type=click.FloatRange(0, 100), metavar="V", help="The lowest bit rate for this mean VMAF.")
@click.option("--psnr", type=click.FloatRange(10, 70), metavar="DB", help="The lowest bit rate for this mean PSNR-Y.")
@click.option("--by", type=click.Choice(["vmaf", "psnr_y"]), default="vmaf", show_default=True, help="What quality is.")
@option(
    "--models", callback=_words, metavar="A,B", help="Candidates besides full size [default: irn-h264-x1, -x2 and -x4]."
)
@click.option(
    "--frames",
    type=click.IntRange(4),
    metavar="N",
    help="Judge by N frames, from two places of a long clip; with more keyframes than the clip they need a little "
    "more bit rate than it [default: 48].",
)
@_workers
@option("--out", type=_FOLDER, metavar="DIR", help="Keep the measurements here, for the next question.")
def recommend(
    clip: Path, bitrate: str | None, vmaf: float | None, psnr: float | None, by: Metric, **options: Any
) -> None:
    """The method, scale and CRF for CLIP at --bitrate, or for --vmaf or --psnr, and the command that does it."""
    from irn_video.codecs.encoders import EncoderSettings
    from irn_video.pipeline.study.methods import FULL, Method
    from irn_video.pipeline.study.recommend import CANDIDATES, SAMPLED, choose
    from irn_video.pipeline.study.store import Store
    from irn_video.pipeline.study.words import send_command

    goal = _goal(bitrate, vmaf, psnr, by)
    _check_clips([clip])
    methods = tuple(dict.fromkeys(map(Method.parse, (FULL, *options["models"]) if options["models"] else CANDIDATES)))
    with ExitStack() as stack:
        if options["out"] is not None:
            _make_folder(options["out"])
        folder = options["out"] or Path(stack.enter_context(TemporaryDirectory(prefix="irn-study-")))
        advance = stack.enter_context(progress("measuring", "cells"))
        found = choose(
            clip,
            goal,
            methods,
            EncoderSettings(),
            Store(folder / "cells"),
            _pool(options["workers"], None),
            pictures=options["frames"] or SAMPLED,
            advance=advance,
        )
    for failure in found.failures:
        warn(f"{failure.cell}: {failure.error}")
    for way in found.ways:
        click.echo(
            f"{way.method.label}: {way.kbps:.0f} kb/s, {goal.metric} {way.quality:.2f} at CRF {way.crf:.1f}, "
            f"scale {way.method.scale}"
        )
    best = found.ways[0]
    click.echo(send_command(best.method, str(clip), {}, round(best.crf, 1), output="out_lr.mp4"))


def _goal(bitrate: str | None, vmaf: float | None, psnr: float | None, by: Metric) -> Goal:
    from irn_video.codecs.encoders import parse_bitrate
    from irn_video.codecs.errors import BadOption
    from irn_video.pipeline.study.recommend import Goal

    if sum(value is not None for value in (bitrate, vmaf, psnr)) != 1:
        raise BadOption("one goal is needed", hint="give --bitrate, --vmaf or --psnr")
    if bitrate is not None:
        return Goal(parse_bitrate(bitrate) / 1000, "kbps", by)
    return Goal(vmaf, "vmaf", "vmaf") if vmaf is not None else Goal(psnr or 0.0, "psnr_y", "psnr_y")


def _pool(workers: int | None, cluster: str | None) -> Pool:
    from irn_video.codecs.errors import BadOption
    from irn_video.pipeline.study.workers import LocalPool

    if cluster is None:
        return LocalPool(workers or 1)
    if workers is not None:
        raise BadOption("--workers and --cluster exclude each other", hint="the cluster has workers of its own")
    from irn_video.pipeline.study.cluster import ClusterPool

    return ClusterPool(cluster)


def _config(clips: tuple[Path, ...], path: Path | None, options: dict[str, Any]) -> StudyConfig:
    from dataclasses import replace

    from irn_video.codecs.encoders import parse_bitrate
    from irn_video.pipeline.study.plan import StudyConfig, load_study

    given = {name: value for name, value in options.items() if value not in (None, (), False)}
    given.pop("no_extend", None)
    if "bitrates" in given:
        given["bitrates"] = tuple(parse_bitrate(text) for text in given["bitrates"])
    if options["no_extend"]:
        given["extend"] = False
    if clips:
        given["clips"] = clips
    study = replace(load_study(path), **given) if path is not None else StudyConfig(**given)
    _check_clips(study.clips)
    return study


def _check_clips(clips: Sequence[Path]) -> None:
    from irn_video.codecs.errors import BadOption, MissingFile

    if not clips:
        raise BadOption("no clips to study", hint="name at least one video")
    for clip in clips:
        if not clip.is_file():
            raise MissingFile("no such clip", path=clip)


def _make_folder(out: Path) -> None:
    from irn_video.codecs.writing.output import unwritable

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error


def _conclude(out: Path, study: Study) -> None:
    """The verdict on stdout; failures end the command with 1."""
    from irn_video.pipeline.study.report import verdict

    for line in verdict(study):
        click.echo(line)
    click.echo(f"report: {out / 'report.html'}")
    for note in study.notes:
        warn(note)
    if study.failures:
        for failure in study.failures:
            click.echo(f"failed: {failure.cell}: {failure.error}", err=True)
        raise PartialResult(f"{len(study.failures)} of the cells could not be measured", path=out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
