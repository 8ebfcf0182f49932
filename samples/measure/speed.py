"""How fast networks are on this machine, and how much memory they take. Run it on an idle machine.

python samples/measure speed [--model irn-h264-x2] [--sizes 1280x720] [--markdown]

Whole irn-send and irn-receive of generated clips are timed, all networks in turn, beside Lanczos and beside a player
that decodes an H.264 stream of full size. Frames a second are what frames after the first add to the time; the start is
irn-receive of one frame, from the start of its process to its end. Of several rounds the quickest runs count, and the
most memory. The receiver measures against the source.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.study.cells import encode_full_size
from irn_video.pipeline.zoo import DEFAULT_MODEL
from irn_video.pipeline.zoo.registry import model_names

from measure.against import this_product
from measure.clips import Sample, moving_clip
from measure.commands import Product, Work
from measure.machine import machine, machine_line, warn_if_busy
from measure.options import json_options, markdown_option, models_option, sizes, write_json
from measure.paces import Pace, interleaved
from measure.tables import table

LANCZOS = "lanczos-x2"
_FULL_SIZE = EncoderSettings(crf=23, preset="medium")


@dataclass(frozen=True)
class Speed:
    """One network on one clip.

    Attributes:
        size: of the clip, such as 1280x720.
        model: the network.
        send, receive: how the commands did; the receiver measures against the source.
    """

    size: str
    model: str
    send: Pace
    receive: Pace

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        paces = {"irn-send": self.send.as_json(), "irn-receive": self.receive.as_json()}
        return {"size": self.size, "model": self.model, **paces}


def tiers() -> tuple[str, ...]:
    """The default network, the smaller and larger ones of its kind, and Lanczos."""
    return (*(name for name in model_names() if name.startswith(DEFAULT_MODEL)), LANCZOS)


def measure_speed(product: Product, sample: Sample, models: Sequence[str], rounds: int, folder: Path) -> list[Speed]:
    """Send and receive a clip with each network.

    Raises:
        CommandFailed: one of the commands did.
    """
    works = {model: Work(product, sample.path, model, folder) for model in models}
    streams = [folder / f"{index}.mp4" for index in range(len(models))]
    for work, lr in zip(works.values(), streams, strict=True):
        work.send(lr, sample.frames)
    again = folder / "again.mp4"
    sent = interleaved([partial(work.send, again) for work in works.values()], sample.frames, rounds)
    receiving = [partial(work.receive, lr) for work, lr in zip(works.values(), streams, strict=True)]
    received = interleaved(receiving, sample.frames, rounds)
    return [Speed(sample.size, *row) for row in zip(models, sent, received, strict=True)]


def decoding_fps(sample: Sample, rounds: int, folder: Path) -> float:
    """Frames a second at which H.264 of full size is decoded, with the CRF and preset that irn-send has by default."""
    path = folder / "full_size.mp4"
    encode_full_size(sample.path, path, _FULL_SIZE, sample.frames)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        with VideoReader(path) as reader:
            frames = sum(1 for _ in reader)
        seconds.append(time.perf_counter() - start)
    return frames / min(seconds)


def speed_table(found: Sequence[Speed], decoding: dict[str, float], *, markdown: bool = False) -> str:
    """The figures for people."""
    rows = [["", "irn-send, fps", "MB", "irn-receive, fps", "MB", "start, s"]]
    for size, fps in decoding.items():
        for one in (one for one in found if one.size == size):
            pairs = [(_best(pace), f"{pace.peak_bytes / 1e6:.0f}") for pace in (one.send, one.receive)]
            start = f"{min(one.receive.start_seconds):.2f}"
            rows.append([f"{size} {one.model}", *(cell for pair in pairs for cell in pair), start])
        rows.append([f"{size} H.264 of full size, decoding alone", "", "", f"{fps:.1f}", "", ""])
    return table(rows, markdown=markdown)


def _best(pace: Pace) -> str:
    return f"{pace.best_fps:.1f}" if pace.best_fps is not None else "–"


@click.command()
@partial(models_option, default=tiers())
@click.option("--sizes", callback=sizes, default="1280x720,1920x1080,3840x2160", show_default=True, help="Of frames.")
@click.option("--frames", type=click.IntRange(8), default=60, show_default=True, help="Frames of each clip.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Rounds.")
@markdown_option
@json_options
def command(
    models: tuple[str, ...],
    sizes: tuple[tuple[int, int], ...],
    frames: int,
    repeat: int,
    markdown: bool,
    json_path: Path | None,
    overwrite: bool,
) -> None:
    """Speed and memory of whole commands, by network and size. Run it on an idle machine."""
    warn_if_busy()
    if json_path is not None:
        check_output(json_path, [], overwrite)
    found: list[Speed] = []
    decoding: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="speed-") as name:
        folder = Path(name)
        product = this_product(folder / "packages")
        for width, height in sizes:
            sample = Sample.of(moving_clip(folder / "clip.mp4", width, height, frames), frames)
            found += measure_speed(product, sample, models, repeat, folder)
            decoding[sample.size] = decoding_fps(sample, repeat, folder)
    click.echo(speed_table(found, decoding, markdown=markdown))
    host = machine()
    click.echo(f"{product.name}, {frames} frames, best of {repeat}: {machine_line(host)}")
    if json_path is not None:
        result = {"schema": 1, "command": "speed", "version": product.name, "machine": host}
        result |= {"speed": [one.as_json() for one in found], "decoding_fps": decoding}
        write_json(json_path, result, [], overwrite)
