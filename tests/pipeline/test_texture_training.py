"""Networks that learn to look real through the encoder: what each part of the loss moves, and what is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import BadConfig
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import LOG_STD_RANGE
from irn_video.pipeline.network.packed import pack
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import CodecConfig, PerceptualConfig, TrainConfig, load_config
from irn_video.pipeline.training.samples import CodedGroups, Samples
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.tasks import make_task
from irn_video.pipeline.training.texture_task import TextureTask, local_power, luma_bands

TINY = TrainConfig(
    "tiny-plus",
    NetworkSpec("codec-aware", width=8, depth=1),
    codec=CodecConfig(crf_min=18, crf_max=30, presets=("ultrafast",), frames=3),
    perceptual=PerceptualConfig(adversarial=0.1, features=0.1, strength=4.0, width=8),
    temperature=1.0,
    crop=64,
    batch=4,
    optimizer="muon",
    learning_rate=0.003,
    schedule="steps",
    halve_at=(100,),
    warmup=1,
    ema=0.5,
)


@pytest.fixture(scope="module")
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


@pytest.fixture(scope="module")
def batch(source: SequenceSource) -> Samples:
    return CodedGroups(source, TINY.codec, TINY.network.build(), TINY.crop, "0").group(0)[:4]


def test_it_is_the_task_of_codec_aware_networks_with_an_adversary(source: SequenceSource) -> None:
    assert type(make_task(TINY, source)) is TextureTask
    assert type(make_task(replace(TINY, perceptual=PerceptualConfig()), source)) is not TextureTask


def test_each_part_moves_what_it_should(source: SequenceSource, batch: Samples) -> None:
    task, network = TextureTask(TINY, source), TINY.network.build()
    assert isinstance(network, CodecAwareRescaler)
    assert network.restorer.spread is not None
    torch.nn.init.normal_(network.restorer.last.weight, std=0.1)
    mean, spread, critic = (
        network.restorer.last.weight,
        network.restorer.spread.weight,
        next(p for p in task.critic.parameters() if p.dim() == 4),
    )

    def reached(name: str) -> tuple[bool, ...]:
        part = task.loss(network, batch, torch.Generator().manual_seed(0)).parts[name]
        found = torch.autograd.grad(part, (mean, spread, critic), allow_unused=True)
        return tuple(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in found)

    assert reached("critic") == (False, False, True)
    assert reached("noise") == (False, True, False)
    for name in ("squares", "strength", "adversarial", "features"):
        assert reached(name) == (True, False, False), name


def test_noise_fills_what_the_mean_lacks(source: SequenceSource, batch: Samples) -> None:
    """The spread learns the strength of the source's details where nothing is known, and to be silent where all is."""
    task, network = TextureTask(TINY, source), TINY.network.build()
    assert isinstance(network, CodecAwareRescaler)
    assert network.restorer.spread is not None
    optimizer = torch.optim.Adam(network.restorer.spread.parameters(), 0.05)
    parts = []
    for _ in range(80):
        parts.append(task.loss(network, batch, torch.Generator().manual_seed(0)).parts["noise"])
        optimizer.zero_grad()
        parts[-1].backward()
        optimizer.step()
    assert parts[-1] < 0.5 * parts[0]
    with torch.inference_mode():
        drawn = network.predict(batch.lr.float() / 255, batch.qp).std.square().mean((0, 2, 3))[:12]
    missing = batch.target.float().square().mean((0, 2, 3))[6:18]
    assert 0.4 < drawn.sum() / missing.sum() < 1.2


def test_the_spread_starts_anew(source: SequenceSource) -> None:
    network = TINY.network.build()
    assert isinstance(network, CodecAwareRescaler)
    assert network.restorer.spread is not None
    fresh = {name: weight.clone() for name, weight in network.state_dict().items()}
    torch.nn.init.normal_(network.restorer.spread.weight)
    torch.nn.init.normal_(network.restorer.spread.bias)  # type: ignore[arg-type]
    TextureTask(TINY, source).begin(network)
    assert all(torch.equal(weight, fresh[name]) for name, weight in network.state_dict().items())


def test_a_spread_that_is_too_large_comes_back(batch: Samples) -> None:
    network = TINY.network.build()
    assert isinstance(network, CodecAwareRescaler)
    assert network.restorer.spread is not None
    torch.nn.init.constant_(network.restorer.spread.bias, 3.0)  # type: ignore[arg-type]
    lr = batch.lr.float() / 255
    prediction = network.predict(lr, batch.qp)
    prediction.std.sum().backward()
    assert network.restorer.spread.bias is not None
    assert (network.restorer.spread.bias.grad[:12] > 0).all()  # type: ignore[index]
    with torch.inference_mode():
        assert torch.equal(network.predict(lr, batch.qp).log_std, prediction.log_std)
    assert prediction.log_std[:, :12].max() == LOG_STD_RANGE[1]


def test_chroma_is_neither_drawn_nor_judged(source: SequenceSource, batch: Samples) -> None:
    task, network = TextureTask(TINY, source), TINY.network.build()
    assert isinstance(network, CodecAwareRescaler)
    torch.nn.init.normal_(network.restorer.last.weight, std=0.1)
    parts = task.loss(network, batch, torch.Generator().manual_seed(0)).parts
    for name in ("strength", "adversarial", "features"):
        (gradient,) = torch.autograd.grad(parts[name], network.restorer.last.weight, retain_graph=True)
        found = gradient.abs().sum((1, 2, 3))
        assert (found[:4] > 0).all()
        assert (found[6:18] > 0).all()
        assert not found[[4, 5, *range(18, 24)]].any()


def test_weaker_details_are_weaker_everywhere() -> None:
    bands = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
    assert local_power(bands).shape == (1, 3, 8, 8)
    assert torch.allclose(local_power(bands), 4 * local_power(bands / 2))
    assert local_power(torch.full((1, 3, 32, 32), 0.2)).allclose(torch.tensor(0.04))


@pytest.mark.parametrize("scale", [2, 4])
def test_bands_of_luma_hold_its_energy(scale: int) -> None:
    """Those of the wavelet and of the LR picture, whatever their order in the latent: they come from luma alone."""
    network = CodecAwareRescaler(8, 1, scale)
    generator = torch.Generator().manual_seed(0)
    y, u, v = (torch.rand(1, 1, side, side, generator=generator, dtype=torch.float64) for side in (128, 64, 64))
    network = network.double()
    with torch.inference_mode():
        bands = luma_bands(*network.downscale(pack(y, u, v)))
        others = luma_bands(*network.downscale(pack(y, v, u)))
    assert [tuple(band.shape) for band in bands] == [(1, 3, 64 >> level, 64 >> level) for level in range(len(bands))]
    assert all(torch.equal(one, other) for one, other in zip(bands, others, strict=True))
    # Of a picture that is shifted by a cell all bands are the same, shifted: their samples lie where they belong.
    step = 4 * scale
    with torch.inference_mode():
        moved = luma_bands(*network.downscale(pack(torch.roll(y, step, -1), u, v)))
    for level, (here, there) in enumerate(zip(bands, moved, strict=True)):
        middle = slice(3 * here.shape[-1] // 8, 5 * here.shape[-1] // 8)  # the wavelet's filters have no end
        shifted = torch.roll(here, step >> (level + 1), -1)
        torch.testing.assert_close(shifted[..., middle], there[..., middle], rtol=0, atol=2e-3)
        assert shifted[..., middle].std() > 0.05


def test_the_critic_learns_to_tell(source: SequenceSource, batch: Samples) -> None:
    task, network = TextureTask(TINY, source), TINY.network.build()
    optimizer = torch.optim.Adam(task.critic.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        part = task.loss(network, batch, torch.Generator().manual_seed(0)).parts["critic"]
        optimizer.zero_grad()
        part.backward()
        optimizer.step()
        losses.append(part.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    "text",
    ["contrast = 0.1\n", 'teacher = "irn-h264-x2-base"\n', 'codec = { sender = "straight-through" }\n'],
)
def test_what_does_not_go_together(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'name = "x"\n{text}network = {{ family = "codec-aware" }}\nperceptual = {{ adversarial = 0.1 }}\n')
    with pytest.raises(BadConfig, match=r"perceptual\.adversarial of a codec-aware network needs"):
        load_config(path)
