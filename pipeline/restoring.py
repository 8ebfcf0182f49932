"""From an LR stream back to frames, measured against the source: the core of receiver and verification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard, is_digest_of
from irn_video.codecs.encoders import ENCODERS
from irn_video.codecs.errors import BadCard, SourceMismatch
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.choosing import choose_stream
from irn_video.codecs.reading.opening import open_input
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.reading.wholeness import ends_early
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.engine.following import followed
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.flow import ahead, mapped, mapped_by
from irn_video.pipeline.planes import Samples, carried_color, convert
from irn_video.pipeline.quality.entries import FrameReport
from irn_video.pipeline.quality.psnr import compare

_HASH_BLOCK = 1 << 20
# Times of the same picture in two files differ by the rounding to their time bases, 1 ms in Matroska.
_EXACT_SECONDS = 0.0015
_OTHER_RATE = 0.01
_TYPICAL_QUANTISER = 28.0


_Measured = tuple[FrameReport, Picture]


@dataclass(frozen=True)
class Restored:
    """A restored frame, what it was restored from and, if there is a source, its measurement and its original.

    The original has the samples of the restored frame.
    """

    picture: Picture
    lr: Picture
    report: FrameReport | None = None
    original: Picture | None = None


def restoration_of(card: StreamCard, *, temperature: float | None, seed: int | None) -> Restoration:
    """How to restore what a card describes."""
    return Restoration(
        samples=Samples(Layout(card.layout), card.bit_depth, card.color),
        height=card.height,
        width=card.width,
        temperature=card.latent_std if temperature is None else temperature,
        seed=card.seed if seed is None else seed,
        quantiser=_quantiser(card),
    )


def check_size(info: VideoInfo, card: StreamCard) -> None:
    """Refuse a card that does not fit the stream it came with.

    Raises:
        BadCard: says which sizes disagree.
    """
    check_lr_size(info.width, info.height, card, info.path)


def check_lr_size(width: int, height: int, card: StreamCard, path: Path | None = None) -> None:
    """Refuse a card that does not fit frames of this size; `path` is where they come from.

    Raises:
        BadCard: says which sizes disagree.
    """
    expected = card.width + card.pad_right, card.height + card.pad_bottom
    if (enlarged(width, card.scale), enlarged(height, card.scale)) != expected:
        raise BadCard(
            f"the card describes frames of {expected[0]}x{expected[1]} shrunk by {card.scale:g}, these are "
            f"{width}x{height}",
            path=path,
            hint="the stream was changed after irn-send",
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def find_source(card: StreamCard, beside: Path) -> Path | None:
    """The source the card names, if it lies beside the LR file and is the same to the byte."""
    path = beside.parent / card.source_name
    return path if card.source_name and is_source(card, path) else None


def is_source(card: StreamCard, path: Path) -> bool:
    """Whether a file is the one that was sent, to the byte."""
    if not card.source_sha256 or not path.is_file() or path.stat().st_size != card.source_bytes:
        return False
    return is_digest_of(card.source_sha256, file_digest(path))


class Meter:
    """Measures restored frames against those of the source, paired by their times.

    A damaged LR stream may lack frames; the others are still paired, exactly by their times. Anything else that
    does not fit means that the frames may not belong together, and nothing is measured then.

    Args:
        source: reader of the source.
        lr: reader of the LR stream, which knows about damage.
        prefix: the source may go on where the LR stream ends.
        lenient: for a source that nobody asked for: give up measuring in place of raising, see `complaint`.

    Attributes:
        complaint: why a lenient meter has given up, empty if it has not.
    """

    def __init__(self, source: VideoReader, lr: VideoReader, *, prefix: bool, lenient: bool = False) -> None:
        self.source, self._lr, self._prefix, self._lenient = source, lr, prefix, lenient
        self.complaint = ""
        self._offset: float | None = None
        self._waiting: Picture | None = None

    def measured(self, restored: Iterator[Restored], originals: Iterator[Picture]) -> Iterator[Restored]:
        """Each restored frame with its measurement.

        Raises:
            SourceMismatch: times or lengths differ; says how.
        """
        index = -1
        for index, item in enumerate(restored):
            found = self._forgiving(partial(self._measure, index, item.picture, originals))
            yield replace(item, report=found[0], original=found[1]) if found is not None else item
        self._forgiving(partial(self._finish, index + 1, originals))

    def _forgiving(self, step: Callable[[], _Measured | None]) -> _Measured | None:
        if self.complaint:
            return None
        try:
            return step()
        except SourceMismatch as error:
            if not self._lenient:
                raise
            self.complaint = error.what
            return None

    def _measure(self, index: int, restored: Picture, originals: Iterator[Picture]) -> _Measured | None:
        """Errors of a frame, and its original; None where a damaged stream has one whose source cannot be told."""
        if self._lr.warnings:
            raise self._mismatch("the LR stream's timestamps jump: which frames of the source follow is not known")
        damaged = bool(self._lr.damage)
        while (original := self._waiting or next(originals, None)) is not None:
            self._waiting = None
            if self._offset is None:
                # The first picture may be among those that are missing.
                start = stream_start(self._lr.info) if damaged else None
                self._offset = (restored.pts_seconds if start is None else start) - original.pts_seconds
            later = restored.pts_seconds - self._offset - original.pts_seconds
            if abs(later) <= (_EXACT_SECONDS if damaged else self._tolerance()):
                matched = convert(original, Samples.of(restored))
                return FrameReport(index, restored.pts_seconds, compare(matched, restored)), matched
            if not damaged:
                raise self._mismatch(
                    f"frame {index} comes {abs(later):.3f} s {'later' if later > 0 else 'earlier'} than in the source"
                )
            if later < 0:
                self._waiting = original
                return None
        if damaged:
            return None
        raise self._mismatch(f"the source ends after {index} frames, the LR stream goes on")

    def _finish(self, count: int, originals: Iterator[Picture]) -> None:
        """Check that the source ends where the stream does."""
        if not self._prefix and not self._lr.damage and next(originals, None) is not None:
            raise self._mismatch(f"the LR stream ends after {count} frames, the source goes on")

    def _tolerance(self) -> float:
        rate = self.source.info.frame_rate
        return max(_EXACT_SECONDS, float(1 / rate) / 4) if rate else 0.01

    def _mismatch(self, what: str) -> SourceMismatch:
        mine, other = self._lr.info.frame_rate, self.source.info.frame_rate
        if mine and other and abs(mine / other - 1) > _OTHER_RATE:
            what += f"; the LR stream has {float(mine):.4g} frames per second, the source {float(other):.4g}"
        return SourceMismatch(
            what, path=self.source.info.path, hint="give the file that was sent, or --frames to compare a prefix"
        )


def check_source(source: VideoInfo, card: StreamCard) -> None:
    """Refuse a source of another size before any work is done.

    Raises:
        SourceMismatch: says which sizes differ.
    """
    if (source.width, source.height) != (card.width, card.height):
        raise SourceMismatch(
            f"the source is {source.width}x{source.height}, the video that was sent {card.width}x{card.height}",
            path=source.path,
            hint="give the file that was sent",
        )


def check_whole(lr: VideoInfo, card: StreamCard, source: VideoInfo) -> None:
    """Refuse to compare a prefix with a stream that was cut: its first frame may be any frame of the source.

    Raises:
        SourceMismatch: says how many frames are missing.
    """
    if lr.frames is None or lr.frames in (card.frames, source.frames) or ends_early(lr.path):
        return
    raise SourceMismatch(
        f"the LR stream has {lr.frames} frames, but {card.frames or source.frames} were sent: it was cut, and which "
        "frames of the source these are is not known",
        path=lr.path,
        hint="measure the whole stream",
    )


def meter_for(
    lr: VideoReader, source: VideoReader, card: StreamCard, *, frames: int | None = None, found: bool = False
) -> Meter:
    """What measures a stream against its source.

    Args:
        lr: the LR stream.
        source: likewise.
        card: of the stream.
        frames: only so many frames are read of both; None for all.
        found: nobody asked for this source, see `lenient` of `Meter`.

    Raises:
        SourceMismatch: see `check_source` and `check_whole`.
    """
    # Of the very file that was sent, perhaps only the beginning was sent.
    whole = card.frames is not None and lr.info.frames == card.frames
    prefix = frames is not None or (whole and (found or is_source(card, source.info.path)))
    check_source(source.info, card)
    if frames is not None:
        check_whole(lr.info, card, source.info)
    return Meter(source, lr, prefix=prefix, lenient=found)


@contextmanager
def restored_pictures(
    lr: VideoReader, rescaler: Rescaler, to: Restoration, meter: Meter | None
) -> Generator[Iterator[Restored], None, None]:
    """Decode, restore and measure, each stage in a thread of its own.

    Args:
        lr: the LR stream.
        rescaler: see `rescaler_for`.
        to: see `restoration_of`.
        meter: to measure with, or None.
    """
    with ExitStack() as stack:
        decoded = stack.enter_context(ahead(followed(lr, to.temperature)))
        # Few frames wait, since they are large; the workers are ahead as it is.
        large = stack.enter_context(ahead(_restored(decoded, rescaler, to), depth=1))
        if meter is None:
            yield large
            return
        originals = stack.enter_context(ahead(meter.source, depth=1))
        yield stack.enter_context(ahead(meter.measured(large, originals), depth=1))


def _restored(decoded: Iterator[Picture], rescaler: Rescaler, to: Restoration) -> Iterator[Restored]:
    if rescaler.workers > 1:
        return mapped_by(rescaler.workers, lambda i, p: Restored(rescaler.upscale(p, to, i), p), decoded)
    return mapped(lambda i, p: Restored(rescaler.upscale(p, to, i), p), decoded)


def said_stream(info: VideoInfo) -> str:
    """Which stream of a file is read, for people, before what else there is to say; empty where there is only one."""
    if info.streams == 1:
        return ""
    size = f"{info.width}x{info.height}"
    return f"video stream {info.stream} of {info.streams}, {size} (--stream N takes another, counted from 0); "


def stream_start(info: VideoInfo) -> float | None:
    """When the first packet of a stream is shown, in seconds, whether it can be decoded or not; None if not known."""
    with open_input(info.path) as container:
        video = choose_stream(container, info.path, info.stream).stream
        return float(video.start_time * info.time_base) if video.start_time is not None else None


def with_samples(to: Restoration, layout: Layout, bit_depth: int) -> Restoration:
    """The same restoration with other samples, for an encoder that does not carry the source's."""
    color = carried_color(to.samples.color, layout, to.height)
    return replace(to, samples=Samples(layout, bit_depth, color), carried_color=to.samples.color)


def _quantiser(card: StreamCard) -> float | None:
    """That of `expected_quantiser`; None without loss."""
    if card.crf is not None:
        return expected_quantiser(card.codec, card.crf)
    return None if card.bitrate is None else _TYPICAL_QUANTISER


def expected_quantiser(codec: str, crf: float) -> float:
    """An H.264 quantiser of about this quality, for decoders that do not tell it."""
    return crf * (ENCODERS[codec].to_h264 if codec in ENCODERS else 1)
