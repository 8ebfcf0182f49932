"""How true a network is about what it does not know: errors of the latent's mean against the predicted spread.

python samples/measure calibration CLIP... [--model irn-h264-x2] [--crf 20,27,34] [--frames 8]

For each band of luma: the mean square of error over standard deviation, 1 for a spread that is true (Gneiting,
Balabdaoui and Raftery 2007, "Probabilistic forecasts, calibration and sharpness"), and both in levels of 8 bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.network.constants import sampled_channels
from irn_video.pipeline.network.packed import pack
from irn_video.sender import SendOptions, send
from torch import Tensor

from measure.options import clips_argument, frames_option, markdown_option, models_option, numbers
from measure.rates import PRESET
from measure.tables import table

_PEAK = 255


@dataclass(frozen=True)
class Band:
    """Sums over the samples of one band of luma details.

    Attributes:
        samples: how many.
        errors, variances: of squared errors of the mean and of squared standard deviations, in units of the peak.
        ratios: of squared errors over squared standard deviations.
    """

    samples: int = 0
    errors: float = 0.0
    variances: float = 0.0
    ratios: float = 0.0

    def __add__(self, other: Band) -> Band:
        return Band(
            self.samples + other.samples,
            self.errors + other.errors,
            self.variances + other.variances,
            self.ratios + other.ratios,
        )

    @property
    def cells(self) -> tuple[str, str, str]:
        """Mean square of the normalised error; error and spread, root mean square in levels."""
        error, spread = (_PEAK * (total / self.samples) ** 0.5 for total in (self.errors, self.variances))
        return f"{self.ratios / self.samples:.2f}", f"{error:.2f}", f"{spread:.2f}"


def bands_of(scale: float) -> dict[str, list[int]]:
    """Channels of the latent by the names of their bands, luma's alone."""
    drawn = sampled_channels(scale)
    if scale == 1.5:
        edges, names = (0, 8, 16, 20), ("vertical", "horizontal", "diagonal")
        return {name: list(drawn[a:b]) for name, (a, b) in zip(names, pairwise(edges), strict=True)}
    found, start = dict[str, list[int]](), 0
    for level in range(int(np.log2(scale)), 0, -1):
        each = 4**level
        for kind in ("horizontal", "vertical", "diagonal"):
            name = kind if scale == 2 else f"{kind}, 1/{2 ** (int(np.log2(scale)) - level + 1)}"
            found[name] = list(drawn[start : start + each])
            start += each
    return found


def measure(model: str, clip: Path, crf: float, frames: int | None) -> dict[str, Band]:
    """All bands of a clip, sent at this CRF."""
    rescaler = Rescaler.load(model, device="cpu")
    if not isinstance(rescaler, PackedRescaler) or rescaler.scale == 1:
        raise BadOption(f"{model} has no latent that it predicts", hint="a codec-aware network that shrinks")
    found = dict.fromkeys(bands_of(rescaler.scale), Band())
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        lr = Path(folder) / "lr.mp4"
        send(clip, lr, SendOptions(model=model, crf=crf, preset=PRESET, frames=frames))
        with VideoReader(clip, frames=frames) as sources, VideoReader(lr, quantiser=True) as small:
            for source, received in zip(sources, small, strict=True):
                for name, band in _of_frame(rescaler, source, received):
                    found[name] += band
    return found


@torch.inference_mode()
def _of_frame(rescaler: PackedRescaler, source: Picture, received: Picture) -> Iterator[tuple[str, Band]]:
    network = rescaler.network
    _, latent = network.downscale(_packed(source, *rescaler.padded(source.height, source.width)))
    prediction = network.predict(_packed(received, received.height, received.width), received.qp)
    error, spread = latent - prediction.mean, prediction.std
    for name, channels in bands_of(rescaler.scale).items():
        e, s = error[:, channels], spread[:, channels]
        sums = (float(x.square().sum()) for x in (e, s, e / s))
        yield name, Band(e.numel(), *sums)


def _packed(picture: Picture, height: int, width: int) -> Tensor:
    if picture.bit_depth != 8 or picture.layout.subsampling != (2, 2):
        raise BadOption("clips must be 4:2:0 of 8 bits")
    sizes = ((height, width), *[(height // 2, width // 2)] * 2)
    planes = (
        np.pad(plane, ((0, h - plane.shape[0]), (0, w - plane.shape[1])), "edge")
        for plane, (h, w) in zip(picture.planes, sizes, strict=True)
    )
    return pack(*(torch.from_numpy(plane.astype(np.float32) / _PEAK)[None, None] for plane in planes))


@click.command()
@clips_argument
@models_option
@click.option("--crf", default="20,27,34", show_default=True, callback=numbers(highest=51), help="Of the streams.")
@frames_option
@markdown_option
def command(
    clips: tuple[Path, ...], models: tuple[str, ...], crf: tuple[float, ...], frames: int | None, markdown: bool
) -> None:
    """Whether the predicted spread of the latents is true, on CLIPS."""
    rows = [("network, band", "CRF", "normalised error²", "error, levels", "spread, levels")]
    for model in models:
        for one in crf:
            found: dict[str, Band] = {}
            for clip in clips:
                for name, band in measure(model, clip, one, frames).items():
                    found[name] = found.get(name, Band()) + band
            rows += [(f"{model}, {name}", f"{one:g}", *band.cells) for name, band in found.items()]
    click.echo(table(rows, markdown=markdown))
