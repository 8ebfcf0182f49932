"""What it costs that a browser knows the quantiser with which slices begin, not the mean one of their macroblocks.

python samples/measure slices CLIP... [--model irn-h264-x2] [--crfs 22,32] [--frames 40]

Restored at temperature 0 with both; needs Node.js, which runs the web player's reading of the streams.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import av
import click
import numpy as np
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.restoring import restoration_of
from irn_video.sender import SendOptions, send

from measure.options import clips_argument, markdown_option, model_option, numbers
from measure.tables import table

PLAYER = Path(__file__).resolve().parents[2] / "receiver" / "web"
_EVERY = 5  # frames; neighbours tell the same
_READ = """
import { readFileSync } from "node:fs";
import { AccessUnits } from "PLAYER/access_unit.js";
const { description, units } = JSON.parse(readFileSync(0));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const reader = new AccessUnits(bytes(description));
console.log(JSON.stringify(units.map((unit) => reader.read(bytes(unit)).qp)));
"""


@dataclass(frozen=True)
class Found:
    """Of a stream: how far the quantisers are apart, what that costs in dB, and samples within a level."""

    apart: float
    costs: float
    most: float
    near: float


def begun_with(path: Path) -> list[float]:
    """The quantisers with which the slices of an MP4 file begin, in order of display."""
    node = shutil.which("node")
    if node is None:
        raise click.ClickException("needs Node.js (Debian or Ubuntu: apt-get install nodejs)")
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        said = {"description": bytes(video.codec_context.extradata or b"").hex()}
    text = json.dumps({**said, "units": [bytes(packet).hex() for packet in packets]})
    command = [node, "--input-type=module", "-e", _READ.replace("PLAYER", PLAYER.as_uri())]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return [found[at] for at in np.argsort([packet.pts or 0 for packet in packets])]


def psnr_y(one: Picture, other: Picture) -> float:
    """In dB."""
    return -10 * math.log10(max(compare(one, other).y, 1e-12))


def measured(clip: Path, model: str, crf: float, frames: int) -> Found:
    """Send, restore some frames with both."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "lr.mp4"
        send(clip, path, SendOptions(model=model, crf=crf, frames=frames))
        card = find_card(path)
        assert card is not None
        to, rescaler = restoration_of(card, temperature=0.0, seed=None), Rescaler.load(model, device="cpu")
        apart, costs, near = [], [], []
        with VideoReader(path, quantiser=True) as small, VideoReader(clip) as source:
            for index, (lr, original, qp) in enumerate(zip(small, source, begun_with(path), strict=False)):
                apart.append(abs(qp - (lr.qp or 0)))
                if index % _EVERY:
                    continue
                exact, other = rescaler.upscale(lr, to, index), rescaler.upscale(replace(lr, qp=qp), to, index)
                costs.append(psnr_y(original, exact) - psnr_y(original, other))
                near.append(np.mean(np.abs(exact.planes[0].astype(int) - other.planes[0]) <= 1))
        return Found(float(np.mean(apart)), float(np.mean(costs)), float(np.max(costs)), float(np.mean(near)))


@click.command("slices")
@clips_argument
@model_option()
@click.option("--crfs", default="22,32", show_default=True, callback=numbers(highest=51), help="Of the streams.")
@click.option("--frames", type=click.IntRange(1), default=40, show_default=True, help="Of each clip.")
@markdown_option
def command(clips: tuple[Path, ...], model: str, crfs: tuple[float, ...], frames: int, markdown: bool) -> None:
    """What it costs that a browser knows the quantiser with which slices begin, not the mean one."""
    rows = [("clip", "CRF", "quantisers apart", "dB, mean", "dB, at most", "within a level")]
    for clip in clips:
        for crf in crfs:
            found = measured(clip, model, crf, frames)
            figures = (f"{found.apart:.1f}", f"{found.costs:.3f}", f"{found.most:.3f}", f"{100 * found.near:.2f} %")
            rows.append((clip.stem, f"{crf:g}", *figures))
    click.echo(table(rows, markdown=markdown))
