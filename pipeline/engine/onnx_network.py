"""The convolutions of a codec-aware receiver on ONNX Runtime: a part of a picture at a time, and none of it twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from irn_video.codecs.errors import BadOption, UnavailableDevice
from irn_video.pipeline.network.constants import LOG_STD_RANGE, PACKED, fold_of, latent_channels_of, sampled_channels
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.system.cores import usable_cores
from irn_video.pipeline.system.onnx_runtime import onnxruntime
from irn_video.pipeline.zoo.onnx_graph import FLOAT, Graph, RestorerGraph, floats, model_of
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.float32]
CPU = "CPUExecutionProvider"
# Weights that are constants are computed with in half the time, so a quantiser has a session of its own. To make one
# takes 4 ms, and its first picture as long again.
_SESSION_BYTES = 10 << 20
_LARGEST_LAYER = 12 << 20  # bytes of the features of one layer, of which a session holds four
_PICTURES = 3  # that are remembered: of as many types of H.264 frames
_WORTHWHILE = 0.7  # of the picture that has to be computed again, above which all of it is
Region = tuple[slice, slice]


@dataclass(frozen=True)
class Runtime:
    """Where sessions run.

    Attributes:
        provider: ONNX Runtime's name of an execution provider.
        threads: for each picture.
        reuse: cells that are exactly as they were, with all they depend on, are not computed again.
    """

    provider: str = CPU
    threads: int = 1
    reuse: bool = True

    @staticmethod
    def named(name: str, threads: int = 1, *, reuse: bool = True) -> Runtime:
        """By the provider's name, with or without its usual ending: "CUDA", "OpenVINO", "CPUExecutionProvider".

        Raises:
            UnavailableDevice: this ONNX Runtime was built without it.
        """
        present = onnxruntime().get_available_providers()
        for provider in present:
            if name.lower() in (provider.lower(), provider.lower().removesuffix("executionprovider")):
                return Runtime(provider, threads, reuse)
        raise UnavailableDevice(f"ONNX Runtime has no provider {name!r} here", hint=f"there are: {', '.join(present)}")

    def __str__(self) -> str:
        if self.provider != CPU:
            return f"ONNX Runtime, {self.provider}"
        count = usable_cores()
        return f"CPU, {count} thread{'s' * (count != 1)}, fp32"

    def session(self, graph: Any) -> InferenceSession:
        """A graph, ready to run.

        Raises:
            BadOption: the provider does not take it.
        """
        ort = onnxruntime()
        _share_memory()
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # sizes differ between bands, and each would have its own memory
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_env_allocators", "1")
        providers = [self.provider] if self.provider == CPU else [self.provider, CPU]
        try:
            session: InferenceSession = ort.InferenceSession(model_of(graph).SerializeToString(), options, providers)
            return session
        except Exception as error:  # of many kinds, none of them public
            raise BadOption(f"{self.provider} does not run this network: {error}", hint="use --device cpu") from error


@dataclass(frozen=True)
class _Settings:
    """What the weights of a session are made for."""

    qp: float
    unit: float
    temperature: float


@dataclass(frozen=True)
class _Seen:
    """A picture, and what the network said of it."""

    packed: Array
    said: tuple[Array, ...]


class OnnxNetwork:
    """The network of a receiver; it may be used from several threads at once.

    Args:
        arrays: its weights.
        spec: its architecture.
        runtime: where it runs.
    """

    def __init__(self, arrays: Mapping[str, Array], spec: NetworkSpec, runtime: Runtime) -> None:
        self._arrays, self._spec, self._runtime = arrays, spec, runtime
        self._fold, weights = fold_of(spec.scale), 2 * sum(array.nbytes for array in arrays.values())
        self._reach = 4 + spec.depth  # cells: local means 2, first and last layer 1 each, and the body
        self._session = lru_cache(maxsize=max(4, _SESSION_BYTES // weights))(self._made)
        self._seen: dict[_Settings, _Seen] = {}
        self._last: Array | None = None

    def __call__(self, packed: Array, qp: float, unit: float, temperature: float) -> tuple[Array, ...]:
        """What it says of a picture, in cells.

        Args:
            packed: the picture less 0.5, (6, h, w), sides multiples of the fold.
            qp: its quantiser.
            unit: what the result is multiplied by.
            temperature: of the latent.

        Returns:
            Corrections and means of the latent, (n, h/fold, w/fold); where there is a temperature, that times the
            standard deviation of the latent too. Not to be written to.
        """
        settings = _Settings(qp, unit, temperature)
        session, seen = self._session(settings), self._seen.get(settings)
        height, width = (side // self._fold for side in packed.shape[1:])
        whole = (slice(0, height), slice(0, width))
        changed = self._changed(seen.packed if seen else None, packed)
        if seen is not None and changed != whole:
            said = tuple(array.copy() for array in seen.said)
        else:
            said = tuple(np.empty((count, height, width), np.float32) for count in self._channels(settings))
        for rows, columns in self._tiles(changed):
            top, left = max(0, rows.start - self._reach), max(0, columns.start - self._reach)
            bottom, right = rows.stop + self._reach, columns.stop + self._reach
            cells = (slice(top, bottom), slice(left, right))
            part = packed[(slice(None), *(slice(s.start * self._fold, s.stop * self._fold) for s in cells))]
            inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
            for array, found in zip(said, session.run(None, {"packed": part[None]}), strict=True):
                array[:, rows, columns] = found[0][:, inner[0], inner[1]]
        if self._runtime.reuse:
            self._remember(settings, _Seen(packed, said))
        return said

    def _changed(self, before: Array | None, now: Array) -> Region:
        """The cells that have to be computed again, as the smallest rectangle, empty if there are none."""
        height, width = (side // self._fold for side in now.shape[1:])
        if before is None or before.shape != now.shape:
            return slice(0, height), slice(0, width)
        different = (before != now).any(0).reshape(height, self._fold, width, self._fold).any((1, 3))
        rows, columns = (np.flatnonzero(different.any(axis)) for axis in (1, 0))
        if not rows.size:
            return slice(0, 0), slice(0, 0)
        (top, bottom), (left, right) = (
            (max(0, int(places[0]) - self._reach), min(side, int(places[-1]) + 1 + self._reach))
            for places, side in ((rows, height), (columns, width))
        )
        if (bottom - top) * (right - left) > _WORTHWHILE * height * width:
            return slice(0, height), slice(0, width)
        return slice(top, bottom), slice(left, right)

    def _tiles(self, region: Region) -> Iterator[Region]:
        """Bands of a rectangle of cells, few enough rows in each for the memory that a layer may take."""
        rows, columns = region
        channels = max(self._spec.width, *self._channels(_Settings(0, 0, 0)))
        count = columns.stop - columns.start + 2 * self._reach
        most = max(self._reach, _LARGEST_LAYER // (4 * channels * count) - 2 * self._reach)
        bands = -(-(rows.stop - rows.start) // most)
        edges = [rows.start + (rows.stop - rows.start) * band // max(1, bands) for band in range(bands + 1)]
        for top, bottom in pairwise(edges):
            yield slice(top, bottom), columns

    def _channels(self, settings: _Settings) -> tuple[int, ...]:
        said = PACKED * self._fold**2 + latent_channels_of(self._spec.scale)
        return (said, len(sampled_channels(self._spec.scale))) if settings.temperature else (said,)

    def _remember(self, settings: _Settings, seen: _Seen) -> None:
        """For the quantisers of late, where anything stands still."""
        before, self._last = self._last, seen.packed
        if before is not None and self._changed(before, seen.packed) == self._changed(None, seen.packed):
            self._seen = {}
            return
        recent = {key: value for key, value in self._seen.items() if key != settings}
        self._seen = {**dict(list(recent.items())[1 - _PICTURES :]), settings: seen}

    def _made(self, settings: _Settings) -> InferenceSession:
        from onnx.helper import make_tensor_value_info

        graph, unit = Graph(), settings.unit
        network = RestorerGraph.of(graph, self._arrays, self._spec)
        said, features = network("packed", network.condition(np.array([settings.qp], np.float32)), unit)
        outputs = [make_tensor_value_info(said, FLOAT, [1, "said", "h", "w"])]
        if settings.temperature:
            low, high = LOG_STD_RANGE
            spread = network.spread(features, sampled_channels(self._spec.scale))
            held = graph("Clip", spread, floats(low), floats(high))
            spread = graph("Exp", graph("Add", held, floats(float(np.log(settings.temperature * unit)))))
            outputs.append(make_tensor_value_info(spread, FLOAT, [1, "drawn", "h", "w"]))
        inputs = [make_tensor_value_info("packed", FLOAT, [1, PACKED, "height", "width"])]
        return self._runtime.session(graph.proto("network", inputs, outputs))


@cache
def _share_memory() -> None:
    """One arena for all sessions: each would keep the memory of its largest picture otherwise."""
    ort = onnxruntime()
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    same_as_requested = 1
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, same_as_requested, -1, -1))
