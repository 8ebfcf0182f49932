"""RCAN behind the interface of the rescalers: enlarges an LR stream, or an LR picture, that anything has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import BadOption, BadWeights
from irn_video.codecs.picture import Picture
from irn_video.pipeline.engine.device import Device, choose_device
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.network.rcan import Rcan
from irn_video.pipeline.network.rescaler import quantise
from irn_video.pipeline.planes import Samples, crop, from_rgb, to_picture, to_planes, to_rgb
from irn_video.pipeline.zoo.card import digest, load_strictly
from irn_video.pipeline.zoo.checkpoints import read_checkpoint
from torch import Tensor


class RcanRescaler(Rescaler):
    """Super-resolution with RCAN on 8-bit RGB; it cannot shrink, and has no latents."""

    def __init__(self, network: Rcan, device: Device, sha256: str = "") -> None:
        self.name, self.sha256, self.scale = f"rcan-x{network.scale}", sha256, network.scale
        self.device = device
        self.warnings = (device.warning,) if device.warning else ()
        self.network = network.eval().to(device.torch_device)

    @property
    def where(self) -> str:
        """Device and precision."""
        return str(self.device)

    def carried(self, source: Samples, height: int) -> Samples:
        """Any samples: they are restored from RGB."""
        return source

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """None: see `downscale`."""
        raise self._only_up()

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """Refused.

        Raises:
            BadOption: RCAN has no way down.
        """
        raise self._only_up()

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """Nothing to predict."""
        return Received(picture, None)

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """R′G′B′, rounded to 8 bits as the network knows it, through the network."""
        with self.device.inference():
            planes = to_planes(received.picture, self.device.torch_device)
            lr = quantise(to_rgb(planes, Samples.of(received.picture)))
            large = from_rgb(self.network(lr).float(), to.samples)
            return to_picture(crop(large, to.samples.layout, to.height, to.width), to.samples, received.picture)

    def _only_up(self) -> BadOption:
        return BadOption(f"{self.name} only enlarges", hint="shrink with bicubic resampling, which it was made for")


def load_rcan(path: Path, *, device: str = "auto", precision: str = "auto") -> RcanRescaler:
    """RCAN with the weights of an official checkpoint (`RCAN_BIX2.pt`, `RCAN_BIX4.pt`); fp32 unless asked otherwise.

    Raises:
        MissingFile: there is no such file.
        BadWeights: not a state dict, or one of another network; names what does not fit.
        BadOption, UnavailableDevice: see `choose_device`.
    """
    where = choose_device(device, "fp32" if precision == "auto" else precision)
    state = read_checkpoint(path)
    with torch.device("meta"):  # no time for 15 million random weights that are replaced at once
        network = Rcan(_scale_of(state, path))
    module: Any = network.to_empty(device="cpu")  # the check is the same for every module
    load_strictly(module, state, path)
    return RcanRescaler(network, where, digest(network.state_dict()))


def _scale_of(state: dict[str, Tensor], path: Path) -> int:
    """What the pixel shuffles of the tail make: 2 or 4."""
    first = state.get("tail.0.0.weight")
    if first is None or "head.0.weight" not in state:
        raise BadWeights("no tensors are called head.0.weight and tail.0.0.weight", path=path, hint="is this RCAN?")
    if first.dim() != 4 or first.shape[0] != 4 * first.shape[1]:
        raise BadWeights("RCAN of another scale than 2 or 4", path=path)
    if "tail.0.4.weight" in state:
        raise BadWeights("RCAN of scale 8 or more, 2 and 4 are handled", path=path)
    return 4 if "tail.0.2.weight" in state else 2
