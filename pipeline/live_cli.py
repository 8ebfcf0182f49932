"""The command `irn-stream`: the sender's and the receiver's live halves under one name."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commands import device_options, run_command

if TYPE_CHECKING:
    from irn_video.receiver.live import LivePicture, LiveStatistics

_LINE_SECONDS = 2.0
_MODELS = {"1": "irn-h264-x1", "2": "irn-h264-x2", "4": "irn-h264-x4"}


@click.group(name="irn-stream", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
def command() -> None:
    """Video live over a network.

    Start the receiver first:

    \b
      irn-stream receive udp://127.0.0.1:5000 --output restored.mkv
      irn-stream send input.mp4 udp://127.0.0.1:5000
    """


@command.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("url")
@click.option("--model", metavar="NAME|FILE", help="A network of irn-models list, or a file [default: irn-h264-x2].")
@click.option("--scale", type=click.Choice(list(_MODELS)), help="Shrink by this factor, with its network [default: 2].")
@click.option("--bitrate", default="800k", show_default=True, metavar="RATE", help="Kept over half a second.")
@click.option("--codec", default="h264", show_default=True, metavar="NAME", help="h264 or h265.")
@click.option("--preset", default="veryfast", show_default=True, metavar="NAME", help="Speed against compression.")
@click.option(
    "--keyint", type=click.IntRange(1), metavar="N", help="Distance of keyframes in pictures [default: a second]."
)
@click.option("--loop", is_flag=True, help="Begin anew at the end of INPUT.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long.")
@click.option("--json", "as_json", is_flag=True, help="Print what was sent as JSON.")
@device_options
def send(source: Path, url: str, as_json: bool, model: str | None, scale: str | None, **options: Any) -> None:
    """Play INPUT, a video file, in real time to URL: udp://HOST:PORT or tcp://HOST:PORT.

    The stream is H.264 in MPEG-TS at the small size, which any player shows. Ctrl-C ends it.
    """
    from irn_video.codecs.encoders import parse_bitrate
    from irn_video.codecs.live import LiveUrl
    from irn_video.sender.live import LiveSendOptions, send_live

    settings = LiveSendOptions(
        model=model or _MODELS[scale or "2"], **{**options, "bitrate": parse_bitrate(options["bitrate"])}
    )
    sent = send_live(source, LiveUrl.parse(url), settings, say=_say)
    if as_json:
        click.echo(json.dumps(asdict(sent), indent=1))
    else:
        kbps = sent.bytes * 8 / 1000 / sent.seconds if sent.seconds else 0
        skipped = f", {sent.skipped} left out because this machine was too slow" if sent.skipped else ""
        click.echo(f"{sent.pictures} pictures in {sent.seconds:.1f} s, {kbps:.0f} kb/s{skipped}")


@command.command()
@click.argument("url")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Record the restored pictures.")
@click.option(
    "--source", type=click.Path(path_type=Path), metavar="FILE", help="What is being sent: measure PSNR against it."
)
@click.option("--model", metavar="NAME|FILE", help="Weights, where those that the stream names are not installed.")
@click.option("--wait", default=60.0, show_default=True, metavar="S", help="Give up if nobody sends for so long.")
@click.option(
    "--patience",
    default=3.0,
    show_default=True,
    metavar="S",
    help="The stream has ended when nothing comes for so long.",
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long.")
@click.option("--overwrite", is_flag=True, help="Replace an existing recording.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON.")
@device_options
def receive(url: str, as_json: bool, **options: Any) -> None:
    """Restore what irn-stream send sends to URL: udp://HOST:PORT or tcp://HOST:PORT.

    HOST is the address of this machine to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all. Pictures that
    the network cannot keep up with are left out, never delayed. Ctrl-C ends it; what was recorded stays.
    """
    from irn_video.codecs.live import LiveUrl
    from irn_video.receiver.live import LiveReceiveOptions, receive_live

    found = receive_live(LiveUrl.parse(url), LiveReceiveOptions(**options), show=_lines(), say=_say)
    if as_json:
        click.echo(json.dumps({**asdict(found), "kbps": found.kbps, "fps": found.fps}, indent=1))
    else:
        click.echo(_summary(found))


def _lines() -> Callable[[LivePicture, LiveStatistics], None]:
    """A line on stderr every now and then."""
    said = time.monotonic()

    def show(_: LivePicture, so_far: LiveStatistics) -> None:
        nonlocal said
        if time.monotonic() - said >= _LINE_SECONDS:
            said = time.monotonic()
            _say(_summary(so_far))

    return show


def _summary(found: LiveStatistics) -> str:
    words = [f"{found.restored} pictures restored, {found.fps:.1f} a second, {found.kbps:.0f} kb/s"]
    if found.delay_ms is not None and found.delay_p95_ms is not None:
        words.append(f"delay {found.delay_ms:.0f} ms (95 %: {found.delay_p95_ms:.0f})")
        words.append(f"longest stall {found.stall_ms:.0f} ms")
    if found.psnr_y is not None:
        words.append(f"PSNR-Y {found.psnr_y:.2f} dB")
    counts = {name: getattr(found, name) for name in ("late", "missing", "concealed", "refused")}
    return ", ".join([*words, *(f"{count} {name}" for name, count in counts.items() if count)])


def _say(text: str) -> None:
    click.echo(text, err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
