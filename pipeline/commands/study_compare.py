"""The command `irn-study compare`: of two studies, or blind, of videos."""

from __future__ import annotations

import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.help import Command, option

if TYPE_CHECKING:
    from irn_video.pipeline.blind.scores import Scores

_FOLDER = click.Path(path_type=Path, file_okay=False)
_GROUP = "Blind comparison"
_QUESTION = "Which looks more like a real video?"
_REFERENCES = ("shown", "hidden", "off")


@click.command(cls=Command, examples=("before after", "--blind clips", "--blind clips --scores"))
@click.argument("folders", nargs=-1, type=_FOLDER, metavar="BEFORE AFTER | --blind DIR")
@option(
    "--blind",
    group=_GROUP,
    type=_FOLDER,
    metavar="DIR",
    help="Serve a page that compares the videos in DIR. DIR has a folder for each clip and in it a video for each "
    "method, such as DIR/tennis/x2.mkv and DIR/tennis/full.mkv; source.mkv is what they were made from.",
)
@option("--scores", group=_GROUP, is_flag=True, help="Print the scores of all answers in DIR. Nothing is served then.")
@option("--ask", group=_GROUP, default=_QUESTION, show_default=True, metavar="TEXT", help="The question.")
@option("--observer", group=_GROUP, default="", metavar="NAME", help="Who answers; the page asks for it too.")
@option(
    "--repeats",
    group=_GROUP,
    type=click.IntRange(1, 20),
    default=2,
    show_default=True,
    metavar="N",
    help="Show each two methods of a clip N times. Sides are swapped each time.",
)
@option(
    "--reference",
    group=_GROUP,
    type=click.Choice(_REFERENCES),
    default="shown",
    show_default=True,
    help="The source: shown while a key is held, or hidden among the methods.",
)
@option("--seed", group=_GROUP, type=int, default=0, show_default=True, metavar="N", help="Of order and sides.")
@option(
    "--port",
    group=_GROUP,
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Of the page [default: a free one].",
)
@option("--open/--no-open", "browse", group=_GROUP, default=True, show_default=True, help="Open it in a browser.")
@click.pass_context
def compare(ctx: click.Context, /, folders: tuple[Path, ...], blind: Path | None, scores: bool, **options: Any) -> None:
    """What changed from the study in BEFORE to that in AFTER: BD-rate of each method against itself, by clip. Or, with
    --blind, which of two videos people prefer.

    The page shows two methods of a clip at a time, side by side or in place, and hides which is which. Answers are
    written to DIR/answers.jsonl as they are given: stopped with Ctrl-C, the same command goes on. After the last
    one the page, the terminal and DIR/scores.json have Bradley-Terry scores, over the answers of all files
    DIR/answers*.jsonl.
    """
    if blind is None:
        _compare_studies(ctx, folders)
    elif folders:
        raise BadOption("--blind excludes two studies", hint="give one of them")
    elif scores:
        _print_scores(blind)
    else:
        _serve(blind, **options)


def _compare_studies(ctx: click.Context, folders: tuple[Path, ...]) -> None:
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and isinstance(param, click.Option) and param.expose_value:
            raise BadOption(f"{param.opts[0]} goes with --blind DIR")
    if len(folders) != 2:
        raise BadOption(f"two studies are needed, not {len(folders)}", hint="compare BEFORE AFTER, or --blind DIR")

    from irn_video.pipeline.study.report import changes
    from irn_video.pipeline.study.results import read_results

    before, after = folders
    for line in changes(read_results(before), read_results(after)):
        click.echo(line)


def _print_scores(folder: Path) -> None:
    from irn_video.codecs.errors import StudyFailed
    from irn_video.pipeline.blind.answers import read_answers
    from irn_video.pipeline.blind.scores import describe, score, write_scores

    found = score(read_answers(folder))
    if not found:
        raise StudyFailed("there are no answers", path=folder, hint="answers.jsonl has them once some are given")
    write_scores(folder, found)
    click.echo(describe(found))


def _serve(
    folder: Path,
    *,
    ask: str,
    observer: str,
    repeats: int,
    reference: str,
    seed: int,
    port: int,
    browse: bool,
) -> None:
    from irn_video.pipeline.blind.entrants import Reference, find_clips
    from irn_video.pipeline.blind.session import Plan
    from irn_video.pipeline.commandline.extras import needing_aiohttp

    server = needing_aiohttp("blind.server")
    plan = Plan(clips=find_clips(folder, Reference(reference)), question=ask, repeats=repeats, seed=seed)
    blind = server.BlindServer(folder, plan, observer, server.Listener(_say, _finished))
    with blind.serving(port) as address:
        _say(f"open {address} (Ctrl-C ends it; answers are kept)")
        if browse:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # the way to end it
            threading.Event().wait()
    for line in blind.unfinished():
        _say(f"{line}; the same command goes on")


def _finished(found: list[Scores]) -> None:
    from irn_video.pipeline.blind.scores import describe

    click.echo(describe(found))


def _say(text: str) -> None:
    click.echo(text, err=True)
