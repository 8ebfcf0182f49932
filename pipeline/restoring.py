"""From an LR stream back to pictures, measured against the source: the core of receiver and verification."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from irn_video.codecs.card import StreamCard
from irn_video.codecs.errors import BadCard, SourceMismatch, WeightsMismatch
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reader import VideoInfo, VideoReader
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.flow import ahead, mapped
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.quality.report import FrameReport

_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class Restored:
    """A restored picture and, if there is a source, its measurement."""

    picture: Picture
    report: FrameReport | None


def load_for(card: StreamCard, name: str | None, *, device: str, precision: str) -> Rescaler:
    """The rescaler that restores a stream.

    Args:
        card: of the stream.
        name: a network to use in place of the one the card names: it must have the same weights.

    Raises:
        WeightsMismatch: these are not the weights that made the stream.
        UnknownModel, BadWeights, MissingFile, BadOption: see `Rescaler.load`.
    """
    rescaler = Rescaler.load(name or card.model, device=device, precision=precision)
    if rescaler.sha256 != card.model_sha256 or rescaler.scale != card.scale:
        raise WeightsMismatch(
            f"{rescaler.name} has other weights ({rescaler.sha256[:12] or 'none'}) than the network that made this "
            f"stream ({card.model} {card.model_sha256[:12] or 'none'})",
            hint="give those weights with --model FILE",
        )
    return rescaler


def restoration_of(card: StreamCard, *, temperature: float | None, seed: int | None) -> Restoration:
    """How to restore what a card describes."""
    return Restoration(
        samples=Samples(Layout(card.layout), card.bit_depth, card.color),
        height=card.height,
        width=card.width,
        temperature=card.latent_std if temperature is None else temperature,
        seed=card.seed if seed is None else seed,
        quantiser=card.crf,
    )


def check_size(info: VideoInfo, card: StreamCard) -> None:
    """Refuse a card that does not fit the stream it came with.

    Raises:
        BadCard: says which sizes disagree.
    """
    expected = (card.width + card.pad_right) // card.scale, (card.height + card.pad_bottom) // card.scale
    if (info.width, info.height) != expected:
        raise BadCard(
            f"the stream card describes LR pictures of {expected[0]}x{expected[1]}, these are "
            f"{info.width}x{info.height}",
            path=info.path,
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
    return file_digest(path) == card.source_sha256


class Meter:
    """Measures restored pictures against a source, picture by picture, paired by their times.

    Args:
        source: reader of the source.
        tolerant: the LR stream is damaged, so pictures may be missing from it.

    Raises:
        SourceMismatch: while measuring, sizes, times or lengths differ; says how.
    """

    def __init__(self, source: VideoReader, pictures: Iterator[Picture]) -> None:
        self._source, self._pictures = source, pictures
        rate = source.info.frame_rate
        self._tolerance = float(1 / rate) / 2 if rate else 0.02
        self._starts: tuple[float, float] | None = None

    def measure(self, index: int, restored: Picture, *, tolerant: bool) -> FrameReport | None:
        """Errors of the next picture; None where a tolerant meter finds no source picture for it."""
        for source in self._pictures:
            if self._starts is None:
                self._starts = source.pts_seconds, restored.pts_seconds
            apart = (restored.pts_seconds - self._starts[1]) - (source.pts_seconds - self._starts[0])
            if abs(apart) <= self._tolerance:
                matched = convert(source, Samples.of(restored))
                return FrameReport(index, restored.pts_seconds, compare(matched, restored))
            if not tolerant:
                raise self._mismatch(
                    f"picture {index} is {abs(apart):.3f} s {'later' if apart > 0 else 'earlier'} than in the source"
                )
            if apart < 0:
                return None
        if tolerant:
            return None
        raise self._mismatch(f"the source ends after {index} pictures, the LR stream goes on")

    def finish(self, count: int) -> None:
        """Check that the source ends with the stream."""
        if next(self._pictures, None) is not None:
            raise self._mismatch(f"the LR stream ends after {count} pictures, the source goes on")

    def _mismatch(self, what: str) -> SourceMismatch:
        return SourceMismatch(
            what, path=self._source.info.path, hint="give the file that was sent, or --frames to compare a prefix"
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


@contextmanager
def restored_pictures(
    lr: VideoReader, rescaler: Rescaler, to: Restoration, source: VideoReader | None, *, prefix: bool
) -> Generator[Iterator[Restored], None, None]:
    """Decode, restore and measure, each stage in a thread of its own.

    Args:
        lr: the LR stream.
        rescaler: see `load_for`.
        to: see `restoration_of`.
        source: to measure against, or None.
        prefix: only the first pictures are restored, so the source may go on.
    """
    with ExitStack() as stack:
        decoded = stack.enter_context(ahead(lr))
        large = stack.enter_context(ahead(mapped(lambda i, p: rescaler.upscale(p, to, i), decoded)))
        if source is None:
            yield (Restored(picture, None) for picture in large)
            return
        meter = Meter(source, stack.enter_context(ahead(source)))
        yield stack.enter_context(ahead(_measured(lr, large, meter, prefix=prefix)))


def _measured(lr: VideoReader, large: Iterator[Picture], meter: Meter, *, prefix: bool) -> Iterator[Restored]:
    count = 0
    for index, picture in enumerate(large):
        yield Restored(picture, meter.measure(index, picture, tolerant=bool(lr.damage)))
        count += 1
    if not prefix and not lr.damage:
        meter.finish(count)


def with_samples(to: Restoration, layout: Layout, bit_depth: int) -> Restoration:
    """The same restoration with other samples, for an encoder that does not carry the source's."""
    return replace(to, samples=replace(to.samples, layout=layout, bit_depth=bit_depth))
