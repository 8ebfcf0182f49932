"""Where networks run and in what precision, chosen once and said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from irn_video.codecs.errors import BadOption, UnavailableDevice
from torch import nn

TORCH = "torch"
"""Name of the CPU where PyTorch is to run what other engines could."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
Module = TypeVar("Module", bound=nn.Module)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A processor and the precision of the convolutions on it.

    Attributes:
        torch_device: PyTorch's name of it.
        precision: "fp32", "bf16" or "fp16".
        warning: why this is not what was asked for, if so.
    """

    torch_device: torch.device
    precision: str
    warning: str | None = None

    def __str__(self) -> str:
        kind, count = self.torch_device.type, torch.get_num_threads()
        name = (
            torch.cuda.get_device_name(self.torch_device)
            if kind == "cuda"
            else f"CPU, {count} thread{'s' * (count != 1)}"
        )
        return f"{name}, {self.precision}"

    @property
    def workers(self) -> int:
        """How many pictures are best worked on at a time: two on a GPU, one that is moved and one that is computed."""
        return 2 if self.torch_device.type == "cuda" else 1

    def placed(self, network: Module) -> Module:
        """A network on this processor, with kernels as its convolutions take them: channels last where a GPU halves."""
        halves = self.torch_device.type == "cuda" and self.precision != "fp32"
        order = torch.channels_last if halves else torch.preserve_format
        moved: Module = network.to(self.torch_device, memory_format=order)  # type: ignore[call-overload]
        return moved

    @contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients; convolutions in this precision, everything else in float32."""
        with torch.inference_mode(), self.autocast(cached=False):
            yield

    def autocast(self, cached: bool = True) -> torch.autocast:
        """Convolutions in this precision, everything else in float32.

        Args:
            cached: weights are converted once, for all threads: not for use by several of them on streams of their own.
        """
        dtype = _DTYPES[self.precision]
        enabled = dtype is not torch.float32
        return torch.autocast(self.torch_device.type, dtype, enabled=enabled, cache_enabled=cached)


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Resolve `auto|cpu|torch|cuda[:N]` and `auto|fp32|bf16|fp16`.

    `auto` takes a GPU where there is one. On the CPU, the precision `auto` is bf16 where the processor multiplies it
    natively; on a GPU, bf16 where supported, else fp16.

    Raises:
        BadOption: not a device or precision that this program knows.
        UnavailableDevice: this GPU was asked for and is not here.
    """
    if precision not in PRECISIONS:
        raise BadOption(f"no precision {precision!r}", hint=", ".join(PRECISIONS))
    chosen, warning = _resolve("cpu" if device == TORCH else device), None
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # for the whole process: it would make of float32 one of 10 bits
        best = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    else:
        best = "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
        if precision == "fp16":
            precision, warning = "auto", f"fp16 is for GPUs; the CPU computes in {best}"
    return Device(chosen, best if precision == "auto" else precision, warning)


def _resolve(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise BadOption(f"no device {device!r}", hint="auto, cpu, cuda, cuda:N, torch or onnx:PROVIDER") from error
    if device == "cpu":
        return wanted
    if wanted.type != "cuda":
        raise BadOption(f"device {device!r} is not supported", hint="auto, cpu, cuda, cuda:N, torch or onnx:PROVIDER")
    if not torch.cuda.is_available():
        raise UnavailableDevice(f"there is no {device} here", hint="--device auto takes the CPU where there is no GPU")
    if wanted.index is not None and wanted.index >= torch.cuda.device_count():
        raise UnavailableDevice(f"there is no {device} here", hint=f"GPUs from cuda:0: {torch.cuda.device_count()}")
    return wanted
