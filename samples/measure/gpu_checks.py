"""What must hold where networks run on a GPU: plain functions, for the tests and for a machine without pytest.

Each takes a device, `cuda` or, for what can be checked without one, `torch`, and raises AssertionError. The networks
are small ones with weights that nobody trained, so no file is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.engine.choosing import choose_engine
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.engine.engine import Draw
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.rgb import RgbRescaler
from irn_video.pipeline.engine.torch_engine import TorchEngine
from irn_video.pipeline.flow import mapped_by
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.zoo import LoadedModel, ModelCard
from irn_video.pipeline.zoo.card import Weights, arrays_of

X1, X2, X4 = (NetworkSpec("codec-aware", scale, width=16, depth=2, coring=0.5) for scale in (1, 2, 4))
PAPER = NetworkSpec("paper", 2, blocks=2, latent_std=0.02)
LEVELS, DECIBELS = 1, 0.005
"""How far a GPU may be from the CPU in fp32: of one sample, and in PSNR of a frame."""
_MEAN = Draw()
_HALF_DECIBELS = 45.0  # a frame in half precision against the same in fp32: far more than any has against its source


@dataclass(frozen=True)
class Difference:
    """Two engines on the same frames at temperature 0.

    Attributes:
        levels: the most that a sample differs.
        decibels: the most that the PSNR of a frame differs.
    """

    levels: int
    decibels: float

    @property
    def small(self) -> bool:
        """Whether that is rounding."""
        return self.levels <= LEVELS and self.decibels <= DECIBELS


def frame(seed: int, height: int = 48, width: int = 80, bit_depth: int = 8) -> Picture:
    """Waves and noise, 4:2:0."""
    chance, planes = np.random.default_rng(seed), []
    for rows, columns in Layout.YUV420.plane_shapes(height, width):
        y, x = np.mgrid[:rows, :columns]
        wave = 110 + 60 * np.sin(y / 7 + seed) * np.cos(x / 5) + chance.normal(0, 6, (rows, columns))
        codes = np.clip(wave, 16, 235) * (1 << bit_depth - 8)
        planes.append(codes.astype(np.uint8 if bit_depth == 8 else np.uint16))
    color = ColorSpec(6, full_range=False, chroma_siting=1)
    return Picture((planes[0], planes[1], planes[2]), Layout.YUV420, bit_depth, color, seed, Fraction(1, 25), 1)


def weights_of(spec: NetworkSpec) -> Weights:
    """The same at each call, so large that every layer does something."""
    chance, network = torch.Generator().manual_seed(1), spec.build()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and "taps" not in name:
            parameter.data = torch.randn(parameter.shape, generator=chance) / max(16, parameter[0].numel()) ** 0.5
    card = ModelCard(f"{spec.family}-x{spec.scale}", spec, "", "", "", "", "", 0, 0, 0.0)
    return Weights(card, arrays_of(network.state_dict()), "")


def untrained(spec: NetworkSpec, device: str, precision: str = "fp32") -> Rescaler:
    """A network with those weights."""
    weights = weights_of(spec)
    if spec.family == "codec-aware":
        return PackedRescaler(weights, *choose_engine(weights, device, precision))
    network = spec.build()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.arrays.items()})
    return RgbRescaler(LoadedModel(weights.card, network, ""), choose_device(device, precision))


def sent(rescaler: Rescaler, picture: Picture) -> Picture:
    """Its LR frame, as if decoded without a further error."""
    lr = rescaler.sent(Samples.of(picture), lossless=rescaler.wants_lossless, height=picture.height)
    return replace(rescaler.downscale(picture, lr, 26.0), qp=24.0 + picture.pts % 4)


def restored(rescaler: Rescaler, picture: Picture, small: Picture, temperature: float = 0.0, index: int = 0) -> Picture:
    """As a receiver restores it."""
    carried = rescaler.carried(Samples.of(picture), picture.height)
    return rescaler.upscale(small, Restoration(carried, picture.height, picture.width, temperature, 5), index)


def difference(ours: Rescaler, theirs: Rescaler, pictures: Sequence[Picture]) -> Difference:
    """Of two engines with the same network, down and up; `theirs` makes the LR frames that both restore."""
    levels, decibels = 0, 0.0
    for picture in pictures:
        small = sent(theirs, picture)
        one, other = (restored(rescaler, picture, small) for rescaler in (ours, theirs))
        levels = max(levels, _most(sent(ours, picture), small), _most(one, other))
        first, second = (compare(picture, found).psnr()["psnr_y"] for found in (one, other))
        if first != second:
            decibels = max(decibels, abs((first or np.inf) - (second or np.inf)))
    return Difference(levels, decibels)


def networks_are_those_of_the_cpu(device: str) -> None:
    """All families and scales, 8 bits and 10, sides that are no multiples of anything."""
    for spec in (X1, X2, X4, PAPER):
        ours, theirs = untrained(spec, device), untrained(spec, "cpu")
        for bit_depth in (8, 10):
            found = difference(ours, theirs, [frame(3, 38, 54, bit_depth)])
            assert found.small, (spec, bit_depth, found)


def noise_is_that_of_the_cpu(device: str) -> None:
    """The same latents from the same seed, and others for the next frame."""
    for spec in (X2, X4, PAPER):
        ours, theirs, picture = untrained(spec, device), untrained(spec, "cpu"), frame(1)
        small = sent(theirs, picture)
        noisy = [restored(rescaler, picture, small, 1.0, index) for rescaler in (ours, theirs) for index in (7, 8)]
        assert _most(noisy[0], noisy[2]) <= LEVELS, spec
        assert _most(noisy[0], noisy[1]) > LEVELS, spec


def frames_do_not_disturb_each_other(device: str) -> None:
    """By two threads as one by one, and no frame is written over by those after it."""
    for spec in (X2, PAPER):
        rescaler, pictures = untrained(spec, device), [frame(seed) for seed in range(6)]
        pairs = [(picture, sent(rescaler, picture)) for picture in pictures]

        def work(index: int, pair: tuple[Picture, Picture], rescaler: Rescaler = rescaler) -> Picture:
            return restored(rescaler, *pair, 0.5, index)

        alone = [work(index, pair).planes[0].copy() for index, pair in enumerate(pairs)]
        with _no_warnings():
            together = list(mapped_by(2, work, pairs))
        assert all(np.array_equal(one, other.planes[0]) for one, other in zip(alone, together, strict=True)), spec


def graphs_are_step_by_step(device: str) -> None:
    """A captured network is the same as one that is launched operation by operation, whatever the quantiser."""
    weights, planes = weights_of(X2), frame(2).planes
    graphs = TorchEngine.of(weights, choose_device(device, "fp32"))
    steps = graphs.tuned(weights.arrays)  # tuned networks are not captured
    with _no_warnings():
        for qp in (0.0, 20.0, 40.0):
            for bits in (8, None):
                one, other = (e.reverse(e.predict(planes, 255.0, qp, 0.0), _MEAN, bits) for e in (graphs, steps))
                worst = max(float(np.abs(a.astype(float) - b).max()) for a, b in zip(one, other, strict=True))
                assert worst <= (LEVELS if bits else 0.01), (qp, bits, worst)


def tuned_networks_are_tuned(device: str) -> None:
    """Weights that came with a stream: as on the CPU, and not as without them."""
    weights, planes = weights_of(X2), frame(4).planes
    changed = {name: array * np.float32(1.3) for name, array in weights.arrays.items()}
    general, other = (TorchEngine.of(weights, choose_device(where, "fp32")) for where in (device, "cpu"))
    seen = [e.predict(planes, 255.0, 30.0, 0.0) for e in (general, general.tuned(changed), other.tuned(changed))]
    # The engine that goes on is the general one, as in a stream.
    plain, ours, theirs = (general.reverse(predicted, _MEAN, 8)[0].astype(int) for predicted in seen)
    assert np.abs(ours - theirs).max() <= LEVELS
    assert np.abs(ours - plain).max() > LEVELS


def half_precision_is_close(device: str) -> None:
    """What `--precision auto` takes on a GPU; elsewhere bf16."""
    half = "fp16" if device.startswith("cuda") else "bf16"
    for spec in (X1, X2, X4, PAPER):
        exact, quick, picture = untrained(spec, device), untrained(spec, device, half), frame(6)
        small = sent(exact, picture)
        found = compare(*(restored(rescaler, picture, small) for rescaler in (exact, quick))).psnr()["psnr_y"]
        assert found is None or found > _HALF_DECIBELS, (spec, found)


CHECKS: tuple[Callable[[str], None], ...] = (
    networks_are_those_of_the_cpu,
    noise_is_that_of_the_cpu,
    frames_do_not_disturb_each_other,
    graphs_are_step_by_step,
    tuned_networks_are_tuned,
    half_precision_is_close,
)


def _most(one: Picture, other: Picture) -> int:
    """The most that a sample differs, in levels of the depth that both have."""
    pairs = zip(one.planes, other.planes, strict=True)
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """A graph that cannot be captured is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield
