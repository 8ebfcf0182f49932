"""IRN+: the paper's networks made sharp with an adversarial loss (section 3.4, "training for perceptual quality")."""

from __future__ import annotations

import itertools
from functools import cached_property

import torch
import torch.nn.functional as F
from irn_video.pipeline.network import InvertibleRescaler
from irn_video.pipeline.training.critics import SLOPE, difference, relativistic, without_weights_gradient
from irn_video.pipeline.training.paper_task import PaperTask
from irn_video.pipeline.training.task import Loss, Rates
from torch import Tensor, nn


class PatchCritic(nn.Module):
    """Tells pictures from restored ones, patch by patch (PatchGAN, Isola et al. 2017).

    Args:
        width: feature channels of the first layer; each of the three steps down doubles them, up to four times.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = (width, 2 * width, 4 * width, 4 * width)
        self.layers = nn.ModuleList([nn.Conv2d(3, channels[0], 3, padding=1)])
        for before, after in itertools.pairwise(channels):
            self.layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
        self.verdict = nn.Conv2d(channels[-1], 1, 3, padding=1)
        for layer in (*self.layers, self.verdict):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """R′G′B′ (N, 3, h, w) in [0, 1] → verdicts (N, 1, h/8, w/8), higher for real; features of every layer."""
        x = 4 * pictures - 2
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.verdict(x), features


class PerceptualTask(PaperTask):
    """The paper's losses, a relativistic average adversarial loss (ESRGAN, section 3.2) and the critic's features.

    IRN+ compares features of a VGG network that was trained to classify. This one compares those of the critic
    (feature matching, Wang et al. 2018, pix2pixHD), so that nothing has to be downloaded. Network and critic take
    their steps at the same time, each with its own loss.
    """

    @cached_property
    def critic(self) -> PatchCritic:
        """Weights are a function of config.seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return PatchCritic(self.config.perceptual.width)

    def loss(self, network: InvertibleRescaler, batch: Tensor, rng: torch.Generator) -> Loss:
        """Losses of the network and of the critic, each without a gradient to the other."""
        perceptual = self.config.perceptual
        plain, restored = self.restored_loss(network, batch, rng)
        real, real_features = self.critic(batch.float() / 255)
        fake, _ = self.critic(restored.detach())
        judged, judged_features = without_weights_gradient(self.critic, restored)
        parts = {
            **plain.parts,
            "critic": relativistic(real, fake),
            "adversarial": relativistic(judged, real.detach()),
            "features": difference(judged_features, real_features),
        }
        total = plain.total + parts["critic"]
        total = total + perceptual.adversarial * parts["adversarial"] + perceptual.features * parts["features"]
        return Loss(total, plain.error, plain.reference, parts)

    def rates(self, network: InvertibleRescaler) -> Rates:
        """The critic has its own."""
        return [*super().rates(network), (list(self.critic.parameters()), self.config.perceptual.rate)]

    def describe(self) -> tuple[str, str]:
        """For the card."""
        how, data = super().describe()
        return f"{how}; adversarial loss and features of the critic", data
