"""The command `irn-study`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commandline.help import Group, option
from irn_video.pipeline.commandline.progress import progress
from irn_video.pipeline.commandline.running import PartialResult, run_command, warn
from irn_video.pipeline.commands.study_compare import compare

if TYPE_CHECKING:
    from irn_video.pipeline.study.plan import StudyConfig
    from irn_video.pipeline.study.recommend import Goal, Metric
    from irn_video.pipeline.study.results import Study
    from irn_video.pipeline.study.workers import Failure, Pool

_FOLDER = click.Path(path_type=Path, file_okay=False)
_QUALITIES = ("vmaf", "vmaf_neg", "psnr_y")


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


def _metric(_: click.Context, __: click.Parameter, text: str) -> str:
    from irn_video.codecs.errors import BadOption
    from irn_video.pipeline.quality.metrics import parse_metrics

    found = parse_metrics(text, _QUALITIES)
    if len(found) > 1:
        raise BadOption("one metric is needed", hint="such as --by psnr-y")
    return found[0]


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
    help="Networks, tiers, weights files, or SENDER+UPSCALER: lanczos, bicubic or RCAN's checkpoint enlarges what "
    "SENDER has made, as in bicubic-x2+RCAN_BIX2.pt [default: irn-h264-x2].",
)
@option("--anchors", callback=_words, metavar="A,B", help="full, lanczos, bicubic, … [default: full,lanczos].")
@option("--codec", metavar="NAME", help="h264, h265 or av1 [default: h264].")
@option(
    "--preset",
    metavar="NAME",
    help="The same for all methods [default: the encoder's own, medium for h264]. by-scale gives each method the one "
    "that irn-send has at its scale, so that encoding takes no longer than full size; both reports both comparisons.",
)
@option("--tune", metavar="NAME", help="Of the encoder [default: none].")
@click.option("--keyint", type=int, metavar="N", help="Largest distance of keyframes [default: the codec's].")
@click.option("--crf", "crfs", callback=_numbers, metavar="A,B", help="At least four [default: a ladder by scale].")
@click.option("--bitrates", callback=_words, metavar="A,B", help="Such as 400k,800k,1.6M,3M instead of --crf.")
@option(
    "--metrics",
    callback=_words,
    metavar="A,B",
    help="psnr-y,psnr-yuv,ssim,ms-ssim,vmaf,vmaf-neg,xpsnr; of the source's own: texture-fine,texture-coarse,flat-fine,"
    "edge-fine,flicker,flicker-static; or psnr, texture, all for many [default: all]. classifier, which is not among "
    "all, trains a small network for minutes on each stream.",
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
    workers, cluster = options.pop("workers"), options.pop("cluster")
    study = _config(clips, config, options)

    from irn_video.codecs.errors import StudyFailed
    from irn_video.pipeline.study.report import write_report
    from irn_video.pipeline.study.results import Study, write_results
    from irn_video.pipeline.study.runner import run_study
    from irn_video.pipeline.study.store import Store

    measured = []
    with Store.in_study(out) as store:
        for part in study.comparisons:
            pool = _pool(workers, cluster)
            with progress("study", "cells") as advance:
                outcome = run_study(part, store, pool=pool, advance=advance)
            if not outcome.measurements:
                _tell(outcome.failures)
                raise StudyFailed("nothing could be measured", path=out, hint="see above")
            measured.append(Study.of(part, outcome))
        results = measured[0].beside(measured[1]) if len(measured) > 1 else measured[0]
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


command.add_command(compare)


@command.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--ladder", type=click.Path(path_type=Path), metavar="FILE", help="Rungs, as irn-send has them.")
@click.option("--frames", type=click.IntRange(1), metavar="N", help="Only the first N frames [default: all].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def ladder(clip: Path, ladder: Path | None, frames: int | None, as_json: bool) -> None:
    """VMAF-NEG of the rungs that irn-send CLIP master.m3u8 makes, restored and as players show them, against plain
    H.264 of full size at the same rates."""
    from irn_video.pipeline.study.ladder import measured, table

    _check_clips([clip])
    steps = measured(clip, ladder, frames)
    click.echo(json.dumps([asdict(step) for step in steps], indent=1) if as_json else table(steps))


@command.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--bitrate", metavar="RATE", help="Of the video, such as 800k: the best quality at it.")
@click.option("--vmaf", type=click.FloatRange(0, 100), metavar="V", help="The lowest bit rate for this mean VMAF.")
@click.option("--vmaf-neg", type=click.FloatRange(0, 100), metavar="V", help="The same for VMAF-NEG.")
@click.option("--psnr", type=click.FloatRange(10, 70), metavar="DB", help="The lowest bit rate for this mean PSNR-Y.")
@click.option("--by", callback=_metric, default="vmaf", metavar="METRIC",
              help="What quality is at a bit rate: vmaf, vmaf-neg or psnr-y [default: vmaf].")  # fmt: skip
@option(
    "--models",
    callback=_words,
    metavar="A,B",
    help="Candidates besides full size [default: the network of each scale].",
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
    clip: Path,
    bitrate: str | None,
    vmaf: float | None,
    vmaf_neg: float | None,
    psnr: float | None,
    by: Metric,
    **options: Any,
) -> None:
    """The method, scale and CRF for CLIP at --bitrate, or for a quality, and the command that does it."""
    _check_clips([clip])
    goal = _goal(bitrate, by, {"vmaf": vmaf, "vmaf_neg": vmaf_neg, "psnr_y": psnr})

    from irn_video.codecs.encoders import EncoderSettings
    from irn_video.pipeline.quality.metrics import metric_label
    from irn_video.pipeline.study.methods import FULL, Method
    from irn_video.pipeline.study.recommend import SAMPLED, candidates, choose
    from irn_video.pipeline.study.store import Store
    from irn_video.pipeline.study.words import send_command

    names = (FULL, *options["models"]) if options["models"] else candidates()
    methods = tuple(dict.fromkeys(map(Method.parse, names)))
    with ExitStack() as stack:
        folder = options["out"] or Path(stack.enter_context(TemporaryDirectory(prefix="irn-study-")))
        store = stack.enter_context(Store.in_study(folder))
        advance = stack.enter_context(progress("measuring", "cells"))
        found = choose(
            clip,
            goal,
            methods,
            EncoderSettings(),
            store,
            _pool(options["workers"], None),
            pictures=options["frames"] or SAMPLED,
            advance=advance,
        )
    for failure in found.failures:
        warn(f"{failure.cell}: {failure.error}")
    for way in found.ways:
        reached = f"{way.kbps:.0f} kb/s, {metric_label(goal.metric)} {way.quality:.2f} at CRF {way.crf:.1f}"
        click.echo(f"{way.method.label}: {reached}, scale {way.method.scale:g}")
    best = found.ways[0]
    click.echo(send_command(best.method, str(clip), {}, round(best.crf, 1), output="out_lr.mp4"))


def _goal(bitrate: str | None, by: Metric, qualities: Mapping[Metric, float | None]) -> Goal:
    from irn_video.codecs.encoders import parse_bitrate
    from irn_video.codecs.errors import BadOption

    wanted = [(metric, value) for metric, value in qualities.items() if value is not None]
    if len(wanted) + (bitrate is not None) != 1:
        raise BadOption("one goal is needed", hint="give --bitrate, --vmaf, --vmaf-neg or --psnr")
    rate = 0.0 if bitrate is None else parse_bitrate(bitrate) / 1000

    from irn_video.pipeline.study.recommend import Goal

    return Goal(wanted[0][1], wanted[0][0], wanted[0][0]) if wanted else Goal(rate, "kbps", by)


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

    if clips or path is None:
        _check_clips(clips)  # before what takes seconds to import

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


def _conclude(out: Path, study: Study) -> None:
    """The verdict on stdout; failures end the command with 1."""
    from irn_video.pipeline.study.verdict import verdict

    for line in verdict(study):
        click.echo(line)
    click.echo(f"report: {out / 'report.html'}")
    for note in study.notes:
        warn(note)
    if study.failures:
        _tell(study.failures)
        raise PartialResult(f"{len(study.failures)} of the cells could not be measured", path=out)


def _tell(failures: Iterable[Failure]) -> None:
    for failure in failures:
        click.echo(f"failed: {failure.cell}: {failure.error}", err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
