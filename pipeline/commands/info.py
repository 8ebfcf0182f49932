"""The command `irn-info`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from irn_video.codecs.errors import MissingCard
from irn_video.pipeline.commandline.help import Command, option
from irn_video.pipeline.commandline.options import device_options
from irn_video.pipeline.commandline.running import run_command

if TYPE_CHECKING:
    from irn_video.codecs.bitstream.card import StreamCard
    from irn_video.pipeline.inspection import Speed, StreamInfo


@click.command(
    name="irn-info",
    short_help="Say what a small stream is, weighs and takes to play.",
    cls=Command,
    examples=("out_lr.mp4", "out_lr.mp4 --no-speed --json"),
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option(
    "--stream",
    group="Input",
    rare=True,
    type=click.IntRange(0),
    metavar="N",
    help="Which video stream of the file, counted from 0 [default: the one a player shows].",
)
@option(
    "--frames",
    group="Input",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    metavar="N",
    help="Decode the first N frames for their quantisers.",
)
@option(
    "--speed/--no-speed",
    group="Input",
    default=True,
    show_default=True,
    help="Restore some frames and say how quickly. That takes a few seconds.",
)
@option("--json", "as_json", group="Output", is_flag=True, help="Print it on stdout as JSON. Its keys: docs/info.md.")
@device_options
@click.version_option(package_name="irn-video")
def command(
    file: Path, stream: int | None, frames: int, speed: bool, as_json: bool, device: str, precision: str
) -> None:
    """Say what FILE, an LR stream made by irn-send, is: its card, its size by part, what playing it takes here.

    A plain video is described as far as it can be, and the exit code is 1.
    """
    from irn_video.pipeline.inspection import inspect_stream
    from irn_video.pipeline.options import DeviceOptions

    where = DeviceOptions(device=device, precision=precision)
    found = inspect_stream(file, stream=stream, frames=frames, speed=speed, device=where)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        for name, text in _lines(found):
            click.echo(f"{name:<11} {text}")
    if found.card is None:
        raise MissingCard(
            "a plain video, with no stream card inside",
            path=file,
            hint="irn-send makes an LR stream of it; if it was one and was encoded again, irn-receive --model "
            "NAME restores it",
        )


def _lines(found: StreamInfo) -> Iterator[tuple[str, str]]:
    video, packets = found.video, found.packets
    size = f"{video.width}x{video.height} {video.codec}, {video.layout} at {video.bit_depth} bits"
    yield "video", size
    if found.card is not None:
        yield from _card_lines(found.card, found.trouble)
    length = f"{packets.frames} frames"
    if video.duration_seconds is not None:
        length += f", {video.duration_seconds:.2f} s"
    if video.frame_rate is not None:
        length += f", {float(video.frame_rate):.4g} a second"
    keyframes = f"{len(packets.groups)} keyframe{'s' * (len(packets.groups) != 1)}"
    yield "length", f"{length}; {keyframes}, at most {max(packets.groups, default=0)} frames apart"
    if (q := found.quantisers) is not None:
        yield "quantisers", f"mean {q.mean:.1f}, {q.least:.1f} to {q.most:.1f}, of {q.frames} frames"
    if tuned := [size for size in packets.tuned_bytes if size]:
        yield "tuned", f"{len(tuned)} of {len(packets.tuned_bytes)} groups of frames, {sum(tuned)} bytes"
    parts = [
        ("video", packets.video_bytes),
        ("stream cards", packets.card_bytes),
        ("tuned weights", sum(packets.tuned_bytes)),
        *(("other video" if kind == "video" else kind, size) for kind, size in packets.other_bytes.items()),
        ("container", packets.container_bytes),
    ]
    words = ", ".join(f"{name} {size}" for name, size in parts if size)
    yield "bytes", f"{packets.file_bytes}: {words}"
    if found.speed is not None:
        yield "speed", _speed_words(found.speed)


def _card_lines(card: StreamCard, trouble: str) -> Iterator[tuple[str, str]]:
    weights = f", weights {card.model_sha256[:8]}" if card.model_sha256 else ""
    yield "network", f"{card.model}{weights}: " + (trouble or "here" + (", the same weights" if weights else ""))
    yield "restores to", f"{card.width}x{card.height}, {card.layout} at {card.bit_depth} bits, scale {card.scale:g}"
    yield "source", f"{card.source_name or 'not named'}" + (f", {card.source_bytes} bytes" if card.source_bytes else "")
    if card.lossless:
        rate = "without loss"
    elif card.bitrate is not None:
        rate = f"at {card.bitrate / 1000:g} kb/s"
    else:
        rate = f"at CRF {card.crf:g}" if card.crf is not None else ""
    look = f"; look {card.look}" if card.look else ""
    yield "sent", f"{card.codec} {rate}".strip() + f"{look}; temperature {card.latent_std:g}, seed {card.seed}"


def _speed_words(speed: Speed) -> str:
    restored = f"{speed.fps:.1f} frames a second restored here ({speed.device})"
    if speed.needed is None:
        return restored
    enough = "enough for real time" if speed.real_time else "too slow for real time"
    advice = f"; {speed.advice}" if speed.advice else ""
    return f"{restored}, the stream has {speed.needed:.4g}: {enough}{advice}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
