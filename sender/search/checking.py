"""Whether a stream that was sent for a quality has it, on the frames that the search went by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import ahead
from irn_video.pipeline.restoring import restoration_of
from irn_video.sender.options import SendOptions
from irn_video.sender.search.choosing import Chosen
from irn_video.sender.search.sample import Sample
from irn_video.sender.search.scores import scores_of

_TOLERANCE = 0.25  # of a frame's duration
_ROOM, _LEAST_SHARE = 0.985, 0.93  # of a size that is aimed at
_SHORT = {"psnr_y": 0.2, "vmaf": 1.0, "vmaf_neg": 1.0}  # so much may be missing
_PER_CRF = {"psnr_y": 0.5, "vmaf": 1.5, "vmaf_neg": 1.5}  # so much a step of CRF brings, about


def scores_of_sent(
    lr: Path, rescaler: Rescaler, card: StreamCard, sample: Sample, metrics: Sequence[str]
) -> dict[str, float]:
    """What a receiver makes of the judged frames of a sample; means by keys of reports, empty if none was found."""
    pairs = list(_pairs(lr, rescaler, card, sample))
    if not pairs:
        return {}
    with TemporaryDirectory(prefix="irn-send-") as folder:
        return scores_of(pairs, metrics, Path(folder))


def corrected(options: SendOptions, chosen: Chosen, size: int, reached: float | None) -> SendOptions | None:
    """How to send again; None where the stream is as it was wanted.

    Args:
        options: that it was sent with.
        chosen: what was aimed at.
        size: bytes of the file.
        reached: see `scores_of_sent`.
    """
    if chosen.size is not None:
        if options.bitrate is None or _LEAST_SHARE * chosen.size <= size <= chosen.size:
            return None
        return replace(options, bitrate=round(options.bitrate * chosen.size / size * _ROOM))
    goal = chosen.goal
    if goal.by_rate or goal.value is None or reached is None or options.crf is None:
        return None
    missing = goal.value - reached
    if missing <= _SHORT[goal.metric]:
        return None
    return replace(options, crf=max(0.0, round(options.crf - missing / _PER_CRF[goal.metric], 1)))


def _pairs(lr: Path, rescaler: Rescaler, card: StreamCard, sample: Sample) -> list[tuple[Picture, Picture]]:
    """Source and restored frame; frames meet by their times."""
    to = restoration_of(card, temperature=None, seed=None)
    near = _TOLERANCE / float(sample.rate)
    wanted = [(sample.times[index], sample.frames[index]) for index in sample.judged]
    found: list[tuple[Picture, Picture]] = []
    with VideoReader(lr, quantiser=True) as reader, ahead(reader) as frames:
        start = None
        for index, frame in enumerate(frames):
            start = frame.pts_seconds if start is None else start
            time = frame.pts_seconds - start
            while wanted and wanted[0][0] < time - near:
                wanted.pop(0)
            if not wanted:
                break
            if abs(wanted[0][0] - time) <= near:
                found.append((wanted.pop(0)[1], rescaler.upscale(frame, to, index)))
    return found
