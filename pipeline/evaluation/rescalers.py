"""What shrinks and enlarges still pictures: networks, RCAN and ordinary resampling, with one interface.

It differs from `engine/rescaler.py` in what stills and the protocols of the literature need: an RGB network pads to
its scale and no further, and bicubic resampling is the one of the papers (MATLAB's), not swscale's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from irn_video.codecs.errors import UnknownModel
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.resample import Resampler
from irn_video.codecs.scales import enlarged, lr_step_of, shrunk, step_of
from irn_video.pipeline.engine import tiles
from irn_video.pipeline.engine.choosing import network_rescaler
from irn_video.pipeline.engine.device import Device, choose_device
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.rgb import RgbRescaler
from irn_video.pipeline.engine.upscaling import RcanRescaler, load_rcan
from irn_video.pipeline.evaluation.stills import RGB
from irn_video.pipeline.network.paper import PaperRescaler
from irn_video.pipeline.network.rcan import SCALES
from irn_video.pipeline.planes import Samples, carried_color, convert, pad, to_picture, to_planes
from irn_video.pipeline.zoo.card import LoadedModel, digest
from irn_video.pipeline.zoo.checkpoints import read_checkpoint
from irn_video.pipeline.zoo.official import read_official
from torch import Tensor

RCAN_SCALES = {f"rcan-x{scale}": scale for scale in SCALES}
"""Networks whose architecture is known here, though their weights are not."""
CHECKPOINT_SUFFIXES = frozenset({".pt", ".pth"})
_SEED_STEP = 1_000_003
_SEED_LIMIT = 1 << 63


@dataclass(frozen=True)
class Draw:
    """Which latent.

    Attributes:
        temperature: 0 for the mean.
        seed: of a run, 0 to 2⁶³ − 1.
        index: counts the draws of a run.
    """

    temperature: float = 0.0
    seed: int = 0
    index: int = 0


class StillRescaler(ABC):
    """Shrinks and enlarges 8-bit RGB stills.

    Attributes:
        name: of the network or kernel.
        sha256: digest of the weights, empty without weights.
        scale: HR samples per LR sample along each axis.
        temperature: default temperature of the latent.
        warnings: where it does not run as asked for, one line each.
        where: what it runs on, for people.
        two_way: it shrinks, too.
    """

    name: str
    sha256: str = ""
    scale: float
    temperature: float = 0.0
    warnings: tuple[str, ...] = ()
    where: str = "CPU"
    two_way: bool = True

    @abstractmethod
    def down(self, hr: Picture) -> Picture:
        """HR (H, W) → 8-bit LR as it is carried, (⌈H/scale⌉, ⌈W/scale⌉) or a little more: the edge repeats."""

    @abstractmethod
    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """LR, from `down` or any with samples of `RGB` → HR of this size, which is at most `scale` times as large."""


class BicubicStills(StillRescaler):
    """Bicubic resampling as the papers use it: a = −0.5, widened when shrinking (MATLAB's `imresize`)."""

    where = "CPU, fp32"

    def __init__(self, scale: float) -> None:
        self.name, self.scale = f"bicubic-x{scale:g}", scale

    def down(self, hr: Picture) -> Picture:
        """Antialiased bicubic, rounded to 8 bits."""
        height, width = _divisible(hr.height, hr.width, step_of(self.scale))
        padded = torch.cat(pad(to_planes(hr, "cpu"), Layout.RGB, height, width), 1)
        return _rounded(bicubic(padded, shrunk(height, self.scale), shrunk(width, self.scale)), hr)

    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """Bicubic, rounded to 8 bits."""
        given = _whole(lr, self.scale)
        large = bicubic(given, *(enlarged(side, self.scale) for side in given.shape[2:]))
        return _rounded(large[..., :height, :width], lr)


class LanczosStills(StillRescaler):
    """Lanczos resampling (a = 3) of swscale, the stronger ordinary peer."""

    where = "swscale"

    def __init__(self, scale: float) -> None:
        self.name, self.scale = f"lanczos-x{scale:g}", scale
        self._resampler = Resampler("lanczos")

    def down(self, hr: Picture) -> Picture:
        """Antialiased Lanczos, rounded to 8 bits."""
        height, width = _divisible(hr.height, hr.width, step_of(self.scale))
        padded = _rounded(torch.cat(pad(to_planes(hr, "cpu"), Layout.RGB, height, width), 1), hr)
        return self._resized(padded, shrunk(height, self.scale), shrunk(width, self.scale))

    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """Lanczos, rounded to 8 bits."""
        given = _rounded(_whole(lr, self.scale), lr)
        large = self._resized(given, enlarged(given.height, self.scale), enlarged(given.width, self.scale))
        return _rounded(torch.cat(to_planes(large, "cpu"), 1)[..., :height, :width], lr)

    def _resized(self, picture: Picture, height: int, width: int) -> Picture:
        planes = [torch.from_numpy(self._resampler.resize(p, height, width))[None, None] for p in picture.planes]
        return _rounded(torch.cat(planes, 1).float() / 255, picture)


class PaperStills(StillRescaler):
    """A network of the paper with an 8-bit RGB LR image; large ones are computed in tiles, see `engine/tiles.py`."""

    def __init__(self, name: str, sha256: str, temperature: float, network: PaperRescaler, device: Device) -> None:
        self.name, self.sha256, self.temperature = name, sha256, temperature
        self.network, self.device, self.scale = network, device, network.scale
        self.where = str(device)
        self.warnings = (device.warning,) if device.warning else ()

    def down(self, hr: Picture) -> Picture:
        """Forward pass, rounded to 8 bits."""
        height, width = _divisible(hr.height, hr.width, self.network.multiple)
        with self.device.inference():
            padded = torch.cat(pad(to_planes(hr, self.device.torch_device), Layout.RGB, height, width), 1)
            small, _ = tiles.downscale(self.network, padded)
            return _rounded(small.float(), hr)

    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """Reverse pass with a drawn latent, rounded to 8 bits."""
        with self.device.inference():
            given = torch.cat(to_planes(lr, self.device.torch_device), 1)
            seed = (draw.seed * _SEED_STEP + draw.index) % _SEED_LIMIT
            generator = torch.Generator(self.device.torch_device).manual_seed(seed)
            latent = self.network.predict(given).latent(draw.temperature, generator)
            large = tiles.upscale(self.network, given, latent).float()
            return _rounded(large[..., :height, :width], lr)


class StreamStills(StillRescaler):
    """A codec-aware network on a still: its 8-bit LR image is Y′CbCr 4:2:0, carried without loss."""

    def __init__(self, rescaler: Rescaler) -> None:
        self.name, self.sha256, self.scale = rescaler.name, rescaler.sha256, rescaler.scale
        self.temperature, self.warnings, self.where = rescaler.temperature, rescaler.warnings, rescaler.where
        self.rescaler = rescaler

    def down(self, hr: Picture) -> Picture:
        """LR in 4:2:0 with even sides."""
        sent = self.rescaler.sent(RGB, lossless=True, height=hr.height)
        return self.rescaler.downscale(hr, sent)

    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """Restore from 4:2:0; an RGB image is converted to it first."""
        if lr.layout is Layout.RGB:
            even = pad(to_planes(lr), Layout.RGB, *self.rescaler.padded_lr(lr.height, lr.width))
            color = carried_color(lr.color, Layout.YUV420, height)
            lr = convert(to_picture(even, RGB, lr), Samples(Layout.YUV420, 8, color))
        to = Restoration(RGB, height, width, draw.temperature, draw.seed, carried_color=lr.color)
        return self.rescaler.upscale(lr, to, draw.index)


class RcanStills(StillRescaler):
    """RCAN, which only enlarges."""

    two_way = False

    def __init__(self, rescaler: RcanRescaler) -> None:
        self.name, self.sha256, self.scale = rescaler.name, rescaler.sha256, rescaler.scale
        self.warnings, self.where = rescaler.warnings, rescaler.where
        self.rescaler = rescaler

    def down(self, hr: Picture) -> Picture:
        """Refused.

        Raises:
            BadOption: RCAN has no way down.
        """
        return self.rescaler.downscale(hr, RGB)

    def up(self, lr: Picture, height: int, width: int, draw: Draw) -> Picture:
        """Super-resolution."""
        return self.rescaler.upscale(lr, Restoration(RGB, height, width))


def bicubic(picture: Tensor, height: int, width: int) -> Tensor:
    """Bicubic resampling of (N, C, H, W) with a = −0.5; antialiased when shrinking, as MATLAB's `imresize`."""
    return F.interpolate(picture, size=(height, width), mode="bicubic", antialias=True, align_corners=False)


def load_stills(name: str, *, device: str = "auto", precision: str = "auto") -> StillRescaler:
    """A rescaler of stills: a network of the zoo, a weights file, an official checkpoint, or `bicubic-x2`, ….

    Raises:
        UnknownModel, MissingFile, BadWeights: see `Rescaler.load`, `read_official` and `load_rcan`.
        BadOption, UnavailableDevice: see `choose_device`.
    """
    if name in RESAMPLERS:
        kernel, scale = RESAMPLERS[name]
        return BicubicStills(scale) if kernel == "bicubic" else LanczosStills(scale)
    path = Path(name)
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        return _from_checkpoint(path, device, precision)
    try:
        rescaler = Rescaler.load(name, device=device, precision=precision)
    except UnknownModel as error:
        if name not in RCAN_SCALES:
            raise
        hint = "give the official checkpoint with --model FILE.pt"
        raise UnknownModel(f"the weights of {name} are not installed", hint=hint) from error
    return _of_rescaler(rescaler)


def _from_checkpoint(path: Path, device: str, precision: str) -> StillRescaler:
    """An official checkpoint, of IRN or of RCAN."""
    where = choose_device(device, "fp32" if precision == "auto" else precision)
    if not any(key.startswith("operations.") for key in read_checkpoint(path)):
        return RcanStills(load_rcan(path, device=device, precision=precision))
    card, state = read_official(path, path.stem)
    network = card.network.build()
    network.load_state_dict(state)
    return _of_rescaler(network_rescaler(LoadedModel(card, network, digest(state)), where))


def _of_rescaler(rescaler: Rescaler) -> StillRescaler:
    if isinstance(rescaler, RgbRescaler) and isinstance(rescaler.network, PaperRescaler):
        network, device = rescaler.network, rescaler.device
        return PaperStills(rescaler.name, rescaler.sha256, rescaler.temperature, network, device)
    return StreamStills(rescaler)


def _divisible(height: int, width: int, step: int) -> tuple[int, int]:
    return -(-height // step) * step, -(-width // step) * step


def _whole(lr: Picture, scale: float) -> Tensor:
    """LR image → (1, 3, h, w), the edge repeated to a size of which HR is a whole number of samples."""
    height, width = _divisible(lr.height, lr.width, lr_step_of(scale))
    return torch.cat(pad(to_planes(lr, "cpu"), Layout.RGB, height, width), 1)


def _rounded(rgb: Tensor, like: Picture) -> Picture:
    """(1, 3, H, W) in [0, 1] → image with the samples of `RGB`."""
    red, green, blue = rgb.split(1, 1)
    return to_picture((red, green, blue), RGB, like)
