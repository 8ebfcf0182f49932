"""Still images as files: 8-bit RGB with an optional alpha plane, read and written through OpenCV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.image_card import with_card
from irn_video.codecs.errors import IrnError, MissingFile
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.system.opencv import cv2
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Files of a folder that are taken for images; a file that is named itself may have any suffix."""
RGB = Samples(Layout.RGB, 8, ColorSpec(matrix=0, primaries=1, transfer=13, full_range=True))
"""The samples of every still here: full-range sRGB at 8 bits."""

MAX_PIXELS = 1 << 28
"""Larger images are refused."""

_MAX_BYTES = 1 << 30
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 33  # signature and IHDR chunk
_JPEG = b"\xff\xd8"


class UnreadablePicture(IrnError, ValueError):
    """The file cannot be read as an image, or is of a kind or size that is not handled."""


@dataclass(frozen=True, repr=False)
class Still:
    """An image file.

    Attributes:
        picture: its colours, with the samples of `RGB`; a grey file has three equal planes.
        alpha: opacity, (H, W) uint8, or None.
        warnings: what was converted, one line each.
    """

    picture: Picture
    alpha: Bytes | None = None
    warnings: tuple[str, ...] = ()


def picture_of(rgb: Bytes) -> Picture:
    """(H, W, 3) uint8 R, G, B → image."""
    red, green, blue = (np.ascontiguousarray(rgb[..., channel]) for channel in range(3))
    return Picture((red, green, blue), RGB.layout, RGB.bit_depth, RGB.color, 0, Fraction(1))


def rgb_of(picture: Picture) -> Bytes:
    """8-bit RGB image → (H, W, 3) uint8."""
    return cast(Bytes, np.stack(picture.planes, -1))


def cropped(picture: Picture, height: int, width: int) -> Picture:
    """The top left part of an image without subsampling."""
    red, green, blue = (plane[:height, :width] for plane in picture.planes)
    return replace(picture, planes=(red, green, blue))


def find_stills(folder: Path) -> list[Path]:
    """The images of a folder (not of its subfolders), sorted by name.

    Raises:
        MissingFile: no such folder, or no images in it.
    """
    if not folder.is_dir():
        raise MissingFile("no such folder", path=folder)
    found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file() and p.name[0] != "."]
    if not found:
        raise MissingFile("no images in this folder", path=folder, hint=f"files called *{', *'.join(sorted(SUFFIXES))}")
    return sorted(found)


def read_still(path: Path) -> Still:
    """Read a picture: grey, colour or palette, with or without alpha, at 8 or 16 bits (rounded to 8 with a warning).

    The orientation that a JPEG file carries is applied.

    Raises:
        MissingFile: there is no such file.
        UnreadablePicture: not an image, damaged, larger than 2²⁸ pixels, or of floating-point samples.
    """
    data = file_bytes(path)
    # OpenCV turns a JPEG file upright only where it may drop alpha, which JPEG does not have.
    mode = cv2().IMREAD_COLOR if data.startswith(_JPEG) else cv2().IMREAD_UNCHANGED
    try:
        decoded: Any = cv2().imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2().error as error:
        raise UnreadablePicture("OpenCV cannot decode it", path=path, hint="is it whole?") from error
    if decoded is None:
        raise UnreadablePicture("not an image that OpenCV reads, or a damaged one", path=path)
    _check_pixels(decoded.shape[0] * decoded.shape[1], path)
    warnings: tuple[str, ...] = ()
    if decoded.dtype == np.uint16:
        decoded = ((decoded.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        warnings = (f"{path}: 16 bits per sample were rounded to 8",)
    if decoded.dtype != np.uint8 or (decoded.ndim == 3 and decoded.shape[2] not in (1, 3, 4)):
        raise UnreadablePicture(
            f"its samples are {decoded.dtype}, which is not handled", path=path, hint="convert to PNG"
        )
    grey = decoded.ndim == 2 or decoded.shape[2] == 1
    bgr = np.repeat(decoded.reshape(*decoded.shape[:2], 1), 3, 2) if grey else decoded
    alpha = np.ascontiguousarray(bgr[..., 3]) if bgr.shape[2] == 4 else None
    return Still(picture_of(bgr[..., 2::-1]), alpha, warnings)


def write_still(
    path: Path,
    picture: Picture,
    alpha: Bytes | None = None,
    *,
    quality: int = 95,
    card: StreamCard | None = None,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
) -> None:
    """Write `.png` or `.webp` (both without loss) or `.jpg` (4:4:4; without alpha), whole or not at all.

    Args:
        path: the file; its suffix names the format.
        picture: with the samples of `RGB`.
        alpha: opacity, (H, W) uint8.
        quality: of JPEG, 1 to 100.
        card: of a small image, how it is restored.
        inputs: files that it must not be.
        overwrite: replace an existing file.

    Raises:
        OutputRefused, UnwritableOutput: see `atomic_path`.
        UnreadablePicture: too large for the format.
    """
    bgr = rgb_of(picture)[..., ::-1]
    planes = bgr if alpha is None or path.suffix == ".jpg" else np.dstack((bgr, alpha))
    module = cv2()
    options = {
        ".jpg": [
            module.IMWRITE_JPEG_QUALITY,
            quality,
            module.IMWRITE_JPEG_SAMPLING_FACTOR,
            module.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
        ".webp": [module.IMWRITE_WEBP_QUALITY, 101],  # above 100 is OpenCV's word for lossless
    }
    try:
        done, encoded = module.imencode(path.suffix, np.ascontiguousarray(planes), options.get(path.suffix, []))
    except module.error:
        done, encoded = False, b""
    if not done:
        size = f"{picture.width}x{picture.height}"
        raise UnreadablePicture(f"{path.suffix} does not hold {size}", path=path, hint="use PNG")
    data = bytes(encoded) if card is None else with_card(bytes(encoded), card)
    with atomic_path(path, inputs, overwrite) as temporary:
        temporary.write_bytes(data)


def file_bytes(path: Path) -> bytes:
    """What is in an image file.

    Raises:
        MissingFile, UnreadablePicture: see `read_still`.
    """
    if not path.is_file():
        raise MissingFile("no such image", path=path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnreadablePicture(f"larger than {_MAX_BYTES >> 20} MiB", path=path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadablePicture(f"cannot read it: {error.strerror}", path=path) from error
    if not data:
        raise UnreadablePicture("the file is empty", path=path)
    if data.startswith(_PNG) and len(data) >= _PNG_HEADER:  # a few bytes may claim a picture that fills the memory
        width, height = struct.unpack_from(">II", data, 16)
        _check_pixels(width * height, path)
    return data


def _check_pixels(count: int, path: Path) -> None:
    if count > MAX_PIXELS:
        raise UnreadablePicture(
            f"{count / 1e6:.0f} million pixels, at most {MAX_PIXELS / 1e6:.0f} are handled", path=path
        )
