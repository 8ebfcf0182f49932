"""What a file weighs: the bytes of its packets, by what they are for."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

import av
import av.error
from irn_video.codecs.bitstream.sei import CARD_UUID, UPDATE_UUID, Syntax, find_payloads, sei_nal

from .choosing import choose_stream
from .opening import open_input, packets

# What x264 and x265 write about themselves: a build, then all options.
_SELF_PORTRAIT = re.compile(rb"x26[45] [ -~]{10,4000}")


def video_bytes(path: Path | str, *, stream: int | None = None, frames: int | None = None) -> int:
    """Bytes of the video packets of a file, of the first `frames` in order of coding if given.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    total = 0
    with open_input(path) as container:
        video = choose_stream(container, Path(path), stream).stream
        with contextlib.suppress(av.error.FFmpegError):
            for index, packet in enumerate(packets(container, video)):
                if frames is not None and index >= frames:
                    break
                total += packet.size
    return total


def encoder_words(path: Path | str) -> str:
    """What the encoder of a stream says of itself: its build and all of its options; empty if it says nothing.

    x264 and x265 do, as unregistered user data of their first picture (ITU-T H.264 D.1.7).

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    with open_input(path) as container:
        video = choose_stream(container, Path(path)).stream
        first = [bytes(packet) for packet in islice(packets(container, video), 1)]
        found = _SELF_PORTRAIT.search(b"".join((bytes(video.codec_context.extradata or b""), *first)))
    return found[0].decode("ascii").strip() if found else ""


@dataclass(frozen=True)
class PacketSurvey:
    """What the packets of a file say without being decoded.

    Attributes:
        file_bytes: of the whole file.
        video_bytes: packets of the video stream, without the SEI messages counted below.
        card_bytes: its SEI messages with stream cards.
        tuned_bytes: for each keyframe, its SEI messages with tuned weights; 0 for a keyframe without.
        other_bytes: packets of all other tracks, by their kind in FFmpeg's words (`audio`, `subtitle`, `data` …).
        groups: frames from each keyframe to the next, in order of coding.
    """

    file_bytes: int
    video_bytes: int
    card_bytes: int
    tuned_bytes: tuple[int, ...]
    other_bytes: dict[str, int]
    groups: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Of the video stream."""
        return sum(self.groups)

    @property
    def container_bytes(self) -> int:
        """What no packet holds: heads, indices, attachments and tags."""
        packets = self.video_bytes + self.card_bytes + sum(self.tuned_bytes) + sum(self.other_bytes.values())
        return self.file_bytes - packets


def survey(path: Path | str, *, stream: int | None = None) -> PacketSurvey:
    """Read all packets of a file, as far as it can be read.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
    """
    total = card = 0
    tuned, groups, others = list[int](), list[int](), dict[str, int]()
    with open_input(path) as container:
        video = choose_stream(container, Path(path), stream).stream
        kinds = {other.index: other.type for other in container.streams}
        syntax: Syntax = "hevc" if video.codec_context.name == "hevc" else "h264"
        with contextlib.suppress(av.error.FFmpegError):
            for packet in packets(container, *container.streams):
                if packet.stream_index != video.index:
                    kind = kinds.get(packet.stream_index) or "unknown"
                    others[kind] = others.get(kind, 0) + packet.size
                elif packet.size:
                    content = bytes(packet)
                    if packet.is_keyframe or not groups:
                        groups.append(0)
                        tuned.append(_sei_bytes(content, syntax, UPDATE_UUID))
                    groups[-1] += 1
                    card += _sei_bytes(content, syntax, CARD_UUID)
                    total += packet.size
    return PacketSurvey(
        file_bytes=Path(path).stat().st_size,
        video_bytes=total - card - sum(tuned),
        card_bytes=card,
        tuned_bytes=tuple(tuned),
        other_bytes=others,
        groups=tuple(groups),
    )


def _sei_bytes(packet: bytes, syntax: Syntax, uuid: UUID) -> int:
    """Of whole NAL units, with the four bytes before each."""
    return sum(len(sei_nal(payload, syntax, uuid)) for payload in find_payloads(packet, uuid))
