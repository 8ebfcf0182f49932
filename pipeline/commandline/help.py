"""Help that reads in one screen: options in groups, an example, the rest under `--help-all`."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

import click
from irn_video.pipeline.commandline.completion import COMPLETED
from irn_video.pipeline.commandline.config import config_option

SETTINGS: dict[str, Any] = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}
"""What all commands have of click's settings of a context."""
_SHORT = {"--out": "-o", "--overwrite": "-y", "--quiet": "-q"}
_EVERYTHING = "irn_video.help_all"
_OTHER = "Other"


class Option(click.Option):
    """An option that knows its place in the help, its short name, and the words that the shell completes it with.

    Its help's first sentence says what it does; further ones are shown by `--help-all` alone.

    Args:
        names: as click has them; those that all commands shorten alike need no short one.
        group: the heading that it stands under.
        rare: shown by `--help-all` alone.
    """

    def __init__(self, names: Sequence[str], *, group: str = _OTHER, rare: bool = False, **attributes: Any) -> None:
        short = [_SHORT[name] for name in names if name in _SHORT]
        complete = next((COMPLETED[name] for name in names if name in COMPLETED), None)
        super().__init__([*names, *short], **{"shell_complete": complete, **attributes})
        self.group, self.rare = group, rare

    def brief_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """What click's `get_help_record` says, with the first sentence of the help."""
        record = self.get_help_record(ctx)
        if record is None or not self.help:
            return record
        return record[0], record[1].replace(self.help, re.split(r"\.\s", self.help)[0].rstrip("."), 1)


option = partial(click.option, cls=Option)
"""`click.option` that also takes `group` and `rare`, see `Option`."""


class Command(click.Command):
    """A command with this help.

    Args:
        examples: what may be written after the command's name.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)
        self.params += [config_option(), _help_all()]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first paragraph, or all of them, and the examples."""
        text = inspect.cleandoc(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text if _everything(ctx) else text.partition("\n\n")[0])
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {ctx.command_path} {example}\n" for example in self.examples))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Group by group, in the order in which the groups appear first."""
        everything = _everything(ctx)
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        shown = [p for p in options if everything or (isinstance(p, Option) and not p.rare)]
        names = list(dict.fromkeys(_group(p) for p in shown))
        for name, params in groupby(sorted(shown, key=lambda p: names.index(_group(p))), key=_group):
            if records := [record for p in params if (record := _record(p, ctx, everything)) is not None]:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the rest is."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        if not _everything(ctx):
            formatter.write_text(f"All options, and more about these: {ctx.command_path} --help-all")
            return
        name = ctx.find_root().info_name or ""
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        formatter.write_text(f'Completion of words in bash: eval "$({variable}=bash_source {name})"')


class PlainCommand(click.Command):
    """A command without this help, but with its width, its `-h` and `--config`."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)
        self.params.append(config_option())


class Group(click.Group):
    """A group of commands; those without this help have at least its width, its `-h` and what `--config` says."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)
        self.params.append(config_option())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest command where there is none of this name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := difflib.get_close_matches(args[0], self.list_commands(ctx), 1):
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            raise


def _everything(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_EVERYTHING))


def _group(param: click.Option) -> str:
    return param.group if isinstance(param, Option) else _OTHER


def _record(param: click.Option, ctx: click.Context, everything: bool) -> tuple[str, str] | None:
    if isinstance(param, Option) and not everything:
        return param.brief_record(ctx)
    return param.get_help_record(ctx)


def _help_all() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            ctx.meta[_EVERYTHING] = True
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()

    return click.Option(
        ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show all options."
    )
