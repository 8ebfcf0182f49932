"""Fit the sender's wavelet, and export it as a network that has learned nothing yet.

python samples/measure wavelet [--scale 1.5] [--support 8] [--taps 7] [--export FILE.safetensors]

The taps that ship are those of the defaults. `samples/measure bdrate CLIP... --model FILE.safetensors` then tells what
the wavelet is worth by itself: the receiver of an untrained network leaves all details at zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import click
import torch
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.lifting import LiftedSplit
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.network.thirds import ThirdsSplit
from irn_video.pipeline.zoo import load_model, write_model
from torch import Tensor, nn
from torch.nn.utils import parametrize

_SAMPLES = 96  # of the test signal; wider than any filter here
_STEPS = 3
_SEEDS = 3


class Design(ABC):
    """A split whose taps are to be found.

    Attributes:
        scale: of the network that has it.
        taps: a step's, at most, as the command counts them: on one side.
    """

    scale: float
    taps: int

    @abstractmethod
    def split(self, taps: Tensor) -> LiftedSplit | ThirdsSplit:
        """With these taps, (steps, n)."""

    @abstractmethod
    def low_passes(self, split: nn.Module) -> tuple[Tensor, Tensor]:
        """Impulse responses of analysis and synthesis at one LR sample, (n,) each."""

    @abstractmethod
    def places(self) -> Tensor:
        """Of the samples of these responses, from the LR sample, in HR samples."""

    @abstractmethod
    def width(self, taps: int) -> int:
        """Numbers in the row of a step with so many taps."""

    def fit(self, support: int, taps: int) -> tuple[float, Tensor]:
        """Least squares of both low-passes against the Lanczos kernel of this support; the error and the taps."""
        kernel = lanczos(self.places() / self.scale, support)
        targets = kernel / kernel.sum(), kernel
        results = [self._descend(targets, taps, seed) for seed in range(_SEEDS)]
        return min(results, key=lambda result: result[0])

    def _descend(self, targets: tuple[Tensor, Tensor], taps: int, seed: int) -> tuple[float, Tensor]:
        torch.manual_seed(seed)
        split = self.split(0.05 * torch.randn(_STEPS, self.width(taps), dtype=torch.float64)).double()
        optimizer = torch.optim.LBFGS(split.parameters(), max_iter=3000, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            analysis, synthesis = self.low_passes(split)
            # The synthesis filter has so many times the gain of the analysis filter: this weighs both alike.
            error = self.scale * (analysis - targets[0]).square().sum()
            error = error + (synthesis - targets[1]).square().sum() / self.scale
            error.backward()
            return error

        optimizer.step(closure)
        return closure().item(), split.taps.detach()


class Halves(Design):
    """By 2."""

    scale, taps = 2, 7

    def split(self, taps: Tensor) -> LiftedSplit:
        """Antisymmetric taps, one side of them."""
        return LiftedSplit(tuple(map(tuple, taps.tolist())))

    def low_passes(self, split: nn.Module) -> tuple[Tensor, Tensor]:
        """The LR sample in the middle."""
        assert isinstance(split, LiftedSplit)
        impulses = torch.eye(_SAMPLES, dtype=torch.float64)[:, None, None]  # one impulse at each place
        averages, _ = split.split(impulses[..., ::2], impulses[..., 1::2], -1)
        one = _impulse(_SAMPLES // 2, _SAMPLES // 4)
        even, odd = split.join(one, torch.zeros_like(one), -1)
        return averages[:, 0, 0, _SAMPLES // 4], torch.stack((even, odd), -1).flatten()

    def places(self) -> Tensor:
        """It lies between two HR samples."""
        return torch.arange(_SAMPLES, dtype=torch.float64) - _SAMPLES / 2 - 0.5

    def width(self, taps: int) -> int:
        """Those of one side."""
        return taps


class Thirds(Design):
    """By 3/2."""

    scale, taps = 1.5, 4

    def split(self, taps: Tensor) -> ThirdsSplit:
        """Taps of all places; the details are those of what is not flat."""
        split = ThirdsSplit(tuple(map(tuple, taps.tolist())))
        parametrize.register_parametrization(split, "taps", _FlatHasNoDetails())
        return split

    def low_passes(self, split: nn.Module) -> tuple[Tensor, Tensor]:
        """The first of the two LR samples in the middle; the other's mirror these."""
        assert isinstance(split, ThirdsSplit)
        averages, _ = split.split(torch.eye(_SAMPLES, dtype=torch.float64)[:, None, None], -1)
        one = _impulse(_SAMPLES * 2 // 3, _SAMPLES // 3)
        samples = split.join(one, torch.zeros(1, 1, 1, _SAMPLES // 3, dtype=torch.float64), -1)
        return averages[:, 0, 0, _SAMPLES // 3], samples.flatten()

    def places(self) -> Tensor:
        """It lies a quarter of an HR sample behind the first of three."""
        return torch.arange(_SAMPLES, dtype=torch.float64) - _SAMPLES / 2 - 0.25

    def width(self, taps: int) -> int:
        """Those of both sides and the one between."""
        return 2 * taps + 1


class _FlatHasNoDetails(nn.Module):
    """The taps of the steps that change the details sum up to zero."""

    def forward(self, taps: Tensor) -> Tensor:
        steps = torch.arange(len(taps)) % 2 == 0
        return taps - torch.where(steps[:, None], taps.mean(1, keepdim=True), 0.0)


DESIGNS: tuple[Design, ...] = (Halves(), Thirds())


def lanczos(x: Tensor, support: int) -> Tensor:
    """Lanczos kernel: sinc(x)·sinc(x/support) within ±support."""
    return torch.where(x.abs() < support, torch.sinc(x) * torch.sinc(x / support), torch.zeros_like(x))


def _impulse(length: int, place: int) -> Tensor:
    signal = torch.zeros(1, 1, 1, length, dtype=torch.float64)
    signal[..., place] = 1
    return signal


@click.command()
@click.option("--scale", type=click.Choice(["2", "1.5"]), default="2", show_default=True, help="Of the network.")
@click.option("--support", type=click.IntRange(2, 16), default=8, show_default=True, help="Of the Lanczos kernel.")
@click.option("--taps", type=click.IntRange(1, 7), help="Per lifting step, on each side [default: 7; 4 for 1.5].")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write an untrained network with them.")
def command(scale: str, support: int, taps: int | None, export: Path | None) -> None:
    """Fit the lifting taps of the sender's wavelet to a Lanczos kernel."""
    design = next(design for design in DESIGNS if f"{design.scale:g}" == scale)
    if taps is not None and taps > design.taps:
        raise click.UsageError(f"the network of scale {scale} has room for {design.taps} taps")
    error, fitted = design.fit(support, taps or design.taps)
    click.echo(f"error {error:.4f}")
    for row in fitted.tolist():
        click.echo(", ".join(f"{tap:.6f}" for tap in row))
    if export is None:
        return
    network = CodecAwareRescaler(scale=design.scale)
    assert network.wavelet is not None
    with torch.no_grad():
        network.wavelet.taps.zero_()
        # One side of the taps is filled from its near end, both sides from the middle.
        begin = 0 if isinstance(design, Halves) else design.taps - (taps or design.taps)
        network.wavelet.taps[:, begin : begin + fitted.shape[1]] = fitted.float()
    spec = NetworkSpec("codec-aware", design.scale)
    card = replace(load_model().card, name=export.stem, network=spec, training="none", temperature=0.0)
    write_model(export, card, network.state_dict(), overwrite=True)
