"""Starting a run from weights of the same or a shallower network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.commands.train import main
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.growing import start_from
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.trainer import Trainer
from irn_video.pipeline.zoo import LoadedModel, ModelCard, read_model
from torch import nn


def trained(spec: NetworkSpec) -> LoadedModel:
    """A network in which every weight matters."""
    torch.manual_seed(3)
    network = spec.build()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.02)
    return LoadedModel(ModelCard("start", spec, "", "", "", "", "", 0, 0, 0.0), network, "abcdef0123456789")


@pytest.mark.parametrize("scale", [2, 4])
def test_a_grown_network_computes_the_same(scale: int) -> None:
    start = trained(NetworkSpec("paper", scale, blocks=2))
    spec = NetworkSpec("paper", scale, blocks=5, latent_std=0.1)
    network = spec.build()
    start_from(network, spec, start)
    hr = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        for grown, before in zip(network.downscale(hr), start.network.downscale(hr), strict=True):
            assert torch.allclose(grown, before, atol=1e-6)
            assert grown.std() > 0.01
        lr, latent = torch.rand(1, 3, 4, 4), torch.rand(1, 3 * (scale**2 - 1), 4, 4)
        assert torch.allclose(network.upscale(lr, latent), start.network.upscale(lr, latent), atol=1e-5)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec("paper", 4, blocks=2),
        NetworkSpec("paper", 2, blocks=1),
        NetworkSpec("codec-aware", 2, blocks=2),
    ],
)
def test_other_architectures_are_refused(spec: NetworkSpec) -> None:
    with pytest.raises(TrainingFailed, match="another architecture"):
        start_from(spec.build(), spec, trained(NetworkSpec("paper", 2, blocks=2)))


def test_the_sender_of_a_start_may_filter_otherwise() -> None:
    start, spec = trained(NetworkSpec("codec-aware", 2, width=8)), NetworkSpec("codec-aware", 2, width=8, coring=0.5)
    network = spec.build()
    start_from(network, spec, start)
    for name, tensor in start.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)


@pytest.mark.parametrize(("given", "wanted"), [(1, 1.5), (2, 4)])
def test_another_scale_starts_with_the_same_lr_picture(given: float, wanted: float) -> None:
    start, spec = trained(NetworkSpec("codec-aware", given, 8, 2)), NetworkSpec("codec-aware", wanted, 8, 2)
    network = spec.build()
    start_from(network, spec, start)
    lr = torch.rand(1, 6, 12, 18)
    with torch.inference_mode():
        ours, theirs = network.predict(lr, 30.0), start.network.predict(lr, 30.0)
    assert torch.allclose(ours.lr, theirs.lr, atol=1e-6)
    assert not torch.allclose(ours.lr, lr, atol=1e-4)
    assert float(ours.mean.abs().max()) == 0 or given == 2
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


@pytest.mark.parametrize("spec", [NetworkSpec("paper", 2), NetworkSpec("codec-aware", 2, width=8)])
def test_another_family_is_refused_in_one_line(
    spec: NetworkSpec, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "x.toml"
    config.write_text(f'name = "x"\n[network]\nfamily = "{spec.family}"\nwidth = {spec.width}\n')
    other = "irn-h264-x2" if spec.family == "paper" else "irn-x2"
    given = ("--images", str(photos), "--out", str(tmp_path / "run"), "--steps", "1", "--device", "cpu")
    assert main([str(config), *given, "--init", other]) == 1
    assert "error: irn-" in (error := capsys.readouterr().err)
    assert "another architecture" in error
    assert "Traceback" not in error


def test_the_card_names_the_start_even_after_a_break(photos: Path, tmp_path: Path) -> None:
    spec = NetworkSpec("paper", blocks=1, latent_std=0.01)
    config = TrainConfig("tiny", spec, crop=32, batch=2)
    source = SequenceSource(find_files((photos,), photos=True), (), 0.0)
    Trainer(config, source, tmp_path, steps=1, start=trained(replace(spec, latent_std=1.0))).run(lambda _: None)
    again = Trainer(config, source, tmp_path, steps=2)
    again.run(lambda _: None)
    again.export(tmp_path / "tiny.safetensors")
    assert "started from start abcdef01" in read_model(tmp_path / "tiny.safetensors").card.training


def test_half_the_bytes_are_the_same_network(photos: Path, tmp_path: Path) -> None:
    config = TrainConfig("tiny", NetworkSpec("paper", blocks=1, latent_std=0.01), crop=32, batch=2, half=True)
    source = SequenceSource(find_files((photos,), photos=True), (), 0.0)
    trainer = Trainer(config, source, tmp_path, steps=1)
    trainer.run(lambda _: None)
    digest = trainer.export(tmp_path / "half.safetensors")
    half = read_model(tmp_path / "half.safetensors")
    assert half.sha256 == digest
    for name, tensor in trainer.averaged().state_dict().items():
        assert torch.allclose(half.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
        assert half.network.state_dict()[name].dtype == torch.float32
    config = replace(config, half=False)
    Trainer(config, source, tmp_path / "whole", steps=1).export(tmp_path / "whole.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
