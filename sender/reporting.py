"""What a report says about what was sent."""

from __future__ import annotations

from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.encoders import EncoderSettings, with_preset
from irn_video.codecs.pipes import PIPE
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.writing.writer import WriteSummary
from irn_video.pipeline.quality.entries import SourceReport, StreamReport


def source_of(info: VideoInfo) -> SourceReport:
    """What a report says about a source."""
    size = info.path.stat().st_size if info.path != PIPE else None
    return SourceReport(info.width, info.height, size, info.duration_seconds)


def stream_report(card: StreamCard, written: WriteSummary, encoder: EncoderSettings) -> StreamReport:
    """What a report says about the stream that was written."""
    height, width = card.lr_size
    return StreamReport(
        codec=card.codec,
        preset=with_preset(encoder, card.scale).preset,
        crf=card.crf,
        bitrate=card.bitrate,
        scale=card.scale,
        width=width,
        height=height,
        bytes=written.video_bytes,
        file_bytes=written.path.stat().st_size,
        frames=written.frames,
        seconds=written.seconds,
        hr_pixels=card.width * card.height,
    )
