"""How sharp restored pictures look: VMAF of networks on folders of pictures, beside their PSNR.

python samples/measure perceptual DIR... --model irn-x4 --model irn-plus-x4

VMAF v0.6.1 (Netflix, through FFmpeg's libvmaf) of 4:2:0 luma at the pictures' own size, LR in 8 bits. It rewards
sharpness, which PSNR punishes; made for video on a television, it is an indication for stills.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import ffmpeg
from irn_video.pipeline.evaluation.evaluate import EvalOptions, ImageReport, evaluate
from irn_video.pipeline.evaluation.rescalers import load_stills
from irn_video.pipeline.system import ffmpeg_binary

_MODEL = "version=vmaf_v0.6.1"


@dataclass(frozen=True)
class Score:
    """Means over pictures.

    Attributes:
        psnr_y: dB.
        vmaf: 0 to 100.
    """

    psnr_y: float
    vmaf: float


def score(model: str, folders: tuple[Path, ...], temperature: float | None = None) -> dict[str, Score]:
    """Of a network, by the name of the folder."""
    with tempfile.TemporaryDirectory(prefix="perceptual-") as saved:
        found = {}
        for folder in folders:
            options = EvalOptions(temperature=temperature, out=Path(saved) / folder.resolve().name)
            images = evaluate(load_stills(model), [folder], options).images
            values = [_vmaf(image, Path(saved) / folder.resolve().name) for image in images]
            psnr = [image.quality.psnr_y for image in images if image.quality.psnr_y is not None]
            found[folder.resolve().name] = Score(statistics.fmean(psnr), statistics.fmean(values))
        return found


def _vmaf(image: ImageReport, saved: Path) -> float:
    log = saved / "vmaf.json"
    reference = ffmpeg.input(str(image.folder / image.name)).crop(0, 0, image.width, image.height)
    reference = reference.filter("format", "yuv420p")
    restored = ffmpeg.input(str(saved / f"{Path(image.name).stem}_restored.png")).filter("format", "yuv420p")
    compared = ffmpeg.filter([restored, reference], "libvmaf", model=_MODEL, log_fmt="json", log_path=str(log))
    ffmpeg_binary.run(ffmpeg.output(compared, "-", format="null"), "VMAF cannot be measured", image.folder / image.name)
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "models", multiple=True, required=True, help="Network or weights file; may be repeated.")
@click.option("--temperature", type=float, help="Of the latents [default: the network's].")
def command(folders: tuple[Path, ...], models: tuple[str, ...], temperature: float | None) -> None:
    """VMAF and PSNR-Y of networks on FOLDERS of pictures."""
    for model in models:
        for name, found in score(model, folders, temperature).items():
            click.echo(f"{model} {name}: VMAF {found.vmaf:.2f}, PSNR-Y {found.psnr_y:.2f} dB")
