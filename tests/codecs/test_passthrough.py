"""What travels beside the pictures, through one rewrite and back."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.passthrough import Passthrough
from irn_video.codecs.writing.writer import WriteSummary

SRT = "1\n00:00:00,000 --> 00:00:00,500\n<i>hello</i> wörld\n\n2\n00:00:00,600 --> 00:00:00,900\ntwo\nlines\n"
CHAPTERS = (
    ";FFMETADATA1\ntitle=My clip\nartist=Somebody\ncomment=mine\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
)


@pytest.fixture(scope="module")
def source(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of everything, in Matroska."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "s.srt").write_text(SRT)
    (folder / "meta.txt").write_text(CHAPTERS)
    (folder / "font.ttf").write_bytes(b"not really a font" * 100)
    tools.ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=1.2", "-f", "lavfi", "-i", "sine=duration=1"),
        *("-i", folder / "s.srt", "-i", folder / "meta.txt"),
        *("-map", 0, "-map", 1, "-map", 2, "-map", 3, "-map_metadata", 4, "-map_chapters", 4),
        *("-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=font/ttf", "-metadata:s:t", "filename=font.ttf"),
        *("-pix_fmt", "yuv420p", "-c:a:0", "aac", "-c:a:1", "libopus", "-c:s", "srt"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra", "-metadata:s:a:0", "title=Ton"),
        *("-metadata:s:s:0", "language=eng", "-disposition:a:0", 0, "-disposition:a:1", "default"),
        *("-disposition:s:0", "forced", folder / "in.mkv"),
    )
    return folder / "in.mkv"


def rewrite(
    tools: Any, source: Path, target: Path, *, frames: int | None = None, until: float | None = None, card: Any = None
) -> WriteSummary:
    with VideoReader(source, frames=frames) as reader:
        first = next(iter(reader))
        settings = EncoderSettings(preset="ultrafast")
        rest = Passthrough(source, 0, until)
        with tools.open_writer(target, first, settings, passthrough=rest, card=card) as writer:
            writer.write(first)
            for picture in reader:
                writer.write(picture)
            return writer.finish()


def contents(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        packets: dict[int, list[Any]] = {stream.index: [] for stream in container.streams}
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                packets[packet.stream_index].append(packet)
        kinds = [stream.type for stream in container.streams]
        return {
            "kinds": kinds,
            "codecs": [s.codec_context.name if s.codec_context else None for s in container.streams],
            "languages": [stream.language for stream in container.streams],
            "dispositions": [stream.disposition for stream in container.streams],
            "tags": {key.lower(): value for key, value in container.metadata.items()},
            "chapters": [
                (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
                for c in container.chapters()
                if c["time_base"]
            ],
            "packets": [packets[stream.index] for stream in container.streams],
            "attachments": [(a.name, a.mimetype, a.data) for a in container.streams.attachments],
        }


def times(packets: list[Any]) -> list[float]:
    return sorted(float(packet.pts * packet.time_base) for packet in packets)


def texts(packets: list[Any], codec: str) -> list[str]:
    found = []
    for packet in packets:
        data = bytes(packet)
        text = data[2 : 2 + int.from_bytes(data[:2], "big")] if codec == "mov_text" else data
        if text:
            found.append(text.decode())
    return found


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_everything_travels(tools: Any, source: Path, tmp_path: Path, extension: str) -> None:
    target = tmp_path / f"out.{extension}"
    summary = rewrite(tools, source, target)
    was, now = contents(source), contents(target)
    assert now["kinds"][:4] == ["video", "audio", "audio", "subtitle"]
    assert now["codecs"][:3] == ["h264", "aac", "opus"]
    assert [bytes(p) for p in now["packets"][1]] == [bytes(p) for p in was["packets"][1]]
    for stream in (0, 1, 2):
        assert times(now["packets"][stream]) == pytest.approx(times(was["packets"][stream]), abs=1.1e-3)
    assert now["languages"][1:4] == ["deu" if extension == "mkv" else "ger", "fra", "eng"] or now["languages"][1:4] == [
        "deu",
        "fra",
        "eng",
    ]
    assert now["chapters"] == [(0, 0.4, "One"), (0.4, 1, "Two")]
    assert (now["tags"]["title"], now["tags"]["artist"], now["tags"]["comment"]) == ("My clip", "Somebody", "mine")
    assert not now["dispositions"][1] & av.stream.Disposition.default
    assert now["dispositions"][2] & av.stream.Disposition.default
    if extension == "mkv":
        assert now["attachments"] == was["attachments"]
        assert now["dispositions"][3] & av.stream.Disposition.forced
        assert not summary.warnings
    else:
        assert any("attachment" in warning for warning in summary.warnings)
    assert any("deu" in name for name in summary.passthrough)


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_subtitles_survive_both_ways(tools: Any, source: Path, tmp_path: Path, extension: str) -> None:
    there, back = tmp_path / "there.mp4", tmp_path / f"back.{extension}"
    rewrite(tools, source, there)
    rewrite(tools, there, back)
    for path in (there, back):
        now = contents(path)
        codec = now["codecs"][3]
        assert codec == ("srt" if path.suffix == ".mkv" else "mov_text")
        found = texts(now["packets"][3], codec)
        assert found == (["<i>hello</i> wörld", "two\nlines"] if codec == "srt" else ["hello wörld", "two\nlines"])
        spoken = [p for p in now["packets"][3] if p.size > 2]
        assert times(spoken) == pytest.approx([0, 0.6], abs=2e-3)
        assert [float(p.duration * p.time_base) for p in spoken] == pytest.approx([0.5, 0.3], abs=2e-3)


def test_the_timeline_does_not_move(tools: Any, source: Path, tmp_path: Path) -> None:
    """MP4 hides an AAC encoder's run-in before 0; Matroska's muxer would move the video to make room for it."""
    files = [source, *(tmp_path / f"{n}.{e}" for n, e in enumerate(("mp4", "mkv", "mov", "mkv")))]
    for before, after in pairwise(files):
        rewrite(tools, before, after)
        assert times(contents(after)["packets"][0])[0] == 0
        now, then = times(contents(after)["packets"][1]), times(contents(source)["packets"][1])
        assert now[-1] == pytest.approx(then[-1], abs=3e-3)


def test_a_muxer_that_refuses_a_stream_costs_only_that_stream(tools: Any, source: Path, tmp_path: Path) -> None:
    summary = rewrite(tools, source, tmp_path / "out.mov")  # QuickTime takes no Opus
    assert contents(tmp_path / "out.mov")["codecs"][:3] == ["h264", "aac", "mov_text"]
    assert any("opus" in warning for warning in summary.warnings)


def test_a_transport_stream_takes_what_it_can(tools: Any, source: Path, tmp_path: Path) -> None:
    summary = rewrite(tools, source, tmp_path / "out.ts")
    now = contents(tmp_path / "out.ts")
    assert now["kinds"] == ["video", "audio", "audio"]
    text = " ".join(summary.warnings)
    assert "subtitle" in text
    assert "chapters" in text
    back = rewrite(tools, tmp_path / "out.ts", tmp_path / "back.mp4")
    assert contents(tmp_path / "back.mp4")["codecs"][:2] == ["h264", "aac"]
    assert not back.warnings


@pytest.mark.parametrize("until", [math.inf, 0.5])
@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_a_frame_limit_ends_everything(tools: Any, source: Path, tmp_path: Path, extension: str, until: float) -> None:
    target = tmp_path / f"out.{extension}"
    rewrite(tools, source, target, frames=10, until=until)
    now = contents(target)
    assert len(now["packets"][0]) == 10
    assert 0.35 <= max(times(now["packets"][1])) < 0.4
    assert len([p for p in now["packets"][3] if p.size > 2]) == 1
    assert len(now["chapters"]) == 2
    assert max(end for _, end, _ in now["chapters"]) == pytest.approx(min(1, until))


def test_without_a_limit_longer_audio_is_kept(tools: Any, source: Path, tmp_path: Path) -> None:
    rewrite(tools, source, tmp_path / "out.mkv")
    assert max(times(contents(tmp_path / "out.mkv")["packets"][1])) > 1.1


def test_packets_are_interleaved(tools: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "long.mkv", tmp_path / "out.mkv"
    tools.ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=32x32:rate=25:duration=20", "-f", "lavfi", "-i", "sine=duration=20"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", source),
    )
    rewrite(tools, source, target)
    with av.open(str(target)) as container:
        seen = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.size and packet.dts is not None:
                seen[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(seen["video"] - seen["audio"]) < 1.5


def test_the_card_keeps_the_users_comment(tools: Any, source: Path, tmp_path: Path) -> None:
    for extension in ("mp4", "mkv", "ts"):
        small, restored = tmp_path / f"small.{extension}", tmp_path / f"restored-{extension}.mkv"
        rewrite(tools, source, small, card=tools.card())
        with VideoReader(small) as reader:
            assert reader.card == tools.card(comment="mine")
        if extension != "ts":
            assert contents(small)["tags"]["comment"].startswith("irn-video card ")
        rewrite(tools, small, restored)
        assert contents(restored)["tags"]["comment"] == "mine"


def test_no_comment_stays_none(tools: Any, mp4: Path, tmp_path: Path) -> None:
    rewrite(tools, mp4, tmp_path / "small.mp4", card=tools.card())
    rewrite(tools, tmp_path / "small.mp4", tmp_path / "restored.mp4")
    assert "comment" not in contents(tmp_path / "restored.mp4")["tags"]


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_cover_art(tools: Any, mp4: Path, tmp_path: Path, extension: str) -> None:
    cover = tools.clip(tmp_path / "cover.png", frames=1, size="32x32")
    source, target = tmp_path / "in.mp4", tmp_path / f"out.{extension}"
    maps = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic"]
    tools.ffmpeg("-i", mp4, "-i", cover, *maps, source)
    summary = rewrite(tools, source, target)
    assert "cover art" in summary.passthrough
    with av.open(str(target)) as container:
        covers = [s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic]
        assert len(covers) == 1
    assert len(tools.read(target)) == 10


def test_other_video_streams_are_named(tools: Any, mp4: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.mkv"
    tools.ffmpeg("-i", mp4, "-i", mp4, "-map", 0, "-map", 1, "-c", "copy", both)
    summary = rewrite(tools, both, tmp_path / "out.mkv")
    assert any("video stream 1" in warning for warning in summary.warnings)


def test_styled_subtitles(tools: Any, mp4: Path, tmp_path: Path) -> None:
    (tmp_path / "s.srt").write_text(SRT)
    source = tmp_path / "in.mkv"
    tools.ffmpeg("-i", mp4, "-i", tmp_path / "s.srt", "-map", 0, "-map", 1, "-c:v", "copy", "-c:s", "ass", source)
    assert contents(source)["codecs"][1] in ("ass", "ssa")
    rewrite(tools, source, tmp_path / "out.mkv")
    assert contents(tmp_path / "out.mkv")["codecs"][1] in ("ass", "ssa")
    rewrite(tools, source, tmp_path / "out.mp4")
    now = contents(tmp_path / "out.mp4")
    assert texts(now["packets"][1], "mov_text")[0] == "hello wörld"


def test_a_negative_start_keeps_picture_and_sound_together(tools: Any, source: Path, tmp_path: Path) -> None:
    pictures = tools.draw(pts=[-5, 0, 5], time_base=Fraction(1, 25))
    summary = tools.write(tmp_path / "out.mkv", pictures, passthrough=Passthrough(source))
    now, was = contents(tmp_path / "out.mkv"), contents(source)
    assert times(now["packets"][0]) == pytest.approx([0, 0.2, 0.4])
    assert times(now["packets"][1])[5] == pytest.approx(times(was["packets"][1])[5] + 0.2, abs=2e-3)
    assert any("0.200 s later" in warning for warning in summary.warnings)


def test_a_damaged_source_does_not_stop_the_video(tools: Any, source: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size * 7 // 10])
    summary = rewrite(tools, cut, tmp_path / "out.mp4")
    assert summary.frames > 5
    assert summary.passthrough


def test_rewriting_twice_gives_the_same_bytes(tools: Any, source: Path, tmp_path: Path) -> None:
    for extension in ("mp4", "mkv", "ts"):
        files = [tmp_path / f"{run}.{extension}" for run in range(2)]
        for file in files:
            rewrite(tools, source, file, card=tools.card())
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov", "ts"])
def test_a_track_of_unknown_codec_costs_only_that_track(tools: Any, tmp_path: Path, extension: str) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / f"out.{extension}"
    inputs = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.4", "-f", "lavfi", "-i", "sine=duration=0.4")
    tools.ffmpeg(*inputs, "-pix_fmt", "yuv420p", "-metadata:s:a:0", "language=deu", source)
    source.write_bytes(source.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    summary = rewrite(tools, source, target)
    assert summary.frames == 10
    assert summary.warnings == ("audio stream 1 of unknown codec (deu) is not carried over",)
    assert contents(target)["kinds"] == ["video"]
