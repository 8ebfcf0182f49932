"""What irn-send can be asked for in place of a CRF, and what it says about that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from irn_video.pipeline.commandline.help import option
from irn_video.pipeline.commandline.options import combined

if TYPE_CHECKING:
    from irn_video.pipeline.quality.entries import Peer
    from irn_video.pipeline.quality.report import Report
    from irn_video.sender.search.estimate import Estimate


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    from irn_video.sender.search.goal import parse_size

    return parse_size(value) if value is not None else None


aim_options = combined(
    option("--vmaf", group="Rate", type=float, metavar="V", help="Aim at this mean VMAF, with the fewest bits."),
    option("--vmaf-neg", group="Rate", rare=True, type=float, metavar="V", help="Likewise, mean VMAF-NEG."),
    option("--psnr", group="Rate", type=float, metavar="DB", help="Likewise, mean PSNR-Y."),
    option(
        "--size",
        group="Rate",
        callback=_size,
        metavar="SIZE",
        help="Aim at a file of this size, such as 20M, with the best quality. What is aimed at is searched for on "
        "samples of INPUT: network, scale and CRF, or plain coding where that is best. So it is for --bitrate where "
        "neither --model nor --scale is given; both narrow the search.",
    ),
)


def advice_options(function: click.decorators.FC) -> click.decorators.FC:
    """`--dry-run`, `--no-advice`."""
    return combined(
        option("--dry-run", group="Output", is_flag=True, help="Say what would be done, and about how large and long."),
        option(
            "--no-advice",
            "advise",
            group="Output",
            rare=True,
            flag_value=False,
            default=True,
            help="Do not look whether plain coding would be smaller.",
        ),
    )(function)


def peer_lines(report: Report) -> Iterator[str]:
    """What other ways need for the same quality, a line for each metric."""
    from irn_video.pipeline.quality.metrics import metric_label

    rate = report.stream.kbps
    for metric in dict.fromkeys(peer.metric for peer in report.peers):
        told = "; ".join(_told(peer, rate) for peer in report.peers if peer.metric == metric)
        yield f"for the same {metric_label(metric)}, by samples: {told}"


def reached_line(report: Report) -> str:
    """The quality that samples of the stream have; nothing where nothing was aimed at."""
    from irn_video.pipeline.quality.metrics import metric_label

    if report.search is None or report.search.reached is None:
        return ""
    wanted = f" (wanted: {report.search.wanted:.2f})" if report.search.wanted is not None else ""
    return f"{metric_label(report.search.metric)} of sampled frames: {report.search.reached:.2f}{wanted}"


def estimate_line(found: Estimate) -> str:
    """What would be done."""
    rate = f"CRF {found.crf:g}" if found.crf is not None else "lossless" if found.bitrate is None else "mean bit rate"
    parts = [f"{found.model} at {found.width}x{found.height}, {found.codec}, {rate}", f"about {found.kbps:.0f} kb/s"]
    if found.bytes is not None and found.seconds is not None:
        parts += [f"{found.bytes / 1e6:.3g} MB", f"{found.seconds:.0f} s of work"]
    return ", ".join(parts) + " (by samples; nothing was written)"


def _told(peer: Peer, rate: float | None) -> str:
    name = "plain coding at full size" if peer.model == "lanczos-x1" else f"the Lanczos pair ({peer.model})"
    if peer.rate is None:
        return f"{name} does not reach it"
    more = f"{round(100 * (peer.rate - 1)):+d} %".replace("-", "−")
    return f"{name} {f'{peer.rate * rate:.0f} kb/s, ' if rate else ''}{more}"
