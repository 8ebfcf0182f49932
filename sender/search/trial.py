"""Sending the samples of a clip in one way at one CRF, and measuring what a receiver would make of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings, with_preset
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.reading.coded import CodedFrame, coded_frames
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.restoring import expected_quantiser
from irn_video.pipeline.system.cores import usable_cores
from irn_video.sender.planning import SendPlan, plan_of
from irn_video.sender.search.bracket import Point
from irn_video.sender.search.sample import Sample
from irn_video.sender.search.scores import scores_of

_KEYINT = 250
_TYPICAL_CRF = 26.0


@dataclass(frozen=True)
class Trial:
    """One measured trial.

    Attributes:
        crf: asked for.
        kbps: that the whole clip would take, going by the samples; kbit/s.
        scores: means over the judged frames, by keys of reports.
        fps: frames shrunk and encoded a second.
    """

    crf: float
    kbps: float
    scores: dict[str, float]
    fps: float

    def point(self, metric: str) -> Point:
        """For a search."""
        return Point(self.crf, self.kbps, self.scores[metric])


@dataclass(frozen=True)
class Encoded:
    """The samples, sent.

    Attributes:
        path: the LR stream.
        to: how it is restored.
        kbps: see `Trial`.
        fps: likewise.
    """

    path: Path
    to: Restoration
    kbps: float
    fps: float


class Trials:
    """Trials on the same samples, each made once.

    Args:
        sample: of the clip.
        encoder: as the clip is to be encoded; its rate does not count, but where it has a bit rate no frame is
            filtered for a CRF. Without a preset each way has that of its scale.
        metrics: to measure, of `psnr_y`, `vmaf` and `vmaf_neg`.
        folder: for files that go again.
    """

    def __init__(self, sample: Sample, encoder: EncoderSettings, metrics: Sequence[str], folder: Path) -> None:
        self.sample, self.encoder, self.metrics = sample, encoder, tuple(metrics)
        self._folder = folder
        self._made: dict[tuple[str, float], Trial] = {}
        self._encoded: dict[tuple[str, float], Encoded] = {}
        self._shrunk: tuple[object, list[Picture]] = (None, [])

    def of(self, way: Rescaler) -> list[Trial]:
        """Those of a way so far, by rising CRF."""
        return sorted((t for (name, _), t in self._made.items() if name == way.name), key=lambda trial: trial.crf)

    def rate(self, way: Rescaler, crf: float) -> float:
        """Send the samples, without measuring them; kbit/s, see `Trial`."""
        return self._sent(way, crf).kbps

    def measure(self, way: Rescaler, crf: float, sent_by: Rescaler | None = None) -> Trial:
        """Send, receive and measure the samples; `sent_by` another way, where the same frames are sent."""
        if (way.name, crf) not in self._made:
            self._made[way.name, crf] = self._measured(way, crf, self._sent(sent_by or way, crf))
        return self._made[way.name, crf]

    def measure_as_is(self, way: Rescaler) -> Trial:
        """Likewise with the encoder's own rate, for streams without a CRF."""
        return self._measured(way, _TYPICAL_CRF, self._coded(way, self.encoder, _TYPICAL_CRF))

    def _sent(self, way: Rescaler, crf: float) -> Encoded:
        if (way.name, crf) not in self._encoded:
            settings = replace(self.encoder, crf=crf, bitrate=None, buffer_seconds=None)
            self._encoded[way.name, crf] = self._coded(way, settings, crf)
        return self._encoded[way.name, crf]

    def _measured(self, way: Rescaler, crf: float, sent: Encoded) -> Trial:
        restored = self._restored(sent.path, way, sent.to)
        pairs = [(self.sample.frames[i], frame) for i, frame in zip(self.sample.judged, restored, strict=True)]
        return Trial(crf, sent.kbps, scores_of(pairs, self.metrics, self._folder), sent.fps)

    def _coded(self, way: Rescaler, settings: EncoderSettings, crf: float) -> Encoded:
        started = time.monotonic()
        settings = with_preset(settings, way.scale)
        sample, info = self.sample, self.sample.info
        plan = plan_of(info, way, settings if self.encoder.bitrate is None else self.encoder)
        height, width = way.lr_size(info.height, info.width)
        video = VideoFormat(
            width=width,
            height=height,
            layout=plan.lr.layout,
            bit_depth=plan.lr.bit_depth,
            color=plan.lr.color,
            time_base=1 / sample.rate,
            frame_rate=sample.rate,
        )
        path = self._folder / f"trial-{len(self._encoded)}.mkv"
        with VideoWriter(path, settings, video, overwrite=True) as writer:
            for frame in self._small(way, plan):
                writer.write(frame)
            writer.finish()
        fps = len(sample.frames) / (time.monotonic() - started)
        to = Restoration(
            plan.carried, info.height, info.width, way.temperature, quantiser=expected_quantiser(settings.codec, crf)
        )
        return Encoded(path, to, self._kbps(coded_frames(path)), fps)

    def _small(self, way: Rescaler, plan: SendPlan) -> list[Picture]:
        """The LR frames; those made last are kept, for they are often sent again at another CRF."""
        if self._shrunk[0] != (made := (way.name, plan)):
            with ThreadPoolExecutor(usable_cores()) as pool:
                shrunk = pool.map(lambda frame: way.downscale(frame, plan.lr, plan.qp), self.sample.frames)
                self._shrunk = made, list(shrunk)
        return self._shrunk[1]

    def _restored(self, path: Path, way: Rescaler, to: Restoration) -> list[Picture]:
        judged = set(self.sample.judged)
        with VideoReader(path, quantiser=True) as reader, ThreadPoolExecutor(usable_cores()) as pool:
            arrived = [(index, frame) for index, frame in enumerate(reader) if index in judged]
            return list(pool.map(lambda item: way.upscale(item[1], to, item[0]), arrived))

    def _kbps(self, coded: Sequence[CodedFrame]) -> float:
        """Of a clip of such frames. Each stretch begins with a keyframe, of which the clip has fewer."""
        starts = set(self.sample.starts)
        others = [coded[index].bytes or 0 for index in self.sample.counted if index < len(coded)]
        heads = [frame.bytes or 0 for index, frame in enumerate(coded) if index in starts and frame.keyframe]
        mean = statistics.fmean(others or heads)
        length = self.sample.total or len(coded)
        share = 1 / min(self.encoder.keyint or _KEYINT, length)
        per_frame = mean + max(0.0, statistics.fmean(heads) - mean) * share
        return per_frame * 8 / 1000 * float(self.sample.rate) / self.sample.share
