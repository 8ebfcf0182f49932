"""What a network costs: multiply-accumulates per HR pixel."""

from __future__ import annotations

import torch
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from torch.utils.flop_counter import FlopCounterMode

_SIDE = 64


@torch.inference_mode()
def cost_of(network: InvertibleRescaler) -> tuple[int, int]:
    """Multiply-accumulates per HR pixel of the forward pass and of the reverse pass with prediction.

    Convolutions are counted by PyTorch's own counter; for the wavelet every tap is one.
    """
    packed = isinstance(network, CodecAwareRescaler)
    side = _SIDE // 2 if packed else _SIDE
    hr = torch.zeros(1, network.channels, side, side)
    with FlopCounterMode(display=False) as down:
        lr, _ = network.downscale(hr)
    with FlopCounterMode(display=False) as up:
        network.restore(lr, 30.0)
    # Two passes over 1.5 planes; a pair of samples takes every tap once.
    wavelet = round(1.5 * network.wavelet.taps.numel()) if isinstance(network, CodecAwareRescaler) else 0
    pixels = _SIDE * _SIDE
    macs_down, macs_up = (round(counter.get_total_flops() / 2 / pixels) + wavelet for counter in (down, up))
    return macs_down, macs_up
