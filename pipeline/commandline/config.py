"""Defaults of the user's own: a TOML file with a table for each command, `[irn-send]`, `[irn-study.run]`. What is typed
wins.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from irn_video.codecs.errors import BadConfig, MissingFile

TABLES = tuple(
    f"irn-{name}" for name in ("send", "receive", "info", "stream", "rescale", "study", "eval", "models", "train")
)
"""Commands that have defaults."""
_FILE = "irn_video.config"


def config_option() -> click.Option:
    """`--config FILE`, which reads the defaults of the command that it stands at."""

    def read(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        path = value or ctx.meta.get(_FILE) or user_file()
        if path is None or ctx.resilient_parsing:
            return
        ctx.meta[_FILE] = path
        ctx.default_map = defaults(ctx, path)

    return click.Option(
        ["--config", "defaults_file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=read,
        help="TOML with defaults [default: irn-video/config.toml in ~/.config, if there].",
    )


def user_file() -> Path | None:
    """The user's own file, if there is one."""
    home = os.environ.get("XDG_CONFIG_HOME")
    path = (Path(home) if home else Path("~/.config").expanduser()) / "irn-video" / "config.toml"
    return path if os.path.isfile(path) else None  # noqa: PTH113 - which takes a folder without rights for none


def defaults(ctx: click.Context, path: Path) -> dict[str, Any]:
    """What a file says of a command, by the names of its parameters.

    Raises:
        MissingFile: there is no such file.
        BadConfig: not TOML, or a table or key that is not known; the nearest one is named.
    """
    table, where = _table(path), ""
    _check(table, TABLES, where, path)
    for name in _names(ctx):
        where += f"{name}."
        table = table.get(name, {}) if isinstance(table, dict) else {}
    return _of_command(ctx.command, table, where, path) if where else {}


def settled(ctx: click.Context, options: dict[str, Any], *excluding: str) -> dict[str, Any]:
    """Options of which one at most can be given: one that is typed does away with those that a file gives.

    Those have no default but None, flags False.
    """
    if not any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in excluding):
        return options
    given = {name for name in excluding if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP}
    flags = {param.name for param in ctx.command.params if isinstance(param, click.Option) and param.is_flag}
    return options | {name: False if name in flags else None for name in given}


def _of_command(command: click.Command, table: Any, where: str, path: Path) -> dict[str, Any]:
    """Values by parameters; those of sub-commands by their names, as click has them."""
    if not isinstance(table, dict):
        raise BadConfig(f"{where[:-1]} must be a table", path=path)
    options = _options(command)
    below = command.commands if isinstance(command, click.Group) else {}
    _check(table, (*options, *below), where, path)
    own = {options[key]: value for key, value in table.items() if key not in below}
    inner = {key: _of_command(below[key], table[key], f"{where}{key}.", path) for key in table.keys() & below.keys()}
    return own | inner


def _names(ctx: click.Context) -> list[str]:
    """Tables within tables: the command's own name, then those of its sub-commands."""
    names: list[str] = []
    while True:
        names.insert(0, ctx.command.name or "")
        if names[0] in TABLES:
            return names
        if ctx.parent is None:
            return []
        ctx = ctx.parent


def _options(command: click.Command) -> dict[str, str]:
    """Parameters by what is written in a file: the long option, with hyphens or underscores."""
    found: dict[str, str] = {}
    for param in command.params:
        if isinstance(param, click.Option) and param.expose_value and param.name:
            for option in param.opts:
                if option.startswith("--"):
                    found |= {option[2:]: param.name, option[2:].replace("-", "_"): param.name}
    return found


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise MissingFile("cannot read the configuration", path=path, hint=str(error.strerror)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"not valid TOML: {error}", path=path) from error


def _check(table: dict[str, Any], known: tuple[str, ...], where: str, path: Path) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else "--help-all has the names"
            raise BadConfig(f"unknown key {where}{key}", path=path, hint=hint)
