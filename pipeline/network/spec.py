"""What network a weights file holds: the few numbers from which it can be built.

This module must not import PyTorch, so that networks are listed quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from irn_video.codecs.errors import BadWeights

if TYPE_CHECKING:
    from irn_video.pipeline.network.rescaler import InvertibleRescaler

# Sanity limits, since a spec may come from a file that somebody else made.
_MAX_WIDTH, _MAX_DEPTH, _MAX_BLOCKS, _MAX_CORING = 512, 64, 32, 4.0


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture of a rescaling network.

    Attributes:
        family: "codec-aware" (packed Y′CbCr 4:2:0, made for H.264) or "paper" (RGB, made for a lossless LR).
        scale: HR samples per LR sample along each axis; `int` but for 3/2.
        width: feature channels of the codec-aware receiver.
        depth: its convolutions between the first and the last.
        coring: strength of the codec-aware sender's coring, in steps of the quantiser; 0 for none.
        blocks: coupling layers per ×2 step of a paper network.
        latent_std: standard deviation of a paper network's latent.

    Raises:
        BadWeights: a number is out of range.
    """

    family: Literal["codec-aware", "paper"]
    scale: float = 2
    width: int = 48
    depth: int = 3
    coring: float = 0.0
    blocks: int = 8
    latent_std: float = 1.0

    def __post_init__(self) -> None:
        scales = {"codec-aware": (1, 1.5, 2, 4), "paper": (2, 4)}.get(self.family)
        if scales is None:
            raise BadWeights(f"unknown network family {self.family!r}", hint="this may need a newer irn-video")
        if self.scale not in scales:
            raise BadWeights(f"a {self.family} network of scale {self.scale:g} does not exist here")
        in_range = (
            1 <= self.width <= _MAX_WIDTH
            and 0 <= self.depth <= _MAX_DEPTH
            and 0 <= self.coring <= _MAX_CORING
            and 1 <= self.blocks <= _MAX_BLOCKS
            and 0 < self.latent_std <= 100
        )
        if not in_range:
            raise BadWeights(f"network sizes out of range: {self}")
        if self.scale == int(self.scale):  # a TOML file's comes as a float, and stream cards have whole numbers
            object.__setattr__(self, "scale", int(self.scale))

    def build(self) -> InvertibleRescaler:
        """A new network with untrained weights, in evaluation mode."""
        from irn_video.pipeline.network.codec_aware import CodecAwareRescaler
        from irn_video.pipeline.network.paper import PaperRescaler

        network: InvertibleRescaler
        if self.family == "paper":
            network = PaperRescaler(int(self.scale), self.blocks, self.latent_std)
        else:
            network = CodecAwareRescaler(self.width, self.depth, self.scale, self.coring)
        return network.eval()
