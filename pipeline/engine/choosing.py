"""Which rescaler a name means, and which engine runs it."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from irn_video.codecs.errors import BadOption
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.pipeline.engine.engine import Engine
from irn_video.pipeline.engine.onnx_engine import OnnxEngine
from irn_video.pipeline.engine.onnx_network import CPU, Runtime
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.resampling import KernelRescaler
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.zoo.card import LoadedModel, Weights, arrays_of, read_model, read_weights
from irn_video.pipeline.zoo.looks import check_look, has_look, names_with_looks, with_look
from irn_video.pipeline.zoo.registry import find_model, unknown_model

if TYPE_CHECKING:
    from irn_video.pipeline.engine.device import Device

_ONNX = "onnx:"


def named_rescaler(name: str, device: str, precision: str, threads: int, *, reuse: bool, look: str | None) -> Rescaler:
    """See `Rescaler.load`."""
    check_look(look)
    if name in RESAMPLERS:
        _refuse_look(name, look)
        check_device(device, precision)  # which it does not need, but what was asked for must be there
        return KernelRescaler(name)
    try:
        path = find_model(name)
    except LookupError as error:
        raise unknown_model(name, tuple(RESAMPLERS)) from error
    weights = read_weights(path)
    if weights.card.network.family == "codec-aware":
        looked = with_look(weights, look)
        shown = replace(weights, arrays=looked.applied(weights.arrays))
        return PackedRescaler(weights, *choose_engine(shown, device, precision, threads, reuse=reuse), looked=looked)
    _refuse_look(name, look)
    from irn_video.pipeline.engine.device import choose_device
    from irn_video.pipeline.engine.rgb import RgbRescaler

    # The paper's networks live from exactness: bf16 costs them more than it gains.
    return RgbRescaler(read_model(path), choose_device(device, "fp32" if precision == "auto" else precision))


def _refuse_look(name: str, look: str | None) -> None:
    if not has_look(name, look):
        raise BadOption(f"{name} has one look alone", hint="with others: " + ", ".join(names_with_looks()))


def choose_engine(
    weights: Weights, device: str = "auto", precision: str = "auto", threads: int = 1, *, reuse: bool = True
) -> tuple[Engine, tuple[str, ...]]:
    """What runs a codec-aware network, and where that is not what was asked for.

    ONNX Runtime on the CPU in fp32, or with another of its execution providers (`onnx:NAME`); PyTorch on a GPU, in
    another precision, or where `torch` asks for it on the CPU. `auto` takes a GPU where there is one.

    Args:
        weights: of the network.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `torch` or `onnx:NAME`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        threads: of ONNX Runtime for each picture.
        reuse: see `Runtime`.

    Raises:
        BadOption, UnavailableDevice: see `choose_device` and `Runtime.named`.
    """
    runtime = _runtime(device, precision, threads, reuse=reuse)
    if runtime is not None:
        return OnnxEngine(weights, runtime), ()
    from irn_video.pipeline.engine.device import choose_device
    from irn_video.pipeline.engine.torch_engine import TorchEngine

    chosen = choose_device(device, precision)
    if precision == "auto" and chosen.torch_device.type == "cuda":
        # As fast as bf16 and three bits finer, and nothing here comes near 65504, the largest number.
        chosen = replace(chosen, precision="fp16")
    return TorchEngine.of(weights, chosen), (chosen.warning,) if chosen.warning else ()


def check_device(device: str, precision: str) -> None:
    """Refuse what is not known or not here.

    Raises:
        BadOption, UnavailableDevice: see `choose_engine`.
    """
    if _runtime(device, precision) is None:
        from irn_video.pipeline.engine.device import choose_device

        choose_device(device, precision)


def network_rescaler(model: LoadedModel, device: Device) -> Rescaler:
    """The rescaler for a network of PyTorch's, of either family."""
    from irn_video.pipeline.engine.rgb import RgbRescaler
    from irn_video.pipeline.engine.torch_engine import TorchEngine
    from irn_video.pipeline.network import CodecAwareRescaler

    if not isinstance(model.network, CodecAwareRescaler):
        return RgbRescaler(model, device)
    weights = Weights(model.card, arrays_of(model.network.state_dict()), model.sha256)
    warnings = (device.warning,) if device.warning else ()
    return PackedRescaler(weights, TorchEngine(model.network, device), warnings)


def _runtime(device: str, precision: str, threads: int = 1, *, reuse: bool = True) -> Runtime | None:
    """Of ONNX Runtime, or None for PyTorch; what is not known is left to `choose_device` to refuse."""
    if device.startswith(_ONNX) and precision in ("auto", "fp32"):
        return Runtime.named(device.removeprefix(_ONNX), threads, reuse=reuse)
    if precision not in ("auto", "fp32") or device not in ("auto", "cpu"):
        return None
    if device == "auto" and _may_have_gpu():
        from irn_video.pipeline.engine.device import choose_device

        if choose_device(device, precision).torch_device.type == "cuda":
            return None
    return Runtime(CPU, threads, reuse)


def _may_have_gpu() -> bool:
    """Whether there is a driver, so that PyTorch, which takes two seconds to load, need be asked."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
