"""A part of a video is sent: the right frames, the right sound, measured in the right place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.seeking import open_part
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

RATE = 25


@pytest.fixture(scope="module")
def film(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, keyframes every 8 frames with others between them that are reordered, sound and subtitles."""
    folder = tmp_path_factory.mktemp("film")
    times = "00:00:00,200 --> 00:00:00,900", "00:00:01,000 --> 00:00:01,400"
    (folder / "words.srt").write_text("".join(f"{n}\n{time}\nword {n}\n\n" for n, time in enumerate(times, 1)))
    clips.ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=size=96x64:rate={RATE}", "-f", "lavfi", "-i", "sine=frequency=440"),
        *("-i", folder / "words.srt", "-map", 0, "-map", 1, "-map", 2, "-t", 2, "-c:v", "libx264", "-g", 8, "-bf", 3),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-c:s", "srt", folder / "film.mkv"),
    )
    return folder / "film.mkv"


def same(one: list[Picture], other: list[Picture]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(p, q) for a, b in zip(one, other, strict=True) for p, q in zip(a.planes, b.planes, strict=True)
    )


@pytest.mark.parametrize("kind", ["mkv", "mp4", "ts", "avi"])
@pytest.mark.parametrize(
    ("start", "seconds", "frames", "which"),
    [
        (0.4, None, None, slice(10, None)),
        (0.41, 0.4, None, slice(11, 21)),
        (1.28, 9.0, 3, slice(32, 35)),
        (None, 0.2, None, slice(0, 5)),
        (0.0, 0.2, None, slice(0, 5)),
    ],
)
def test_frames(
    clips: Any, film: Path, tmp_path: Path, kind: str, start: float, seconds: float, frames: int, which: slice
) -> None:
    path = tmp_path / f"film.{kind}"
    clips.ffmpeg("-i", film, "-map", "0:v", *(("-c:v", "mpeg4") if kind == "avi" else ("-c", "copy")), path)
    everything = clips.read(path)
    with open_part(path, start=start, seconds=seconds, frames=frames) as part:
        found = list(part)
        assert same(found, everything[which])
        assert found[0].pts == 0
        assert part.start == pytest.approx(everything[which][0].pts_seconds - everything[0].pts_seconds)
        if frames is None and kind != "avi":  # whose timestamps do not tell
            assert part.reader.info.frames == len(found)
        assert not part.reader.damage


def test_nothing_there(film: Path) -> None:
    with pytest.raises(BadOption, match=r"no frame from 7\.000 s on \(it lasts 2\."):
        open_part(film, start=7)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_there_and_back(clips: Any, film: Path, tmp_path: Path, suffix: str) -> None:
    """The receiver finds the source beside the stream, and its frames in the source."""
    source = tmp_path / f"in.{suffix}"
    clips.ffmpeg("-i", film, "-map", "0:v", "-map", "0:a", "-c", "copy", source)
    lr = tmp_path / f"lr.{suffix}"
    options = SendOptions(model="lanczos-x2", crf=10, start=0.5, duration=0.8, verify=True)
    sent = send(source, lr, options)
    whole = send(source, tmp_path / "whole.mkv", SendOptions(model="lanczos-x2", crf=10, verify=True))
    card = find_card(lr)
    assert card is not None
    assert (card.start, card.frames, card.version) == (pytest.approx(0.52), 20, 3)
    back = receive(lr, tmp_path / "out.mkv", ReceiveOptions(codec="ffv1"))
    assert back.source == source
    assert len(back.report.frames) == 20
    for report in (sent.report, back.report):
        found = [frame.error.psnr()["psnr_y"] for frame in report.frames]
        expected = [frame.error.psnr()["psnr_y"] for frame in whole.report.frames[13:33]]
        assert found == pytest.approx(expected, abs=1.5)  # another place of the keyframes
    expected = clips.psnr(tmp_path / "out.mkv", _cut(clips, source, tmp_path / "cut.mkv"))
    assert [f.error.psnr()["psnr_y"] for f in back.report.frames] == pytest.approx(
        [values["psnr_y"] for values in expected], abs=0.0101
    )


def _cut(clips: Any, source: Path, path: Path) -> Path:
    clips.ffmpeg("-i", source, "-vf", "trim=start_frame=13:end_frame=33,setpts=PTS-STARTPTS", "-c:v", "ffv1", path)
    return path


def test_sound_and_subtitles_are_cut_alike(film: Path, tmp_path: Path) -> None:
    send(film, tmp_path / "lr.mkv", SendOptions(model="lanczos-x2", start=0.6, duration=0.6))
    with av.open(str(tmp_path / "lr.mkv")) as container:
        packets = [packet for packet in container.demux() if packet.size]
        times = {
            kind: [
                (float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base))
                for p in packets
                if p.stream.type == kind
            ]
            for kind in ("video", "audio", "subtitle")
        }
    assert times["video"][0][0] == 0
    assert len(times["video"]) == 15
    assert 0 <= times["audio"][0][0] < 0.03
    assert 0.55 < times["audio"][-1][1] < 0.65
    # The first one is shown already, the second one until the end.
    assert times["subtitle"] == [pytest.approx((0, 0.3), abs=0.002), pytest.approx((0.4, 0.8), abs=0.002)]


@pytest.mark.parametrize(
    ("options", "start", "frames"),
    [
        (("--start", "0.4", "--duration", "0.2s"), 0.4, 5),
        (("--start", "0:01", "--frames", "3"), 1.0, 3),
        (("--start", "0:00:01.2s"), 1.2, 20),
        (("--duration", "1"), None, 25),
    ],
)
def test_the_command(
    run: Any, film: Path, tmp_path: Path, options: tuple[str, ...], start: float | None, frames: int
) -> None:
    done = run("send", film, tmp_path / "lr.mkv", "--model", "lanczos-x2", "--json", *options)
    assert done.code == 0
    assert json.loads(done.out)["stream"]["frames"] == frames
    card = find_card(tmp_path / "lr.mkv")
    assert card is not None
    assert card.start == (None if start is None else pytest.approx(start))


@pytest.mark.parametrize("time", ["-1", "1:2:3:4", "soon", "1m", "nan", "99"])
def test_times_that_are_none(run: Any, film: Path, tmp_path: Path, time: str) -> None:
    done = run("send", film, tmp_path / "lr.mkv", "--model", "lanczos-x2", f"--start={time}")
    assert done.code == 2
    assert done.err.count("rror: ") == 1
    assert not list(tmp_path.iterdir())
