"""Speeds of whole commands: the product that is measured here copies files, and writes down how it was called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from measure import against, commands
from measure.__main__ import main
from measure.clips import moving_clip
from measure.commands import Run, Work
from measure.machine import processor
from measure.paces import Pace, interleaved, ratios

ROOT = Path(commands.ROOT)
PROJECT = """
[project.scripts]
irn-send = "irn_video.things.commands:send"
irn-receive = "irn_video.things.commands:receive"
[tool.setuptools.package-dir]
"irn_video.things" = "things"
"""
COMMANDS = """
import os, sys, time
VERSION, NETWORKS, READS = {version!r}, {networks!r}, {reads!r}
def note(command):
    words = sys.argv[1:]
    frames = int(words[words.index("--frames") + 1])
    model = words[words.index("--model") + 1] if "--model" in words else None
    cores = len(os.sched_getaffinity(0))
    with open(os.environ["CALLS"], "a") as calls:
        print(VERSION, command, frames, model, open(words[0], "rb").read(3).decode("latin"), cores, file=calls)
    return words, model
def send():
    words, model = note("send")
    if model not in NETWORKS:
        sys.exit("something\\nerror: no such network")
    open(words[1], "w").write(VERSION)
def receive():
    words, model = note("receive")
    assert "--source" in words and open(words[0]).read() in READS, "another card"
    time.sleep(0.1)  # long enough for its memory to be looked at
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_clip(tmp_path_factory.mktemp("clip") / "moving.mp4", 128, 96, 8)


Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a version of the product that copies files; commit what was there before."""
    folder = tmp_path / "checkout"
    (folder / "things").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    monkeypatch.setattr(against, "ROOT", folder)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    git = shutil.which("git") or pytest.skip("no git on this machine")
    run = [git, "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run([*run, "init", "--quiet"], check=True)

    def write(version: str, networks: tuple[str | None, ...], reads: tuple[str, ...]) -> None:
        text = COMMANDS.format(version=version, networks=networks, reads=reads)
        (folder / "things" / "commands.py").write_text(text)
        subprocess.run([*run, "add", "--all"], check=True)
        if version == "old":
            subprocess.run([*run, "commit", "--quiet", "--message", "a version"], check=True)

    return write


def calls(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "calls").read_text().splitlines()]


class TestAgainst:
    def test_both_take_turns_on_the_same_stream(
        self, write: Write, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("old", ("fast", None), ("old",))
        write("new", ("fast", None), ("old", "new"))
        out = tmp_path / "out.json"
        words = ["--clip", str(clip), "--model", "fast", "--frames", "30", "--repeat", "2", "--json", str(out)]
        assert main(["bench", "--against", "HEAD", *words]) == 0
        sends = [[version, "send", frames, "fast"] for _ in range(2) for version in ("new", "old") for frames in "18"]
        found = [call[:4] for call in calls(tmp_path)]
        assert found[:3] == [
            ["new", "send", "8", "fast"],
            ["old", "send", "8", "fast"],
            ["new", "receive", "1", "None"],
        ]
        assert found[3:11] == sends
        assert found[11:] == [[version, "receive", frames, "None"] for version, _, frames, _ in sends]
        assert {call[4] for call in calls(tmp_path) if call[1] == "receive"} == {"old"}

        written = json.loads(out.read_text())
        assert written["machine"]["cores"] == len(os.sched_getaffinity(0))
        assert written["version"].endswith("-dirty")
        assert written["version"] == f"{written['against']['version']}-dirty"
        send, receive = written["against"]["comparisons"]
        assert (send["command"], receive["command"]) == ("irn-send", "irn-receive")
        assert receive["same_stream"]
        assert receive["size"] == "128x96"
        assert receive["networks"] == ["fast", "fast"]
        for side in (receive["ours"], receive["theirs"]):
            assert side["frames"] == 8
            assert len(side["seconds"]) == len(side["start_seconds"]) == len(side["cpu_seconds"]) == 2
        least = [min(receive[side]["fps"]) for side in ("ours", "theirs")]
        assert receive["ratios"][0] == pytest.approx(least[0] / least[1])
        said = capsys.readouterr().out
        assert f"irn-receive 128x96 fast, fps  {least[0]:.1f}".split() == [
            word for line in said.splitlines() if line.startswith("irn-receive") for word in line.split()[:5]
        ]

    def test_a_network_that_the_other_lacks(
        self, write: Write, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("old", ("fast", None), ("old",))
        write("new", ("lite", "fast"), ("old", "new"))
        assert main(["bench", "--against", "HEAD", "--clip", str(clip), "--model", "lite", "--repeat", "1"]) == 0
        said = capsys.readouterr()
        assert "lite / its default network" in said.out
        assert "lite is compared with its default network: " in said.err
        assert "irn-send: no such network" in said.err
        received = [call for call in calls(tmp_path) if call[1] == "receive"]
        assert [(call[0], call[4]) for call in received] == 2 * [("new", "new")] + 2 * [("old", "old")]

    def test_a_stream_that_is_not_understood(
        self, write: Write, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("old", ("fast",), ("old",))
        write("new", ("fast",), ("new",))
        assert main(["bench", "--against", "HEAD", "--clip", str(clip), "--model", "fast", "--repeat", "1"]) == 0
        assert "each version receives its own stream: " in capsys.readouterr().err
        received = [call for call in calls(tmp_path) if call[1] == "receive"]
        assert [(call[0], call[4]) for call in received[1:]] == 2 * [("new", "new")] + 2 * [("old", "old")]

    def test_the_other_version_fails(self, write: Write, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write("old", (), ())
        write("new", ("fast",), ())
        assert main(["bench", "--against", "HEAD", "--clip", str(clip), "--model", "fast"]) == 1
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1
        assert errors[0].endswith(": irn-send: no such network")
        assert not errors[0].startswith("Error: new")

    def test_no_such_commit(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        write("old", (), ())
        assert main(["bench", "--against", "nonsense"]) == 1
        assert "Error: git: bad revision 'nonsense'\n" in capsys.readouterr().err

    def test_no_checkout(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.which("git") or pytest.skip("no git on this machine")
        (tmp_path / "pyproject.toml").write_text(PROJECT)
        monkeypatch.setattr(against, "ROOT", tmp_path)
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        assert main(["bench", "--against", "HEAD"]) == 1
        assert "Error: git: not a git repository" in capsys.readouterr().err

    def test_no_git(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert main(["bench", "--against", "HEAD"]) == 1
        assert "Error: git is not installed" in capsys.readouterr().err

    def test_a_commit_of_something_else(self, tmp_path: Path) -> None:
        with pytest.raises(commands.click.ClickException, match="thing is no version of this product"):
            commands.product_of("thing", tmp_path, tmp_path / "packages")

    def test_the_last_commit(self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The real product, out of git; what was compiled tells that it ran, and not what is installed."""
        git = shutil.which("git")
        if git is None or subprocess.run([git, "-C", ROOT, "rev-parse", "HEAD"], capture_output=True).returncode:
            pytest.skip("not a git checkout")
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
            monkeypatch.delenv(name, raising=False)
        work = Work(against.commit_product("HEAD", tmp_path / "other"), clip, "lanczos-x2", tmp_path)
        for run in (work.send, work.receive):
            assert run(tmp_path / "lr.mp4", 8).peak_bytes > 4e7
        assert (tmp_path / "restored.mp4").is_file()
        for room in ("sender", "receiver", "pipeline"):
            assert any((tmp_path / "other" / "tree" / room).rglob("*.pyc"))


class TestCores:
    def test_a_command_is_held_to_so_many(self, write: Write, clip: Path, tmp_path: Path) -> None:
        write("old", ("fast",), ("old",))
        usable = len(os.sched_getaffinity(0))
        out = tmp_path / "out.json"
        words = ["--clip", str(clip), "--model", "fast", "--repeat", "1", "--json", str(out)]
        assert main(["bench", "--cores", f"{usable},1", *words]) == 0
        (found,) = json.loads(out.read_text())["cores"]
        assert set(found["cores"]) == {"1", str(usable)}
        received = [int(call[5]) for call in calls(tmp_path) if call[1] == "receive"]
        assert received == [count for count in sorted({1, usable}) for _ in range(2)]
        assert len(os.sched_getaffinity(0)) == usable

    @pytest.mark.parametrize("bad", ["0", "a", "1,", "1.5", "100000"])
    def test_numbers_are_checked(self, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "--cores", bad]) == 2
        assert "can be used" in capsys.readouterr().err


def test_networks_side_by_side(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("old", ("fast", "base"), ("old",))
    out = tmp_path / "out.json"
    words = ["--model", "fast", "--model", "base", "--frames", "8", "--repeat", "1", "--json", str(out)]
    assert main(["speed", "--sizes", "128x96,65x64", "--markdown", *words]) == 0
    _, _, *rows, last = capsys.readouterr().out.splitlines()
    names = ["128x96 fast", "128x96 base", "128x96 H.264", "64x64 fast", "64x64 base", "64x64 H.264"]
    assert all(row.startswith(f"| {name} ") for row, name in zip(rows, names, strict=True))
    written = json.loads(out.read_text())
    assert last.startswith(f"{written['version']}, 8 frames, best of 1: {written['machine']['processor']}")
    first = written["speed"][0]
    assert f" {min(first['irn-receive']['start_seconds']):.2f} |" in rows[0]
    assert first["irn-receive"]["peak_bytes"] > 4e6  # a Python
    assert written["decoding_fps"]["64x64"] > 0


def test_stages_and_memory(write: Write, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("old", ("lanczos-x2",), ("old",))
    out = tmp_path / "out.json"
    words = ["--clip", str(clip), "--model", "lanczos-x2", "--frames", "8", "--repeat", "1", "--json", str(out)]
    assert main(["bench", *words, "--memory", "--memory-frames", "4", "--memory-size", "128x96"]) == 0
    written = json.loads(out.read_text())
    assert written["speed"]["lanczos-x2"]["frames"] == 8
    memory = written["memory"]["lanczos-x2"]
    assert memory["frames"] == [2, 4]
    assert [call[1:3] for call in calls(tmp_path)] == [[way, n] for n in "24" for way in ("send", "receive")]
    receiving = " GB after 2 frames, ".join(f"{peak / 1e9:.2f}" for peak in memory["peak_bytes"]["irn-receive"])
    assert f"irn-receive  {receiving} GB after 4 frames" in capsys.readouterr().out


@pytest.mark.parametrize("bad", ["100", "32x32", "axb", "640x480,"])
def test_sizes_are_checked(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", "--sizes", bad]) == 2
    assert "is not a size" in capsys.readouterr().err


class TestRuns:
    def test_they_take_turns(self) -> None:
        ran = []

        def way(name: str, start: float, each: float) -> Callable[[int], Run]:
            def run(frames: int) -> Run:
                ran.append((name, frames))
                return Run(start + each * frames, each * frames, 1000 * frames)

            return run

        slow, quick = interleaved([way("slow", 2, 0.5), way("quick", 1, 0.1)], 11, 2)
        assert ran == 2 * [("slow", 1), ("slow", 11), ("quick", 1), ("quick", 11)]
        assert slow == Pace(11, (7.5, 7.5), (5.5, 5.5), (2.5, 2.5), 11000)
        assert slow.running_fps == pytest.approx((2, 2))
        assert slow.fps == pytest.approx((11 / 7.5, 11 / 7.5))
        assert ratios(quick.running_fps, slow.running_fps) == pytest.approx((5, 5))

    def test_rounds_in_which_frames_took_no_time(self) -> None:
        pace = Pace(8, (2.0, 3.0), (1, 1), (2.5, 2.5), 0)
        assert pace.running_fps == (14,)
        assert pace.best_fps is None
        assert Pace(8, (2.0,), (1,), (2.5,), 0).running_fps == ()
        assert ratios((), pace.fps) is None

    def test_a_start_that_was_held_up_does_not_flatter(self) -> None:
        assert Pace(9, (4.0, 4.5), (1, 1), (2.0, 4.0), 0).best_fps == 4

    def test_memory_is_the_commands_own(self) -> None:
        """Not that of the process which starts it, which is larger here."""
        here = b"x" * 200_000_000
        small = commands.watch([sys.executable, "-c", "import time; time.sleep(0.5)"])
        large = commands.watch([sys.executable, "-c", "import time; a = b'x' * 100_000_000; time.sleep(0.5)"])
        assert 4e6 < small.peak_bytes < 1e8 < large.peak_bytes < len(here)
        assert small.cpu_seconds > 0

    def test_a_command_fails(self) -> None:
        with pytest.raises(commands.CommandFailed, match=r"^exit code 3$"):
            commands.watch([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_processor_is_named() -> None:
    text = (
        "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx avx2 bmi2\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
    )
    assert processor(text) == "AMD EPYC, AVX2"
    assert processor("")
