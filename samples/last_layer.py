"""What a receiver would gain from a last layer made for the clip, and how many bytes that layer would take.

python samples/last_layer.py CLIP... [--model irn-h264-x2] [--crf 26] [--ridge 1] [--step 0.04]

An experiment for adaptation per clip; nothing of it is in the stream yet. The last layer is linear, so the best one for
a clip is the solution of a least-squares problem: no gradient steps, one pass over some of the pictures. Every fourth
picture is solved for, others are measured. Weights are changed by whole steps of what makes one step of the output,
counted at the entropy of the change.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Layout
from irn_video.codecs.reader import VideoReader
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.codec_aware import DETAIL, PACKED, QP_CENTRE, QP_SPREAD, pack
from irn_video.pipeline.planes import pad, to_planes
from irn_video.pipeline.zoo import load_model
from irn_video.sender import SendOptions, send
from torch import Tensor

LUMA = 4
SOLVED, MEASURED = 4, 2  # every so many pictures are solved for; those in the middle between them are measured
CELLS = 6000  # of a picture that are solved for


@dataclass(frozen=True)
class Pair:
    """A picture as it arrives and as it should be, packed: (1, 6, h, w) and (1, 6, scale·h, scale·w)."""

    lr: Tensor
    hr: Tensor
    qp: float


@dataclass(frozen=True)
class Equations:
    """Normal equations of the last layer: features × features, features × what is missing, cells."""

    features: Tensor
    missing: Tensor
    cells: int


def arrived(clip: Path, model: str, crf: float, scale: int) -> tuple[list[Pair], int]:
    """A clip through sender and encoder, and the bytes of its video packets."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "lr.mkv"
        size = send(clip, small, SendOptions(model, encoder=EncoderSettings(crf=crf))).written.video_bytes
        with VideoReader(small, quantiser=True) as lr, VideoReader(clip) as hr:
            pairs = []
            for one, other in zip(lr, hr, strict=True):
                whole = pad(to_planes(other), Layout.YUV420, scale * one.height, scale * one.width)
                pairs.append(Pair(pack(*to_planes(one)), pack(*whole), one.qp or crf))
    return pairs, size


def seen(network: CodecAwareRescaler, pair: Pair) -> tuple[Tensor, Tensor]:
    """What the last layer sees, (1, width, h, w), and what is added to what it says."""
    restorer, cells = network.restorer, network.cells(pair.lr)
    condition = restorer.embedding(torch.tensor([[(pair.qp - QP_CENTRE) / QP_SPREAD]]))
    x = F.relu(restorer.first(cells, condition))
    for layer in restorer.body:
        x = x + F.relu(layer(x, condition))
    return x, restorer.shortcut(cells, condition)


def equations(network: CodecAwareRescaler, pairs: Sequence[Pair]) -> Equations:
    """Of some cells of each picture."""
    rows = network.restorer.last.weight[0].numel() + 1
    features = torch.zeros(rows, rows, dtype=torch.float64)
    missing = torch.zeros(rows, len(network.restorer.last.weight), dtype=torch.float64)
    count = 0
    for number, pair in enumerate(pairs):
        x, shortcut = seen(network, pair)
        clean, latent = network.downscale(pair.hr)
        wanted = torch.cat((clean - pair.lr, latent), 1) / DETAIL - shortcut
        wanted = (wanted - network.restorer.last(x))[0].flatten(1)
        patches = F.unfold(F.pad(x, (1, 1, 1, 1)), 3)[0]
        some = torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(number))[:CELLS]
        rows_seen = torch.cat((patches[:, some], torch.ones(1, len(some)))).double()
        features += rows_seen @ rows_seen.T
        missing += rows_seen @ wanted[:, some].T.double()
        count += len(some)
    return Equations(features, missing, count)


def change(solved: Equations, ridge: float, step: float) -> tuple[Tensor, float]:
    """The change of weights and biases (rows, outputs), in whole steps, and its entropy in bytes."""
    strength = ridge * solved.features.diagonal().mean() * torch.eye(len(solved.features), dtype=torch.float64)
    best = torch.linalg.solve(solved.features + strength, solved.missing)
    size = (solved.features.diagonal() / solved.cells).sqrt().clamp(min=1e-6)[:, None]
    steps = (best * size / step).round()
    counts = steps.unique(return_counts=True)[1].double()
    shares = counts / counts.sum()
    return steps * step / size, float(-(shares * shares.log2()).sum()) * steps.numel() / 8


def psnr_y(network: CodecAwareRescaler, pairs: Sequence[Pair], changed: Tensor) -> float:
    """Mean over pictures in dB, with the mean of the latent."""
    last = network.restorer.last
    weight = last.weight + changed[:-1].T.reshape(last.weight.shape).float()
    assert last.bias is not None
    bias = last.bias + changed[-1].float()

    def each() -> Iterator[float]:
        for pair in pairs:
            x, shortcut = seen(network, pair)
            told = (F.conv2d(x, weight, bias, padding=1) + shortcut) * DETAIL
            hr = network.upscale(pair.lr + told[:, :PACKED], told[:, PACKED:]).clamp(0, 1)
            yield -10 * math.log10(float((hr - pair.hr)[:, :LUMA].square().mean()))

    values = list(each())
    return sum(values) / len(values)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="irn-h264-x2", show_default=True)
@click.option("--crf", default=26.0, show_default=True)
@click.option("--ridge", default=1.0, show_default=True, help="How much a change costs, in mean energies of a feature.")
@click.option("--step", default=0.04, show_default=True, help="Quantisation, in units of the output's scale.")
@torch.inference_mode()
def main(clips: tuple[Path, ...], model: str, crf: float, ridge: float, step: float) -> None:
    """Solve for the last layer of each of CLIPS."""
    network = load_model(model).network.eval()
    if not isinstance(network, CodecAwareRescaler) or not network.levels:
        raise BadOption(f"{model} is no codec-aware network of scale 2 or 4", hint="use irn-h264-x2")
    for clip in clips:
        pairs, size = arrived(clip, model, crf, network.scale)
        changed, entropy = change(equations(network, pairs[::SOLVED]), ridge, step)
        others = pairs[MEASURED::SOLVED]
        before, after = (psnr_y(network, others, c) for c in (torch.zeros_like(changed), changed))
        click.echo(f"{clip.name}: {before:.2f} dB → {after - before:+.3f} dB for {entropy:.0f} of {size} bytes")


if __name__ == "__main__":
    main()
