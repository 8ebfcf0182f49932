"""Points on rate-quality curves, measured through the product: a rescaled stream, or H.264 at full size.

Everything is really encoded and decoded. Rates count video packets alone; PSNR is the mean over pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.study.cells import encode_full_size, psnr_of_files
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

PRESET = "medium"
MIN_CRF, MAX_CRF = 0.0, 51.0
_ATTEMPTS = 10


class NoRateError(IrnError, ValueError):
    """A point cannot be measured: no loss at all, or a rate that no CRF reaches."""


@dataclass(frozen=True)
class RatePoint:
    """One encode.

    Attributes:
        crf: of x264.
        bytes: of the video packets.
        kbps: kbit/s.
        psnr_y: mean over the pictures, dB.
        psnr_yuv: (6·Y + U + V) / 8, mean over the pictures, dB.
        vmaf_neg: mean over the pictures; None where it was not measured.
    """

    crf: float
    bytes: int
    kbps: float
    psnr_y: float
    psnr_yuv: float
    vmaf_neg: float | None = None


def label_of(model: str) -> str:
    """A network's name; a weights file by its own, without folder and suffix."""
    return Path(model).name.removesuffix(".safetensors")


def rescaled(
    model: str, source: Path, crf: float, folder: Path, frames: int | None = None, *, vmaf_neg: bool = False
) -> RatePoint:
    """Send and receive a clip; leaves the LR stream, `MODEL.mp4`, in `folder`.

    Args:
        model: a network, a weights file, or `lanczos-x2` and the like.
        source: any video.
        crf: of the LR stream, x264 at preset medium.
        folder: for the files.
        frames: only the first so many pictures.
        vmaf_neg: measure that too.
    """
    name = label_of(model)
    lr, restored = folder / f"{name}.mp4", folder / f"{name}_restored.mkv"
    sending = SendOptions(model=model, crf=crf, preset=PRESET, frames=frames, overwrite=True)
    sent = send(source, lr, sending)
    # PSNR is measured before the restored pictures are encoded again, so that can be as quick as possible; a file made
    # so would mislead who looks at it, and goes. Libvmaf sees the file.
    stored = EncoderSettings(codec="ffv1") if vmaf_neg else EncoderSettings(crf=30, preset="ultrafast")
    options = ReceiveOptions(source=source, model=weights_file(model), frames=frames, overwrite=True, **asdict(stored))
    summary = receive(lr, restored, options).report.summary()
    perceived = _vmaf_neg(restored, source, folder) if vmaf_neg else None
    restored.unlink()
    kbps = sent.written.video_bytes * 8 / 1000 / sent.written.seconds
    psnr_y, psnr_yuv = summary["psnr_y"]["mean"], summary["psnr_yuv"]["mean"]
    return _point(crf, sent.written.video_bytes, kbps, psnr_y, psnr_yuv, perceived, source)


def full_size(
    source: Path, crf: float, folder: Path, frames: int | None = None, *, vmaf_neg: bool = False
) -> RatePoint:
    """Encode a clip at full size with x264 at preset medium; leaves `full_size.mp4` in `folder`."""
    path = folder / "full_size.mp4"
    written = encode_full_size(source, path, EncoderSettings(crf=crf, preset=PRESET), frames)
    values = psnr_of_files(source, path)
    psnr_y, psnr_yuv = (_mean([picture[name] for picture in values]) for name in ("psnr_y", "psnr_yuv"))
    kbps = written.video_bytes * 8 / 1000 / written.seconds
    perceived = _vmaf_neg(path, source, folder) if vmaf_neg else None
    return _point(crf, written.video_bytes, kbps, psnr_y, psnr_yuv, perceived, source)


def weights_file(model: str) -> str | None:
    """What a receiver has to be told of the network: nothing where the stream's card names one that it has."""
    return model if Path(model).is_file() else None


def restored_video(lr: Path, model: str, path: Path, frames: int | None = None) -> Path:
    """Restore a stream without loss: each frame of `path` is as the receiver shows it."""
    receive(lr, path, ReceiveOptions(model=weights_file(model), codec="ffv1", frames=frames, overwrite=True))
    return path


def at_rate(wanted: int, measure: Callable[[float], RatePoint], start: float, tolerance: float = 0.02) -> RatePoint:
    """Search the CRF at which `measure` gives `wanted` bytes, within `tolerance`.

    The logarithm of the rate is nearly straight in CRF (six steps halve it), so a secant finds it in a few encodes.

    Raises:
        NoRateError: no CRF gives that rate.
    """
    slope, crf = -math.log(2) / 6, start
    before: RatePoint | None = None
    for _ in range(_ATTEMPTS):
        point = measure(crf)
        miss = math.log(wanted / point.bytes)
        if abs(miss) <= math.log1p(tolerance):
            return point
        if before is not None and point.bytes != before.bytes:
            # Held to plausible values: x264's rate control can be bumpy.
            slope = min(-0.03, max(-0.3, math.log(point.bytes / before.bytes) / (point.crf - before.crf)))
        before, crf = point, min(MAX_CRF, max(MIN_CRF, point.crf + miss / slope))
        if crf == point.crf:
            break
    raise NoRateError(f"no CRF gives {wanted} bytes within {100 * tolerance:g} %; CRF {crf:g} gives {point.bytes}")


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _vmaf_neg(shown: Path, source: Path, folder: Path) -> float | None:
    return _mean([picture["vmaf_neg"] for picture in measure_files(shown, source, folder, ["vmaf_neg"])])


def _point(
    crf: float,
    size: int,
    kbps: float,
    psnr_y: float | None,
    psnr_yuv: float | None,
    vmaf_neg: float | None,
    source: Path,
) -> RatePoint:
    if psnr_y is None or psnr_yuv is None:
        raise NoRateError(f"no loss at CRF {crf:g}, so there is no PSNR to plot", path=source, hint="use a larger CRF")
    return RatePoint(crf, size, kbps, psnr_y, psnr_yuv, vmaf_neg)
