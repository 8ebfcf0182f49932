"""The command `irn-stream receive`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commandline.extras import needing_aiohttp
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options, look_option
from irn_video.pipeline.commands.stream_shared import say, summary

if TYPE_CHECKING:
    from irn_video.receiver.live import LivePicture
    from irn_video.receiver.live_options import LiveDial
    from irn_video.receiver.live_statistics import LiveStatistics

Show = Callable[["LivePicture", "LiveStatistics"], None]
_LINE_SECONDS = 2.0


@click.command(cls=Command, examples=("udp://127.0.0.1:5000 restored.mkv --web 8080",))
@click.argument("url")
@click.argument("output", type=click.Path(path_type=Path), required=False)
@option(
    "--source",
    group="Measuring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What is being sent: measure PSNR against it.",
)
@option(
    "--model",
    group="Network",
    metavar="NAME|FILE",
    help="Weights, where those that the stream names are not installed.",
)
@option(
    "--wait", group="Input", default=60.0, show_default=True, metavar="S", help="Give up if nobody sends for so long."
)
@option(
    "--patience",
    group="Input",
    rare=True,
    default=3.0,
    show_default=True,
    metavar="S",
    help="The stream has ended when nothing comes for so long.",
)
@option(
    "--seconds", group="Input", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long."
)
@look_option("Of networks that have several: see irn receive --help [default: what the sender says].")
@option(
    "--temperature",
    group="Network",
    rare=True,
    type=click.FloatRange(0, 10),
    metavar="T",
    help="Of the latents [default: the look's].",
)
@option(
    "--fallback",
    group="Network",
    type=click.Choice(["lanczos", "drop"]),
    default="lanczos",
    show_default=True,
    help="What becomes of frames that the network has no time for.",
)
@option("--display", group="Output", is_flag=True, help="Show the restored frames in a window; q closes it.")
@option(
    "--web",
    group="Output",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Show them on a page; 0 takes a free port.",
)
@option(
    "--host",
    group="Output",
    rare=True,
    default="127.0.0.1",
    show_default=True,
    help="Address at which the page is served.",
)
@option("--overwrite", group="Output", rare=True, is_flag=True, help="Replace an existing OUTPUT.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print the statistics as JSON.")
@device_options
def receive(url: str, as_json: bool, display: bool, web: int | None, host: str, **options: Any) -> None:
    """Restore what irn-stream send sends to URL: udp://HOST:PORT, or tcp, rtp or srt in place of udp.

    HOST is the address of this machine to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all. OUTPUT, if
    named, is a video file to record the restored frames to. Frames that the network cannot keep up with are enlarged
    by Lanczos or left out, never delayed. Ctrl-C ends it; what was recorded stays.
    """
    from irn_video.codecs.links.url import LiveUrl
    from irn_video.receiver.live import receive_live
    from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions

    where, settings = LiveUrl.parse(url), LiveReceiveOptions(**options)
    shows, dial = [_lines()], LiveDial(settings.temperature)
    advice: list[str] = []
    with ExitStack() as stack:
        if display:
            shows.append(_in_window(dial))
        if web is not None:
            watch = needing_aiohttp("live.watch").Watch(host, dial, measured=settings.source is not None)
            say(f"open {stack.enter_context(watch.running(web))}")
            shows.append(watch.show)
        found = receive_live(where, settings, dial=dial, show=_all(shows), say=say, advise=advice.append)
    for text in advice:
        say(f"note: {text}")
    if as_json:
        told = {**asdict(found), "kbps": found.kbps, "fps": found.fps, "advice": next(iter(advice), None)}
        click.echo(json.dumps(told, indent=1))
    else:
        click.echo(summary(found))


def _all(shows: Sequence[Show]) -> Show:
    """Show in all ways."""

    def show(picture: LivePicture, so_far: LiveStatistics) -> None:
        for one in shows:
            one(picture, so_far)

    return show


def _in_window(dial: LiveDial) -> Show:
    from irn_video.receiver.window import Window, check_screen

    check_screen("use --web 8000 and a browser")
    window = Window()

    def show(picture: LivePicture, _: LiveStatistics) -> None:
        if window.show(picture.picture):
            dial.ended.set()

    return show


def _lines() -> Show:
    """A line on stderr every now and then."""
    said = time.monotonic()

    def show(_: LivePicture, so_far: LiveStatistics) -> None:
        nonlocal said
        if time.monotonic() - said >= _LINE_SECONDS:
            said = time.monotonic()
            say(summary(so_far))

    return show
