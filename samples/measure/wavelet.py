"""Fit the sender's wavelet, and export it as a network that has learned nothing yet.

python samples/measure wavelet [--support 8] [--taps 7] [--export FILE.safetensors]

The taps that ship are those of the defaults. `samples/measure bdrate CLIP... --model FILE.safetensors` then tells what
the wavelet is worth by itself: the receiver of an untrained network leaves all details at zero.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import torch
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.lifting import LiftedSplit
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.zoo import load_model, write_model
from torch import Tensor

_SAMPLES = 64  # of the test signal; wider than any filter here
_STEPS = 3
_SLOTS = 7  # taps a step has room for in the network
# The synthesis filter has twice the gain of the analysis filter, so this weighs both alike.
_ANALYSIS_WEIGHT, _SYNTHESIS_WEIGHT = 2.0, 0.5
_SEEDS = 3


def lanczos(x: Tensor, support: int) -> Tensor:
    """Lanczos kernel: sinc(x)·sinc(x/support) within ±support."""
    return torch.where(x.abs() < support, torch.sinc(x) * torch.sinc(x / support), torch.zeros_like(x))


def fit(support: int, taps: int) -> tuple[float, Tensor]:
    """Least squares of both low-passes against the kernel of this support; returns the error and (3, taps)."""
    places = torch.arange(_SAMPLES, dtype=torch.float64) - _SAMPLES / 2 - 0.5
    down = lanczos(places / 2, support)
    targets = down / down.sum(), lanczos(places / 2, support)
    results = [_descend(targets, taps, seed) for seed in range(_SEEDS)]
    return min(results, key=lambda result: result[0])


def _descend(targets: tuple[Tensor, Tensor], taps: int, seed: int) -> tuple[float, Tensor]:
    torch.manual_seed(seed)
    start = 0.05 * torch.randn(_STEPS, taps, dtype=torch.float64)
    split = LiftedSplit(tuple(map(tuple, start.tolist()))).double()
    optimizer = torch.optim.LBFGS(split.parameters(), max_iter=3000, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        analysis, synthesis = low_passes(split)
        error = _ANALYSIS_WEIGHT * (analysis - targets[0]).square().sum()
        error = error + _SYNTHESIS_WEIGHT * (synthesis - targets[1]).square().sum()
        error.backward()
        return error

    optimizer.step(closure)
    return closure().item(), split.taps.detach()


def low_passes(split: LiftedSplit) -> tuple[Tensor, Tensor]:
    """Impulse responses of analysis and synthesis, centred between the two middle samples."""
    impulses = torch.eye(_SAMPLES, dtype=torch.float64)[:, None, None]  # one impulse at each place
    averages, _ = split.split(impulses[..., ::2], impulses[..., 1::2], -1)
    one = torch.zeros(1, 1, 1, _SAMPLES // 2, dtype=torch.float64)
    one[..., _SAMPLES // 4] = 1
    even, odd = split.join(one, torch.zeros_like(one), -1)
    return averages[:, 0, 0, _SAMPLES // 4], torch.stack((even, odd), -1).flatten()


@click.command()
@click.option("--support", type=click.IntRange(2, 16), default=8, show_default=True, help="Of the Lanczos kernel.")
@click.option("--taps", type=click.IntRange(1, _SLOTS), default=_SLOTS, show_default=True, help="Per lifting step.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write an untrained network with them.")
def command(support: int, taps: int, export: Path | None) -> None:
    """Fit the lifting taps of the sender's wavelet to a Lanczos kernel."""
    error, fitted = fit(support, taps)
    click.echo(f"error {error:.4f}")
    for row in fitted.tolist():
        click.echo(", ".join(f"{tap:.6f}" for tap in row))
    if export is None:
        return
    network = CodecAwareRescaler()
    with torch.no_grad():
        network.wavelet.taps.zero_()
        network.wavelet.taps[:, :taps] = fitted.float()
    card = replace(
        load_model().card, name=export.stem, network=NetworkSpec("codec-aware"), training="none", temperature=0.0
    )
    write_model(export, card, network.state_dict(), overwrite=True)
