"""What sampling the latents costs: PSNR at a network's default temperature against their mean, over a few seeds.

python samples/measure temperature CLIP... [--model irn-h264-x2] [--crf 26] [--seeds 5]
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.zoo import find_model
from irn_video.pipeline.zoo.card import read_card
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.options import clips_argument, frames_option, models_option
from measure.rates import PRESET, weights_file


@dataclass(frozen=True)
class Sampling:
    """One model on one clip.

    Attributes:
        mean_psnr: PSNR-Y of the latents' mean (temperature 0), dB.
        sampled_psnr: of each seed, at the model's temperature, dB.
    """

    mean_psnr: float
    sampled_psnr: tuple[float, ...]

    @property
    def cost(self) -> float:
        """What sampling loses, dB."""
        return self.mean_psnr - statistics.fmean(self.sampled_psnr)

    @property
    def spread(self) -> float:
        """Between the best and the worst seed, dB."""
        return max(self.sampled_psnr) - min(self.sampled_psnr)


def measure(model: str, clip: Path, crf: float, seeds: int, frames: int | None) -> Sampling:
    """Send once, receive with every seed."""
    temperature = read_card(find_model(model)).temperature

    def psnr(lr: Path, temperature: float, seed: int) -> float:
        options = ReceiveOptions(
            source=clip,
            model=weights_file(model),
            temperature=temperature,
            seed=seed,
            crf=30,
            preset="ultrafast",
            frames=frames,
            overwrite=True,
        )
        value = receive(lr, lr.with_name("restored.mp4"), options).report.summary()["psnr_y"]["mean"]
        if value is None:
            raise BadOption("restored without loss, so there is no PSNR", path=clip, hint="use a larger --crf")
        return float(value)

    with tempfile.TemporaryDirectory(prefix="temperature-") as folder:
        lr = Path(folder) / "lr.mp4"
        send(clip, lr, SendOptions(model=model, crf=crf, preset=PRESET, frames=frames))
        return Sampling(psnr(lr, 0, 0), tuple(psnr(lr, temperature, seed) for seed in range(seeds)))


@click.command()
@clips_argument
@models_option
@click.option("--crf", type=click.FloatRange(0, 51), default=26, show_default=True, help="Of the stream.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="How many.")
@frames_option
def command(clips: tuple[Path, ...], models: tuple[str, ...], crf: float, seeds: int, frames: int | None) -> None:
    """Cost and spread of sampling the latents on CLIPS."""
    for model in models:
        for clip in clips:
            found = measure(model, clip, crf, seeds, frames)
            click.echo(
                f"{model} {clip.name}: mean {found.mean_psnr:.3f} dB, "
                f"sampling costs {found.cost:.3f} dB, seeds spread over {found.spread:.4f} dB"
            )
