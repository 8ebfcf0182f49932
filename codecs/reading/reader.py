"""Reading video: any file FFmpeg decodes, as a stream of `Picture`s in their native samples.

with VideoReader("clip.mkv") as reader:
    for frame in reader:
        ...
    if reader.damage:
        print(reader.damage.describe())
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, dropwhile, islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.sei import UPDATE_UUID, find_payloads
from irn_video.codecs.errors import BadOption, SizeChanged, UnreadableVideo
from irn_video.codecs.picture import Picture
from irn_video.codecs.pipes import PIPE

from .card_search import card_payloads, find_card
from .choosing import choose_stream
from .clock import Clock, Timeline, end_of, lasting
from .frame_data import captions_of, chroma_siting, color_of, hdr_of, mean_qp
from .opening import open_input, packets
from .pixels import Unpacker, unpacker
from .survey import survey
from .video_info import ReadDamage, VideoInfo
from .wholeness import ends_early

MAX_SIDE = 16384
"""Larger frames are refused before memory is taken for them."""
_DEMUX_RETRIES = 8
_BESIDE = 2  # packets before and after a joint, as FFmpeg's parsers hold one back


class VideoReader:
    """Decode one video stream of a file, frame by frame, in display order.

    Single pass: iterating again goes on where the last loop stopped. Frames own their memory.

    Args:
        path: the file.
        stream: index among the video streams, attached pictures not counted; None for the one a player would show.
        frames: stop after that many frames.
        threads: decoder threads, 0 for one per core.
        container: of a pipe, already open (`open_pipe`): its frames are not counted. `path` is its name then.
        quantiser: fill in `Picture.qp` for H.264, exactly and repeatably. This turns frame threads off: with them
            FFmpeg exports the quantisers of frames that are still being decoded. Also fill in `Picture.update`.

    Attributes:
        info: what the stream is.
        first_pts: timestamp of the file's first frame.

    Raises:
        MissingFile: there is no such file.
        UnreadableVideo: no frames can be got from it; says why.
        BadOption: `frames` or `threads` is out of range.
        SizeChanged: while iterating, the frame size or pixel format changes.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        stream: int | None = None,
        frames: int | None = None,
        threads: int = 0,
        container: InputContainer | None = None,
        quantiser: bool = False,
    ) -> None:
        if frames is not None and frames < 1:
            raise BadOption(f"frames must be at least 1, not {frames}")
        if threads < 0:
            raise BadOption(f"threads must not be negative, not {threads}")
        self._path = Path(path)
        self._damage = ReadDamage()
        self._quantiser, self._updates = quantiser, deque[tuple[int, bytes]]()
        self._piped = container is not None or self._path == PIPE
        self._container = container or open_input(path)
        try:
            self._chosen = choose_stream(self._container, self._path, stream, piped=self._piped)
            self._video = self._chosen.stream
            self._timeline = Timeline(self._container)
            self._prepare(threads, quantiser)
            self._siting = chroma_siting(self._video)
            self._decoded = self._decode_all()
            self._first = self._decode_first()
            self._unpacker = unpacker(self._first.format.name)
            self.first_pts = self._first.pts or 0
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise
        self._pictures: Iterator[Picture] = islice(self._following(), frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Picture]:
        return self._pictures

    def close(self) -> None:
        """Let go of the file and the decoder; iterating afterwards yields nothing more."""
        self._pictures = islice(iter(()), 0)
        self._decoded.close()
        self._container.close()

    def seek(self, keyframe: int) -> int:
        """Go on with a keyframe: iterating yields it, or one before it, and all that follow.

        Args:
            keyframe: its timestamp, see `FrameTimes`.

        Returns:
            The timestamp of the first frame.

        Raises:
            UnreadableVideo: the container cannot seek, or nothing can be decoded there.
        """
        self._decoded.close()
        try:
            self._container.seek(keyframe, stream=self._video)
        except av.error.FFmpegError as error:
            raise UnreadableVideo(f"it cannot be sought in: {error.strerror}", path=self._path) from error
        self._updates.clear()
        self._timeline = Timeline(self._container)
        self._decoded = self._decode_all()
        self._first = self._decode_first()
        self._pictures = islice(self._following(), None)
        return self._first.pts or 0

    def keep(self, first: int, end: int | None, frames: int | None = None) -> int | None:
        """Yield only the frames from one timestamp on and before another, at most so many.

        What is broken before them does not count.

        Returns:
            The timestamp of the first of them; None if there is none.
        """
        following = dropwhile(lambda picture: picture.pts < first, self._following())
        picture = next(following, None)
        if picture is None or (end is not None and picture.pts >= end):
            return None
        self._damage = ReadDamage(corrupt_frames=int(picture.corrupt))
        kept = takewhile(lambda later: end is None or later.pts < end, chain((picture,), following))
        self._pictures = islice(kept, frames)
        return picture.pts

    @property
    def damage(self) -> ReadDamage:
        """What was found broken so far; complete once the iteration has ended."""
        return self._damage

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was mended so far and may surprise; complete once the iteration has ended."""
        moved = self._timeline.largest_seconds
        if not moved:
            return ()
        return (f"the timestamps jump, as where recordings are joined: what follows was moved by {float(moved):.1f} s",)

    @property
    def card_payload(self) -> bytes | None:
        """Base64 of the stream card, from SEI or else from the comment tag; None when there is none."""
        return next(card_payloads(self._path, stream=self._chosen.index), None)

    @property
    def card(self) -> StreamCard | None:
        """The stream card, see `find_card`."""
        return find_card(self._path, stream=self._chosen.index)

    def _prepare(self, threads: int, quantiser: bool) -> None:
        needed = {self._video.index, *(stream.index for stream in self._timeline.streams)}
        for other in self._container.streams:
            if other.index not in needed:
                other.discard = Discard.all
        context = self._video.codec_context
        if max(context.width, context.height) > MAX_SIDE:
            raise UnreadableVideo(
                f"frames of {context.width}x{context.height} are too large",
                path=self._path,
                hint=f"the limit is {MAX_SIDE}x{MAX_SIDE}",
            )
        self._video.thread_type = "SLICE" if quantiser else "AUTO"
        self._video.thread_count = threads
        context.options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}
        if quantiser and context.name == "h264":  # the quantisers of other codecs are other numbers
            context.options["export_side_data"] = "+venc_params"

    def _decode_first(self) -> VideoFrame:
        frame = next(self._decoded, None)
        if frame is None:
            cause = f"no frame can be decoded ({self._damage.describe()})"
            raise UnreadableVideo(cause, path=self._path, hint="the file is damaged or holds no video data")
        if max(frame.width, frame.height) > MAX_SIDE:
            raise UnreadableVideo(f"frames of {frame.width}x{frame.height} are too large", path=self._path)
        return frame

    def _describe(self) -> VideoInfo:
        video, first = self._video, self._first
        assert video.time_base is not None
        length = video.duration * video.time_base if video.duration else None
        if length is None and self._container.duration:
            length = Fraction(self._container.duration, av.time_base)
        found = survey(self._path, video, piped=self._piped)
        return VideoInfo(
            path=self._path,
            stream=self._chosen.index,
            streams=self._chosen.count,
            width=first.width,
            height=first.height,
            layout=self._unpacker.layout,
            bit_depth=self._unpacker.bit_depth,
            color=color_of(first, self._unpacker, self._siting),
            time_base=video.time_base,
            frame_rate=found.frame_rate,
            rotation=first.rotation,
            sample_aspect_ratio=video.sample_aspect_ratio or None,
            frames=found.frames,
            duration_seconds=float(length) if length else None,
            codec=video.codec_context.name,
            interlaced=first.interlaced_frame,
            hdr=hdr_of(first),
            notes=_notes(video, self._unpacker),
        )

    def _read(self) -> Iterator[Picture]:
        clock = Clock(self.info.time_base, self.info.frame_rate)
        size, name = (self._first.width, self._first.height), self._first.format.name
        yield self._picture(self._first, clock)
        del self._first
        for index, frame in enumerate(self._decoded, 1):
            if (frame.width, frame.height) != size or frame.format.name != name:
                raise SizeChanged(
                    f"frame {index} is {frame.width}x{frame.height} {frame.format.name}, "
                    f"those before are {size[0]}x{size[1]} {name}",
                    path=self._path,
                    hint="cut the file there, or convert it to one size first",
                )
            yield self._picture(frame, clock)

    def _following(self) -> Iterator[Picture]:
        """From where the decoder is."""
        pictures = self._read()
        # Of a pipe the next picture may not be there yet.
        for picture in pictures if self._piped else lasting(pictures, self._end):
            if picture.corrupt:
                self._damage = replace(self._damage, corrupt_frames=self._damage.corrupt_frames + 1)
            yield picture

    def _end(self) -> int | None:
        """When the last frame ends, if it is the last one of the file."""
        return None if self._damage else end_of(self._video)

    def _picture(self, frame: VideoFrame, clock: Clock) -> Picture:
        duration = frame.duration or 0
        return Picture(
            planes=self._unpacker.planes(frame),
            layout=self._unpacker.layout,
            bit_depth=self._unpacker.bit_depth,
            color=color_of(frame, self._unpacker, self._siting),
            pts=clock.stamp(frame.pts, duration),
            time_base=clock.time_base,
            duration=duration,
            qp=mean_qp(frame),
            corrupt=frame.is_corrupt,
            interlaced=frame.interlaced_frame,
            update=self._update_at(frame.pts),
            captions=captions_of(frame),
        )

    def _update_at(self, pts: int | None) -> bytes:
        """What came with the keyframe that a frame belongs to."""
        while len(self._updates) > 1 and pts is not None and self._updates[1][0] <= pts:
            self._updates.popleft()
        return self._updates[0][1] if self._updates else b""

    def _decode_all(self) -> Generator[VideoFrame, None, None]:
        """Frames in display order; damaged packets are counted and skipped."""
        # Beside a joint packets are marked corrupt only because MPEG-TS counts them through.
        shift, joint, marked = Fraction(0), -_BESIDE, deque[int](maxlen=_BESIDE)
        for index, packet in enumerate(self._packets()):
            if self._timeline.shift_seconds != shift:
                shift, joint = self._timeline.shift_seconds, index
                self._count_bad_packets(-sum(index - at <= _BESIDE for at in marked))
                marked.clear()
            if packet.is_corrupt and index - joint >= _BESIDE:
                self._count_bad_packets(1)
                marked.append(index)
            if self._quantiser and packet.is_keyframe:
                found = find_payloads(bytes(packet), UPDATE_UUID)
                self._updates.append((packet.pts or 0, found[-1] if found else b""))
            try:
                yield from self._video.decode(packet)
            except av.error.MemoryError as error:
                raise UnreadableVideo("not enough memory to decode", path=self._path) from error
            except av.error.FFmpegError:
                if index in marked:
                    marked.remove(index)  # counted, and rightly so
                else:
                    self._count_bad_packets(1)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets and then one empty packet that drains the decoder, also when the file cannot be read to its end."""
        for _ in range(_DEMUX_RETRIES):
            try:
                yield from self._mended()
            except av.error.FFmpegError:
                self._damage = replace(self._damage, truncated=True)
            else:
                break
        if not self._piped and ends_early(self._path):
            self._damage = replace(self._damage, truncated=True)

    def _mended(self) -> Iterator[Packet[VideoStream]]:
        """Our stream's packets, of those by which its timeline is found."""
        for packet in packets(self._container, *(self._timeline.streams or [self._video])):
            self._timeline.mend(packet)
            if packet.stream.index == self._video.index:  # its own index is 0 in those that drain decoders
                yield cast("Packet[VideoStream]", packet)

    def _count_bad_packets(self, more: int) -> None:
        self._damage = replace(self._damage, corrupt_packets=self._damage.corrupt_packets + more)


def probe(path: Path | str, *, stream: int | None = None) -> VideoInfo:
    """Open a file, decode one frame, and say what the stream is.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    with VideoReader(path, stream=stream, threads=1) as reader:
        return reader.info


def _notes(video: VideoStream, unpacker: Unpacker) -> tuple[str, ...]:
    """What reading loses. WebM keeps an alpha channel beside the frames, where decoders do not look."""
    tags = {key.lower(): value for key, value in video.metadata.items()}
    return (*unpacker.notes, *(("alpha dropped",) if tags.get("alpha_mode") == "1" else ()))
