"""The command `irn-stream`: the sender's and the receiver's live halves under one name."""

from __future__ import annotations

import json
import re
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import bitrate, device_options
from irn_video.pipeline.commandline.running import run_command

if TYPE_CHECKING:
    from irn_video.receiver.live import LivePicture
    from irn_video.receiver.live_options import LiveDial
    from irn_video.receiver.live_statistics import LiveStatistics
    from irn_video.sender.live import LiveSendOptions

Show = Callable[["LivePicture", "LiveStatistics"], None]

_LINE_SECONDS = 2.0


@click.group(name="irn-stream", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
def command() -> None:
    """Video live over a network.

    Start the receiver first:

    \b
      irn-stream receive udp://127.0.0.1:5000 --output restored.mkv
      irn-stream send input.mp4 udp://127.0.0.1:5000

    Or see what it is worth, on a page: irn-stream demo input.mp4
    """


@command.command(cls=Command, examples=("input.mp4 udp://127.0.0.1:5000 --bitrate 400k",))
@click.argument("source", metavar="INPUT")
@click.argument("url")
@option("--model", group="Network", metavar="NAME|FILE", help="A network of irn-models list, or a file.")
@option(
    "--scale",
    group="Network",
    type=click.Choice(["auto", "1", "2", "4"]),
    default="auto",
    show_default=True,
    help="Shrink by this factor, with its network; auto is 2, or 4 at low bit rates.",
)
@option(
    "--bitrate",
    group="Rate",
    callback=bitrate,
    default="800k",
    show_default=True,
    metavar="RATE",
    help="Kept over half a second.",
)
@option(
    "--adapt/--no-adapt",
    group="Rate",
    default=True,
    show_default=True,
    help="Send less while the receiver reports loss or delay.",
)
@option("--codec", group="Rate", rare=True, default="h264", show_default=True, metavar="NAME", help="h264 or h265.")
@option(
    "--preset", group="Rate", default="veryfast", show_default=True, metavar="NAME", help="Speed against compression."
)
@option(
    "--keyint",
    group="Rate",
    rare=True,
    type=click.IntRange(1),
    metavar="N",
    help="Distance of keyframes in frames [default: a second].",
)
@option("--loop", group="Input", is_flag=True, help="Begin anew at the end of INPUT.")
@option(
    "--seconds", group="Input", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long."
)
@option("--size", group="Input", rare=True, metavar="WxH", help="Ask a device for frames of this size.")
@option(
    "--fps", group="Input", type=click.FloatRange(1, 240), metavar="FPS", help="Take about so many frames a second."
)
@option(
    "--sdp",
    group="Output",
    rare=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what players need to open rtp://.",
)
@option(
    "--control",
    group="Output",
    rare=True,
    is_flag=True,
    help="Obey lines on standard input: bitrate 400k, model NAME, scale 4, adapt off.",
)
@option("--overwrite", group="Output", rare=True, is_flag=True, help="Replace an existing SDP file.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print what was sent as JSON.")
@device_options
def send(
    source: str,
    url: str,
    as_json: bool,
    loop: bool,
    seconds: float | None,
    size: str | None,
    fps: float | None,
    sdp: Path | None,
    control: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Play INPUT in real time to URL: udp://HOST:PORT, or tcp, rtp or srt in place of udp.

    INPUT is a video file, - for a video on standard input, test: for a moving pattern, or a camera or screen as
    FORMAT:NAME in FFmpeg's words, such as v4l2:/dev/video0 or x11grab::0.

    The stream is H.264 in MPEG-TS at the small size, which any player shows. Ctrl-C ends it.
    """
    from irn_video.codecs.links.url import LiveUrl
    from irn_video.codecs.writing.output import atomic_path
    from irn_video.sender.camera import Camera
    from irn_video.sender.commands import obey
    from irn_video.sender.live import LiveControl, send_live

    where = LiveUrl.parse(url)
    if (sdp is not None) != (where.scheme == "rtp"):
        raise BadOption("--sdp FILE and rtp:// belong together", hint="write --sdp stream.sdp with rtp://HOST:PORT")
    if control and source == "-":
        raise BadOption("standard input cannot be both the video and the commands", hint="leave out --control")
    steered = LiveControl(_send_options(**options))
    with Camera(source, loop=loop, seconds=seconds, size=size, fps=fps) as camera:
        if sdp is not None:
            with atomic_path(sdp, overwrite=overwrite) as unfinished:
                unfinished.write_text(where.sdp)
        if control:
            obey(sys.stdin, steered, say=_say)
        sent = send_live(camera, where, steered, say=_say)
    if as_json:
        click.echo(json.dumps(asdict(sent), indent=1))
    else:
        kbps = sent.bytes * 8 / 1000 / sent.seconds if sent.seconds else 0
        skipped = f", {sent.skipped} left out because this machine was too slow" if sent.skipped else ""
        click.echo(f"{sent.frames} frames in {sent.seconds:.1f} s, {kbps:.0f} kb/s{skipped}")


def _send_options(model: str | None, scale: str, **options: Any) -> LiveSendOptions:
    from irn_video.pipeline.zoo import NETWORKS
    from irn_video.sender.live import LiveSendOptions

    if model is None and scale != "auto":
        model = NETWORKS[int(scale)]
    return LiveSendOptions(model=model, **options)


@command.command(cls=Command, examples=("udp://127.0.0.1:5000 --output restored.mkv --web 8080",))
@click.argument("url")
@option("--output", group="Output", type=click.Path(path_type=Path), metavar="FILE", help="Record the restored frames.")
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
@option(
    "--temperature",
    group="Network",
    type=click.FloatRange(0, 10),
    metavar="T",
    help="Of the latents [default: what the sender says].",
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
@option("--overwrite", group="Output", rare=True, is_flag=True, help="Replace an existing recording.")
@option("--json", "as_json", group="Output", is_flag=True, help="Print the statistics as JSON.")
@device_options
def receive(url: str, as_json: bool, display: bool, web: int | None, host: str, **options: Any) -> None:
    """Restore what irn-stream send sends to URL: udp://HOST:PORT, or tcp, rtp or srt in place of udp.

    HOST is the address of this machine to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all. Frames that
    the network cannot keep up with are enlarged by Lanczos or left out, never delayed. Ctrl-C ends it; what was
    recorded stays.
    """
    from irn_video.codecs.links.url import LiveUrl
    from irn_video.receiver.live import receive_live
    from irn_video.receiver.live_options import LiveDial, LiveReceiveOptions

    where, settings = LiveUrl.parse(url), LiveReceiveOptions(**options)
    shows, dial = [_lines()], LiveDial(settings.temperature)
    with ExitStack() as stack:
        if display:
            shows.append(_in_window(dial))
        if web is not None:
            watch = _page().Watch(host, dial)
            _say(f"open {stack.enter_context(watch.running(web))}")
            shows.append(watch.show)
        found = receive_live(where, settings, dial=dial, show=_all(shows), say=_say)
    if as_json:
        click.echo(json.dumps({**asdict(found), "kbps": found.kbps, "fps": found.fps}, indent=1))
    else:
        click.echo(_summary(found))


@command.command(cls=Command, examples=("input.mp4 --loss 1% --delay 50ms",))
@click.argument("source", metavar="INPUT")
@option("--model", group="Network", metavar="NAME|FILE", help="A network of irn-models list, or a file.")
@option(
    "--scale",
    group="Network",
    type=click.Choice(["auto", "1", "2", "4"]),
    default="auto",
    show_default=True,
    help="Shrink by this factor, with its network; auto is 2, or 4 at low bit rates.",
)
@option(
    "--bitrate",
    group="Rate",
    callback=bitrate,
    default="800k",
    show_default=True,
    metavar="RATE",
    help="Of each of the two streams.",
)
@option(
    "--adapt/--no-adapt",
    group="Rate",
    default=True,
    show_default=True,
    help="Send less while the receiver reports loss or delay.",
)
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
@option("--once", group="Input", is_flag=True, help="End with INPUT; a file begins anew otherwise.")
@option(
    "--seconds", group="Input", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long."
)
@option("--size", group="Input", rare=True, metavar="WxH", help="Ask a device for frames of this size.")
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
    once: bool,
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

    page = _page("demo")
    conditions = LinkConditions(_share(loss), _seconds(delay), _rate(link_rate))
    settings = page.DemoOptions(
        send=_send_options(**options),
        conditions=conditions,
        host=host,
        port=port,
        temperature=temperature,
        onnxruntime=onnxruntime,
    )
    loop = not once and is_file(source)
    with Camera(source, loop=loop, seconds=seconds, size=size, fps=fps) as camera:
        if fps is None:
            thin_out(camera, settings.send, say=_say)
        found = page.demonstrate(camera, settings, opened=partial(_opened, browse=browse), say=_say)
    click.echo(_summary(found))


def _page(name: str = "watch") -> Any:
    """The part of the page that is needed; aiohttp is an extra."""
    try:
        return import_module(f"irn_video.pipeline.live.{name}")
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise BadOption("the page needs aiohttp", hint="pip install aiohttp") from error


def _opened(address: str, *, browse: bool) -> None:
    _say(f"open {address}")
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


def _all(shows: Sequence[Show]) -> Show:
    """Show in all ways."""

    def show(picture: LivePicture, so_far: LiveStatistics) -> None:
        for one in shows:
            one(picture, so_far)

    return show


def _in_window(dial: LiveDial) -> Show:
    from irn_video.receiver.window import Window

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
            _say(_summary(so_far))

    return show


def _summary(found: LiveStatistics) -> str:
    words = [f"{found.restored} frames restored, {found.fps:.1f} a second, {found.kbps:.0f} kb/s"]
    if found.delay_ms is not None and found.delay_p95_ms is not None:
        words.append(f"delay {found.delay_ms:.0f} ms (95 %: {found.delay_p95_ms:.0f})")
        words.append(f"longest stall {found.stall_ms:.0f} ms")
    if found.psnr_y is not None:
        words.append(f"PSNR-Y {found.psnr_y:.2f} dB")
    counts = {name: getattr(found, name) for name in ("fallback", "late", "missing", "concealed", "refused")}
    return ", ".join([*words, *(f"{count} {name}" for name, count in counts.items() if count)])


def _say(text: str) -> None:
    click.echo(text, err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
