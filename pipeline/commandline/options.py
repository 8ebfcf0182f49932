"""Option groups that commands share; each option has the name of a field in `pipeline.options`.

This module must not import PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def bitrate(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """What click's `callback` makes of `800k`: bit/s, see `parse_bitrate`."""
    from irn_video.codecs.encoders import parse_bitrate

    return parse_bitrate(value) if value is not None else None


def device_options(function: Function) -> Function:
    """`--device` and `--precision`."""
    function = click.option(
        "--precision",
        default="auto",
        show_default=True,
        metavar="auto|fp32|bf16|fp16",
        help="Arithmetic of the convolutions; auto takes the fastest that the processor computes natively.",
    )(function)
    return click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where the network runs."
    )(function)


def latent_options(*, temperature_help: str, seed_help: str, seed: int | None = 0) -> Callable[[Function], Function]:
    """`--temperature` and `--seed`; `seed` is the default, None where something else knows it."""
    temperature_option = click.option("--temperature", type=float, metavar="T", help=temperature_help)
    seed_option = click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=seed,
        show_default=seed is not None,
        metavar="N",
        help=seed_help,
    )
    return lambda function: temperature_option(seed_option(function))


def encoder_options(*, crf_help: str, preset_help: str) -> Callable[[Function], Function]:
    """`--codec`, `--crf`, `--bitrate`, `--lossless`, `--preset`, `--tune`, `--pix-fmt`, `--keyint`."""
    options = (
        click.option(
            "--codec",
            default="h264",
            show_default=True,
            metavar="NAME",
            help="h264, h265, av1, ffv1 (lossless), or h264_nvenc, hevc_nvenc, av1_nvenc with an NVIDIA GPU.",
        ),
        click.option("--crf", type=float, metavar="N", help=crf_help),
        click.option(
            "--bitrate",
            callback=bitrate,
            metavar="RATE",
            help="Mean bit rate in bit/s, such as 800k or 2M, instead of --crf.",
        ),
        click.option("--lossless", is_flag=True, help="Keep every sample; large files."),
        click.option("--preset", metavar="NAME", help=preset_help),
        click.option("--tune", metavar="NAME", help="The codec's tuning, such as film or zerolatency."),
        click.option(
            "--pix-fmt",
            "pixel_format",
            metavar="NAME",
            help="yuv420p, yuv444p, yuv420p10le, … [default: the source's].",
        ),
        click.option(
            "--keyint", type=int, metavar="N", help="Largest distance of keyframes, in pictures [default: the codec's]."
        ),
    )

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def video_options(function: Function) -> Function:
    """`--stream`, `--frames`, `--overwrite`, `--json`."""
    for option in reversed(
        (
            click.option(
                "--stream",
                type=click.IntRange(0),
                metavar="N",
                help="Which video stream of the input, counted from 0 [default: the one a player shows].",
            ),
            click.option(
                "--frames", type=click.IntRange(1), metavar="N", help="Only the first N pictures [default: all]."
            ),
            click.option("--overwrite", is_flag=True, help="Replace existing output files."),
            click.option("--json", "as_json", is_flag=True, help="Print the report on stdout as JSON."),
        )
    ):
        function = option(function)
    return function
