"""How to send."""

from __future__ import annotations

from dataclasses import dataclass, replace

from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.options import DeviceOptions, EncoderOptions, LatentOptions, VideoOptions

AUTO = "auto"
"""The scale that is searched for."""
_MOST_KEYINT_SECONDS = 3600
_FALLBACK_RATE = 25


@dataclass(frozen=True, kw_only=True)
class SendOptions(VideoOptions, EncoderOptions, LatentOptions, DeviceOptions):
    """How to send: `SendOptions(crf=26, preset="slow", adapt="fast")`.

    Rate and codec are fields of `EncoderSettings`, where no `preset` means that of the scale, see
    `codecs.encoders.with_preset`; the other inherited ones are those of `VideoOptions`, `LatentOptions` and
    `DeviceOptions`.

    Attributes:
        model: a network of the zoo, a weights file, or `lanczos-x2`, `bicubic-x4`, …; None for that of `tier` and
            `scale`.
        tier: `lite`, `fast` or `base`: the network by what it costs the receiver, see `TIERS`; not with `model`. None
            for that of `NETWORKS`. A search tries the networks of this tier alone, and plain coding.
        rate: frames per second of pictures, which have none; None for video.
        start: send from this time on, in seconds after the first frame.
        duration: send so many seconds.
        keyint_seconds: largest distance of keyframes, where `keyint` does not say it in frames; None for the codec's.
        scale: what the model's must be; None takes any, and 2 if no model is named and nothing is aimed at. `auto` for
            the best one: with `bitrate` at that rate, else for the quality that full size has at `crf`.
        temperature: default for the receiver; None for the network's own.
        seed: default for the receiver.
        adapt: tune the receiver's network to the frames, see `Effort.parse`; H.264 only. None for no tuning.
        adapt_budget: what the tuned weights of a group of frames may take, see `Budget.parse`; None for what is
            worth it.
        quantisers: tell each frame's quantiser in the stream, for receivers whose decoder does not; H.264 only.
        psnr: mean PSNR-Y in dB to aim at, with as few bits as possible: network, scale and CRF are searched for.
        vmaf: likewise, mean VMAF.
        vmaf_neg: likewise, mean VMAF-NEG.
        size: bytes of the file to aim at, with the best quality; `bitrate` is an aim too where neither model nor scale
            is named.
        verify: afterwards decode and restore the LR stream and measure it.
        plain_card: give plain coding a stream card too, so that it is received like the rest.
    """

    model: str | None = None
    tier: str | None = None
    rate: float | None = None
    start: float | None = None
    duration: float | None = None
    keyint_seconds: float | None = None
    scale: float | str | None = None
    temperature: float | None = None
    seed: int = 0
    adapt: str | None = None
    adapt_budget: str | None = None
    quantisers: bool = False
    psnr: float | None = None
    vmaf: float | None = None
    vmaf_neg: float | None = None
    size: int | None = None
    verify: bool = False
    plain_card: bool = True


def with_keyint(options: SendOptions, info: VideoInfo) -> SendOptions:
    """`keyint_seconds` as frames of this video, where there is no `keyint`.

    Raises:
        BadOption: they make no sense.
    """
    seconds = options.keyint_seconds
    if seconds is None or options.keyint is not None:
        return options
    if not 0 < seconds <= _MOST_KEYINT_SECONDS:
        raise BadOption(f"keyframes every {seconds:g} s make no sense", hint="2 is usual")
    return replace(options, keyint=max(1, round(seconds * float(info.frame_rate or _FALLBACK_RATE))))
