"""What runs on a GPU: on a real one the checks of samples/gpu_check.py, and here whether it could be a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.engine.cuda_graphs import Runner
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.rgb import RgbRescaler
from irn_video.pipeline.engine.torch_engine import TorchEngine
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo.card import LoadedModel, ModelCard, Weights
from torch.utils._python_dispatch import TorchDispatchMode

ELSEWHERE = torch.device("meta")
"""In place of a GPU: the host cannot read its tensors, since they have no values."""
SPECS = [
    NetworkSpec("codec-aware", 1, width=8, depth=1, coring=0.5),
    NetworkSpec("codec-aware", 2, width=8, depth=1, coring=0.5),
    NetworkSpec("codec-aware", 4, width=8, depth=1),
    NetworkSpec("paper", 2, blocks=1),
    NetworkSpec("paper", 4, blocks=1),
]


class NotCapturable(AssertionError):
    """A CUDA graph cannot hold this."""


class Capturing(TorchDispatchMode):
    """Refuses what a CUDA graph refuses: a value that the host reads, and one that it brings."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise NotCapturable("the host reads a value")
        if func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default):
            raise NotCapturable("a list of places is brought")
        found = func(*args, **(kwargs or {}))
        results = found if isinstance(found, tuple | list) else (found,)
        if any(isinstance(result, torch.Tensor) and not result.is_meta for result in results):
            raise NotCapturable(f"{func} makes a tensor on the host")
        return found


class Captures(Runner):
    """Runs functions without values, elsewhere, as if each were captured."""

    def __init__(self) -> None:
        super().__init__(ELSEWHERE)
        self.keys: list[Any] = []

    def __call__(self, key: Any, function: Callable[..., Any], *arrays: Any) -> tuple[Any, ...]:
        self.keys.append((key, *((array.shape, array.dtype.str) for array in arrays)))
        inputs = [torch.from_numpy(array).to(ELSEWHERE) for array in arrays]
        with torch.inference_mode(), Capturing():
            outputs = function(*inputs)
        kinds = {torch.uint8: np.uint8, torch.uint16: np.uint16, torch.float32: np.float32}
        return tuple(np.zeros(out.shape, kinds[out.dtype]) for out in outputs)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other precisions, which there are none of without values."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)


def rescaler_of(spec: NetworkSpec) -> tuple[Rescaler, Captures]:
    """An untrained network on what is no GPU."""
    card, device, runner = ModelCard(spec.family, spec, *[""] * 5, 0, 0, 0.0), Device(ELSEWHERE, "fp32"), Captures()
    network = spec.build()
    if isinstance(network, CodecAwareRescaler):
        engine = TorchEngine(network, device)
        engine._run = runner
        return PackedRescaler(Weights(card, {}, ""), engine), runner
    rescaler = RgbRescaler(LoadedModel(card, network, ""), device)
    rescaler._run = runner
    return rescaler, runner


def picture(layout: Layout = Layout.YUV420, bit_depth: int = 8, height: int = 72, width: int = 104) -> Picture:
    kind = np.uint8 if bit_depth == 8 else np.uint16
    a, b, c = (np.zeros(shape, kind) for shape in layout.plane_shapes(height, width))
    return Picture((a, b, c), layout, bit_depth, ColorSpec(6, full_range=False, chroma_siting=1), 0, Fraction(1, 25), 1)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.family}-x{s.scale}")
@pytest.mark.parametrize(("layout", "bit_depth"), [(Layout.YUV420, 8), (Layout.YUV420, 10), (Layout.YUV444, 8)])
def test_a_graph_can_hold_it(elsewhere: None, spec: NetworkSpec, layout: Layout, bit_depth: int) -> None:
    """Sender and receiver, with and without noise: nothing waits for the GPU, nothing is brought to it in between."""
    rescaler, runner = rescaler_of(spec)
    before = picture(layout, bit_depth)
    lr = rescaler.sent(Samples.of(before), lossless=False, height=72)
    small = rescaler.downscale(before, lr, 26.0)
    for temperature in (0.0, 1.0):
        to = Restoration(rescaler.carried(Samples.of(before), 72), 72, 104, temperature, seed=1, quantiser=26.0)
        after = rescaler.upscale(small, to, index=3)
        assert tuple(p.shape for p in after.planes) == to.samples.layout.plane_shapes(72, 104)
    assert len(runner.keys) == 3


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.family}-x{s.scale}")
def test_the_same_graph_for_every_frame(elsewhere: None, spec: NetworkSpec) -> None:
    """Whatever its quantiser, and wherever its noise begins."""
    rescaler, runner = rescaler_of(spec)
    lr = rescaler.sent(Samples.of(picture()), lossless=False, height=72)
    to = Restoration(rescaler.carried(Samples.of(picture()), 72), 72, 104, 0.5)
    for index, qp in enumerate((12.0, 26.0, None)):
        small = rescaler.downscale(picture(), lr, 20.0 + index)
        rescaler.upscale(replace(small, qp=qp), to, index)
    assert len(runner.keys) == 6
    assert len(set(runner.keys)) == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * float(x[0]),
        lambda x: x[[0, 2]],
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]).to(x.device),
        lambda x: x[x > 0],
    ],
)
def test_what_no_graph_can_hold_is_seen(function: Callable[..., Any]) -> None:
    with pytest.raises((NotCapturable, RuntimeError, NotImplementedError)):
        Captures()("key", lambda x: [function(x)], np.zeros(3, np.float32))
