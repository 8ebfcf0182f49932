"""Pictures of the same moment stacked in one, as a video that browsers play while it is made.

One video for all of them keeps them in step by construction. It is fragmented MP4 (ISO/IEC 14496-12), a fragment for
each frame, at so low a loss that what is compared is hardly changed: PSNR is measured before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from irn_video.codecs.bitstream.avc import avc_name
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.picture import Layout, Picture, VideoFormat
from irn_video.codecs.writing.picture_stream import PictureStream
from irn_video.pipeline.planes import Samples, carried_color, resolved_color, stacked

_CLOCK = Fraction(1, 90_000)
_CRF = 18
_OPTIONS = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}


@dataclass(frozen=True)
class Fragment:
    """Part of a video.

    Attributes:
        data: fragmented MP4.
        keyframe: a player may begin here, after the beginning of the video.
    """

    data: bytes
    keyframe: bool


class Wall:
    """Encodes stacks of frames of one size.

    Args:
        like: a frame of that size.
        count: frames in a stack.
        rate: stacks per second.

    Attributes:
        width, height: of each frame as it is shown: even, since the video is 4:2:0.
        mime: what the video is, for a browser.
        head: its beginning.
    """

    def __init__(self, like: Picture, count: int, rate: Fraction) -> None:
        self.width, self.height = like.width + like.width % 2, like.height + like.height % 2
        color = resolved_color(carried_color(like.color, Layout.YUV420, like.height), like.height)
        self._samples = Samples(Layout.YUV420, 8, color)
        self._rate, self._sink = rate, _Sink()
        settings = EncoderSettings(crf=_CRF, preset="ultrafast", tune="zerolatency", keyint=max(1, round(rate)))
        self._output = av.open(self._sink, "w", format="mp4", options=dict(_OPTIONS))
        self._stream = PictureStream(
            self._output,
            make_encoder(settings),
            VideoFormat(
                width=self.width,
                height=count * self.height,
                layout=Layout.YUV420,
                bit_depth=8,
                color=color,
                time_base=_CLOCK,
                frame_rate=rate,
            ),
        )
        self._stream.open()
        self._output.start_encoding()
        self.head = self._sink.take()
        self.mime = f'video/mp4; codecs="{avc_name(self._stream.stream.codec_context.extradata or b"")}"'
        self._keyframes: list[bool] = []
        self._first: int | None = None

    def seconds(self, index: int) -> float:
        """When a frame is shown, on the clock of the video, which begins with its first one."""
        return float(self._pts(index) * _CLOCK)

    def add(self, pictures: Sequence[Picture], index: int) -> list[Fragment]:
        """One more stack, from top to bottom; indices rise. What comes out is mostly the one before."""
        self._first = index if self._first is None else self._first
        stack = Picture(
            planes=stacked(pictures, self._samples, self.height, self.width),
            layout=Layout.YUV420,
            bit_depth=8,
            color=self._samples.color,
            pts=self._pts(index),
            time_base=_CLOCK,
            duration=self._stream.period,
        )
        fragments = []
        for packet in self._stream.encode(stack, self._pts(index)):
            self._keyframes.append(bool(packet.is_keyframe))
            self._output.mux(packet)
            if data := self._sink.take():
                fragments.append(Fragment(data, self._keyframes.pop(0)))
        return fragments

    def close(self) -> None:
        """End the video."""
        self._output.close()

    def _pts(self, index: int) -> int:
        return round((index - (self._first or 0)) / (self._rate * _CLOCK))


class _Sink:
    """A file that is taken away piece by piece."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data
