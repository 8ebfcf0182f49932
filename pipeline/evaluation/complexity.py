"""What a network costs for an image of a given size: parameters, multiply-accumulates, memory of activations.

RGB networks run on PyTorch's fake tensors, which have shapes and no values, so any size is quick and needs no weights.
Codec-aware networks read their wavelet's numbers, so they run on a small image and are scaled by its size.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import BadOption, UnknownModel
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.pipeline.engine.upscaling import load_rcan
from irn_video.pipeline.evaluation.rescalers import CHECKPOINT_SUFFIXES, RCAN_SCALES
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.network.rcan import Rcan
from irn_video.pipeline.zoo import load_model
from irn_video.pipeline.zoo.checkpoints import read_checkpoint
from irn_video.pipeline.zoo.cost import cost_of
from irn_video.pipeline.zoo.official import read_official
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_MAX_SIDE = 65536
_TYPICAL_QUANTISER = 30.0
_RGB_CHANNELS = 3
_SAMPLE_SIDE = 256


@dataclass(frozen=True)
class Pass:
    """Cost of running a network once in one direction, in float32.

    Attributes:
        macs: multiply-accumulates of the convolutions (and of the wavelet of a codec-aware network).
        operations: multiplications and additions, twice that.
        activation_bytes: of the outputs of all convolutions together, which is what training keeps and the measure
            that efficient super-resolution challenges count.
        peak_bytes: of all tensors that are alive at a time at inference, at most; without weights and input.
    """

    macs: int
    operations: int
    activation_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Attributes:
        model: its name.
        width, height: of the input of the forward pass, in samples: an HR image for a network that shrinks, an LR
            image for RCAN.
        scale: HR samples per LR sample along each axis.
        parameters: all that are stored, trained or fixed.
        forward: the pass that the network is named for: down for an invertible one, up for RCAN.
        reverse: back up to the size of the input, for an invertible network.
    """

    model: str
    width: int
    height: int
    scale: float
    parameters: int
    forward: Pass
    reverse: Pass | None

    def as_json(self) -> dict[str, Any]:
        """The forward pass on the top level, then `reverse` (or null)."""
        size = {"model": self.model, "input": {"width": self.width, "height": self.height}, "scale": self.scale}
        reverse = asdict(self.reverse) if self.reverse is not None else None
        return {**size, "parameters": self.parameters, **asdict(self.forward), "reverse": reverse}


def complexity_of(name: str, width: int, height: int) -> Complexity:
    """Cost of a network for an input of this size; it is enlarged to what the network divides, where it must.

    Args:
        name: a network of the zoo, a weights file or checkpoint, or one of `RCAN_SCALES`, without its weights.
        width, height: of the input, in samples.

    Raises:
        BadOption: a size out of range, or ordinary resampling.
        UnknownModel, MissingFile, BadWeights: see `load_stills`.
    """
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise BadOption(f"{width}x{height} is out of range", hint=f"sides from 1 to {_MAX_SIDE} samples")
    network = _architecture(name)
    parameters = sum(p.numel() for p in network.parameters())
    if isinstance(network, Rcan):
        with _without_values():
            lr = torch.empty(1, _RGB_CHANNELS, height, width)
            up = _measured(lambda: network(lr))
        return Complexity(name, width, height, network.scale, parameters, up, None)
    assert isinstance(network, InvertibleRescaler)
    rgb = network.channels == _RGB_CHANNELS
    step = network.multiple if rgb else 2 * network.multiple
    rows, columns = -(-height // step) * step, -(-width // step) * step
    passes = _both(network, rows, columns) if rgb else _both_packed(network, rows * columns, step)
    return Complexity(name, columns, rows, network.scale, parameters, *passes)


def _architecture(name: str) -> nn.Module:
    """A network; without its weights where nothing has them."""
    if name in RESAMPLERS:
        raise BadOption(f"{name} is not a network", hint="name a network, such as irn-x2 or rcan-x2")
    path = Path(name)
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        if any(key.startswith("operations.") for key in read_checkpoint(path)):
            return read_official(path, path.stem)[0].network.build()
        return load_rcan(path, device="cpu").network
    try:
        return load_model(name).network
    except UnknownModel:
        if name not in RCAN_SCALES:
            raise
    with torch.device("meta"):  # no time for weights that do not matter
        network = Rcan(RCAN_SCALES[name])
    return network.to_empty(device="cpu")


def _both(network: InvertibleRescaler, height: int, width: int) -> tuple[Pass, Pass]:
    """Forward and reverse pass of an RGB network."""
    with _without_values(), torch.no_grad():
        hr = torch.empty(1, network.channels, height, width)
        lr, _ = network.downscale(hr)
        return _measured(lambda: network.downscale(hr)), _measured(lambda: network.restore(lr))


def _both_packed(network: InvertibleRescaler, pixels: int, step: int) -> tuple[Pass, Pass]:
    """Forward and reverse pass of a network on packed 4:2:0 images (six channels of half the size)."""
    side = -(-_SAMPLE_SIDE // step) * step
    hr = torch.zeros(1, network.channels, side // 2, side // 2)
    with torch.no_grad():
        lr, _ = network.downscale(hr)
    down, up = _measured(lambda: network.downscale(hr)), _measured(lambda: network.restore(lr, _TYPICAL_QUANTISER))
    # PyTorch counts convolutions alone; these networks have a wavelet besides.
    macs_down, macs_up = cost_of(network)
    return _scaled(down, macs_down, pixels, side), _scaled(up, macs_up, pixels, side)


def _scaled(sample: Pass, macs_per_pixel: int, pixels: int, side: int) -> Pass:
    """Cost for so many HR pixels, given that of the sample image."""
    macs, ratio = macs_per_pixel * pixels, pixels / side**2
    return Pass(macs, 2 * macs, round(sample.activation_bytes * ratio), round(sample.peak_bytes * ratio))


def _without_values() -> FakeTensorMode:
    """Where new tensors have no values; weights stay as they are."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def _measured(run: Callable[[], object]) -> Pass:
    """Cost of a pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter, _Memory() as memory:
        run()
    macs = counter.get_total_flops() // 2
    return Pass(macs, 2 * macs, memory.activation_bytes, memory.peak_bytes)


class _Memory(TorchDispatchMode):
    """Follows the storages that operations make until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.activation_bytes = self.peak_bytes = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self._follow(tensor)
                if func is torch.ops.aten.convolution.default:
                    self.activation_bytes += tensor.numel() * tensor.element_size()
        return out

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        self._alive[key] = storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, sum(self._alive.values()))
        weakref.finalize(storage, self._alive.pop, key, None)
