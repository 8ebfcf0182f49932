"""What runs on a GPU: on a real one the checks of samples/gpu_check.py, and here whether it could be a CUDA graph."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.engine.choosing import choose_engine, network_rescaler
from irn_video.pipeline.engine.cuda_graphs import Runner
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.latents import NoiseFields
from irn_video.pipeline.engine.noise import places, windows
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.rgb import RgbRescaler
from irn_video.pipeline.engine.torch_engine import TorchEngine
from irn_video.pipeline.flow import mapped_by
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo.card import LoadedModel, ModelCard, Weights
from torch.utils._python_dispatch import TorchDispatchMode

from measure.gpu_checks import CHECKS, X2, weights_of

ELSEWHERE = torch.device("meta")
"""In place of a GPU: the host cannot read its tensors, since they have no values."""
SPECS = [
    NetworkSpec("codec-aware", 1, width=8, depth=1, coring=0.5),
    NetworkSpec("codec-aware", 2, width=8, depth=1, coring=0.5),
    NetworkSpec("codec-aware", 4, width=8, depth=1),
    NetworkSpec("paper", 2, blocks=1),
    NetworkSpec("paper", 4, blocks=1),
]


def need_gpu() -> None:
    """Skip where there is none; fail if there should be one."""
    if torch.cuda.is_available():
        return
    if os.environ.get("IRN_REQUIRE_CUDA"):
        pytest.fail("there is no GPU here, and IRN_REQUIRE_CUDA asks for one")
    pytest.skip("no GPU")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_a_gpu(check: Callable[[str], None]) -> None:
    need_gpu()
    check("cuda")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_the_cpu(check: Callable[[str], None]) -> None:
    """The same code, launched step by step."""
    check("torch")


def test_a_gpu_can_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("IRN_REQUIRE_CUDA", raising=False)
    with pytest.raises(pytest.skip.Exception):
        need_gpu()
    monkeypatch.setenv("IRN_REQUIRE_CUDA", "1")
    with pytest.raises(pytest.fail.Exception, match="IRN_REQUIRE_CUDA"):
        need_gpu()


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
    card, device, runner = (
        ModelCard(spec.family, spec, "", "", "", "", "", 0, 0, 0.0),
        Device(ELSEWHERE, "fp32"),
        Captures(),
    )
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


class Recording(TorchDispatchMode):
    """A CUDA graph in slow motion: remembers operations with their tensors, and does them again to the same tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not isinstance(found, float):  # which the host has read, once
            self.steps.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        for func, args, kwargs, before in self.steps:
            pairs = zip(
                *((r if isinstance(r, tuple | list) else (r,)) for r in (before, func(*args, **kwargs))), strict=True
            )
            for kept, again in pairs:
                if kept.data_ptr() != again.data_ptr():
                    kept.copy_(again)


class Event:
    """In place of one of CUDA's, on a device that has always done everything."""

    def __init__(self, **_: Any) -> None:
        pass

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        pass


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """Has graphs captured and replayed on the CPU; gives those that were."""
    graphs: list[Recording] = []
    empty = torch.empty

    def graph() -> Recording:
        graphs.append(Recording())
        return graphs[-1]

    monkeypatch.setattr(torch.cuda, "Stream", lambda *_, **__: SimpleNamespace(synchronize=lambda: None))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda recording, **_: recording)
    monkeypatch.setattr(torch, "empty", lambda *shape, pin_memory=False, **how: empty(*shape, **how))
    return graphs


def noise(seed: int, height: int = 40, width: int = 56) -> Picture:
    """A frame with something in it."""
    chance, flat = np.random.default_rng(seed), picture(height=height, width=width)
    a, b, c = (chance.integers(0, 256, plane.shape, np.uint8) for plane in flat.planes)
    return replace(flat, planes=(a, b, c), qp=20.0 + seed)


@pytest.mark.parametrize("spec", [SPECS[1], SPECS[2], SPECS[3]], ids=lambda s: f"{s.family}-x{s.scale}")
def test_captured_and_step_by_step(captured: list[Recording], spec: NetworkSpec) -> None:
    """The same frames, in whatever order and by how many threads, and none written over by the next."""
    torch.manual_seed(0)
    network, card = spec.build(), ModelCard(spec.family, spec, "", "", "", "", "", 0, 0, 0.0)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and "taps" not in name:
            parameter.data += 0.02 * torch.randn_like(parameter)
    plain, graphs = (
        network_rescaler(LoadedModel(card, network, ""), Device(torch.device("cpu"), "fp32")) for _ in "ab"
    )
    (graphs._engine if isinstance(graphs, PackedRescaler) else graphs)._run = Runner(torch.device("cpu"), captures=True)  # type: ignore[union-attr]
    frames = [noise(seed) for seed in range(6)]
    lr = Samples.of(frames[0])
    to = Restoration(lr, 40 * spec.scale, 56 * spec.scale, temperature=1.0, seed=4)
    for work in (lambda r, i, p: r.upscale(p, to, i), lambda r, i, p: r.downscale(p, lr, p.qp)):
        captured.clear()
        wanted = [work(plain, index, frame) for index, frame in enumerate(frames)]
        assert not captured
        found = list(mapped_by(2, partial(work, graphs), frames))
        assert 1 <= len(captured) <= 2
        for one, other in zip(wanted, found, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


def test_graphs_of_a_few_sizes_are_kept(captured: list[Recording]) -> None:
    run = Runner(torch.device("cpu"), captures=True)
    for size in (1, 2, 3, 4, 1, 5, 1, 2):
        (found,) = run("twice", lambda x: [2 * x], np.arange(size, dtype=np.float32))
        assert found.tolist() == [2.0 * value for value in range(size)]
    assert len(captured) == 6  # 2 had to give way to 5
    run("twice", lambda x: [3 * x], np.arange(2, dtype=np.uint8))
    run("thrice", lambda x: [3 * x], np.arange(2, dtype=np.float32))
    assert len(captured) == 8


def test_without_graphs_step_by_step() -> None:
    """Where capturing fails, as it does here: said once, and the result is right."""
    run = Runner(torch.device("cpu"), captures=True)
    with pytest.warns(RuntimeWarning, match="no CUDA graph, so every picture takes longer: .*(?i:cuda)"):
        assert run("twice", lambda x: [2 * x], np.arange(3))[0].tolist() == [0, 2, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("twice", lambda x: [2 * x], np.arange(1, 4))[0].tolist() == [2, 4, 6]
    with pytest.raises(ZeroDivisionError), pytest.warns(RuntimeWarning):  # of the function's own
        run("never", lambda x: [x * (1 // 0)], np.arange(3))


def test_noise_on_a_device_is_that_of_every_engine() -> None:
    field = NoiseFields(torch.device("cpu"))(7, 500)
    found = field.windows(torch.from_numpy(places(7, 3, 18)))
    assert np.array_equal(found.numpy(), np.stack(windows(7, 3, 18, 500)))


@pytest.mark.parametrize(("asked", "taken"), [("auto", "fp16"), ("bf16", "bf16"), ("fp32", "fp32")])
def test_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch, asked: str, taken: str) -> None:
    """Half of it for convolutions, unless asked otherwise; and float32 is not cut to 10 bits."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(TorchEngine, "of", lambda _, device: SimpleNamespace(device=device))
    engine: Any = choose_engine(weights_of(X2), "cuda", asked)[0]
    assert (engine.device.torch_device, engine.device.precision) == (torch.device("cuda"), taken)
    assert not torch.backends.cudnn.allow_tf32
    assert engine.device.workers == 2
