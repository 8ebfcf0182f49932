"""Images shrunk or enlarged as they come, without a reference: the core of `irn-rescale`.

A small image carries a card, as a stream does, which says what made it and how large it was; enlarging obeys it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadOption
from irn_video.codecs.scales import enlarged, lr_step_of, shrunk, step_of
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.evaluation.evaluate import SCHEMA, environment, make_folder
from irn_video.pipeline.evaluation.rescalers import Draw, StillRescaler, bicubic
from irn_video.pipeline.evaluation.still_cards import card_of, check_fits, read_note
from irn_video.pipeline.evaluation.stills import (
    MAX_PIXELS,
    RGB,
    Bytes,
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
from irn_video.pipeline.upscalers import load_as_made
from irn_video.pipeline.zoo import DEFAULT_MODEL

FORMATS = ("png", "webp", "jpg")
Load = Callable[[str], StillRescaler]
"""Gives what has this name, see `load_stills`."""


@dataclass(frozen=True)
class RescaleOptions:
    """How to rescale.

    Attributes:
        up: enlarge in place of shrinking.
        model: a name for `load_stills`; None for the network that the image's card names, or the zoo's default.
        format: of the output: "png" and "webp" without loss, "jpg" without alpha.
        quality: of JPEG, 1 to 100.
        temperature: of the latents; None takes the card's, or the network's.
        seed: of the latents; every image draws anew from it, so its result does not depend on the others; None takes
            the card's, or 0.
        obey_card: enlarge as the card says; without, cards are not read.
        overwrite: replace existing outputs.

    Raises:
        BadOption: a value out of range.
    """

    up: bool = False
    model: str | None = None
    format: str = "png"
    quality: int = 95
    temperature: float | None = None
    seed: int | None = None
    obey_card: bool = True
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise BadOption(f"no format {self.format!r}", hint=", ".join(FORMATS))
        if not 1 <= self.quality <= 100:
            raise BadOption(f"a JPEG quality of {self.quality}", hint="1 to 100")
        if not self.up and not self.obey_card:
            raise BadOption("shrinking reads no cards", hint="--no-card is for --up")
        check_temperature(self.temperature)


@dataclass(frozen=True)
class Rescaled:
    """An image that was written.

    Attributes:
        input, output: files.
        width, height: of the output.
        model, model_sha256: what it was made with, and the digest of its weights, empty without weights.
        scale: of that.
        card: whether the small image has a card that was written or obeyed.
    """

    input: Path
    output: Path
    width: int
    height: int
    model: str
    model_sha256: str
    scale: float
    card: bool

    def as_json(self) -> dict[str, Any]:
        """Its entry under `images`."""
        return {**asdict(self), "input": str(self.input), "output": str(self.output)}


@dataclass(frozen=True)
class RescaleResult:
    """What was written.

    Attributes:
        rescaler: what the first image was made with.
        up: enlarged.
        images: in the order of the inputs.
        warnings: what was converted, left out, or not known for want of a card.
    """

    rescaler: StillRescaler
    up: bool
    images: tuple[Rescaled, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The whole report; network and scale of all are null where images have different ones."""
        alike = {(image.model, image.model_sha256, image.scale) for image in self.images}
        model, sha256, scale = alike.pop() if len(alike) == 1 else (None, None, None)
        return {
            "schema": SCHEMA,
            "command": "irn-rescale",
            "environment": {**environment(self.rescaler), "model": model, "model_sha256": sha256},
            "direction": "up" if self.up else "down",
            "scale": scale,
            "images": [image.as_json() for image in self.images],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class _Job:
    """One image, what it is rescaled with, and what its file says; `size` is (height, width) without a card."""

    input: Path
    output: Path
    rescaler: StillRescaler
    card: StreamCard | None = None
    size: tuple[int, int] | None = None


def rescale(
    load: Load, inputs: Sequence[Path], out: Path, options: RescaleOptions, *, advance: Advance | None = None
) -> RescaleResult:
    """Shrink or enlarge images and write them under their names into a folder, which is made where it is missing.

    Args:
        load: gives a rescaler by name, see `load_stills`.
        inputs: files, and folders whose images are taken.
        out: the folder.
        options: see `RescaleOptions`.
        advance: see `Advance`.

    Raises:
        BadOption: a network that cannot shrink; two images of one name.
        BadCard, WeightsMismatch, UnknownModel: a card that is damaged or that cannot be obeyed; before any work.
        OutputRefused, UnwritableOutput: see `check_output`; before any work.
        MissingFile, UnreadablePicture: see `read_still`. Images before the bad one have been written.
        BadCard: a card that does not fit its image; likewise.
    """
    paths = [path for given in inputs for path in (find_stills(given) if given.is_dir() else [given])]
    jobs = _plan(cache(load), paths, _outputs(paths, out, options), options)
    warnings = [text for job in jobs for text in job.rescaler.warnings]
    if options.format == "jpg" and not options.up:
        warnings.append("JPEG loses some of what the network needs to restore the image; png and webp keep it")
    if options.up and options.obey_card:
        warnings += _without_card(jobs, options)
    images = []
    for index, job in enumerate(jobs):
        still = read_still(job.input)
        warnings += still.warnings
        if still.alpha is not None and options.format == "jpg":
            warnings.append(f"{job.input}: JPEG has no alpha, it is left out")
        images.append(_rescaled(job, still, options, paths))
        if advance is not None:
            advance(index + 1, len(jobs))
    return RescaleResult(jobs[0].rescaler, options.up, tuple(images), tuple(dict.fromkeys(warnings)))


def _outputs(paths: Sequence[Path], out: Path, options: RescaleOptions) -> list[Path]:
    """Where each image goes; refuses before any work what cannot be written."""
    outputs = [out / f"{path.stem}.{options.format}" for path in paths]
    for place, output in enumerate(outputs):
        if output in outputs[:place]:
            other = paths[outputs.index(output)]
            raise BadOption(f"{other} and {paths[place]} would both be written here", path=output)
    make_folder(out)
    for output in outputs:
        check_output(output, paths, options.overwrite)
    return outputs


def _plan(load: Load, paths: Sequence[Path], outputs: Sequence[Path], options: RescaleOptions) -> list[_Job]:
    """What each image is rescaled with."""
    pairs = list(zip(paths, outputs, strict=True))
    if options.up and options.obey_card:
        return [_planned(load, *pair, options) for pair in pairs]
    rescaler = load(options.model or DEFAULT_MODEL)
    if not options.up and not rescaler.two_way:
        raise BadOption(f"{rescaler.name} only enlarges", hint="use --up")
    return [_Job(*pair, rescaler) for pair in pairs]


def _planned(load: Load, path: Path, output: Path, options: RescaleOptions) -> _Job:
    """An image to be enlarged as it says itself."""
    note = read_note(path)
    if isinstance(note, StreamCard):
        return _Job(path, output, load_as_made(note, options.model, load, what="image", path=path), card=note)
    return _Job(path, output, load(options.model or DEFAULT_MODEL), size=note)


def _without_card(jobs: Iterable[_Job], options: RescaleOptions) -> list[str]:
    """What was done with images that have no card, a line for all of them."""
    paths = [job.input for job in jobs if job.card is None]
    if not paths:
        return []
    rescaler = next(job.rescaler for job in jobs if job.card is None)
    which = f"{paths[0]}: no card inside" if len(paths) == 1 else f"{len(paths)} images have no card, {paths[0]} first"
    ask = "" if options.model else " (say --model NAME if another network made it small)"
    return [f"{which}; enlarged {rescaler.scale:g} times with {rescaler.name}{ask}"]


def _rescaled(job: _Job, still: Still, options: RescaleOptions, paths: Sequence[Path]) -> Rescaled:
    """One image, written."""
    made, card = (_enlarged(job, still, options), None) if options.up else _shrunk(job.rescaler, still, options)
    write_still(
        job.output,
        made.picture,
        made.alpha,
        quality=options.quality,
        card=card,
        inputs=paths,
        overwrite=options.overwrite,
    )
    return Rescaled(
        input=job.input,
        output=job.output,
        width=made.picture.width,
        height=made.picture.height,
        model=job.rescaler.name,
        model_sha256=job.rescaler.sha256,
        scale=job.rescaler.scale,
        card=(card or job.card) is not None,
    )


def _shrunk(rescaler: StillRescaler, still: Still, options: RescaleOptions) -> tuple[Still, StreamCard]:
    """LR of ⌈side / scale⌉ samples, and its card."""
    hr = still.picture
    height, width = (shrunk(side, rescaler.scale) for side in (hr.height, hr.width))
    lr = cropped(convert(rescaler.down(hr), RGB), height, width)
    alpha = None if still.alpha is None else _alpha_down(still.alpha, rescaler.scale)
    draw = _draw(Draw(rescaler.temperature), options)
    card = card_of(rescaler, hr, lr, draw, codec=options.format, lossless=options.format != "jpg")
    return Still(lr, alpha), card


def _enlarged(job: _Job, still: Still, options: RescaleOptions) -> Still:
    """HR of the size that the LR image's file tells, else of its own size times the scale."""
    rescaler, lr = job.rescaler, still.picture
    scale = rescaler.scale
    if lr.height * lr.width * scale**2 > MAX_PIXELS:
        raise UnreadablePicture(f"{lr.width}x{lr.height} is too large to be enlarged by {scale:g}", path=job.input)
    height, width = enlarged(lr.height, scale), enlarged(lr.width, scale)
    draw = Draw(rescaler.temperature)
    if (card := job.card) is not None:
        check_fits(card, lr, job.input)
        height, width, draw = card.height, card.width, Draw(card.latent_std, card.seed)
    elif job.size is not None and [shrunk(side, scale) for side in job.size] == [lr.height, lr.width]:
        height, width = job.size
    hr = rescaler.up(lr, height, width, _draw(draw, options))
    alpha = None if still.alpha is None else _alpha_up(still.alpha, scale)[:height, :width]
    return Still(hr, alpha)


def _draw(usual: Draw, options: RescaleOptions) -> Draw:
    """The latent that is asked for, or else the usual one."""
    return Draw(
        usual.temperature if options.temperature is None else options.temperature,
        usual.seed if options.seed is None else options.seed,
    )


def _alpha_down(alpha: Bytes, scale: float) -> Bytes:
    """Opacity (H, W) → (⌈H/scale⌉, ⌈W/scale⌉), antialiased bicubic; the edge repeats."""
    plane = torch.from_numpy(alpha)[None, None].float()
    padded = _padded(plane, step_of(scale))
    small = bicubic(padded, *(shrunk(side, scale) for side in padded.shape[2:]))
    return _levels(small[..., : shrunk(alpha.shape[0], scale), : shrunk(alpha.shape[1], scale)])


def _alpha_up(alpha: Bytes, scale: float) -> Bytes:
    """Opacity (h, w) → (scale·h, scale·w) or a little more, bicubic."""
    plane = _padded(torch.from_numpy(alpha)[None, None].float(), lr_step_of(scale))
    return _levels(bicubic(plane, *(enlarged(side, scale) for side in plane.shape[2:])))


def _padded(plane: torch.Tensor, step: int) -> torch.Tensor:
    """Sides that are multiples of a step."""
    return F.pad(plane, (0, -plane.shape[3] % step, 0, -plane.shape[2] % step), mode="replicate")


def _levels(plane: torch.Tensor) -> Bytes:
    rounded: Bytes = plane[0, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return rounded
