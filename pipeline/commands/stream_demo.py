"""The command `irn-stream demo`."""

from __future__ import annotations

import re
import webbrowser
from functools import partial
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.extras import needing_aiohttp
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options
from irn_video.pipeline.commands.stream_shared import say, send_options, stream_options, summary


@click.command(cls=Command, examples=("input.mp4 --loss 1% --delay 50ms",))
@click.argument("source", metavar="INPUT")
@stream_options(bitrate_help="Of each of the two streams.")
@option(
    "--preset",
    group="Rate",
    rare=True,
    default="veryfast",
    show_default=True,
    metavar="NAME",
    help="Speed against compression.",
)
@option(
    "--loss",
    group="Link",
    default="0",
    show_default=True,
    metavar="SHARE",
    help="Of datagrams that the link loses: 1%.",
)
@option("--delay", group="Link", default="0", show_default=True, metavar="TIME", help="Of the link, each way: 50ms.")
@option(
    "--rate",
    "link_rate",
    group="Link",
    default="0",
    show_default=True,
    metavar="RATE",
    help="Of the link; 0: no limit.",
)
@option("--loop/--no-loop", group="Input", default=True, show_default=True, help="Begin a file anew at its end.")
@option(
    "--fps",
    group="Input",
    type=click.FloatRange(1, 240),
    metavar="FPS",
    help="Take about so many frames a second [default: all that this machine can show].",
)
@option(
    "--temperature",
    group="Network",
    type=click.FloatRange(0, 1),
    metavar="T",
    help="Of the latents [default: the network's].",
)
@option(
    "--port",
    group="Page",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Of the page [default: a free one].",
)
@option(
    "--host",
    group="Page",
    rare=True,
    default="127.0.0.1",
    show_default=True,
    help="Address at which the page is served.",
)
@option(
    "--onnxruntime",
    group="Page",
    rare=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder dist of npm's onnxruntime-web: browsers may then restore the frames themselves.",
)
@option("--open/--no-open", "browse", group="Page", default=True, show_default=True, help="Open the page in a browser.")
@device_options
def demo(
    source: str,
    loss: str,
    delay: str,
    link_rate: str,
    loop: bool,
    seconds: float | None,
    size: str | None,
    fps: float | None,
    temperature: float | None,
    port: int,
    host: str,
    onnxruntime: Path | None,
    browse: bool,
    **options: Any,
) -> None:
    """Show on a page what rescaling buys: INPUT sent live over a bad network, with a network and with Lanczos.

    INPUT is what irn-stream send takes. Both streams have the same bit rate, and run over links of this machine that
    lose, delay and hold back what they are told to. The page changes all of it. Ctrl-C ends it.
    """
    from irn_video.codecs.reading.capture import is_file
    from irn_video.pipeline.live.link import LinkConditions
    from irn_video.pipeline.live.thinning import thin_out
    from irn_video.sender.camera import Camera

    shown = needing_aiohttp("live.demo")
    conditions = LinkConditions(_share(loss), _seconds(delay), _rate(link_rate))
    settings = shown.DemoOptions(
        send=send_options(**options),
        conditions=conditions,
        host=host,
        port=port,
        temperature=temperature,
        onnxruntime=onnxruntime,
    )
    with Camera(source, loop=loop and is_file(source), seconds=seconds, size=size, fps=fps) as camera:
        if fps is None:
            thin_out(camera, settings.send, say=say)
        found = shown.demonstrate(camera, settings, opened=partial(_opened, browse=browse), say=say)
    click.echo(summary(found))


def _opened(address: str, *, browse: bool) -> None:
    say(f"open {address}")
    if browse:
        webbrowser.open(address)


def _share(text: str) -> float:
    """`1%` or `0.01`."""
    return _measure(text, {"%": 0.01, "": 1.0}, "share", "1% or 0.01")


def _seconds(text: str) -> float:
    """`50ms`, `0.05s` or `0.05`."""
    return _measure(text, {"ms": 0.001, "s": 1.0, "": 1.0}, "time", "50ms or 0.05s")


def _rate(text: str) -> int:
    from irn_video.codecs.encoders import parse_bitrate

    return 0 if text.strip() in ("0", "off") else parse_bitrate(text)


def _measure(text: str, units: dict[str, float], what: str, example: str) -> float:
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-z%]*)", text.strip().lower())
    if match is None or match[2] not in units:
        raise BadOption(f"{text!r} is no {what}", hint=f"write {example}")
    return float(match[1]) * units[match[2]]
