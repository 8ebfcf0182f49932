"""The command `irn-send`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.commandline.config import settled
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import (
    SCALE_WORDS,
    as_scale,
    device_options,
    encoder_options,
    latent_options,
    look_option,
    part_options,
    paths_argument,
    tier_option,
    video_options,
)
from irn_video.pipeline.commandline.purposes import PURPOSES, RATES, purpose_words, with_purpose
from irn_video.pipeline.commandline.running import run_command
from irn_video.pipeline.commandline.several import (
    PLAYLIST,
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
from irn_video.pipeline.commands.send_aims import (
    advice_options,
    aim_options,
    estimate_line,
    peer_lines,
    reached_line,
)
from irn_video.pipeline.commands.send_ladder import send_as_ladder

if TYPE_CHECKING:
    from irn_video.pipeline.quality.report import Report
    from irn_video.sender.options import SendOptions
    from irn_video.sender.sending import SendResult


@click.command(
    name="irn-send",
    short_help="Shrink a video and write it as a small stream.",
    cls=Command,
    examples=("input.mp4 out_lr.mp4 --crf 26", "*.mp4 --out small --vmaf 90"),
)
@paths_argument
@option(
    "--for",
    "purpose",
    group="Rate",
    type=click.Choice(list(PURPOSES)),
    metavar="PURPOSE",
    help=f"Set what suits {', '.join(PURPOSES)}, where you do not. {purpose_words()}. For h264 and h265.",
)
@encoder_options(
    group="Rate",
    crf_help="Constant quality of the LR stream, 0 (best) to 51 [default: 23]. 63 is the worst of AV1; +6 halves the "
    "bit rate.",
    preset_help="Speed against compression, in the codec's words [default: by scale]. For h264, at scale 1 medium, "
    "at 1.5 slow, at 2 slower, at 4 veryslow, so that encoding takes no longer than full size does.",
)
@aim_options
@option(
    "--scale",
    group="Network",
    callback=as_scale,
    metavar=SCALE_WORDS,
    help="Shrink by this factor, with the network made for it [default: 2]. It must fit --model if that is given. 1.5 "
    "makes 720p of 1080p; 4 is for the lowest rates; 1 sends full size, and the receiver takes the coding error away; "
    "auto takes what is best, for the quality that full size has at --crf, or at --bitrate; it may be plain coding.",
)
@option(
    "--model",
    group="Network",
    metavar="NAME|FILE",
    help="A network of irn-models list, or its weights [default: irn-h264-x2]. lanczos-x2 and bicubic-x2 are ordinary "
    "resampling.",
)
@tier_option
@look_option(
    "How receivers fill in detail that is not known, unless they choose [default: faithful]. real invents what looks "
    "like the source, balanced is between them; it takes no bits. irn-h264-x2 and -x4 have all three.",
    rare=True,
)
@latent_options(
    temperature_help="The receiver's default: 0 (the mean) to 1 [default: the look's].",
    seed_help="Default seed of the receiver's latents.",
    rare=True,
)
@option(
    "--adapt",
    group="Network",
    metavar="EFFORT",
    help="Tune the receiver's network to each group of frames; H.264 only. What changes is sent with its keyframe, "
    "where it is worth its bits. EFFORT is quick (tells it another quantiser), fast (looks at some frames), best (at "
    "all, longer) or SECONDS for each group (not the same bytes each time).",
)
@option(
    "--adapt-budget",
    group="Network",
    rare=True,
    metavar="2%|4k",
    help="At most this part of a group's bytes, or so many [default: any].",
)
@option(
    "--quantisers",
    group="Network",
    rare=True,
    is_flag=True,
    help="Tell each frame's quantiser in the stream, a byte each: with it browsers restore exactly. H.264 only.",
)
@option(
    "--keyint-seconds",
    group="Rate",
    rare=True,
    type=float,
    metavar="S",
    help="Largest distance of keyframes in seconds, where --keyint says nothing.",
)
@part_options
@video_options
@option(
    "--verify",
    group="Output",
    is_flag=True,
    help="Restore the LR stream afterwards and say the PSNR that the receiver will see. Also what plain coding and the "
    "Lanczos pair would take for the same quality.",
)
@advice_options
@option(
    "--ladder",
    group="Output",
    rare=True,
    metavar="auto|FILE",
    help="The rungs of an OUTPUT that ends in .m3u8: those of a TOML file, or plain H.264 and below it what is best at "
    "each half of the rate before [default: auto].",
)
@option(
    "--report",
    group="Output",
    rare=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a report, .json or .csv.",
)
@device_options
@click.version_option(package_name="irn-video")
def command(
    paths: tuple[Path, ...],
    out: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    resume: bool,
    dry_run: bool,
    advise: bool,
    ladder: str | None,
    **options: Any,
) -> None:
    """Shrink every frame of INPUT and write the small stream to OUTPUT (.mp4, .mkv, .mov, .ts …).

    Without OUTPUT, clip.mp4 becomes clip_lr.mp4 beside it. OUTPUT is an ordinary video that carries what irn-receive
    needs to restore it. Audio, subtitles, chapters and tags are copied. - is standard input or output; frames/%05d.png
    or a folder is pictures; OUTPUT.m3u8 makes a ladder for HLS and DASH.
    """
    from irn_video.pipeline.quality.report import check_report_name
    from irn_video.sender.options import SendOptions

    context = click.get_current_context()
    options = settled(context, settled(context, options, *RATES), "model", "tier")
    options, suffix = with_purpose(context, options)
    settings = SendOptions(**options)
    paths, out = arranged(paths, out)
    if report is not None and out is not None:
        raise BadOption("--report is for one video", hint="--json prints the reports of all")
    talk = talk_for(paths if out is None else (), quiet, as_json)
    jobs = jobs_of(paths, out, Naming(settings.codec, "_lr", suffix=suffix), make=not dry_run)
    if out is None and jobs[0].output.suffix.lower() == PLAYLIST:
        if report is not None or dry_run or resume:
            raise BadOption("--report, --dry-run and --resume are for one stream", hint="--json prints all reports")
        send_as_ladder(jobs[0], settings, ladder, talk)
        return
    if ladder is not None:
        raise BadOption("--ladder is for an output that ends in .m3u8")
    if dry_run:
        _estimate(jobs, settings, talk)
        return
    if resume:
        jobs = unfinished(jobs, _was_sent, talk)
    if out is not None or not jobs:
        work_on(jobs, lambda job: _send(job, settings, talk, advise=advise), as_json=as_json)
        return
    if report is not None:
        check_report_name(report)
        check_output(report, paths, settings.overwrite)
    sent = _send(jobs[0], settings, talk, advise=advise)
    if report is not None:
        sent.write(report, overwrite=settings.overwrite)
    if as_json:
        click.echo(json.dumps(sent.as_json(), indent=1))
    check_undamaged(sent, jobs[0].source)


def _was_sent(job: Job) -> bool:
    """Whether the output was made from this input."""
    from irn_video.codecs.reading.card_search import find_card
    from irn_video.pipeline.restoring import is_source

    try:
        card = find_card(job.output)
    except IrnError:
        return False
    return card is not None and is_source(card, job.source)


def _send(job: Job, options: SendOptions, talk: Talk, *, advise: bool) -> Report:
    """Send one video and say how it went."""
    from irn_video.sender.search.choosing import goal_of, rescaler_of
    from irn_video.sender.search.peers import advice
    from irn_video.sender.sending import send

    check_output(job.output, [job.source], options.overwrite)
    aimed = goal_of(options) is not None
    with talk.phases() as phase:
        # Whoever aims at something gets what is best; a pipe can be looked at only once.
        if advise and not aimed and not talk.quiet and job.source.is_file():
            phase("looking at a few frames")(0, None)
            with suppress(IrnError):  # sending says itself what is wrong
                if found := advice(job.source, rescaler_of(options), options):
                    talk.say(found)
        advance = phase(f"sending {job.source.name}", counted=not aimed)
        result = send(job.source, job.output, options, advance=advance, say=talk.before(advance), phase=phase)
    for text in result.report.warnings:
        talk.warn(text)
    _tell(result, talk)
    return result.report


def _estimate(jobs: Sequence[Job], options: SendOptions, talk: Talk) -> None:
    """Say what would be done."""
    from irn_video.codecs.reading.inputs import as_file
    from irn_video.sender.search.choosing import choose, goal_of, rescaler_of
    from irn_video.sender.search.estimate import estimate

    found, goal = [], goal_of(options)
    with talk.phases() as phase:
        for job in jobs:
            chosen = options
            with as_file(job.source, again=True, rate=options.rate) as source:
                if goal is not None:
                    advance = phase(f"searching for {job.source.name}", counted=False)
                    ways = choose(source, options, goal, advance=advance)
                    talk.say(str(ways))
                    chosen = ways.options
                found.append((job, estimate(source, rescaler_of(chosen), chosen)))
    for job, one in found:
        talk.tell(f"{job.source} → {job.output}: {estimate_line(one)}")
    if talk.as_json:
        entries = [{"input": str(job.source), "output": str(job.output), **one.as_json()} for job, one in found]
        click.echo(json.dumps(entries, indent=1))


def _tell(result: SendResult, talk: Talk) -> None:
    stream, card = result.report.stream, result.card
    talk.tell(
        f"{result.written.path}: {stream.frames} frames, {card.width}x{card.height} sent as "
        f"{stream.width}x{stream.height}, {stream.bytes} bytes of video"
    )
    if (tuning := result.report.tuning).groups:
        spent = tuning.untuned or f"in {tuning.bytes} of these bytes, for about {tuning.gained_db:.2f} dB of PSNR"
        talk.tell(f"tuned {tuning.tuned} of {tuning.groups} groups of frames: {spent}")
    if result.report.frames:
        talk.tell(result.report.means())
    if line := reached_line(result.report):
        talk.tell(line)
    for line in peer_lines(result.report):
        talk.tell(line)
    talk.tell(result.report.outcome())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
