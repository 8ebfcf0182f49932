"""Mutated files through both commands: they end well, or with an error of ours, and leave nothing behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.errors import IrnError
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

EXTENSIONS = ("mp4", "ts", "mkv")
SEEDS = 50  # for each container and command
BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"stss")
BOXES += (b"edts", b"elst", b"tkhd", b"mdhd", b"hdlr", b"dinf", b"udta", b"meta", b"ilst", b"avc1", b"avcC", b"mp4a")
BOXES += (b"esds", b"colr", b"pasp", b"tref", b"text", b"mdat", b"free", b"zzzz", b"tmcd", b"chpl", b"gmhd")
SPEECH = "1\n00:00:00,000 --> 00:00:00,200\n<i>hello</i>\n"
CHAPTERS = ";FFMETADATA1\ntitle=Clip\nartist=Me\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few mutations, most of them where containers keep what they say about the file."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(MUTATIONS)(data, rng)
    return data


def place(data: bytes, rng: random.Random) -> int:
    """Anywhere, or in the beginning or in the end."""
    whole = len(data)
    return rng.choice((rng.randrange(whole), rng.randrange(min(whole, 1500)), max(0, whole - rng.randint(1, 4000))))


def flipped(data: bytes, rng: random.Random) -> bytes:
    new = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 10, 40))):
        new[place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(new)


def overwritten(data: bytes, rng: random.Random) -> bytes:
    at, count = place(data, rng), rng.choice((1, 2, 4, 4, 8, 188))
    return data[:at] + rng.choice((b"\0", b"\xff", b"\x7f", b"\1")) * count + data[at + count :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(1, len(data))]


def inserted(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 20, 188, 1000))) + data[at:]


def removed(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + data[at + rng.choice((1, 4, 20, 188, 1000)) :] or data


def moved(data: bytes, rng: random.Random) -> bytes:
    at, count = place(data, rng), rng.choice((4, 20, 188, 1880))
    run, rest = data[at : at + count], data[:at] + data[at + count :]
    to = rng.randint(0, len(rest))
    return rest[:to] + run * rng.randint(1, 3) + rest[to:]


def renamed(data: bytes, rng: random.Random) -> bytes:
    """A box of MP4 called by another one's name."""
    there = [box for box in BOXES if box in data]
    if not there:
        return flipped(data, rng)
    before, box, after = data.partition(rng.choice(there))
    return before + rng.choice([other for other in BOXES if other != box]) + after


MUTATIONS = (flipped, flipped, overwritten, cut, inserted, removed, moved, renamed)


@pytest.fixture(scope="module")
def sources(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames with everything beside them that a container has room for."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "s.srt").write_text(SPEECH)
    (folder / "meta.txt").write_text(CHAPTERS)
    for extension in EXTENSIONS:
        rich = extension != "ts"
        clips.ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.32"),
            *("-f", "lavfi", "-i", "sine=duration=0.32", "-i", folder / "s.srt", "-i", folder / "meta.txt"),
            *("-map", 0, "-map", 1, *(("-map", 2, "-map_metadata", 3) if rich else ()), "-pix_fmt", "yuv420p"),
            *("-c:v", "libx264", "-c:a", "aac", "-c:s", "mov_text" if extension == "mp4" else "srt", "-bitexact"),
            *(("-timecode", "01:02:03:04") if extension == "mp4" else ()),
            *(("-attach", folder / "s.srt", "-metadata:s:t", "mimetype=font/ttf") if extension == "mkv" else ()),
            folder / f"in.{extension}",
        )
        send(folder / f"in.{extension}", folder / f"lr.{extension}", SendOptions(model="lanczos-x2"))
    return folder


def sent(path: Path, output: Path) -> None:
    send(path, output, SendOptions(model="lanczos-x2"))


def received(path: Path, output: Path) -> None:
    receive(path, output, ReceiveOptions(upscaler="lanczos"))


@pytest.mark.slow
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(("kind", "command"), [("in", sent), ("lr", received)], ids=["send", "receive"])
def test_mutated_files(
    sources: Path, tmp_path: Path, kind: str, command: Callable[[Path, Path], None], extension: str
) -> None:
    data = (sources / f"{kind}.{extension}").read_bytes()
    (tmp_path / "out").mkdir()
    path, failures = tmp_path / f"mutated.{extension}", []
    for seed in range(SEEDS):
        path.write_bytes(mutated(data, random.Random(seed)))
        output = tmp_path / "out" / f"out.{EXTENSIONS[seed % len(EXTENSIONS)]}"
        try:
            command(path, output)
        except IrnError:
            pass
        except Exception as error:  # this is what the test looks for
            failures.append(f"seed {seed}: {error!r}")
        else:
            output.unlink()
        failures += [f"seed {seed} leaves {left.name}" for left in (tmp_path / "out").iterdir()]
    assert not failures
