"""Whether a stream that was sent for a quality has it, on the frames that the search went by."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.encoders.base import MIN_BITRATE
from irn_video.codecs.errors import GoalUnreachable
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import WriteSummary
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.flow import ahead
from irn_video.pipeline.restoring import restoration_of
from irn_video.pipeline.system.cores import usable_cores
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


def corrected(options: SendOptions, chosen: Chosen, written: WriteSummary, reached: float | None) -> SendOptions | None:
    """How to send again; None where the stream is as it was wanted, or cannot be better.

    Args:
        options: that it was sent with.
        chosen: what was aimed at.
        written: the stream.
        reached: see `scores_of_sent`.

    Raises:
        GoalUnreachable: the file is too large, and no bit rate would make it small enough.
    """
    if chosen.goal.size is not None:
        return _resized(options, chosen, chosen.goal.size, written)
    goal = chosen.goal
    if goal.by_rate or goal.value is None or reached is None or options.crf is None:
        return None
    missing = goal.value - reached
    if missing <= _SHORT[goal.metric]:
        return None
    return replace(options, crf=max(0.0, round(options.crf - missing / _PER_CRF[goal.metric], 1)))


def is_too_large(chosen: Chosen, written: WriteSummary) -> bool:
    """Whether a file is larger than was asked for."""
    return chosen.goal.size is not None and written.path.stat().st_size > chosen.goal.size


def check_size_kept(chosen: Chosen, written: WriteSummary) -> None:
    """Refuse such a file.

    Raises:
        GoalUnreachable: it is too large.
    """
    if is_too_large(chosen, written):
        raise _too_few(chosen, written)


def _resized(options: SendOptions, chosen: Chosen, wanted: int, written: WriteSummary) -> SendOptions | None:
    """With another bit rate; what is beside the video stays as large as it is."""
    size = written.path.stat().st_size
    assert options.bitrate is not None
    assert chosen.goal.value is not None
    filling = chosen.ways[0].point.kbps >= _LEAST_SHARE * chosen.goal.value  # else no bit rate fills the file
    if (_LEAST_SHARE * wanted <= size or not filling) and size <= wanted:
        return None
    share = (_ROOM * wanted - (size - written.video_bytes)) / written.video_bytes
    if options.bitrate * share < MIN_BITRATE:
        raise _too_few(chosen, written)
    return replace(options, bitrate=round(options.bitrate * share))


def _too_few(chosen: Chosen, written: WriteSummary) -> GoalUnreachable:
    others = written.path.stat().st_size - written.video_bytes
    hint = f"all but the video takes {others}, and the video {written.video_bytes} at least"
    return GoalUnreachable(f"{chosen.goal.size} bytes are too few", path=chosen.sample.info.path, hint=hint)


def _pairs(lr: Path, rescaler: Rescaler, card: StreamCard, sample: Sample) -> list[tuple[Picture, Picture]]:
    """Source and restored frame, or what windows show of them; frames meet by their times."""
    to = restoration_of(card, temperature=None, seed=None)
    if sample.windows:
        to = replace(to, height=sample.info.height, width=sample.info.width)
    near = _TOLERANCE / float(sample.rate)
    wanted = list(sample.judged)
    found: list[tuple[int, int, Picture]] = []
    with VideoReader(lr, quantiser=True) as reader, ahead(reader) as frames:
        start = None
        for index, frame in enumerate(frames):
            start = frame.pts_seconds if start is None else start
            time = frame.pts_seconds - start
            while wanted and sample.times[wanted[0]] < time - near:
                wanted.pop(0)
            if not wanted:
                break
            if abs(sample.times[wanted[0]] - time) <= near:
                place = wanted.pop(0)
                window = sample.windows[place].at_scale(rescaler.scale) if sample.windows else None
                found.append((place, index, frame if window is None else window.of(frame)))
    with ThreadPoolExecutor(usable_cores()) as pool:
        restored = pool.map(lambda one: rescaler.upscale(one[2], to, one[1]), found)
        return [(sample.frames[place], frame) for (place, _, _), frame in zip(found, restored, strict=True)]
