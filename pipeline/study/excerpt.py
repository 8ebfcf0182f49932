"""Samples of a long clip, to judge it by."""

from __future__ import annotations

from pathlib import Path

import ffmpeg
from irn_video.codecs.reading.reader import probe
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.restoring import file_digest
from irn_video.pipeline.system import ffmpeg_binary

_STRETCHES = 2
_FALLBACK_RATE = 25


def excerpt(clip: Path, folder: Path, pictures: int) -> Path:
    """Stretches from the middle of each half of a clip, one after the other, coded without loss.

    Few and long, because every stretch begins with a keyframe, of which the whole clip has fewer. A clip that is not
    much longer than `pictures`, or whose length is not known, stands for itself.

    Args:
        clip: a video.
        folder: where the samples are kept; made if missing.
        pictures: how many, all stretches together.

    Raises:
        MissingFile, UnreadableVideo: the clip cannot be read.
        UnwritableOutput: the folder cannot be written to.
    """
    info = probe(clip)
    rate = info.frame_rate or _FALLBACK_RATE
    each = pictures // _STRETCHES
    if info.duration_seconds is None or info.duration_seconds * rate < 2 * pictures:
        return clip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_digest(clip)[:16]}-{pictures}.mkv"
    if not path.exists():
        with atomic_path(path) as part:
            _cut(clip, info, each, float(rate), part)
    return path


def _cut(clip: Path, info: VideoInfo, each: int, rate: float, to: Path) -> None:
    stretches = []
    for index in range(_STRETCHES):
        start = (index + 0.5) / _STRETCHES * (info.duration_seconds or 0.0) - (each + 1) / 2 / rate
        pictures = ffmpeg_binary.read(clip, ss=f"{start:.3f}")[f"V:{info.stream}"].filter("trim", end_frame=each)
        stretches.append(pictures.filter("setpts", f"N/({rate}*TB)"))
    joined = ffmpeg.output(ffmpeg.concat(*stretches, v=1, a=0), str(to), vcodec="ffv1", r=rate, format="matroska")
    ffmpeg_binary.run(joined, "no samples can be taken", clip)
