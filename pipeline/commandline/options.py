"""Option groups that commands share; each option has the name of a field in `pipeline.options`.

This module must not import PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from irn_video.codecs.errors import BadOption
from irn_video.codecs.scales import SCALES, parse_scale
from irn_video.pipeline.commandline.help import option
from irn_video.pipeline.zoo.looks import LOOKS
from irn_video.pipeline.zoo.tiers import TIERS

_MOMENT = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
SCALE_WORDS = "|".join((*(f"{scale:g}" for scale in SCALES), "auto"))
"""What `--scale` takes."""
Function = TypeVar("Function", bound=Callable[..., Any])


def bitrate(context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """What click's `callback` makes of `800k`: bit/s, see `parse_bitrate`."""
    if value is None or context.resilient_parsing:  # the shell completes a word, and should not wait
        return None
    from irn_video.codecs.encoders import parse_bitrate

    return parse_bitrate(value)


def moment(_context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """What click's `callback` makes of `90`, `90s`, `1:30` or `0:01:30`: seconds.

    Raises:
        BadParameter: none of these.
    """
    if value is None:
        return None
    match = _MOMENT.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is no time: write 90, 1:30 or 0:01:30", param=parameter)
    return 3600 * int(match[1] or 0) + 60 * int(match[2] or 0) + float(match[3])


def frame_rate(_context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """What click's `callback` makes of `24`, `23.976` or `24000/1001`: frames per second.

    Raises:
        BadParameter: none of these.
    """
    try:
        return None if value is None else float(Fraction(value.strip()))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is no frame rate: write 24 or 24000/1001", param=parameter) from error


def as_scale(_context: click.Context, parameter: click.Parameter, value: str | None) -> float | str | None:
    """What click's `callback` makes of `2`, `1.5`, `3/2` or `auto`: see `parse_scale`.

    Raises:
        BadParameter: none of these.
    """
    if value is None or value == "auto":
        return value
    try:
        return parse_scale(value)
    except BadOption as error:
        raise click.BadParameter(f"{error.what}: {SCALE_WORDS}", param=parameter) from error


def part_options(function: Function) -> Function:
    """`--start`, `--duration` and `--rate`."""
    here = partial(option, group="Input", callback=moment, metavar="TIME")
    return combined(
        here("--start", help="Send from this time on: seconds, or [H:]M:S."),
        here("--duration", help="Send so much: seconds, or [H:]M:S."),
        option(
            "--rate",
            group="Input",
            rare=True,
            callback=frame_rate,
            metavar="FPS",
            help="Frames per second of numbered pictures (frames/%05d.png) or of a folder of them: 24, 24000/1001.",
        ),
    )(function)


def device_options(function: Function) -> Function:
    """`--device` and `--precision`."""
    return combined(
        option(
            "--device",
            group="Device",
            default="auto",
            show_default=True,
            metavar="auto|cpu|cuda[:N]",
            help="Where the network runs; torch, onnx:NAME too.",
        ),
        option(
            "--precision",
            group="Device",
            rare=True,
            default="auto",
            show_default=True,
            metavar="auto|fp32|bf16|fp16",
            help="Arithmetic of the convolutions. auto: fp32 on a CPU, on a GPU the fastest it computes natively.",
        ),
    )(function)


def tier_option(function: Function) -> Function:
    """`--tier`."""
    return option(
        "--tier",
        group="Network",
        type=click.Choice(list(TIERS)),
        help="The network by its speed: lite is the quickest, base restores best. What counts is the work of the "
        "receiver. It is in place of --model; scale 2 has all tiers, the others have base alone.",
    )(function)


def look_option(text: str, *, rare: bool = False) -> Callable[[Function], Function]:
    """`--look`."""
    return option("--look", group="Network", rare=rare, type=click.Choice(list(LOOKS)), help=text)


def latent_options(
    *, temperature_help: str, seed_help: str, seed: int | None = 0, rare: bool = False
) -> Callable[[Function], Function]:
    """`--temperature` and `--seed`; `seed` is the default, None where something else knows it."""
    return combined(
        option("--temperature", group="Network", rare=rare, type=float, metavar="T", help=temperature_help),
        option(
            "--seed",
            group="Network",
            rare=True,
            type=click.IntRange(0, 2**63 - 1),
            default=seed,
            show_default=seed is not None,
            metavar="N",
            help=seed_help,
        ),
    )


def encoder_options(*, group: str, crf_help: str, preset_help: str) -> Callable[[Function], Function]:
    """`--crf`, `--bitrate`, `--preset`, `--codec`, `--lossless`, `--tune`, `--pix-fmt`, `--keyint`."""
    here = partial(option, group=group)
    return combined(
        here("--crf", type=float, metavar="N", help=crf_help),
        here("--bitrate", callback=bitrate, metavar="RATE", help="Mean bit rate, such as 800k or 2M, in place of CRF."),
        here("--preset", metavar="NAME", help=preset_help),
        here(
            "--codec",
            default="h264",
            show_default=True,
            metavar="NAME",
            help="h264, h265, av1 or ffv1 (lossless). h264_nvenc, hevc_nvenc, av1_nvenc with an NVIDIA GPU. avc, x264, "
            "hevc, x265 and svtav1 are understood too. .y4m files are raw, numbered pictures png, whatever this says.",
        ),
        here("--lossless", rare=True, is_flag=True, help="Keep every sample. Large files."),
        here("--tune", rare=True, metavar="NAME", help="The codec's tuning, such as film or zerolatency."),
        here(
            "--pix-fmt",
            "pixel_format",
            rare=True,
            metavar="NAME",
            help="yuv420p, yuv444p, yuv420p10le, … [default: the source's].",
        ),
        here(
            "--keyint",
            rare=True,
            type=int,
            metavar="N",
            help="Largest distance of keyframes, in frames [default: the codec's].",
        ),
    )


def video_options(function: Function) -> Function:
    """`--stream`, `--frames`, `--out`, `--format`, `--fragmented`, `--overwrite`, `--resume`, `--quiet`, `--json`."""
    return combined(
        option(
            "--stream",
            group="Input",
            rare=True,
            type=click.IntRange(0),
            metavar="N",
            help="Which video stream of the input, counted from 0 [default: the one a player shows].",
        ),
        option(
            "--frames",
            group="Input",
            type=click.IntRange(1),
            metavar="N",
            help="Only the first N frames.",
        ),
        option(
            "--out",
            group="Output",
            type=click.Path(path_type=Path),
            metavar="DIR|FILE",
            help="Work on all INPUTs, into files of their names in DIR, or write FILE. DIR is made where it is "
            "missing, outputs end in .mkv where the input's kind of file cannot be written. For one INPUT, a name that "
            "ends like those of videos, such as .mp4, is a FILE.",
        ),
        option(
            "--format",
            group="Output",
            rare=True,
            metavar="NAME",
            help="mp4, mov, matroska, webm, mpegts or y4m, whatever the name of OUTPUT ends in. Of - (standard "
            "output) it is matroska from irn-send, y4m from irn-receive, where nothing is said.",
        ),
        option(
            "--fragmented",
            group="Output",
            rare=True,
            is_flag=True,
            help="Write MP4 in fragments, which can be read before it is finished.",
        ),
        option("--overwrite", group="Output", is_flag=True, help="Replace existing output files."),
        option(
            "--resume",
            group="Output",
            rare=True,
            is_flag=True,
            help="Skip what is finished. That is an output that exists, for irn-send one that was made of this INPUT.",
        ),
        option("--quiet", group="Output", rare=True, is_flag=True, help="Say nothing but errors."),
        option(
            "--json",
            "as_json",
            group="Output",
            is_flag=True,
            help="Print the report on stdout as JSON. With --out, a list of what became of each input.",
        ),
    )(function)


def paths_argument(function: Function) -> Function:
    """`INPUT [OUTPUT]`, or any number of inputs and `--out`, see `jobs_of`."""
    words = "INPUT [OUTPUT] | INPUT... --out DIR"
    return click.argument("paths", metavar=words, nargs=-1, required=True, type=click.Path(path_type=Path))(function)


def combined(*options: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Several options as one decorator, in this order."""

    def decorate(function: Function) -> Function:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate
