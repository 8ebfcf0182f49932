"""Options and arguments that measurements share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.commandline.help import option
from irn_video.pipeline.zoo import DEFAULT_MODEL

Function = TypeVar("Function", bound=Callable[..., Any])
VIDEO = click.Path(exists=True, dir_okay=False, path_type=Path)


def numbers(*, least: int = 1, highest: float = math.inf) -> Callable[[Any, click.Parameter, str], tuple[float, ...]]:
    """Callback of an option for a list such as `18,22,26`; the values are sorted, each once."""

    def parse(_: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
        try:
            values = tuple(sorted({float(part) for part in text.split(",")}))
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not a list of numbers such as 18,22,26", param=option) from error
        if len(values) < least or not 0 <= values[0] <= values[-1] <= highest:
            raise click.BadParameter(f"at least {least} different values from 0 to {highest:g}", param=option)
        return values

    return parse


def check_clips(clips: Sequence[Path], json_path: Path | None, *, overwrite: bool) -> None:
    """Refuse clips that tables could not tell apart, and a JSON file that cannot be written, before the work.

    Raises:
        BadOption: two have the same name.
        OutputRefused, UnwritableOutput: see `check_output`.
    """
    if len({clip.name for clip in clips}) < len(clips):
        raise BadOption("two clips have the same name", hint="rename one")
    if json_path is not None:
        check_output(json_path, clips, overwrite)


def sizes(_: Any, option: click.Parameter, text: str) -> tuple[tuple[int, int], ...]:
    """Callback of an option for frame sizes such as `1280x720,1920x1080`; odd ones are made even."""
    found = []
    for part in text.split(","):
        width, _x, height = part.partition("x")
        if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64):
            raise click.BadParameter(f"{part!r} is not a size such as 1920x1080", param=option)
        found.append((int(width) // 2 * 2, int(height) // 2 * 2))
    return tuple(found)


clips_argument = click.argument("clips", nargs=-1, required=True, type=VIDEO)
frames_option = click.option(
    "--frames", type=click.IntRange(1), help="Only the first so many frames of each clip [default: all]."
)
markdown_option = click.option("--markdown", is_flag=True, help="Print tables as Markdown.")


def model_option(default: str = DEFAULT_MODEL) -> Callable[[Function], Function]:
    """`--model`, one."""
    return option("--model", default=default, show_default=True, help="A network or weights file.")


def models_option(function: Function, default: Sequence[str] = (DEFAULT_MODEL,)) -> Function:
    """`--model`, any number."""
    return option(
        *("--model", "models"),
        multiple=True,
        default=default,
        show_default=True,
        help="A network or weights file; may be given several times.",
    )(function)


def json_options(function: Function) -> Function:
    """`--json` and `--overwrite`, for `write_json`."""
    function = option("--overwrite", is_flag=True, help="Replace an existing JSON file.")(function)
    path = click.Path(path_type=Path)
    return click.option("--json", "json_path", type=path, help="Write all figures here.")(function)


def write_json(path: Path, value: Any, inputs: Sequence[Path], overwrite: bool) -> None:
    """What was measured, indented."""
    with atomic_path(path, inputs, overwrite) as part:
        part.write_text(json.dumps(value, indent=1) + "\n")
