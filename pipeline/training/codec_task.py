"""Training the receiver through the real encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.samples import CodedSequences, Samples, ShuffleBuffer, plane_errors
from irn_video.pipeline.training.sequences import SequenceSource
from irn_video.pipeline.training.task import Loss, leave_signals_to_parent
from torch import nn
from torch.utils.data import DataLoader

_BUFFER = 1500
_BATCHES_PER_GROUP = 8
# PSNR-YUV weighs luma six to one.
_PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
_STD_LOSS_WEIGHT = 1e-3


@dataclass(frozen=True)
class CodecTask:
    """Codec-aware networks: LR pictures coded by x264, error of the restored wavelet coefficients.

    Squared errors are weighted by one over those of the plain wavelet reconstruction of the whole picture, which makes
    the gradient that of the mean PSNR over pictures. The latent's standard deviation learns by Gaussian likelihood
    from the errors of its mean, without a gradient to the features. The sender's wavelet is fixed.
    """

    config: TrainConfig
    source: SequenceSource
    quality = "luma dB over the plain wavelet"

    def batches(self, seed: int) -> Iterator[Samples]:
        """Batches from a shuffle buffer that one worker process refills."""
        network = self.config.network.build()
        data = CodedSequences(self.source, self.config.codec, network, self.config.crop, seed)
        loader = DataLoader(
            data, batch_size=None, num_workers=1, prefetch_factor=4, worker_init_fn=leave_signals_to_parent
        )
        buffer = ShuffleBuffer(loader, _BUFFER, torch.Generator().manual_seed(seed))
        while True:
            buffer.refresh()
            for _ in range(_BATCHES_PER_GROUP):
                yield buffer.batch(self.config.batch)

    def loss(self, network: InvertibleRescaler, batch: Samples) -> Loss:
        """Weighted error of LR and latent as predicted from the decoded LR."""
        lr, target = batch.lr.float() / 255, batch.target.float()
        with torch.autocast("cpu", torch.bfloat16):
            prediction = network.predict(lr, batch.qp)
        weight = batch.weight * torch.tensor(_PLANE_WEIGHTS)
        errors = plane_errors(torch.cat((prediction.lr, prediction.mean), 1), target) * weight
        plain = plane_errors(torch.cat((lr, torch.zeros_like(prediction.mean)), 1), target) * weight
        latent = target[:, network.channels :]
        spread = nn.functional.gaussian_nll_loss(prediction.mean.detach(), latent, prediction.std.square(), eps=1e-8)
        total = errors.sum() / len(batch) + _STD_LOSS_WEIGHT * spread
        return Loss(total, errors.detach()[:, 0].sum(), plain[:, 0].sum())

    def frozen(self, network: InvertibleRescaler) -> list[nn.Module]:
        """The sender."""
        assert isinstance(network, CodecAwareRescaler)
        return [network.wavelet]

    def describe(self) -> tuple[str, str]:
        """For the card."""
        codec = self.config.codec
        return (
            f"through x264 ({', '.join(sorted(set(codec.presets)))}) at CRF {codec.crf_min:g} to {codec.crf_max:g}, "
            "sender fixed",
            f"{len(self.source.photos)} photographs in synthetic motion and {len(self.source.clips)} clips",
        )
