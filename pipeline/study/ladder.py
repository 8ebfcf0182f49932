"""A ladder against plain H.264 at full size: what each rung takes, how well it looks restored, and as players show it.

The clip is sent as `irn-send CLIP master.m3u8` sends it. Each rung is received from its playlist and measured against
the clip: restored, and enlarged by a bicubic filter, as a player does that knows nothing of us. Beside it stands plain
H.264 at full size with the same keyframes, sent again until its rate is that of the rung.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.segments import INDEX
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send
from irn_video.sender.ladder.ladder import SentRung, send_ladder
from irn_video.sender.ladder.rungs import common_options, read_ladder

_METRIC, _PLAIN = "vmaf_neg", "lanczos-x1"
_PASSES, _NEAR = 4, 0.02


@dataclass(frozen=True)
class Step:
    """A rung, in kbit/s of video and mean VMAF-NEG.

    Attributes:
        size: of its frames, `640x360`.
        model: that restores it.
        kbps: measured.
        restored, unrestored: the second as players enlarge it; the same for a plain rung.
        plain_kbps, plain: of plain H.264 at full size.
    """

    size: str
    model: str
    kbps: float
    restored: float
    unrestored: float
    plain_kbps: float
    plain: float


def measured(clip: Path, ladder: Path | None = None, frames: int | None = None) -> list[Step]:
    """Send and receive all rungs, the highest rate first.

    Args:
        clip: the source.
        ladder: see `read_ladder`; None for what is found for the clip.
        frames: only the first so many.

    Raises:
        IrnError: see `send_ladder` and `receive`.
    """
    rungs = None if ladder is None else read_ladder(ladder)
    with tempfile.TemporaryDirectory(prefix="irn-study-") as name:
        folder = Path(name)
        clip = _beginning(clip, frames, folder)
        master = folder / "master.m3u8"
        sent = send_ladder(clip, master, SendOptions(), rungs)
        common, tracks = common_options(clip, SendOptions(), rungs), master.with_suffix("")
        return [_step(clip, rung, tracks / rung.track.name / INDEX, common, folder) for rung in sent.rungs]


def table(steps: Sequence[Step]) -> str:
    """In Markdown."""
    head = ("sent as", "network", "kb/s", "restored", "as players show it", "plain full size", "kb/s")
    rows = [
        (
            step.size,
            "none: plain H.264" if step.model == _PLAIN else step.model,
            *(f"{step.kbps:.0f}", f"{step.restored:.1f}", f"{step.unrestored:.1f}"),
            *(f"{step.plain:.1f}", f"{step.plain_kbps:.0f}"),
        )
        for step in steps
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---|---|" + "---:|" * (len(head) - 2), *lines[1:]])


def _beginning(clip: Path, frames: int | None, folder: Path) -> Path:
    """The clip, or a copy of so many frames without loss."""
    if frames is None:
        return clip
    path = folder / "beginning.mkv"
    lossless = EncoderSettings(codec="ffv1")
    with VideoReader(clip, frames=frames) as reader, VideoWriter(path, lossless, reader.info) as writer:
        for frame in reader:
            writer.write(frame)
    return path


def _step(clip: Path, rung: SentRung, playlist: Path, common: SendOptions, folder: Path) -> Step:
    model, kbps = rung.result.card.model, rung.track.average_bandwidth / 1000
    restored = _scored(clip, playlist, ReceiveOptions(model=_PLAIN if model == _PLAIN else None), folder)
    unrestored, plain_kbps, plain = restored, kbps, restored
    if model != _PLAIN:
        unrestored = _scored(clip, playlist, ReceiveOptions(upscaler="bicubic"), folder)
        plain_kbps, plain = _plain(clip, kbps, common, folder)
    size = f"{rung.track.width}x{rung.track.height}"
    return Step(size, model, kbps, restored, unrestored, plain_kbps, plain)


def _plain(clip: Path, kbps: float, common: SendOptions, folder: Path) -> tuple[float, float]:
    """Full size at this rate: the rate that came out, and the quality."""
    asked, got, lr = kbps, 0.0, folder / "plain.mp4"
    for _ in range(_PASSES):
        options = replace(common, model="full", bitrate=round(1000 * asked), plain_card=True, overwrite=True)
        written = send(clip, lr, options).written
        got = written.video_bytes * 8 / 1000 / written.seconds
        if abs(got / kbps - 1) <= _NEAR:
            break
        asked *= kbps / got
    return got, _scored(clip, lr, ReceiveOptions(), folder)


def _scored(clip: Path, lr: Path, options: ReceiveOptions, folder: Path) -> float:
    options = replace(options, source=clip, metrics="vmaf-neg", preset="ultrafast", overwrite=True)
    frames = receive(lr, folder / "restored.mp4", options).report.frames
    return statistics.fmean(score for frame in frames if (score := frame.scores[_METRIC]) is not None)
