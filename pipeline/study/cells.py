"""Measuring one cell: a stream is really sent and received, or coded at full size, and compared with its source."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from irn_video.codecs.encoders import EncoderSettings, choose_samples, make_encoder
from irn_video.codecs.errors import SourceMismatch, StudyFailed
from irn_video.codecs.reading.packets import encoder_words
from irn_video.codecs.reading.pixels import pixel_format
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.writer import VideoWriter, WriteSummary
from irn_video.pipeline.flow import ahead
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.libvmaf import PERCEPTUAL, Scores, measure_files
from irn_video.pipeline.quality.metrics import CLASSIFIER, REAL_METRICS
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.quality.realness import measure_realness
from irn_video.pipeline.study.cost import Cost, Stage, Watch
from irn_video.pipeline.study.crops import crops_of
from irn_video.pipeline.study.methods import FULL, Method
from irn_video.pipeline.study.plan import Cell
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

_ALIGNED_DB = 0.02  # our PSNR-Y and libvmaf's are the same number, rounded differently
_VMAF_CAP_DB = 59.0  # libvmaf's PSNR ends at 60 dB for 8 bits
_LOSSLESS = "ffv1"
_PADDING = "bicubic-x1"


@dataclass(frozen=True)
class Measurement:
    """One cell measured.

    Attributes:
        clip: name of the file.
        method: its label.
        crf, bitrate: what was asked for.
        bytes: of the video packets.
        pictures: how many.
        seconds: of video.
        width, height: of the restored pictures.
        frames: metrics of each picture by name; None where there is no error, or no definition.
        whole: metrics of all of them together, likewise.
        cost: what it took.
        encoder: what the encoder says of itself, see `encoder_words`.
        pixel_format: of the stream, as FFmpeg names it.
        crops: see `crops_of`; none where a report does not need them.
    """

    clip: str
    method: str
    crf: float | None
    bitrate: int | None
    bytes: int
    pictures: int
    seconds: float
    width: int
    height: int
    frames: tuple[Scores, ...]
    cost: Cost
    encoder: str = ""
    pixel_format: str = ""
    crops: tuple[str, ...] = ()
    whole: Scores = field(default_factory=dict)

    @property
    def kbps(self) -> float:
        """kbit/s of video packets."""
        return self.bytes * 8 / 1000 / self.seconds

    @property
    def bpp(self) -> float:
        """Bits per HR pixel."""
        return self.bytes * 8 / (self.pictures * self.width * self.height)

    def values(self, metric: str) -> list[float]:
        """Of the pictures that have one."""
        return [value for frame in self.frames if (value := frame.get(metric)) is not None]

    def value(self, metric: str) -> float | None:
        """Mean over the pictures that have one, or that of all of them together."""
        if metric in self.whole:
            return self.whole[metric]
        return statistics.fmean(values) if (values := self.values(metric)) else None

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Measurement:
        """Undo `as_json`; raises TypeError or KeyError for anything else."""
        send, receive = (Stage(**entry["cost"][name]) for name in ("send", "receive"))
        cost = Cost(send, receive, entry["cost"]["encode_cpu_seconds"])
        lists = {name: tuple(entry[name]) for name in ("frames", "crops")}
        return cls(**entry | lists | {"cost": cost})


def measure_cell(cell: Cell, folder: Path) -> Measurement:
    """Send, receive and measure; `folder` is for files that go again.

    Raises:
        StudyFailed, IrnError: why it cannot be measured.
    """
    stream, restored = folder / "stream.mkv", folder / "restored.mkv"
    info = probe(cell.clip)
    sender = _sender(cell, info)
    full = sender == FULL
    watch = Watch()
    written, encode_cpu_seconds = _sent(cell, sender, stream)
    sending = watch.lap()
    frames = psnr_of_files(cell.clip, stream) if full else _received(cell, stream, restored)
    cost = Cost(sending, watch.lap(), encode_cpu_seconds)
    shown = stream if full else restored
    if wanted := [name for name in PERCEPTUAL if name in cell.metrics]:
        frames = _with_perceptual(frames, measure_files(shown, cell.clip, folder, wanted), cell)
    whole = _of_all_frames(cell, shown, len(frames))
    crops = crops_of(shown, cell.clip, len(frames))
    coded, words = probe(stream), encoder_words(stream)
    restored.unlink(missing_ok=True)
    stream.unlink()
    return Measurement(
        clip=cell.clip.name,
        method=cell.method.label,
        crf=cell.encoder.crf,
        bitrate=cell.encoder.bitrate,
        bytes=written.video_bytes,
        pictures=written.frames,
        seconds=written.seconds,
        width=info.width,
        height=info.height,
        frames=tuple(frames),
        cost=cost,
        encoder=words,
        pixel_format=pixel_format(coded.layout, coded.bit_depth),
        crops=crops,
        whole=whole,
    )


def _sent(cell: Cell, sender: str, stream: Path) -> tuple[WriteSummary, float]:
    """What was written, and the processor time of reading and encoding."""
    if sender == FULL:
        began = time.process_time()
        written = encode_full_size(cell.clip, stream, cell.encoder, cell.frames)
        return written, time.process_time() - began
    options = SendOptions(
        model=sender, frames=cell.frames, adapt=cell.method.adapt, overwrite=True, **asdict(cell.encoder)
    )
    sent = send(cell.clip, stream, options)
    return sent.written, sent.encode_cpu_seconds


def _sender(cell: Cell, clip: VideoInfo) -> str:
    """The method's; at full size, what the encoder cannot carry is padded by a pipeline that changes nothing."""
    layout, _ = choose_samples(cell.encoder, clip.layout, clip.bit_depth)
    rows, columns = layout.subsampling
    odd = make_encoder(cell.encoder).needs_even and (clip.height % rows or clip.width % columns)
    return _PADDING if odd and cell.method.sender == FULL else cell.method.sender


def encode_full_size(source: Path, path: Path, settings: EncoderSettings, frames: int | None = None) -> WriteSummary:
    """Encode a clip as it is, the picture alone; converted where the encoder does not carry its samples."""
    with VideoReader(source, frames=frames) as reader:
        info = reader.info
        layout, bit_depth = choose_samples(settings, info.layout, info.bit_depth)
        samples = Samples(layout, bit_depth, info.color)
        plain = replace(info, layout=layout, bit_depth=bit_depth, rotation=0, sample_aspect_ratio=None, hdr=None)
        writer = VideoWriter(path, settings, plain, overwrite=True, inputs=[source])
        with writer, ahead(reader) as pictures:
            for picture in pictures:
                writer.write(convert(picture, samples))
            return writer.finish()


def psnr_of_files(source: Path, path: Path) -> list[Scores]:
    """PSNR of each picture of `path` against the first pictures of `source`, by name.

    Raises:
        SourceMismatch: the source has fewer pictures, or others.
    """
    found: list[Scores] = []
    with (
        VideoReader(source) as original,
        VideoReader(path) as coded,
        ahead(original) as left,
        ahead(coded) as right,
    ):
        for tagged in right:
            one = next(left, None)
            if one is None:
                raise SourceMismatch("more frames than the source", path=path)
            other = replace(tagged, color=one.color)  # samples are compared, whatever the tags say
            found.append(compare(convert(one, Samples.of(other)), other).psnr())
    return found


def _received(cell: Cell, stream: Path, restored: Path) -> list[Scores]:
    options = replace(
        receive_options(cell.method), source=cell.clip, codec=_LOSSLESS, frames=cell.frames, overwrite=True
    )
    result = receive(stream, restored, options)
    if result.unmeasured:
        raise StudyFailed(f"cannot be measured: {result.unmeasured}", path=cell.clip)
    return [frame.error.psnr() for frame in result.report.frames]


def receive_options(method: Method) -> ReceiveOptions:
    """What irn-receive must be told of a method."""
    if method.checkpoint is not None:
        return ReceiveOptions(upscaler="rcan", weights=method.checkpoint)
    if method.upscaler is not None:
        return ReceiveOptions(upscaler=method.upscaler)
    return ReceiveOptions(model=method.sender if method.is_file else None)


def _of_all_frames(cell: Cell, shown: Path, count: int) -> Scores:
    """Metrics of a clip as a whole."""
    found = measure_realness(shown, cell.clip, [name for name in REAL_METRICS if name in cell.metrics])
    if CLASSIFIER in cell.metrics:
        from irn_video.pipeline.quality.classifier import classifier_error, crops_of_files  # takes PyTorch's seconds

        found[CLASSIFIER] = classifier_error(crops_of_files(shown, cell.clip, count))
    return found


def _with_perceptual(frames: list[Scores], scores: list[Scores], cell: Cell) -> list[Scores]:
    """Both sets of metrics of each picture, once it is sure that they are of the same pictures."""
    wanted = [name for name in PERCEPTUAL if name in cell.metrics]
    joined = []
    for index, (ours, theirs) in enumerate(zip(frames, scores, strict=True)):
        one, other = ours["psnr_y"], theirs["psnr_y"]
        low = one is not None and other is not None and one < _VMAF_CAP_DB
        if low and abs((one or 0) - (other or 0)) > _ALIGNED_DB:
            raise StudyFailed(f"frame {index} is another for FFmpeg: {one:.2f} and {other:.2f} dB", path=cell.clip)
        joined.append({**ours, **{name: theirs[name] for name in wanted}})
    return joined
