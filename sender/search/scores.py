"""Qualities of a few restored frames."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.picture import Layout, Picture, VideoFormat
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.psnr import compare

_IDENTICAL_DB = 100.0  # for frames without any error, so that means can be taken
_LOSSLESS = EncoderSettings(codec="ffv1")
_RATE = Fraction(25)


def scores_of(pairs: Sequence[tuple[Picture, Picture]], metrics: Sequence[str], folder: Path) -> dict[str, float]:
    """Means over frames, by keys of reports.

    Args:
        pairs: source and restored frame; neighbours of the video follow each other, for VMAF looks at motion.
        metrics: of `psnr_y`, which there is always, and `libvmaf.PERCEPTUAL`.
        folder: for files that go again.

    Raises:
        UnreadableVideo: see `measure_files`.
    """
    alike = [(convert(source, Samples.of(restored)), restored) for source, restored in pairs]
    errors = [compare(source, restored).psnr()["psnr_y"] for source, restored in alike]
    scores = {"psnr_y": statistics.fmean(_IDENTICAL_DB if error is None else error for error in errors)}
    if wanted := [metric for metric in metrics if metric not in scores]:
        left = _kept(folder / "restored", [restored for _, restored in alike])
        right = _kept(folder / "source", [source for source, _ in alike])
        found = measure_files(left, right, folder, wanted)
        scores |= {metric: statistics.fmean(frame[metric] or 0.0 for frame in found) for metric in wanted}
    return scores


def _kept(path: Path, frames: Sequence[Picture]) -> Path:
    """The frames in a file, as they are: to code them would take longer than to measure them."""
    first = frames[0]
    if first.layout is Layout.RGB:
        return _coded(path.with_suffix(".mkv"), frames)
    depth = f"p{first.bit_depth}" if first.bit_depth > 8 else ""
    with path.with_suffix(".y4m").open("wb") as file:
        file.write(f"YUV4MPEG2 W{first.width} H{first.height} F{_RATE}:1 Ip C{first.layout[3:]}{depth}\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in frame.planes))
    return path.with_suffix(".y4m")


def _coded(path: Path, frames: Sequence[Picture]) -> Path:
    """Likewise, without loss."""
    timed = [replace(frame, pts=index, time_base=1 / _RATE, duration=1) for index, frame in enumerate(frames)]
    with VideoWriter(path, _LOSSLESS, VideoFormat.of(timed[0], _RATE), overwrite=True) as writer:
        for frame in timed:
            writer.write(frame)
    return path
