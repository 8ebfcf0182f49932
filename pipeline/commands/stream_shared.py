"""What the sub-commands of irn-stream share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commandline.config import settled
from irn_video.pipeline.commandline.help import option
from irn_video.pipeline.commandline.options import SCALE_WORDS, Function, as_scale, bitrate, combined, tier_option

if TYPE_CHECKING:
    from irn_video.receiver.live_statistics import LiveStatistics
    from irn_video.sender.live import LiveSendOptions


def stream_options(*, bitrate_help: str) -> Callable[[Function], Function]:
    """`--model`, `--tier`, `--scale`, `--bitrate`, `--congestion`, `--seconds`, `--size`: what is sent."""
    return combined(
        option("--model", group="Network", metavar="NAME|FILE", help="A network of irn-models list, or a file."),
        tier_option,
        option(
            "--scale",
            group="Network",
            callback=as_scale,
            metavar=SCALE_WORDS,
            default="auto",
            show_default=True,
            help="Shrink by this factor, with its network; auto is 2, 4 at low and 1.5 at high bit rates.",
        ),
        option(
            "--bitrate",
            group="Rate",
            callback=bitrate,
            default="800k",
            show_default=True,
            metavar="RATE",
            help=bitrate_help,
        ),
        option(
            "--congestion/--no-congestion",
            group="Rate",
            default=True,
            show_default=True,
            help="Send less while the receiver reports loss or delay.",
        ),
        option(
            "--seconds",
            group="Input",
            type=click.FloatRange(min=0, min_open=True),
            metavar="S",
            help="Stop after so long.",
        ),
        option("--size", group="Input", rare=True, metavar="WxH", help="Ask a device for frames of this size."),
    )


def send_options(scale: float | str, **options: Any) -> LiveSendOptions:
    """What the command line says of the sender."""
    from irn_video.pipeline.zoo.tiers import check_choice, network_of
    from irn_video.sender.live import LiveSendOptions

    options = settled(click.get_current_context(), options, "model", "tier")
    check_choice(options["model"], options["tier"])
    if options["model"] is None and not isinstance(scale, str):
        options["model"] = network_of(scale, options["tier"])
    return LiveSendOptions(**options)


def summary(found: LiveStatistics) -> str:
    """What has come, in one line."""
    words = [f"{found.restored} frames restored, {found.fps:.1f} a second, {found.kbps:.0f} kb/s"]
    if found.delay_ms is not None and found.delay_p95_ms is not None:
        words.append(f"delay {found.delay_ms:.0f} ms (95 %: {found.delay_p95_ms:.0f})")
        words.append(f"longest stall {found.stall_ms:.0f} ms")
    if found.psnr_y is not None:
        words.append(f"PSNR-Y {found.psnr_y:.2f} dB")
    counts = {name: getattr(found, name) for name in ("fallback", "late", "missing", "concealed", "refused")}
    return ", ".join([*words, *(f"{count} {name}" for name, count in counts.items() if count)])


def say(text: str) -> None:
    """To people, on stderr."""
    click.echo(text, err=True)
