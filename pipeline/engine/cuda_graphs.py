"""Functions of tensors for arrays of the host: on a GPU without one step by step launch, allocation or wait too many.

There a function is captured as a CUDA graph, once for each thread at work and each set of shapes. From then on a call
copies the arrays into pinned memory, from there to the tensors that the graph reads, replays the graph and brings the
results back into pinned memory, all in the order of a stream of its own; the only wait is the one for the results. So
with two threads the transfers and the host's copies for one picture overlap with the computation of another.

What a function may do is what a CUDA graph can hold: nothing that reads a tensor on the host or brings a number to the
GPU, and no path that depends on values. What it computes with, other than its inputs, must stay where it is.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Function = Callable[..., Sequence[Tensor]]
"""Of as many tensors as there are arrays, on the device and of their shapes and types."""
# Graphs kept by each lane: those of two sizes of sender and receiver. Each holds the memory of all that it computes.
_KEPT = 4
# Whoever captures lets the device come to rest first, which breaks another capture that is going on.
_CAPTURING = threading.Lock()


class Runner:
    """Runs functions on a device; it may be used from several threads at once.

    Args:
        device: where functions run.
        captures: whether they are captured; None where the device is a GPU. Each capture takes some tenths of a second,
            which does not pay for what runs a few times.
    """

    def __init__(self, device: torch.device, captures: bool | None = None) -> None:
        self._device = device
        self._captures = device.type == "cuda" if captures is None else captures
        self._lanes: deque[_Lane] = deque()

    def __call__(self, key: Hashable, function: Function, *arrays: Array) -> tuple[Array, ...]:
        """Results of a function, which belong to the caller.

        Args:
            key: of equal ones, the function that came first is run for arrays of the same shapes and types.
            function: see `Function`.
            arrays: what it is given.
        """
        with torch.inference_mode():
            if not self._captures:
                return _eager(self._device, function, arrays)
            try:
                lane = self._lanes.pop()
            except IndexError:
                lane = _Lane(self._device)
            try:
                return lane(key, function, arrays)
            finally:
                self._lanes.append(lane)


class _Lane:
    """A stream and what was captured for it; for one thread at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._captured: OrderedDict[Hashable, _Captured | None] = OrderedDict()

    def __call__(self, key: Hashable, function: Function, arrays: Sequence[Array]) -> tuple[Array, ...]:
        key = key, tuple((array.shape, array.dtype.str) for array in arrays)
        if key not in self._captured:
            while len(self._captured) >= _KEPT:
                self._captured.popitem(last=False)
            self._captured[key] = self._capture(function, arrays)
        self._captured.move_to_end(key)
        captured = self._captured[key]
        return _eager(self._device, function, arrays) if captured is None else captured(arrays)

    def _capture(self, function: Function, arrays: Sequence[Array]) -> _Captured | None:
        """None, and a warning, where that does not work."""
        try:
            with _CAPTURING:
                return _Captured(function, arrays, self._device)
        except (RuntimeError, AssertionError, ValueError) as error:  # PyTorch's own, and what it says without CUDA
            reason = str(error).strip().partition("\n")[0]
            warnings.warn(f"no CUDA graph, so every picture takes longer: {reason}", RuntimeWarning, stacklevel=2)
            return None


class _Captured:
    """A function as a CUDA graph, with the memory that it reads and writes on both sides.

    Args:
        function: see `Function`.
        arrays: of the shapes and types that it is to be given.
        device: a GPU.
    """

    def __init__(self, function: Function, arrays: Sequence[Array], device: torch.device) -> None:
        self._stream, self._done = torch.cuda.Stream(device), torch.cuda.Event(blocking=True)
        self._staged = [torch.empty(array.shape, dtype=_dtype(array), pin_memory=True) for array in arrays]
        self._stage(arrays)
        with torch.cuda.stream(self._stream):
            self._inputs = [staged.to(device) for staged in self._staged]
            for _ in range(2):  # libraries set themselves up at the first calls, which a graph could not hold
                function(*self._inputs)
        self._stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on meanwhile, with streams and allocations of their own.
        alone = torch.cuda.graph(self._graph, stream=_capture_stream(device), capture_error_mode="thread_local")
        with torch.cuda.stream(self._stream), alone:  # the former, so that a failed capture leaves no stream behind
            self._outputs = list(function(*self._inputs))

    def __call__(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        self._stage(arrays)
        with torch.cuda.stream(self._stream):
            for given, staged in zip(self._inputs, self._staged, strict=True):
                given.copy_(staged, non_blocking=True)
            self._graph.replay()
            # PyTorch keeps pinned memory that was freed, so after a few pictures nothing is allocated here.
            results = [torch.empty(out.shape, dtype=out.dtype, pin_memory=True) for out in self._outputs]
            for result, out in zip(results, self._outputs, strict=True):
                result.copy_(out, non_blocking=True)
            self._done.record()
        self._done.synchronize()
        return tuple(result.numpy() for result in results)

    def _stage(self, arrays: Sequence[Array]) -> None:
        for staged, array in zip(self._staged, arrays, strict=True):
            np.copyto(staged.numpy(), array)


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """One that nothing else uses: PyTorch has few streams, which it hands out again, but others of high priority."""
    return torch.cuda.Stream(device, priority=-1)


def _eager(device: torch.device, function: Function, arrays: Sequence[Array]) -> tuple[Array, ...]:
    given = [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]
    return tuple(result.cpu().numpy() for result in function(*given))


def _dtype(array: Array) -> torch.dtype:
    return torch.from_numpy(np.empty(0, array.dtype)).dtype
