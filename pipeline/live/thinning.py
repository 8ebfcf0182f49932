"""How many frames a second this machine can show."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.planes import Samples, carried_color, resolved_color
from irn_video.pipeline.system.cores import usable_cores
from irn_video.pipeline.zoo.tiers import network_of
from irn_video.sender.camera import Camera
from irn_video.sender.live import LiveSendOptions

_ALL_OF_IT = 1.7  # times the network's work: the other link, two measurements, the page's video
_BROWSER_CORES = 0.8
_ENOUGH = 0.9
_TYPICAL_QP = 28.0


def thin_out(camera: Camera, options: LiveSendOptions, *, say: Callable[[str], None]) -> None:
    """Take fewer frames of a file if this machine cannot show all of them, and say so."""
    model = options.model or network_of(2, options.tier)
    rescaler = Rescaler.load(model, device=options.device, precision=options.precision, reuse=False)
    if rescaler.wants_lossless:  # the sender will refuse it
        return
    blank = _blank(camera.info)
    lr = Samples.of(blank)
    to = Restoration(lr, blank.height, blank.width, rescaler.temperature, 0, _TYPICAL_QP)
    spent = []
    for _ in range(3):
        began = time.monotonic()
        small = rescaler.downscale(blank, lr)
        rescaler.reverse(rescaler.predict(small, to), to)
        spent.append(time.monotonic() - began)
    share = usable_cores() - _BROWSER_CORES if rescaler.where.startswith("CPU") else usable_cores()
    fps = share / (_ALL_OF_IT * min(spent))
    if fps < _ENOUGH * camera.rate:
        whole = float(camera.rate)
        camera.thin_out(whole / math.ceil(whole / fps))
        say(f"{float(camera.rate):.3g} of {whole:.3g} frames a second: this machine can show no more at this size")


def _blank(info: VideoInfo) -> Picture:
    """A grey frame of its size, 8-bit 4:2:0."""
    shapes = Layout.YUV420.plane_shapes(info.height, info.width)
    y, u, v = (np.full(shape, 128, np.uint8) for shape in shapes)
    color = resolved_color(carried_color(info.color, Layout.YUV420, info.height), info.height)
    return Picture((y, u, v), Layout.YUV420, 8, color, 0, Fraction(1, 25), 0)
