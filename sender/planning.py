"""What a sender makes of a source: the samples of the LR frames and of the restored ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.planes import Samples, carried_color, resolved_color


@dataclass(frozen=True)
class SendPlan:
    """What is carried where: samples of the restored and of the LR frames, and what the user should know.

    `qp` is the quantiser to filter for, if any.
    """

    carried: Samples
    lr: Samples
    qp: float | None
    warnings: tuple[str, ...]


def plan_of(info: VideoInfo, rescaler: Rescaler, settings: EncoderSettings) -> SendPlan:
    """How the frames of a source are sent."""
    source = Samples(info.layout, info.bit_depth, info.color)
    lossless = settings.lossless or settings.codec == "ffv1"
    made = rescaler.sent(source, lossless=lossless, height=info.height)
    lr = Samples(*make_encoder(settings).choose(made.layout, made.bit_depth), made.color)
    if made.layout is Layout.RGB and lr.layout is not Layout.RGB:
        lr = replace(lr, color=resolved_color(carried_color(source.color, lr.layout, info.height), info.height))
    carried = rescaler.carried(source, info.height)
    carried = replace(carried, bit_depth=min(carried.bit_depth, lr.bit_depth))
    qp = make_encoder(settings).prefilter_qp
    return SendPlan(carried, lr, qp, _warnings(info, rescaler, settings, made, lr, carried))


def _warnings(
    info: VideoInfo, rescaler: Rescaler, settings: EncoderSettings, made: Samples, lr: Samples, carried: Samples
) -> tuple[str, ...]:
    """What is lost or may surprise on the way from the source to the LR stream."""
    warnings = list(info.notes)
    if carried.layout is not info.layout:
        warnings.append(f"{rescaler.name} carries {carried.layout}: the source's {info.layout} is converted")
    if rescaler.wants_lossless and not (settings.lossless or settings.codec == "ffv1"):
        warnings.append(
            f"{rescaler.name} hides detail in the last bits of the LR frames, which {settings.codec} erases: "
            "use --lossless or a codec-aware network"
        )
    if lr.layout is not made.layout:
        warnings.append(f"{settings.codec} sends the LR frames as {lr.layout}, not {made.layout}: detail may be lost")
    if lr.bit_depth < info.bit_depth:
        warnings.append(f"the LR frames have {lr.bit_depth} bits: the source's {info.bit_depth} are rounded")
    elif lr.bit_depth > 8 and settings.codec == "h264":
        warnings.append(
            f"few players and no hardware decoders take {lr.bit_depth}-bit H.264: use --codec h265 or av1, or "
            "--pix-fmt yuv420p for 8 bits"
        )
    if info.interlaced:
        warnings.append("the source is interlaced and treated as progressive: deinterlace it first for best quality")
    return tuple(warnings)
