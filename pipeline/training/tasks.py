"""Which task trains which network; loads only what that task needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.task import Task

if TYPE_CHECKING:
    from irn_video.pipeline.training.sequences import SequenceSource


def make_task(config: TrainConfig, source: SequenceSource) -> Task[Any]:
    """The task of the configured network."""
    if config.network.family == "paper" and config.perceptual.adversarial:
        from irn_video.pipeline.training.perceptual_task import PerceptualTask

        return PerceptualTask(config, source)
    if config.network.family == "paper":
        from irn_video.pipeline.training.paper_task import PaperTask

        return PaperTask(config, source)
    if config.codec.sender != "fixed":
        from irn_video.pipeline.training.sender_task import SenderTask

        return SenderTask(config, source)
    if config.perceptual.adversarial:
        from irn_video.pipeline.training.texture_task import TextureTask

        return TextureTask(config, source)
    from irn_video.pipeline.training.codec_task import CodecTask

    return CodecTask(config, source)
