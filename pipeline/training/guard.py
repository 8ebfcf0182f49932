"""Against what spoils a run: numbers that are not finite, and interrupts in the middle of an update."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import FrameType
from typing import Any

from irn_video.pipeline.training.task import Loss
from torch import Tensor, nn

_LOWER = "lower learning_rate or gradient_norm; the same command goes on from before this step"


def loss_fault(batch: Any, loss: Loss, network: nn.Module) -> tuple[str, str] | None:
    """Why a loss is not finite and what to do, None if it is; looks at data, then weights, then parts of the loss."""
    if loss.total.isfinite():
        return None
    for name, tensor in _tensors(batch):
        if not tensor.isfinite().all():
            return f"the data is not finite ({name})", "find and remove the broken training file"
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            return f"the weight {name} is not finite", "start from other weights"
    bad = [f"{name} is {value.item()}" for name, value in loss.parts.items() if not value.isfinite()]
    return f"the loss is {loss.total.item()}" + (f" ({', '.join(bad)})" if bad else ""), _LOWER


def gradient_fault(network: nn.Module) -> tuple[str, str]:
    """Which gradient is not finite, though the loss is, and what to do."""
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            return f"the gradient of {name} is not finite", _LOWER
    return "the norm of the gradient is not finite", _LOWER


@contextmanager
def interrupts_held() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the end of this block, so that what it changes is changed as a whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    old = {
        number: signal.signal(number, lambda *arrived: came.append(arrived))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if came and callable(handler := old[signal.Signals(came[0][0])]):
        handler(*came[0])
    elif came and handler == signal.SIG_DFL:
        signal.raise_signal(came[0][0])


def _tensors(batch: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(batch, Tensor):
        yield "samples", batch
    elif is_dataclass(batch):
        for entry in fields(batch):
            value = getattr(batch, entry.name)
            if isinstance(value, Tensor):
                yield entry.name, value
