"""A ladder for HLS and DASH: what is in it, what players make of it, and that it appears whole or not at all."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from irn_video.codecs.bitstream.card import parse_payload
from irn_video.codecs.bitstream.sei import QUANTISERS_UUID, UPDATE_UUID, find_payloads
from irn_video.codecs.errors import BadConfig, BadOption, OutputRefused, UnwritableOutput
from irn_video.codecs.reading.playlist import MediaPlaylist, parse_playlist
from irn_video.codecs.reading.reader import VideoReader
from irn_video.sender.ladder import ladder as ladder_module
from irn_video.sender.ladder.ladder import LadderResult, send_ladder
from irn_video.sender.ladder.rungs import Rung, read_ladder, rungs_below
from irn_video.sender.options import SendOptions
from irn_video.sender.sending import send

WEB = Path(__file__).parents[1] / "web"
SIZE, RATE, FRAMES, SEGMENT = (192, 108), 25, 50, 20
CUT = 13
"""The first frame of another scene."""
PLAIN, SMALL = Rung(model="full", crf=20), Rung(scale=2, tier="lite", crf=22)
SMALLEST = Rung(name="least", model="lanczos-x4", crf=26)
PLAYED = (
    *(("hls", "master.m3u8", rung) for rung in range(3)),
    ("shaka", "master.m3u8", 1),
    *(("shaka", "master.mpd", rung) for rung in (0, 2)),
)
RUNGS = (PLAIN, SMALL, SMALLEST)
OPTIONS = SendOptions(keyint=SEGMENT, preset="veryfast")


@dataclass(frozen=True)
class Made:
    """A ladder, and what it was made of."""

    source: Path
    result: LadderResult

    @property
    def master(self) -> Path:
        return self.result.master

    @property
    def tracks(self) -> Path:
        return self.master.with_suffix("")

    def playlist(self, name: str) -> MediaPlaylist:
        found = parse_playlist((self.tracks / name / "index.m3u8").read_text())
        assert isinstance(found, MediaPlaylist)
        return found

    def segments(self, name: str) -> list[bytes]:
        """Each with the beginning, so that it is a file of its own."""
        folder, found = self.tracks / name, self.playlist(name)
        assert found.init is not None
        head = (folder / found.init).read_bytes()
        return [head + (folder / segment.uri).read_bytes() for segment in found.segments]


@pytest.fixture(scope="module")
def source(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes, with sound in German and subtitles in English."""
    folder = tmp_path_factory.mktemp("ladder")
    text = folder / "text.srt"
    text.write_text("1\n00:00:00,200 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:01,500\nWorld\n")
    size = f"{SIZE[0]}x{SIZE[1]}"
    clips.ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r={RATE}:d={CUT / RATE}"),
        *("-f", "lavfi", "-i", f"mandelbrot=s={size}:r={RATE}"),
        *("-f", "lavfi", "-i", "sine=f=440:r=48000"),
        *("-i", text, "-filter_complex", "[0][1]concat[v]", "-map", "[v]", "-map", "2", "-map", "3"),
        *("-frames:v", FRAMES, "-t", FRAMES / RATE, "-c:v", "libx264", "-crf", 12, "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-c:s", "mov_text", "-metadata:s:a", "language=deu", "-metadata:s:s", "language=eng"),
        folder / "in.mp4",
    )
    return folder / "in.mp4"


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("out") / "100% of: it"  # which FFmpeg's patterns and addresses would misread
    return Made(source, send_ladder(source, folder / "master.m3u8", OPTIONS, RUNGS))


def keyframes(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [p.pts * p.time_base for p in container.demux(stream) if p.size and p.is_keyframe and p.pts is not None]


def names(made: Made) -> list[str]:
    return [rung.track.name for rung in made.result.rungs]


def attributes(line: str) -> dict[str, str]:
    return {k: v.strip('"') for k, v in re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line.partition(":")[2])}


def variants(master: Path) -> dict[str, dict[str, str]]:
    """What the master playlist says, by the rungs' folders."""
    lines = master.read_text().splitlines()
    said = [line for line in lines if line.startswith("#EXT-X-STREAM-INF:")]
    return {lines[lines.index(line) + 1].split("/")[1]: attributes(line) for line in said}


class TestWhatIsInIt:
    def test_rungs_have_keyframes_at_the_same_times_and_nowhere_else(self, made: Made, tmp_path: Path) -> None:
        expected = [Fraction(frame, RATE) for frame in range(0, FRAMES, SEGMENT)]
        for name in names(made):
            found = keyframes(made.tracks / name / "index.m3u8")
            assert found == expected
            lengths = [segment.seconds for segment in made.playlist(name).segments]
            assert lengths == pytest.approx([0.8, 0.8, 0.4])
        # The encoder left alone has one at the cut.
        send(made.source, tmp_path / "free.mp4", SendOptions(model="full", crf=20, keyint=SEGMENT, preset="veryfast"))
        assert Fraction(CUT, RATE) in keyframes(tmp_path / "free.mp4")

    def test_each_segment_explains_itself(self, made: Made) -> None:
        for rung in made.result.rungs:
            found = [find_payloads(segment) for segment in made.segments(rung.track.name)]
            if rung.result.card.model == "lanczos-x1":
                assert not any(found)
                assert not any(find_payloads(segment, QUANTISERS_UUID) for segment in made.segments(rung.track.name))
                continue
            cards = {parse_payload(payload) for payloads in found for payload in payloads}
            assert all(found)
            assert cards == {rung.result.card}
            assert all(find_payloads(segment, QUANTISERS_UUID) for segment in made.segments(rung.track.name))

    def test_tuned_weights_come_with_the_segments_they_are_for(self, source: Path, tmp_path: Path) -> None:
        rung = Rung(scale=1, crf=30, adapt="quick")
        made = Made(source, send_ladder(source, tmp_path / "a.m3u8", OPTIONS, [rung]))
        groups = made.result.rungs[0].result.report.adaptation
        found = [len(find_payloads(segment, UPDATE_UUID)) for segment in made.segments(names(made)[0])]
        assert found == [int(group.bytes > 0) for group in groups]
        assert sum(found) > 0

    def test_the_master_says_what_was_measured(self, made: Made) -> None:
        said = variants(made.master)
        assert list(said) == names(made)

        def rates(name: str) -> tuple[float, float]:
            found = made.playlist(name)
            sizes = [(made.tracks / name / segment.uri).stat().st_size for segment in found.segments]
            lengths = [segment.seconds for segment in found.segments]
            # A segment that lasts less than half the longest counts with its neighbours alone.
            groups = [(i, j) for i in range(len(sizes)) for j in range(i + 1, len(sizes) + 1)]
            near = [(i, j) for i, j in groups if 0.5 <= sum(lengths[i:j]) / max(lengths) + 1e-9 <= 1.5 + 2e-9]
            return 8 * sum(sizes) / sum(lengths), max(8 * sum(sizes[i:j]) / sum(lengths[i:j]) for i, j in near)

        sound = rates("sound-1")
        for rung in made.result.rungs:
            about, mean, peak = said[rung.track.name], *rates(rung.track.name)
            assert int(about["AVERAGE-BANDWIDTH"]) == pytest.approx(mean + sound[0], abs=3)
            assert int(about["BANDWIDTH"]) == pytest.approx(peak + sound[1], abs=3)
            assert (rung.average_bandwidth, rung.bandwidth) == (
                int(about["AVERAGE-BANDWIDTH"]),
                int(about["BANDWIDTH"]),
            )
            with av.open(str(made.tracks / rung.track.name / "index.m3u8")) as container:
                frame = next(container.decode(video=0))
                profile = bytes(container.streams.video[0].codec_context.extradata or b"")
            assert about["RESOLUTION"] == f"{frame.width}x{frame.height}"
            assert about["CODECS"].split(",") == [f"avc1.{profile[1:4].hex()}", "mp4a.40.2"]
            assert about["FRAME-RATE"] == "25.000"
            assert "SUPPLEMENTAL-CODECS" not in about
        assert [said[name]["RESOLUTION"] for name in names(made)] == ["192x108", "96x54", "48x28"]

    def test_sound_and_text_are_groups_of_their_own(self, made: Made) -> None:
        lines = [line for line in made.master.read_text().splitlines() if line.startswith("#EXT-X-MEDIA:")]
        sound, text = map(attributes, lines)
        assert (sound["TYPE"], sound["LANGUAGE"], sound["DEFAULT"]) == ("AUDIO", "deu", "YES")
        assert (text["TYPE"], text["LANGUAGE"], text["DEFAULT"]) == ("SUBTITLES", "eng", "NO")
        for about in variants(made.master).values():
            assert (about["AUDIO"], about["SUBTITLES"]) == (sound["GROUP-ID"], text["GROUP-ID"])
        cues = (made.tracks / "text-1" / "subtitles.vtt").read_text()
        assert cues.startswith("WEBVTT")
        assert re.findall(r"([\d:.]+) --> ([\d:.]+)\n(\w+)", cues) == [
            ("00:00.200", "00:00.900", "Hello"),
            ("00:01.000", "00:01.500", "World"),
        ]

    def test_sound_is_the_source_s_packet_for_packet(self, made: Made) -> None:
        def sound(path: Path) -> list[tuple[Fraction, bytes]]:
            with av.open(str(path)) as container:
                stream = container.streams.audio[0]
                return [
                    (p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size and p.pts is not None
                ]

        until = Fraction(FRAMES, RATE)
        expected = [(time, data) for time, data in sound(made.source) if time < until]
        assert len(expected) > 90
        assert sound(made.tracks / "sound-1" / "index.m3u8") == expected
        assert len(made.playlist("sound-1").segments) == len(made.playlist(names(made)[0]).segments)

    def test_nothing_but_the_ladder_is_there(self, made: Made) -> None:
        assert sorted(path.name for path in made.master.parent.iterdir()) == ["master", "master.m3u8", "master.mpd"]
        suffixes = {path.suffix for path in made.tracks.rglob("*") if path.is_file()}
        assert suffixes == {".m3u8", ".mp4", ".m4s", ".vtt"}


class TestPlaying:
    def test_ffmpeg_plays_master_and_variants(self, made: Made) -> None:
        with av.open(str(made.master)) as container:
            assert len(container.streams.video) == 3
            frames = {stream.index: 0 for stream in container.streams.video}
            begins = {stream.type: stream.start_time for stream in container.streams if stream.type == "video"}
            for packet in container.demux(*container.streams.video):
                frames[packet.stream.index] += len(packet.decode())
        assert set(frames.values()) == {FRAMES}
        assert set(begins.values()) == {0}

    def test_ffmpeg_plays_the_mpd(self, made: Made, clips: Any, tmp_path: Path) -> None:
        """Each representation, and every frame at the time that the playlist gives it."""
        manifest = ElementTree.parse(made.master.with_suffix(".mpd")).getroot()
        space = {"": "urn:mpeg:dash:schema:mpd:2011"}
        found = manifest.findall(".//Representation[@width]", space)
        assert [one.get("id") for one in found] == names(made)
        assert [int(one.get("bandwidth", 0)) for one in found] == [r.track.bandwidth for r in made.result.rungs]
        times = manifest.findall(".//Representation[@width]/SegmentTemplate/SegmentTimeline/S", space)
        assert len(times) == 2 * len(found)  # two of the same length, and the last
        copy = tmp_path / "plain"  # FFmpeg's reader of manifests takes no per cent in names
        shutil.copytree(made.master.parent, copy)
        for index, rung in enumerate(made.result.rungs):
            out = tmp_path / f"{index}.mkv"
            clips.ffmpeg("-i", copy / "master.mpd", "-map", f"0:v:{index}", "-map", "0:a", "-c", "copy", out)
            with VideoReader(out) as reader:
                pictures = list(reader)
            assert len(pictures) == FRAMES
            assert (pictures[0].width, pictures[0].height) == (rung.track.width, rung.track.height)

    def test_a_rung_has_the_frames_that_sending_alone_gives(self, made: Made, tmp_path: Path) -> None:
        options = SMALL.options(OPTIONS)
        alone = SendOptions(**{**vars(options), "steady_keyframes": True, "pixel_format": "yuv420p"})
        send(made.source, tmp_path / "alone.mp4", alone)
        with VideoReader(tmp_path / "alone.mp4") as one:
            expected = [picture.planes[0] for picture in one]
        with av.open(str(made.tracks / names(made)[1] / "index.m3u8")) as container:
            found = [frame.to_ndarray()[: frame.height, : frame.width] for frame in container.decode(video=0)]
        assert len(found) == FRAMES
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


class TestWriting:
    def test_the_same_twice(self, made: Made, tmp_path: Path) -> None:
        again = send_ladder(made.source, tmp_path / "master.m3u8", OPTIONS, RUNGS)
        one, other = made.master.parent, again.master.parent
        files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
        assert len(files) > 20
        same, different, missing = filecmp.cmpfiles(one, other, [str(path) for path in files], shallow=False)
        assert (len(same), different, missing) == (len(files), [], [])

    def test_what_is_there_is_kept_or_replaced_whole(self, source: Path, tmp_path: Path) -> None:
        master, note = tmp_path / "out" / "a.m3u8", tmp_path / "out" / "note.txt"
        options = SendOptions(frames=4, preset="ultrafast")
        send_ladder(source, master, options, [PLAIN])
        note.write_text("mine")
        with pytest.raises(OutputRefused):
            send_ladder(source, master, options, [PLAIN])
        before = master.read_text()
        send_ladder(source, master, SendOptions(frames=4, preset="ultrafast", overwrite=True), [SMALLEST])
        assert master.read_text() != before
        assert [path.name for path in (tmp_path / "out" / "a").iterdir() if "least" in path.name] == ["least"]
        assert note.read_text() == "mine"
        assert sorted(path.name for path in master.parent.iterdir()) == ["a", "a.m3u8", "a.mpd", "note.txt"]
        (tmp_path / "out" / "a" / "thesis.docx").write_text("mine")
        with pytest.raises(OutputRefused, match="not the folder of a ladder"):
            send_ladder(source, master, SendOptions(frames=4, overwrite=True), [PLAIN])
        assert (tmp_path / "out" / "a" / "thesis.docx").exists()

    @pytest.mark.parametrize("when", ["write_subtitles", "dash_manifest", "hls_master"])
    def test_nothing_is_left_of_a_ladder_that_fails(
        self, when: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options, master = SendOptions(frames=4, preset="ultrafast"), tmp_path / "new" / "a.m3u8"

        def full(*_: object) -> None:
            raise OSError(28, "no space")

        with monkeypatch.context() as patch:
            patch.setattr(ladder_module, when, full)
            with pytest.raises(UnwritableOutput, match="the disk is full"):
                send_ladder(source, master, options, [PLAIN])
        assert not list(tmp_path.iterdir())

    def test_the_old_one_comes_back(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options, master = SendOptions(frames=4, preset="ultrafast"), tmp_path / "a.m3u8"
        send_ladder(source, master, options, [PLAIN])
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        rename = Path.rename

        def broken(path: Path, target: Path) -> Path:
            if path.name == master.name and ".part" in path.parent.name:
                raise OSError(28, "no space")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", broken)
        with pytest.raises(UnwritableOutput, match="the disk is full"):
            send_ladder(source, master, SendOptions(frames=4, overwrite=True), [SMALLEST])
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


class TestFile:
    def read(self, folder: Path, text: str) -> tuple[Rung, ...]:
        (folder / "ladder.toml").write_text(text)
        return read_ladder(folder / "ladder.toml")

    def test_rungs_are_tables(self, tmp_path: Path) -> None:
        text = (
            '[[rung]]\nmodel = "full"\ncrf = 22\n[[rung]]\nname = "low"\nbitrate = "300k"\nscale = 2\nadapt = "quick"\n'
        )
        assert self.read(tmp_path, text) == (
            Rung(model="full", crf=22),
            Rung(name="low", bitrate="300k", scale=2, adapt="quick"),
        )

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "rung is missing"),
            ("rung = 3", "must be a list of tables"),
            ("rung = [3]", "must be a table"),
            ("[[rung]]\nbitrat = '300k'", "unknown key rung.bitrat .did you mean bitrate"),
            ("[[rung]]\nbitrate = 300", "must be of type str"),
            ("[[rung]]\nbitrate = 'much'", "not a bit rate"),
            ("[[rung]]\nname = '../x'", "cannot be a rung's name"),
            ("[[rung]]\nname = 'a'\n[[rung]]\nname = 'a'", "a name of its own"),
            ("[[rung]]\n" * 21, "up to 20 rungs"),
        ],
    )
    def test_what_is_wrong_is_named(self, text: str, said: str, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match=said):
            self.read(tmp_path, text)

    def test_a_look_is_not_for_plain_coding(self) -> None:
        given = SendOptions(look="real")
        assert [rung.options(given).look for rung in (PLAIN, Rung(scale=2, crf=22))] == [None, "real"]

    def test_a_network_that_is_not_there_is_noticed_first(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ladder_module, "send", lambda *_, **__: pytest.fail("something was sent"))
        with pytest.raises(BadOption, match="scale"):
            send_ladder(source, tmp_path / "a.m3u8", SendOptions(), [PLAIN, Rung(scale=3, crf=20)])
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bitrate", "800k"), "--bitrate is for one stream"),
        (("--scale", "2"), "--scale is for one stream"),
        (("--lossless",), "--lossless is for one stream"),
        (("--codec", "h265"), "a ladder is H.264"),
        (("--dry-run",), "--dry-run"),
        (("--ladder", "nothing.toml"), "cannot read the configuration"),
    ],
)
def test_what_does_not_go_with_a_ladder(
    words: tuple[str, ...], said: str, source: Path, run: Any, tmp_path: Path
) -> None:
    done = run("send", source, tmp_path / "a.m3u8", *words)
    assert done.code != 0
    assert said in done.error
    assert not list(tmp_path.iterdir())


def test_the_command(source: Path, run: Any, tmp_path: Path) -> None:
    (tmp_path / "ladder.toml").write_text('[[rung]]\nmodel = "full"\n[[rung]]\nmodel = "lanczos-x2"\ncrf = 20\n')
    words = ("--ladder", tmp_path / "ladder.toml", "--frames", 4, "--preset", "ultrafast")
    done = run("send", source, tmp_path / "o" / "a.m3u8", *words)
    assert done.code == 0, done.err
    first, second, last = done.out.splitlines()
    assert re.match(r"108p-\d+k: 192x108 sent as 192x108 with lanczos-x1, \d+ kb/s with sound, at most \d+$", first)
    assert re.match(r"54p-\d+k: 192x108 sent as 96x54 with lanczos-x2, ", second)
    assert last == f"{tmp_path / 'o' / 'a.m3u8'}: 2 rungs of 1 segments, sound: 1, subtitles: 1"
    done = run("send", source, "--out", tmp_path / "o" / "b.m3u8", *words, "--json")
    found = json.loads(done.out)
    assert [rung["width"] for rung in found["rungs"]] == [192, 96]
    assert found["rungs"][1]["report"]["stream"]["scale"] == 2
    assert run("send", source, tmp_path / "a.mp4", "--ladder", "auto").error.startswith("error: --ladder is for")


def test_other_sound_becomes_aac(clips: Any, tmp_path: Path) -> None:
    lavfi = ("-f", "lavfi", "-i", "sine=f=440:r=44100", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25")
    clip = tmp_path / "in.mp4"
    clips.ffmpeg(*lavfi, "-t", 1, "-c:a", "libmp3lame", "-ac", 2, "-c:v", "libx264", "-pix_fmt", "yuv420p", clip)
    result = send_ladder(clip, tmp_path / "a.m3u8", SendOptions(preset="ultrafast"), [PLAIN])
    with av.open(str(tmp_path / "a" / "sound-1" / "index.m3u8")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(stream)])
    assert len(samples) / 44100 == pytest.approx(1, abs=0.06)
    crossings = np.count_nonzero(np.diff(np.signbit(samples[4410:39690])))
    assert crossings / 2 / 0.8 == pytest.approx(440, abs=5)
    assert result.sound == 1


def test_a_part_begins_at_time_0_with_its_sound(source: Path, tmp_path: Path) -> None:
    options = SendOptions(start=0.4, duration=0.8, preset="ultrafast")
    send_ladder(source, tmp_path / "a.m3u8", options, [PLAIN])
    with av.open(str(tmp_path / "a.m3u8")) as container:
        times = [p.pts * p.time_base for p in container.demux(video=0) if p.size and p.pts is not None]
    assert (min(times), len(times)) == (0, 20)
    with av.open(str(tmp_path / "a" / "sound-1" / "index.m3u8")) as container:
        sound = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.size and p.pts is not None]
    assert sound[0] == pytest.approx(0, abs=0.025)
    assert sound[-1] == pytest.approx(0.8, abs=0.03)


def test_rates_halve() -> None:
    assert [rung.bitrate for rung in rungs_below(1_600_000)] == ["800000", "400000", "200000", "100000"]
    assert [rung.bitrate for rung in rungs_below(200_000)] == ["100000", "50000"]
    assert rungs_below(60_000) == ()


@pytest.mark.slow
def test_a_ladder_is_found_for_a_clip(clips: Any, tmp_path: Path) -> None:
    """Plain on top, networks below, each rung about half the one before."""
    clip = clips.make(tmp_path / "in.mp4", size="384x216", frames=50, name="mandelbrot")
    result = send_ladder(clip, tmp_path / "a.m3u8", SendOptions(tier="lite", crf=20))
    models = [rung.result.card.model for rung in result.rungs]
    rates = [rung.average_bandwidth for rung in result.rungs]
    assert models[0] == "lanczos-x1"
    assert len(models) >= 3
    assert any(model.startswith("irn-h264") for model in models[1:])
    assert rates == sorted(rates, reverse=True)
    assert all(0.2 < low / high < 0.8 for high, low in pairwise(rates))


@pytest.fixture(scope="session")
def players(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hls.js and Shaka, as `tests/web/package-lock.json` has them."""
    if named := os.environ.get("IRN_PLAYERS"):
        return Path(named)
    if shutil.which("npm") is None:
        pytest.skip("no npm to get players with (Debian or Ubuntu: apt-get install npm)")
    folder = tmp_path_factory.mktemp("players")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, check=False, timeout=120, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm cannot get the players: {done.stderr.strip()[-200:]}")
    return folder / "node_modules"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    class Patient(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...  # browsers hang up when they have enough

    with Patient(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_browsers_play_it_as_ordinary_video(chromium: str, players: Path, made: Made, tmp_path: Path) -> None:
    """hls.js, and Shaka with the playlist and with the MPD: each rung to its end, with sound, without an error."""
    from playwright.sync_api import sync_playwright

    site = tmp_path / "site"
    shutil.copytree(made.master.parent, site / "out")
    shutil.copy(WEB / "players.html", site)
    (site / "players").symlink_to(players)
    with served(site) as address, sync_playwright() as playwright:
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--mute-audio",
            "--autoplay-policy=no-user-gesture-required",
        ]
        env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # for what the sound's library leaves behind
        browser = playwright.chromium.launch(executable_path=chromium, args=flags, env=env)
        page = browser.new_page()
        for player, manifest, rung in PLAYED:
            height, width = made.result.rungs[rung].track.height, made.result.rungs[rung].track.width
            page.goto(f"{address}/players.html?player={player}&src=/out/{manifest}&height={height}")
            page.wait_for_selector("html[data-state=ready]", state="attached", timeout=20_000)
            found = {(one["width"], one["height"], one["bitrate"]) for one in page.evaluate("rungs")}
            assert found == {(r.track.width, r.track.height, r.bandwidth) for r in made.result.rungs}
            page.wait_for_function(f"video.videoWidth === {width} && video.ended", timeout=20_000)
            duration, sound = page.evaluate("[video.duration, video.webkitAudioDecodedByteCount]")
            assert duration == pytest.approx(FRAMES / RATE, abs=0.05)
            assert sound > 0
            assert page.evaluate("failures") == []
        browser.close()
