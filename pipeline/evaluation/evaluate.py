"""Networks on image sets, by the protocol of the super-resolution and rescaling literature.

HR images are cropped to a multiple of the scale (of 3 for 1.5). The LR image (8 bits) comes from the network's forward
pass, from bicubic resampling, or from files. PSNR and SSIM are taken between the 8-bit restored image and the HR image
after `scale` samples (2 for 1.5) have been cut off at each border: over R, G and B together, and on Y of ITU-R BT.601
(MATLAB's `rgb2ycbcr`, not rounded). Means are over images, not over samples.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import BadOption, MissingFile, SourceMismatch, UnwritableOutput
from irn_video.codecs.picture import Picture
from irn_video.codecs.scales import shrunk, step_of
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.evaluation.rescalers import BicubicStills, Draw, StillRescaler
from irn_video.pipeline.evaluation.stills import (
    RGB,
    Still,
    UnreadablePicture,
    cropped,
    find_stills,
    read_still,
    write_still,
)
from irn_video.pipeline.flow import Advance
from irn_video.pipeline.options import check_temperature
from irn_video.pipeline.planes import convert
from irn_video.pipeline.quality.psnr import decibels
from irn_video.pipeline.quality.ssim import WINDOW, ssim
from torch import Tensor

SCHEMA = 1
MODES = ("rescale", "upscale")
_PACKAGES = ("irn-video", "torch", "opencv-python", "numpy")
_PEAK = 255.0
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLACK = 16.0
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class Quality:
    """How near one image is to another.

    Attributes:
        psnr_rgb: dB, over R, G and B together; None where they are identical.
        ssim_rgb: mean over R, G and B; None for an image smaller than the window.
        psnr_y, ssim_y: the same of luma.
    """

    psnr_rgb: float | None
    ssim_rgb: float | None
    psnr_y: float | None
    ssim_y: float | None

    @property
    def identical(self) -> bool:
        """Every sample is the same."""
        return self.psnr_rgb is None

    def as_json(self, prefix: str = "") -> dict[str, Any]:
        """Metrics by name, and `identical` where they are."""
        entry: dict[str, Any] = {prefix + name: value for name, value in asdict(self).items()}
        return {**entry, prefix + "identical": True} if self.identical else entry


METRICS = tuple(field.name for field in fields(Quality))


@dataclass(frozen=True)
class EvalOptions:
    """What to evaluate.

    Attributes:
        mode: "rescale" (LR by the network's forward pass) or "upscale" (LR by bicubic resampling, or from `lr`).
        lr: folder with the LR images; for "upscale".
        draws: latents per image, whose metrics are averaged.
        temperature: of the latents; None takes the network's.
        seed: of the latents.
        out: folder for LR, bicubic LR and restored images (of the first latent).
        overwrite: replace images there.

    Raises:
        BadOption: a value out of range, or a combination that makes no sense.
    """

    mode: str = "rescale"
    lr: Path | None = None
    draws: int = 1
    temperature: float | None = None
    seed: int = 0
    out: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise BadOption(f"no mode {self.mode!r}", hint=", ".join(MODES))
        if self.lr is not None and self.mode != "upscale":
            raise BadOption("LR images are given, but the network is to make them", hint="use --mode upscale")
        if not 1 <= self.draws <= _MAX_DRAWS:
            raise BadOption(f"{self.draws} latents per image", hint=f"1 to {_MAX_DRAWS}")
        check_temperature(self.temperature)


@dataclass(frozen=True)
class ImageReport:
    """One measured image.

    Attributes:
        index: from 0.
        folder: it is in.
        name: of its file.
        width, height: as measured, before the border is cut off.
        quality: of the restored image, mean over the draws.
        lr: of the LR image against the bicubic one; None where it is the bicubic one.
    """

    index: int
    folder: Path
    name: str
    width: int
    height: int
    quality: Quality
    lr: Quality | None

    def as_json(self) -> dict[str, Any]:
        """Its entry under `images`."""
        place = {"index": self.index, "folder": str(self.folder), "name": self.name}
        lr = self.lr.as_json("lr_") if self.lr is not None else {}
        return {**place, "width": self.width, "height": self.height, **self.quality.as_json(), **lr}


@dataclass(frozen=True)
class EvalReport:
    """What was measured, and how.

    Attributes:
        rescaler: what was evaluated.
        options: how; its temperature is the one that was used.
        images: in the order of the folders and of their files' names.
        warnings: what was converted or ignored.
    """

    rescaler: StillRescaler
    options: EvalOptions
    images: tuple[ImageReport, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "schema": SCHEMA,
            "command": "irn-eval",
            "environment": environment(self.rescaler),
            "protocol": {
                "mode": self.options.mode,
                "scale": self.rescaler.scale,
                "border": math.ceil(self.rescaler.scale),
                "lr": str(self.options.lr) if self.options.lr else None,
                "draws": self.options.draws,
                "temperature": self.options.temperature,
                "seed": self.options.seed,
            },
            "images": [image.as_json() for image in self.images],
            "sets": [
                {"folder": str(folder), "images": len(images), "summary": summary(images)}
                for folder, images in self.sets()
            ],
            "summary": summary(self.images),
            "warnings": list(self.warnings),
        }

    def sets(self) -> list[tuple[Path, list[ImageReport]]]:
        """Images by folder."""
        folders = dict.fromkeys(image.folder for image in self.images)
        return [(folder, [image for image in self.images if image.folder == folder]) for folder in folders]


@dataclass(frozen=True)
class _Task:
    """An image to evaluate, where its LR image is, and the start of the names of what is saved of it."""

    folder: Path
    hr: Path
    lr: Path | None
    saved: Path | None

    def outputs(self) -> tuple[Path, ...]:
        """LR, bicubic LR and restored image, or nothing."""
        if self.saved is None:
            return ()
        kinds = ("lr", "lr_bicubic", "restored")
        return tuple(self.saved.with_name(f"{self.saved.name}_{kind}.png") for kind in kinds)


def evaluate(
    rescaler: StillRescaler, folders: Sequence[Path], options: EvalOptions, *, advance: Advance | None = None
) -> EvalReport:
    """Measure a rescaler on folders of HR images.

    Raises:
        BadOption: a network that cannot shrink, in mode "rescale".
        MissingFile: a folder without images, or without the LR image of one.
        UnreadablePicture: a file that is not an image, or too small a one.
        SourceMismatch: an LR image of the wrong size.
        OutputRefused, UnwritableOutput: see `check_output`.
    """
    if options.mode == "rescale" and not rescaler.two_way:
        raise BadOption(f"{rescaler.name} only enlarges", hint="use --mode upscale")
    temperature = rescaler.temperature if options.temperature is None else options.temperature
    options = replace(options, temperature=temperature, draws=options.draws if temperature else 1)
    tasks = _plan(rescaler, folders, options)
    images, warnings = [], list(rescaler.warnings)
    for index, task in enumerate(tasks):
        still = read_still(task.hr)
        warnings += still.warnings
        if still.alpha is not None:
            warnings.append(f"{task.hr}: alpha is not measured")
        images.append(_evaluate_one(rescaler, index, task, still, options))
        if advance is not None:
            advance(index + 1, len(tasks))
    return EvalReport(rescaler, options, tuple(images), tuple(dict.fromkeys(warnings)))


def measure(reference: Picture, restored: Picture, border: int = 0) -> Quality:
    """Quality of an 8-bit RGB image against another of its size, without `border` samples at each side."""
    one, other = (_samples(picture, border) for picture in (reference, restored))  # (3, H, W) in 0…255
    luma, other_luma = (luma_of(samples) for samples in (one, other))
    return Quality(_psnr(one, other), ssim(one, other), _psnr(luma, other_luma), ssim(luma, other_luma))


def luma_of(rgb: Tensor) -> Tensor:
    """R, G, B (3, H, W) in 0…255 → Y of BT.601 (1, H, W) in 16…235, not rounded."""
    weights = torch.tensor(_LUMA, dtype=rgb.dtype).view(3, 1, 1)
    return (rgb * weights).sum(0, keepdim=True) + _BLACK


def summary(images: Sequence[ImageReport]) -> dict[str, dict[str, float | None]]:
    """Mean, least and largest of each metric over images; identical images have no PSNR and do not count for it."""
    table = [image.as_json() for image in images]
    names = [prefix + name for prefix in ("", "lr_") for name in METRICS]
    return {name: _statistics(row[name] for row in table) for name in names if any(name in row for row in table)}


def environment(rescaler: StillRescaler) -> dict[str, Any]:
    """Versions, device and network, as in every report."""
    return {
        **{name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": rescaler.where,
        "model": rescaler.name,
        "model_sha256": rescaler.sha256,
    }


def make_folder(folder: Path) -> None:
    """Make an output folder, where it is not there.

    Raises:
        UnwritableOutput: that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableOutput(f"cannot make the folder: {error.strerror}", path=folder) from error


def _plan(rescaler: StillRescaler, folders: Sequence[Path], options: EvalOptions) -> list[_Task]:
    """What to do; refuses what cannot be done before any work."""
    tasks = []
    for folder in folders:
        for path in find_stills(folder):
            lr = _find_lr(path, options.lr, rescaler.scale) if options.lr is not None else None
            tasks.append(_Task(folder, path, lr, _saved(folder, path, folders, options)))
    outputs = [output for task in tasks for output in task.outputs()]
    if len(set(outputs)) < len(outputs):
        twice = next(output for output in outputs if outputs.count(output) > 1)
        raise BadOption("two images would be saved under this name", path=twice, hint="evaluate them one by one")
    for folder in dict.fromkeys(output.parent for output in outputs):
        make_folder(folder)
    for output in outputs:
        check_output(output, [task.hr for task in tasks], options.overwrite)
    return tasks


def _saved(folder: Path, path: Path, folders: Sequence[Path], options: EvalOptions) -> Path | None:
    if options.out is None:
        return None
    return (options.out / folder.resolve().name if len(folders) > 1 else options.out) / path.stem


def _find_lr(hr: Path, folder: Path, scale: float) -> Path:
    """The LR image of the same name, or the name with x2 (x4) behind it, as in DIV2K."""
    names = {hr.stem, f"{hr.stem}x{scale:g}"}
    found = [path for path in find_stills(folder) if path.stem in names]
    if len(found) != 1:
        raise MissingFile(
            f"{'no' if not found else len(found)} LR images for {hr.name}", path=folder, hint=f"call it {hr.stem}.png"
        )
    return found[0]


def _evaluate_one(rescaler: StillRescaler, index: int, task: _Task, still: Still, options: EvalOptions) -> ImageReport:
    scale, step, border = rescaler.scale, step_of(rescaler.scale), math.ceil(rescaler.scale)
    height, width = (side // step * step for side in (still.picture.height, still.picture.width))
    if min(height, width) < WINDOW + 2 * border:
        raise UnreadablePicture(f"too small to measure at x{scale:g}", path=task.hr)
    hr = cropped(still.picture, height, width)
    reference = BicubicStills(scale).down(hr)
    lr = _lr(rescaler, options.mode, task, hr, reference)
    assert options.temperature is not None
    draws = [Draw(options.temperature, options.seed, number) for number in range(options.draws)]
    first = rescaler.up(lr, height, width, draws[0])
    rest = (rescaler.up(lr, height, width, draw) for draw in draws[1:])
    quality = _mean([measure(hr, first, border), *(measure(hr, restored, border) for restored in rest)])
    shown = cropped(convert(lr, RGB), shrunk(height, scale), shrunk(width, scale))
    for path, picture in zip(task.outputs(), (shown, reference, first), strict=False):
        write_still(path, picture, inputs=[task.hr], overwrite=options.overwrite)
    made = options.mode == "rescale" or task.lr is not None
    return ImageReport(
        index, task.folder, task.hr.name, width, height, quality, measure(reference, shown) if made else None
    )


def _lr(rescaler: StillRescaler, mode: str, task: _Task, hr: Picture, reference: Picture) -> Picture:
    if mode == "rescale":
        return rescaler.down(hr)
    if task.lr is None:
        return reference
    given = read_still(task.lr).picture
    if (given.height, given.width) != (reference.height, reference.width):
        raise SourceMismatch(
            f"the LR image is {given.width}x{given.height}, not {reference.width}x{reference.height}",
            path=task.lr,
            hint=f"{task.hr} cropped to a multiple of {step_of(rescaler.scale)} and shrunk by {rescaler.scale:g}",
        )
    return given


def _samples(picture: Picture, border: int) -> Tensor:
    planes = torch.stack([torch.from_numpy(plane) for plane in picture.planes]).double()
    return planes[:, border : picture.height - border, border : picture.width - border]


def _psnr(one: Tensor, other: Tensor) -> float | None:
    return decibels(float((one - other).square().mean()) / _PEAK**2)


def _mean(qualities: Sequence[Quality]) -> Quality:
    return Quality(*(_statistics(getattr(quality, name) for quality in qualities)["mean"] for name in METRICS))


def _statistics(values: Iterable[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "min": None, "max": None}
    return {"mean": sum(known) / len(known), "min": min(known), "max": max(known)}
