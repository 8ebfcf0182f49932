"""Configuration files: TOML into a frozen dataclass, every key and type checked."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from irn_video.codecs.errors import BadConfig, BadOption, BadWeights, MissingFile

Config = TypeVar("Config")
_PLURALS = {str: "strings", int: "whole numbers", float: "numbers", Path: "paths"}


def read_toml(kind: type[Config], path: Path) -> Config:
    """Read a TOML file into the dataclass `kind`; tables become the dataclasses of its fields.

    Paths are those of strings, taken from the folder of the file where they are not absolute.

    Raises:
        MissingFile: there is no such file.
        BadConfig: not TOML, an unknown key (the nearest known one is named), a wrong type or value.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise MissingFile("cannot read the configuration", path=path, hint=str(error.strerror)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"not valid TOML: {error}", path=path) from error
    try:
        config: Config = _from_table(kind, table, "", path.parent)
    except (BadConfig, BadOption, BadWeights) as error:
        raise BadConfig(error.what, path=path, hint=error.hint) from error
    return config


def _from_table(kind: type[Any], table: dict[str, Any], where: str, folder: Path) -> Any:
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise BadConfig(f"unknown key {where}{key}", hint=f"did you mean {near[0]}?" if near else None)
    for name, entry in fields.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise BadConfig(f"{where}{name} is missing")
    return kind(**{key: _convert(hints[key], value, where + key, folder) for key, value in table.items()})


def _convert(hint: Any, value: Any, where: str, folder: Path) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise BadConfig(f"{where} must be a table")
        return _from_table(hint, value, where + ".", folder)  # type: ignore[arg-type]
    if get_origin(hint) in (Union, UnionType):  # something or None, and TOML has no None
        return _convert(next(kind for kind in get_args(hint) if kind is not type(None)), value, where, folder)
    if get_origin(hint) is tuple:
        return _convert_list(hint, value, where, folder)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return folder / value
    choices = get_args(hint)
    if choices and value not in choices:
        raise BadConfig(f"{where} must be one of {', '.join(map(repr, choices))}")
    if not choices and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise BadConfig(f"{where} must be of type {hint.__name__}, not {type(value).__name__}")
    return value


def _convert_list(hint: Any, value: Any, where: str, folder: Path) -> tuple[Any, ...]:
    kind, *rest = get_args(hint)
    count = "" if Ellipsis in rest else f"{1 + len(rest)} "
    wrong = BadConfig(f"{where} must be a list of {count}{_PLURALS.get(kind, 'tables')}")
    if not isinstance(value, list) or not value or (count and len(value) != 1 + len(rest)):
        raise wrong
    if dataclasses.is_dataclass(kind):
        return tuple(_convert(kind, item, where, folder) for item in value)
    try:
        return tuple(_convert(kind, item, where, folder) for item in value)
    except BadConfig:
        raise wrong from None
