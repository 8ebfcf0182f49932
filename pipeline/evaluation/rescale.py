"""Pictures shrunk or enlarged as they come, without a reference: the core of `irn-rescale`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.evaluation.evaluate import SCHEMA, environment, make_folder
from irn_video.pipeline.evaluation.rescalers import Draw, StillRescaler, bicubic
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

FORMATS = ("png", "webp", "jpg")


@dataclass(frozen=True)
class RescaleOptions:
    """How to rescale.

    Attributes:
        up: enlarge in place of shrinking.
        format: of the output: "png" and "webp" without loss, "jpg" without alpha.
        quality: of JPEG, 1 to 100.
        temperature: of the latents; None takes the network's.
        seed: of the latents; every image draws anew from it, so its result does not depend on the others.
        overwrite: replace existing outputs.

    Raises:
        BadOption: a value out of range.
    """

    up: bool = False
    format: str = "png"
    quality: int = 95
    temperature: float | None = None
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise BadOption(f"no format {self.format!r}", hint=", ".join(FORMATS))
        if not 1 <= self.quality <= 100:
            raise BadOption(f"a JPEG quality of {self.quality}", hint="1 to 100")
        check_temperature(self.temperature)


@dataclass(frozen=True)
class Rescaled:
    """An image that was written.

    Attributes:
        input, output: files.
        width, height: of the output.
    """

    input: Path
    output: Path
    width: int
    height: int

    def as_json(self) -> dict[str, Any]:
        """Its entry under `images`."""
        return {**asdict(self), "input": str(self.input), "output": str(self.output)}


@dataclass(frozen=True)
class RescaleResult:
    """What was written.

    Attributes:
        rescaler: what it was made with.
        up: enlarged.
        images: in the order of the inputs.
        warnings: what was converted or left out.
    """

    rescaler: StillRescaler
    up: bool
    images: tuple[Rescaled, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "schema": SCHEMA,
            "command": "irn-rescale",
            "environment": environment(self.rescaler),
            "direction": "up" if self.up else "down",
            "scale": self.rescaler.scale,
            "images": [image.as_json() for image in self.images],
            "warnings": list(self.warnings),
        }


def rescale(
    rescaler: StillRescaler,
    inputs: Sequence[Path],
    out: Path,
    options: RescaleOptions,
    *,
    advance: Advance | None = None,
) -> RescaleResult:
    """Shrink or enlarge images and write them under their names into a folder, which is made where it is missing.

    Args:
        rescaler: see `load_stills`.
        inputs: files, and folders whose images are taken.
        out: the folder.
        options: see `RescaleOptions`.
        advance: see `Advance`.

    Raises:
        BadOption: a network that cannot shrink; two images of one name.
        MissingFile, UnreadablePicture: see `read_still`. Images before the bad one have been written.
        OutputRefused, UnwritableOutput: see `check_output`; before any work.
    """
    if not options.up and not rescaler.two_way:
        raise BadOption(f"{rescaler.name} only enlarges", hint="use --up")
    paths = [path for given in inputs for path in (find_stills(given) if given.is_dir() else [given])]
    outputs = _outputs(paths, out, options)
    images, warnings = [], list(rescaler.warnings)
    if options.format == "jpg" and not options.up:
        warnings.append("JPEG loses some of what the network needs to restore the image; png and webp keep it")
    for index, (path, output) in enumerate(zip(paths, outputs, strict=True)):
        still = read_still(path)
        warnings += still.warnings
        if still.alpha is not None and options.format == "jpg":
            warnings.append(f"{path}: JPEG has no alpha, it is left out")
        made = _enlarged(rescaler, still, path, options) if options.up else _shrunk(rescaler, still)
        write_still(
            output,
            made.picture,
            made.alpha,
            quality=options.quality,
            hr_size=made.hr_size,
            inputs=paths,
            overwrite=options.overwrite,
        )
        images.append(Rescaled(path, output, made.picture.width, made.picture.height))
        if advance is not None:
            advance(index + 1, len(paths))
    return RescaleResult(rescaler, options.up, tuple(images), tuple(dict.fromkeys(warnings)))


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


def _shrunk(rescaler: StillRescaler, still: Still) -> Still:
    """LR of ⌈side / scale⌉ samples, which remembers the size of the HR image."""
    height, width = still.picture.height, still.picture.width
    size = (-(-height // rescaler.scale), -(-width // rescaler.scale))
    lr = cropped(convert(rescaler.down(still.picture), RGB), *size)
    alpha = None if still.alpha is None else _alpha_down(still.alpha, rescaler.scale)
    return Still(lr, alpha, (height, width))


def _enlarged(rescaler: StillRescaler, still: Still, path: Path, options: RescaleOptions) -> Still:
    """HR of the size that the LR image remembers, else of its own size times the scale."""
    scale, lr = rescaler.scale, still.picture
    if lr.height * lr.width * scale**2 > MAX_PIXELS:
        raise UnreadablePicture(f"{lr.width}x{lr.height} is too large to be enlarged by {scale}", path=path)
    height, width = lr.height * scale, lr.width * scale
    if still.hr_size is not None and [-(-side // scale) for side in still.hr_size] == [lr.height, lr.width]:
        height, width = still.hr_size
    temperature = rescaler.temperature if options.temperature is None else options.temperature
    hr = rescaler.up(lr, height, width, Draw(temperature, options.seed))
    alpha = None if still.alpha is None else _alpha_up(still.alpha, scale)[:height, :width]
    return Still(hr, alpha)


def _alpha_down(alpha: Bytes, scale: int) -> Bytes:
    """Opacity (H, W) → (⌈H/scale⌉, ⌈W/scale⌉), antialiased bicubic; the edge repeats."""
    plane = torch.from_numpy(alpha)[None, None].float()
    padded = F.pad(plane, (0, -alpha.shape[1] % scale, 0, -alpha.shape[0] % scale), mode="replicate")
    return _levels(bicubic(padded, padded.shape[2] // scale, padded.shape[3] // scale))


def _alpha_up(alpha: Bytes, scale: int) -> Bytes:
    """Opacity (h, w) → (scale·h, scale·w), bicubic."""
    plane = torch.from_numpy(alpha)[None, None].float()
    return _levels(bicubic(plane, alpha.shape[0] * scale, alpha.shape[1] * scale))


def _levels(plane: torch.Tensor) -> Bytes:
    rounded: Bytes = plane[0, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return rounded
