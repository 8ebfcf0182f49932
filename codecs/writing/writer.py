"""Writing video: `Picture`s in, a whole file out, or none.

with VideoWriter("out.mp4", EncoderSettings(crf=26), VideoFormat(width=640, …)) as writer:
    for frame in frames:
        writer.write(frame)
    summary = writer.finish()
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.error
import av.logging
from av.container import OutputContainer
from av.container.core import Flags
from av.packet import Packet
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.card import MAX_COMMENT, StreamCard
from irn_video.codecs.bitstream.quantisers import quantiser_message
from irn_video.codecs.bitstream.sei import QUANTISERS_UUID, UPDATE_UUID, sei_nal
from irn_video.codecs.encoders import Encoder, EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption, IrnError, UnwritableOutput
from irn_video.codecs.picture import Picture, VideoFormat
from irn_video.codecs.pipes import PIPE, Sink
from irn_video.codecs.reading.numbered import is_numbered
from irn_video.codecs.reading.opening import close_quietly, open_input

from .coarser import CoarserStream, CodedGroup, coarser_settings
from .containers import CONTAINERS, container_for
from .group_quantisers import group_quantisers
from .output import atomic_path, atomic_pictures, unwritable
from .passthrough import Passthrough, StreamCopier, left_behind
from .picture_stream import FALLBACK_RATE, PictureStream
from .tags import user_comment

Tune = Callable[[CodedGroup, CodedGroup | None], bytes]

_QUICKTIME = ("mp4", "mov")
_FRAGMENTS, _INDEX_FIRST = "+frag_keyframe+delay_moov+default_base_moof", "+faststart"
# MP4 holds at most 2³¹ units between two pictures; a faster clock than this would make that a few minutes.
_FASTEST_CLOCK, _FINEST_BASE = 5_000_000, Fraction(1, 1_000_000)


@dataclass(frozen=True)
class WriteSummary:
    """What was written.

    Attributes:
        path: the finished file.
        frames: how many.
        video_bytes: video packets as muxed, headers of the container not counted.
        seconds: from the first frame to the end of the last.
        warnings: what could not be done as asked, one line each.
        passthrough: what was copied from the source, in a few words each.
    """

    path: Path
    frames: int
    video_bytes: int
    seconds: float
    warnings: tuple[str, ...]
    passthrough: tuple[str, ...]


class VideoWriter:
    """Encode frames and mux them, with everything else of the source beside them.

    Writes to a temporary file beside `path` and renames it in `finish`; leaving the context by an exception removes it.
    Leaving it normally finishes if that has not been done. Use it from one thread at a time.

    Args:
        path: the output; its extension names the container. `PIPE` for standard output, `frames/%05d.png` for
            numbered pictures, from 1.
        settings: codec and quality.
        video: of the frames; see `encoders.choose_samples` for the samples an encoder carries. The time base is kept
            exactly where the container can, `hdr` with H.264, H.265 and AV1.
        passthrough: the source of audio, subtitles, chapters, attachments and tags.
        card: the stream card of an LR stream.
        tune: called with each group of frames, as encoded, and with the same frames in fewer bits where they can
            be had: what goes in with the group's keyframe as an SEI message (`sei.UPDATE_UUID`), if anything. Groups
            wait for it.
        coarser: whether it wants those in fewer bits, for which every frame is encoded twice.
        quantisers: likewise, the mean quantisers of a group's frames (`sei.QUANTISERS_UUID`); H.264 only.
        overwrite: replace an existing file.
        inputs: files that the output must not be; the passthrough's is added.
        container: a name in `containers.FORMATS`, in place of the extension's; `PIPE` needs it.
        fragmented: write MP4 and MOV in fragments, each with the frames from a keyframe on, as pipes need it.
        sink: where `PIPE` goes; None for standard output.

    Raises:
        BadOption: settings, sizes or names that do not fit together.
        UnavailableEncoder: the encoder cannot be opened on this machine.
        OutputRefused, UnwritableOutput: see `output.check_output`.
    """

    def __init__(
        self,
        path: Path | str,
        settings: EncoderSettings,
        video: VideoFormat,
        *,
        passthrough: Passthrough | None = None,
        card: StreamCard | None = None,
        tune: Tune | None = None,
        coarser: bool = True,
        quantisers: bool = False,
        overwrite: bool = False,
        inputs: Sequence[Path] = (),
        container: str | None = None,
        fragmented: bool = False,
        sink: Sink | None = None,
    ) -> None:
        self._path, self._sink = Path(path), sink
        self._encoder = make_encoder(settings, video.hdr)
        self._kind = container_for(self._path, settings.codec, container)
        self._fragmented = fragmented or self._path == PIPE
        if fragmented and self._kind.name not in _QUICKTIME:
            raise BadOption("only MP4 and MOV are written in fragments", path=self._path, hint="drop --fragmented")
        if video.time_base <= 0:
            raise BadOption(f"a time base of {video.time_base} s makes no sense", path=self._path)
        if video.time_base.denominator > _FASTEST_CLOCK:
            video = replace(video, time_base=_FINEST_BASE)
        if self._kind.only is not None:  # its clock is its frame rate
            video = replace(video, time_base=1 / (video.frame_rate or FALLBACK_RATE))
        self._format, self._time_base = video, video.time_base
        self._check_samples()
        self._warnings: list[str] = []
        self._tune, self._quantisers = tune, quantisers and self._encoder.syntax == "h264"
        self._group: list[Packet[VideoStream]] = []
        self._frames = self._bytes = 0
        self._first = self._last = self._end = self._delay = 0
        self._first_dts: int | None = None
        self._summary: WriteSummary | None = None
        sources = [*inputs, passthrough.path] if passthrough else list(inputs)
        with ExitStack() as stack:
            self._part = stack.enter_context(self._reserved(sources, overwrite))
            self._output = self._open_container(stack)
            self._coarser = self._second_stream(stack) if tune is not None and coarser else None
            self._pictures = self._add_video(self._output, self._encoder)
            self._video = self._pictures.stream
            self._set_display()
            self._pictures.open()
            self._copier = self._add_passthrough(passthrough, stack)
            self._nal = self._add_card(card, passthrough)
            with self._writing():
                self._output.start_encoding()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._summary is None:
            self.finish()

    def write(self, picture: Picture) -> None:
        """Encode one frame, in the layout and bit depth this writer was made for, later than the one before.

        Raises:
            BadOption: a frame of another size, layout or bit depth.
            UnwritableOutput: the disk is full, for example.
        """
        if not self._format.fits(picture):
            raise BadOption(f"this writer was made for other frames than {picture!r}", path=self._path)
        if picture.captions and self._encoder.syntax is None:
            self._warn(f"closed captions in the video are not carried over: {self._encoder.settings.codec} has no room")
        pts = self._stamp(picture)
        self._end = pts + self._pictures.duration_of(picture)
        self._frames += 1
        with self._writing():
            if self._coarser is not None:
                self._coarser.encode(picture, pts)
            self._mux(self._pictures.encode(picture, pts))

    def finish(self) -> WriteSummary:
        """Flush the encoder, copy what remains of the source, close and rename the file.

        Returns:
            What was written; the same again when called twice.

        Raises:
            UnwritableOutput: nothing was written, or it could not be written to the end; no file is left then.
        """
        if self._summary is not None:
            return self._summary
        try:
            if not self._frames:
                raise UnwritableOutput("there were no frames to write", path=self._path)
            with self._writing():
                if self._coarser is not None:
                    self._coarser.flush()
                self._mux(self._to_the_end(self._with_decode_times(self._pictures.flush())))
                self._mux_group()
                if self._copier is not None:
                    self._copier.finish(float(self._end * self._time_base))
                self._output.close()
                if self._copier is not None and self._path != PIPE:
                    self._copier.complete(self._part)
        except BaseException:
            self.abort()
            raise
        self._stack.close()
        self._summary = WriteSummary(
            path=self._path,
            frames=self._frames,
            video_bytes=self._bytes,
            seconds=float((self._end - self._first) * self._time_base),
            warnings=(*self._warnings, *(self._copier.warnings if self._copier else ())),
            passthrough=tuple(self._copier.names) if self._copier else (),
        )
        return self._summary

    def abort(self) -> None:
        """Give up: remove the temporary file. Nothing happens after `finish`."""
        with contextlib.suppress(_Aborted):
            self._stack.__exit__(_Aborted, _Aborted(), None)
        self._stack.pop_all()

    def _check_samples(self) -> None:
        width, height = self._format.width, self._format.height
        layout, depth = self._format.layout, self._format.bit_depth
        if not (1 <= width <= 16384 and 1 <= height <= 16384):
            raise BadOption(f"frames of {width}x{height} cannot be encoded", hint="1x1 to 16384x16384")
        chosen = self._encoder.choose(layout, depth)
        if chosen != (layout, depth):
            raise BadOption(
                f"{self._encoder.settings.codec} with these settings does not carry {layout} at {depth} bits",
                hint=f"convert the frames to {chosen[0]} at {chosen[1]} bits first, or use another codec",
            )
        down, right = layout.subsampling
        if self._encoder.needs_even and (width % right or height % down):
            raise BadOption(
                f"{self._encoder.settings.codec} cannot carry {layout} frames of {width}x{height}",
                hint="use sizes that divide by 2, yuv444p, or ffv1",
            )

    def _reserved(self, inputs: Sequence[Path], overwrite: bool) -> AbstractContextManager[Path]:
        """Where to write until it is finished."""
        if self._path == PIPE:
            return contextlib.nullcontext(PIPE)
        reserve = atomic_pictures if is_numbered(self._path) else atomic_path
        return reserve(self._path, inputs, overwrite)

    def _open_container(self, stack: ExitStack) -> OutputContainer:
        av.logging.set_level(None)
        target = (self._sink or Sink()) if self._path == PIPE else f"file:{self._part}"
        options = {}
        if self._kind.name in _QUICKTIME:
            options["movflags"] = _FRAGMENTS if self._fragmented else _INDEX_FIRST
        if self._kind is CONTAINERS[".y4m"]:
            options["strict"] = "-1"  # more than 8 bits are an extension that all programs of today read
        output = av.open(target, "w", format=self._kind.name, options=options)
        output.flags |= cast(
            "int", Flags.bitexact.value
        )  # no random identifiers, no dates: the same input gives the same bytes
        stack.callback(close_quietly, output)
        return output

    def _second_stream(self, stack: ExitStack) -> CoarserStream | None:
        settings = coarser_settings(self._encoder)
        if settings is None:
            return None
        output = av.open(io.BytesIO(), "w", format=self._kind.name)  # never begun: only the encoder is used
        stack.callback(close_quietly, output)
        return CoarserStream(self._add_video(output, make_encoder(settings, self._encoder.hdr)))

    def _add_video(self, output: OutputContainer, encoder: Encoder) -> PictureStream:
        pictures = PictureStream(output, encoder, self._format)
        if encoder.syntax == "hevc" and self._kind.name in _QUICKTIME:
            pictures.stream.codec_context.codec_tag = "hvc1"  # Apple's players show nothing else
        return pictures

    def _set_display(self) -> None:
        rotation, sample_aspect_ratio = self._format.rotation, self._format.sample_aspect_ratio
        if sample_aspect_ratio:
            self._video.codec_context.sample_aspect_ratio = sample_aspect_ratio
            # PyAV cannot set the ratio that the Matroska muxer writes, so there it has to be in the bitstream.
            matroska = self._kind.name in ("matroska", "webm")
            if sample_aspect_ratio != 1 and matroska and self._encoder.syntax is None:
                name = self._encoder.settings.codec
                self._warn(f"the sample aspect ratio {sample_aspect_ratio} is not kept with {name} in this container")
        if rotation and self._kind.shows_rotation:
            self._video.set_display_rotation(rotation)
        elif rotation:
            self._warnings.append(f"this container cannot tell players to turn the frame by {rotation} degrees")

    def _add_passthrough(self, source: Passthrough | None, stack: ExitStack) -> StreamCopier | None:
        if source is None:
            return None
        if self._kind.only is not None:
            self._warnings += left_behind(source)
            return None
        copier = StreamCopier(source, self._output, self._kind)
        stack.callback(copier.close)
        return copier

    def _add_card(self, card: StreamCard | None, source: Passthrough | None) -> bytes | None:
        """Tag the container; return the SEI message for keyframes, if the codec takes one."""
        if card is None:
            return None
        if card.comment is None and source is not None:
            with open_input(source.path) as container:
                comment = user_comment(source.path, container, source.video_stream)
            if comment is not None:
                card = replace(card, comment=comment[:MAX_COMMENT])
        if self._copier is not None:
            self._copier.tags.pop("comment", None)  # the card has it
        if self._kind.keeps_comment:
            self._output.metadata["comment"] = card.to_tag()
        syntax = self._encoder.syntax
        return sei_nal(card.to_payload(), syntax) if syntax else None

    def _stamp(self, picture: Picture) -> int:
        """The frame's timestamp in the output: from 0 up, always increasing."""
        pts = round(picture.pts * picture.time_base / self._time_base)
        if not self._frames and pts < 0:
            self._delay = -pts  # MP4 would hide such pictures, Matroska and MPEG-TS have no room for them
            seconds = float(self._delay * self._time_base)
            self._warn(f"timestamps before 0 cannot be kept: everything starts {seconds:.3f} s later")
            if self._copier is not None:
                self._copier.delay_seconds += self._delay * self._time_base
        pts += self._delay
        if not self._frames:
            self._first = pts
        elif pts <= self._last:
            pts = self._last + 1
            self._warn("frames with the same timestamp were moved apart")
        self._last = pts
        if self._kind.only is not None and abs(pts - self._first - self._frames) > 1:
            self._warn("frames do not come at an even rate, which this kind of file cannot tell")
        return pts

    def _mux(self, packets: Sequence[Packet[VideoStream]]) -> None:
        if packets and self._first_dts is None:
            self._first_dts = packets[0].dts
        if self._tune is None and not self._quantisers:
            self._mux_with(packets, b"")
            return
        for packet in packets:
            if packet.is_keyframe:
                self._mux_group()
            self._group.append(packet)

    def _mux_group(self) -> None:
        """What has waited for its messages."""
        if not self._group:
            return
        group, self._group = CodedGroup(self._group, self._video.codec_context.extradata), []
        messages, syntax = b"", self._encoder.syntax
        if self._tune is not None:
            coarser = self._coarser.group(group.packets) if self._coarser is not None else None
            if (message := self._tune(group, coarser)) and syntax:
                messages = sei_nal(message, syntax, UPDATE_UUID)
        if self._quantisers:
            messages += sei_nal(quantiser_message(group_quantisers(group)), "h264", QUANTISERS_UUID)
        self._mux_with(group.packets, messages)

    def _mux_with(self, packets: Sequence[Packet[VideoStream]], messages: bytes) -> None:
        nal = (self._nal or b"") + messages
        for packet in packets:
            whole = self._pictures.with_sei(packet, nal) if nal and packet.is_keyframe else packet
            self._bytes += whole.size
            at = float((whole.dts if whole.dts is not None else whole.pts or 0) * whole.time_base)
            self._output.mux(whole)
            if self._copier is not None:
                self._copier.feed(at)

    def _with_decode_times(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        """Times for the last packets of a stream so short that the encoder sets none; so few are never reordered."""
        if self._frames < self._encoder.order_needs:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _to_the_end(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        """The last packets, the very last decoded so late or so long that decoding lasts as long as showing does.

        MP4 files are as long as the shorter of the two; they differ where a gap is among the frames that are reordered.
        """
        if packets and self._kind.name in _QUICKTIME:
            last, first = packets[-1], self._first_dts if self._first_dts is not None else packets[0].dts
            if first is not None and last.dts is not None and last.pts is not None:
                end = first + round((self._end - self._first) * self._time_base / last.time_base)
                last.dts = min(max(last.dts, end - (last.duration or 0)), last.pts)
                last.duration = max(last.duration or 0, end - last.dts)
        return packets

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what FFmpeg and the operating system say while writing into one line."""
        try:
            yield
        except IrnError:
            raise
        except OSError as error:
            raise unwritable(self._path, error) from error
        except (av.error.FFmpegError, ValueError) as error:
            raise UnwritableOutput(f"the {self._kind.name} muxer refuses: {error}", path=self._path) from error

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


class _Aborted(Exception):
    """Unwinds the writer's resources without renaming the output."""
