"""How to send."""

from __future__ import annotations

from dataclasses import dataclass

from irn_video.pipeline.options import DeviceOptions, EncoderOptions, LatentOptions, VideoOptions

AUTO = "auto"
"""The scale that is searched for."""


@dataclass(frozen=True, kw_only=True)
class SendOptions(VideoOptions, EncoderOptions, LatentOptions, DeviceOptions):
    """How to send: `SendOptions(crf=26, preset="slow", adapt="fast")`.

    Rate and codec are fields of `EncoderSettings`; the other inherited ones are those of `VideoOptions`,
    `LatentOptions` and `DeviceOptions`.

    Attributes:
        model: a network of the zoo, a weights file, or `lanczos-x2`, `bicubic-x4`, …; None for that of `NETWORKS`.
        start: send from this time on, in seconds after the first frame.
        duration: send so many seconds.
        scale: what the model's must be; None takes any, and 2 if no model is named and nothing is aimed at. `auto` for
            the best one: with `bitrate` at that rate, else for the quality that full size has at `crf`.
        temperature: default for the receiver; None for the network's own.
        seed: default for the receiver.
        adapt: tune the receiver's network to the frames, see `Effort.parse`; H.264 only. None for no tuning.
        adapt_budget: what the tuned weights of a group of frames may take, see `Budget.parse`; None for what is
            worth it.
        psnr: mean PSNR-Y in dB to aim at, with as few bits as possible: network, scale and CRF are searched for.
        vmaf: likewise, mean VMAF.
        vmaf_neg: likewise, mean VMAF-NEG.
        size: bytes of the file to aim at, with the best quality; `bitrate` is an aim too where neither model nor scale
            is named.
        verify: afterwards decode and restore the LR stream and measure it.
    """

    model: str | None = None
    start: float | None = None
    duration: float | None = None
    scale: int | str | None = None
    temperature: float | None = None
    seed: int = 0
    adapt: str | None = None
    adapt_budget: str | None = None
    psnr: float | None = None
    vmaf: float | None = None
    vmaf_neg: float | None = None
    size: int | None = None
    verify: bool = False
