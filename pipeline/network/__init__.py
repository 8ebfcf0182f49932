"""Invertible rescaling networks: the paper's, and the codec-aware ones made for H.264.

Start at `rescaler.py`, which states the contract that all of them keep.
"""

from irn_video.pipeline.network.codec_aware import CodecAwareRescaler
from irn_video.pipeline.network.paper import PaperRescaler
from irn_video.pipeline.network.rescaler import InvertibleRescaler, Prediction, quantise

__all__ = ["CodecAwareRescaler", "InvertibleRescaler", "PaperRescaler", "Prediction", "quantise"]
