"""IRN+: two networks that learn against each other, each from its own loss, resumed together."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import BadConfig
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.checkpoint import load_checkpoint
from irn_video.pipeline.training.config import PerceptualConfig, TrainConfig, load_config
from irn_video.pipeline.training.paper_task import PaperTask
from irn_video.pipeline.training.perceptual_task import PerceptualTask
from irn_video.pipeline.training.run_options import RunOptions
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.tasks import make_task
from irn_video.pipeline.training.trainer import Trainer

PERCEPTUAL = PerceptualConfig(adversarial=0.01, features=0.1, width=8)
TINY = TrainConfig(
    "tiny",
    NetworkSpec("paper", 4, blocks=1, latent_std=0.01),
    perceptual=PERCEPTUAL,
    crop=32,
    batch=2,
    learning_rate=1e-3,
)
FP32 = RunOptions(choose_device("cpu", "fp32"), log_every=10)


@pytest.fixture
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


def test_each_network_learns_from_its_own_loss_alone(source: SequenceSource) -> None:
    task = PerceptualTask(TINY, source)
    network = TINY.network.build()
    batch = next(task.batches(0, 0))
    network_weights = [weight for weight in network.parameters() if weight.requires_grad]
    critic_weights = list(task.critic.parameters())

    def reached(name: str) -> tuple[bool, bool]:
        part = task.loss(network, batch, torch.Generator().manual_seed(0)).parts[name]
        gradients = torch.autograd.grad(part, network_weights + critic_weights, allow_unused=True)
        used = [gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients]
        return any(used[: len(network_weights)]), any(used[len(network_weights) :])

    assert reached("critic") == (False, True)
    assert reached("adversarial") == (True, False)
    assert reached("features") == (True, False)
    assert reached("reconstruction") == (True, False)


def test_the_critic_learns_to_tell_blurred_pictures(source: SequenceSource) -> None:
    """With a network that does not learn, the critic's loss falls below that of a guess, 2 ln 2."""
    config = replace(TINY, perceptual=replace(PERCEPTUAL, rate=1.0))
    task, network = PerceptualTask(config, source), config.network.build()
    optimizer = torch.optim.Adam(task.critic.parameters(), 1e-3)
    losses = []
    for batch in islice(task.batches(0, 0), 40):
        loss = task.loss(network, batch, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        loss.parts["critic"].backward()
        optimizer.step()
        losses.append(loss.parts["critic"].item())
    assert sum(losses[-10:]) / 10 < 1.0


def test_a_continued_run_equals_an_uninterrupted_one(source: SequenceSource, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    config = replace(TINY, schedule="steps", halve_at=(100,))
    for folder, budgets in ((one, (12,)), (other, (5, 12))):
        for steps in budgets:
            Trainer(config, source, folder, steps=steps, options=FP32).run(lambda _: None)
    first, second = load_checkpoint(one), load_checkpoint(other)
    assert first is not None
    assert second is not None
    for part in ("network", "average", "critic"):
        for name, tensor in first[part].items():
            assert torch.equal(tensor, second[part][name]), (part, name)
    untrained = PerceptualTask(config, source).critic.state_dict()
    assert not torch.equal(first["critic"]["verdict.weight"], untrained["verdict.weight"])


def test_without_its_weight_it_is_the_plain_recipe(source: SequenceSource) -> None:
    assert type(make_task(replace(TINY, perceptual=PerceptualConfig()), source)) is PaperTask
    assert type(make_task(TINY, source)) is PerceptualTask


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('loss = "sum"\n[network]\nfamily = "paper"\n', "perceptual.adversarial needs"),
        ('[network]\nfamily = "codec-aware"\nscale = 1\n', "perceptual.adversarial needs"),
        ('[network]\nfamily = "paper"\n[perceptual]\nadversarial = -1', "from 0 to 100"),
        ('[network]\nfamily = "paper"\n[perceptual]\nwidth = 0', "perceptual.width"),
    ],
)
def test_senseless_settings(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    tail = "" if "[perceptual]" in text else "[perceptual]\nadversarial = 0.1\n"
    path.write_text(f'name = "x"\n{text}{tail}')
    with pytest.raises(BadConfig, match=words):
        load_config(path)
