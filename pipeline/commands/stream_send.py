"""The command `irn-stream send`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options
from irn_video.pipeline.commands.stream_shared import say, send_options, stream_options


@click.command(cls=Command, examples=("input.mp4 udp://127.0.0.1:5000 --bitrate 400k",))
@click.argument("source", metavar="INPUT")
@click.argument("url")
@stream_options(bitrate_help="Kept over half a second.")
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
@option("--loop/--no-loop", group="Input", default=False, show_default=True, help="Begin a file anew at its end.")
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
    help="Obey lines on standard input: bitrate 400k, model NAME, tier base, scale 4, congestion off.",
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
    steered = LiveControl(send_options(**options))
    with Camera(source, loop=loop, seconds=seconds, size=size, fps=fps) as camera:
        if sdp is not None:
            with atomic_path(sdp, overwrite=overwrite) as unfinished:
                unfinished.write_text(where.sdp)
        if control:
            obey(sys.stdin, steered, say=say)
        sent = send_live(camera, where, steered, say=say)
    if as_json:
        click.echo(json.dumps(asdict(sent), indent=1))
    else:
        kbps = sent.bytes * 8 / 1000 / sent.seconds if sent.seconds else 0
        skipped = f", {sent.skipped} left out because this machine was too slow" if sent.skipped else ""
        click.echo(f"{sent.frames} frames in {sent.seconds:.1f} s, {kbps:.0f} kb/s{skipped}")
