"""What a network costs: multiply-accumulates per HR pixel."""

from __future__ import annotations

import torch
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from irn_video.pipeline.network.packed import Thirds
from torch.utils.flop_counter import FlopCounterMode

_SIDE, _TYPICAL_QP = 64, 30.0


@torch.inference_mode()
def cost_of(network: InvertibleRescaler) -> tuple[int, int]:
    """Multiply-accumulates per HR pixel of the forward pass and of the reverse pass with prediction.

    Convolutions are counted by PyTorch's own counter; for the wavelet every tap is one.
    """
    packed = isinstance(network, CodecAwareRescaler)
    side = (_SIDE // 2 if packed else _SIDE) // network.multiple * network.multiple
    hr = torch.zeros(1, network.channels, side, side)
    with FlopCounterMode(display=False) as down:
        lr = network.prefilter(network.downscale(hr)[0], _TYPICAL_QP)
    with FlopCounterMode(display=False) as up:
        network.restore(lr, _TYPICAL_QP)
    wavelet = _wavelet_cost(network) if isinstance(network, CodecAwareRescaler) else 0
    pixels = side**2 * (4 if packed else 1)
    macs_down, macs_up = (round(counter.get_total_flops() / 2 / pixels) + wavelet for counter in (down, up))
    return macs_down, macs_up


def _wavelet_cost(network: CodecAwareRescaler) -> int:
    """Two passes over 1.5 planes, where a pair of samples takes every tap once; each further level has a quarter.

    At scale 3/2 three samples take every tap twice, and the second pass goes over as many samples.
    """
    if network.wavelet is None:
        return 0
    taps = 1.5 * network.wavelet.taps.numel()
    if isinstance(network.wavelet, Thirds):
        return round(2 * 2 * taps / 3)
    return round(sum(taps / (1 << 2 * level) for level in range(network.wavelet.levels)))
