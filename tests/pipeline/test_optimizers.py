"""Optimisers: which parameters each takes, and that Muon does not care how inputs are scaled."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.optimizers import ConvolutionMuon, Optimizers, trained
from irn_video.pipeline.training.task import everything
from torch import nn

SPEC = NetworkSpec("codec-aware", width=8, depth=1)
NO_SCALING = torch.amp.GradScaler("cpu", enabled=False)


def test_every_parameter_is_taken_once() -> None:
    network = SPEC.build().train()
    for optimizer in ("adam", "muon"):
        config = TrainConfig("x", SPEC, optimizer=optimizer)  # type: ignore[arg-type]
        optimizers = Optimizers(config, everything(network))
        counts = [sum(p.numel() for group in one.param_groups for p in group["params"]) for one in optimizers.all]
        assert sum(counts) == sum(p.numel() for p in trained(everything(network)))
        assert len(counts) == (2 if optimizer == "muon" else 1)


def test_muon_steps_have_the_spectral_norm_of_the_rate() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3)
    before = layer.weight.detach().clone()
    muon = ConvolutionMuon([([layer.weight], 1.0)], 0.01)
    for gradient in (1e-6, 1e3):
        layer.weight.grad = gradient * torch.randn(layer.weight.shape)
        muon.step()
        change = torch.linalg.matrix_norm((layer.weight.detach() - before).flatten(1), 2)
        assert 0.005 < float(change) < 0.015
        before = layer.weight.detach().clone()


def test_muon_learns_what_is_faint() -> None:
    """Least squares with inputs whose sizes differ a hundredfold; Adam of the same rate is far behind."""

    def error_after(kind: str) -> float:
        torch.manual_seed(0)
        layer = nn.Conv2d(8, 8, 1, bias=False)
        wanted = torch.randn(8, 8, 1, 1)
        mix = torch.linalg.qr(torch.randn(8, 8))[0] * torch.logspace(0, -2, 8)[:, None]
        optimizer: torch.optim.Optimizer
        optimizer = (
            ConvolutionMuon([([layer.weight], 1.0)], 0.05)
            if kind == "muon"
            else torch.optim.Adam(layer.parameters(), lr=0.05)
        )
        for _ in range(150):
            x = torch.einsum("nkhw,kc->nchw", torch.randn(16, 8, 4, 4), mix)
            layer.zero_grad()
            F.mse_loss(layer(x), F.conv2d(x, wanted)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return float((layer.weight - wanted).detach().square().mean())

    assert error_after("muon") < 0.5 * error_after("adam")


def test_state_comes_back() -> None:
    config = TrainConfig("x", SPEC, optimizer="muon")
    networks = [SPEC.build().train()]
    networks.append(copy.deepcopy(networks[0]))
    one, other = (Optimizers(config, everything(network)) for network in networks)

    def step(network: nn.Module, optimizers: Optimizers, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizers.step(0.01, NO_SCALING)

    step(networks[0], one, 1)
    networks[1].load_state_dict(networks[0].state_dict())
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for network, optimizers in zip(networks, (one, other), strict=True):
        step(network, optimizers, 2)
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(a, b)
