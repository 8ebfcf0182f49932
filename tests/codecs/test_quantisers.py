"""The quantisers of a stream's frames, in the stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from irn_video.codecs.bitstream.quantisers import quantiser_message
from irn_video.codecs.bitstream.sei import QUANTISERS_UUID, find_payloads
from irn_video.codecs.reading.coded import coded_frames
from irn_video.sender import SendOptions, send


def messages(path: Path) -> tuple[list[tuple[float, bytes]], list[float]]:
    """With their keyframes' times, and the times of all frames in order of coding."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    times = [float(packet.pts * packet.time_base) for packet in packets]
    found = [(at, find_payloads(bytes(packet), QUANTISERS_UUID)) for at, packet in zip(times, packets, strict=True)]
    return [(at, payload) for at, payloads in found for payload in payloads], times


def test_a_byte_for_each_frame_and_no_zeros() -> None:
    message = quantiser_message([0, 26.1, 26.13, 51, -3, 99, None])
    assert message == bytes((1, 1, 105, 106, 205, 1, 253, 255))
    assert 0 not in message


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("adapt", [None, "quick"])
def test_a_stream_tells_what_its_decoder_does(suffix: str, adapt: str | None, moving: Path, tmp_path: Path) -> None:
    path = tmp_path / f"out.{suffix}"
    send(moving, path, SendOptions(crf=30, keyint=5, quantisers=True, adapt=adapt))
    found, times = messages(path)
    starts = sorted({at for at, _ in found})
    assert len(found) == len(starts) == 2
    told = [(byte - 1) / 4 for _, payload in found for byte in payload[1:]]
    decoded = {round(frame.pts_seconds, 3): frame.qp for frame in coded_frames(path, quantisers=True)}
    assert told == [round(4 * decoded[round(at, 3)]) / 4 for at in times]


def test_nothing_of_it_unless_asked_for(moving: Path, tmp_path: Path) -> None:
    send(moving, tmp_path / "out.mp4", SendOptions(crf=30))
    assert messages(tmp_path / "out.mp4")[0] == []


def test_the_video_is_the_same(moving: Path, tmp_path: Path, clips: Any) -> None:
    for name, told in (("one.mp4", False), ("other.mp4", True)):
        send(moving, tmp_path / name, SendOptions(crf=30, quantisers=told))
    pictures = zip(*(clips.read(tmp_path / name) for name in ("one.mp4", "other.mp4")), strict=True)
    assert all((one.planes[0] == other.planes[0]).all() for one, other in pictures)


def test_other_codecs_have_none(moving: Path, tmp_path: Path) -> None:
    send(moving, tmp_path / "out.mkv", SendOptions(codec="ffv1", quantisers=True, model="irn-h264-x2"))
    assert messages(tmp_path / "out.mkv")[0] == []
