"""Broken, hostile and unusual input: one clear line, nothing half-written, nothing lost."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.pipeline.commandline.interrupts import interrupts
from irn_video.receiver import receive
from irn_video.sender import SendOptions, send

BIN = Path(sys.executable).parent


def hidden(folder: Path) -> list[str]:
    """Temporary files that should be gone."""
    return sorted(path.name for path in folder.rglob(".*"))


@pytest.fixture(scope="module")
def lr(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lr") / "lr.mp4"
    send(moving, path)
    return path


def with_card(clips: Any, lr: Path, path: Path, text: str) -> Path:
    """The pictures of an LR stream with another card, in the tag alone."""
    import base64

    tag = "comment=irn-video card " + base64.b64encode(text.encode()).decode()
    clips.ffmpeg("-i", lr, "-map_metadata", -1, "-metadata", tag, "-c:v", "ffv1", path)
    return path


class TestUnreadable:
    """Files that are no video: exit 1, one line that names the file, and no output."""

    def missing(self, folder: Path, clips: Any, moving: Path) -> Path:
        return folder / "none.mp4"

    def folder(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "dir.mp4").mkdir()
        return folder / "dir.mp4"

    def text(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "text.mp4").write_text("not a video\n" * 100)
        return folder / "text.mp4"

    def empty(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "empty.mp4").touch()
        return folder / "empty.mp4"

    def noise(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(100_000))
        return folder / "noise.mp4"

    def audio(self, folder: Path, clips: Any, moving: Path) -> Path:
        clips.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", folder / "audio.m4a")
        return folder / "audio.m4a"

    def no_pictures(self, folder: Path, clips: Any, moving: Path) -> Path:
        clips.ffmpeg("-i", moving, "-c", "copy", "-frames:v", 0, folder / "none.mkv")
        return folder / "none.mkv"

    def no_index(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "moov.mp4").write_bytes(moving.read_bytes()[: moving.stat().st_size // 2])
        return folder / "moov.mp4"

    def dangling(self, folder: Path, clips: Any, moving: Path) -> Path:
        (folder / "link.mp4").symlink_to(folder / "gone.mp4")
        return folder / "link.mp4"

    def fifo(self, folder: Path, clips: Any, moving: Path) -> Path:
        os.mkfifo(folder / "pipe.mp4")
        return folder / "pipe.mp4"

    @pytest.mark.parametrize("command", ["send", "receive"])
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("missing", "no such file"),
            ("folder", "this is a folder"),
            ("text", "cannot read it"),
            ("empty", "the file is empty"),
            ("noise", "cannot read it"),
            ("audio", "no video stream"),
            ("no_pictures", ""),
            ("no_index", "index (moov) is missing"),
            ("dangling", "points nowhere"),
            ("fifo", "not a regular file"),
        ],
    )
    def test_refused(
        self, run: Any, clips: Any, moving: Path, tmp_path: Path, kind: str, command: str, said: str
    ) -> None:
        (tmp_path / "in").mkdir()
        path = getattr(self, kind)(tmp_path / "in", clips, moving)
        done = run(command, path, tmp_path / "out.mp4")
        assert done.code == 1
        assert f"error: {path}: " in done.error
        assert said in done.error
        assert [p.name for p in tmp_path.iterdir()] == ["in"]


class TestUsage:
    """Options that make no sense: exit 2."""

    @pytest.mark.parametrize(
        "options",
        [
            ("--crf", "99"),
            ("--crf", "-1"),
            ("--crf", "nan"),
            ("--crf", "20", "--bitrate", "1M"),
            ("--crf", "20", "--lossless"),
            ("--bitrate", "fast"),
            ("--preset", "warp"),
            ("--codec", "h999"),
            ("--pix-fmt", "yuv9"),
            ("--pix-fmt", "yuv444p"),
            ("--keyint", "0"),
            ("--frames", "0"),
            ("--frames", "-3"),
            ("--stream", "-1"),
            ("--seed", "-1"),
            ("--temperature", "-0.1"),
            ("--temperature", "nan"),
            ("--device", "abacus"),
            ("--precision", "fp1"),
            ("--scale", "3"),
            ("--scale", "4", "--model", "lanczos-x2"),
            ("--report", "report.pdf"),
            ("--nonsense",),
        ],
        ids=" ".join,
    )
    def test_sender(self, run: Any, moving: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
        done = run("send", moving, tmp_path / "out.mp4", *options)
        assert done.code == 2
        assert done.error
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "options",
        [("--upscaler", "magic"), ("--temperature", "11"), ("--codec", "av1", "--lossless"), ("--crf", "99")],
        ids=" ".join,
    )
    def test_receiver(self, run: Any, lr: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
        done = run("receive", lr, tmp_path / "out.mp4", *options)
        assert done.code == 2
        assert done.error
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["out", "out.xyz", "out.webm"])
    def test_containers(self, run: Any, moving: Path, tmp_path: Path, name: str) -> None:
        assert run("send", moving, tmp_path / name).code == 2
        assert not list(tmp_path.iterdir())


class TestDevice:
    """A GPU that was asked for and is not here is not replaced in silence: exit 1."""

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("send", ()),
            ("send", ("--model", "lanczos-x2")),
            ("receive", ()),
            ("receive", ("--upscaler", "lanczos")),
        ],
    )
    def test_missing(
        self, run: Any, lr: Path, moving: Path, tmp_path: Path, command: str, options: tuple[str, ...]
    ) -> None:
        source = moving if command == "send" else lr
        done = run(command, source, tmp_path / "out.mp4", "--device", "cuda", *options)
        assert done.code == 1
        assert done.error == "error: there is no cuda here (--device auto takes the CPU where there is no GPU)"
        assert not list(tmp_path.iterdir())


class TestModels:
    def test_unknown(self, run: Any, moving: Path, tmp_path: Path) -> None:
        done = run("send", moving, tmp_path / "out.mp4", "--model", "irn-h265-x2")
        assert done.code == 1
        assert "did you mean irn-h264-x2?" in done.error

    @pytest.mark.parametrize("content", [b"", b"\xff" * 5000, b"\x08\0\0\0\0\0\0\0{}      ", None])
    def test_corrupt_weights(self, run: Any, moving: Path, tmp_path: Path, content: bytes | None) -> None:
        weights = tmp_path / "bad.safetensors"
        if content is None:  # cut short
            from irn_video.pipeline.zoo import find_model

            content = find_model("irn-h264-x2").read_bytes()[:-1000]
        weights.write_bytes(content)
        done = run("send", moving, tmp_path / "out.mp4", "--model", weights)
        assert done.code == 1
        assert str(weights) in done.error
        assert [p.name for p in tmp_path.iterdir()] == ["bad.safetensors"]

    def test_other_weights_than_the_stream_names(self, run: Any, lr: Path, tmp_path: Path) -> None:
        from irn_video.pipeline.zoo import load_model
        from irn_video.pipeline.zoo.card import write_model

        model = load_model("irn-h264-x2")
        state = model.network.state_dict()
        first = next(iter(state))
        write_model(tmp_path / "other.safetensors", model.card, {**state, first: state[first] + 1e-3})
        done = run("receive", lr, tmp_path / "out.mp4", "--model", tmp_path / "other.safetensors")
        assert done.code == 1
        assert "other weights" in done.error
        assert [p.name for p in tmp_path.iterdir()] == ["other.safetensors"]


class TestCards:
    def test_none(self, run: Any, moving: Path, tmp_path: Path) -> None:
        done = run("receive", moving, tmp_path / "out.mp4")
        assert done.code == 1
        assert "no stream card" in done.error

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"version": 4}, "version 4"),
            ({"model": "irn-of-tomorrow"}, "is not here"),
            ({"model": "/etc/passwd"}, "names a file"),
            ({"model": "other.safetensors"}, "names a file"),
            ({"model_sha256": "0" * 64}, "other weights"),
            ({"scale": 4}, "shrunk by 4"),
            ({"width": 97}, "97x64"),
            ({"width": 16384, "height": 16384}, "16384x16384"),
            ({"source_name": "../in.mp4"}, "source_name"),
            ({"latent_std": 1e9}, "latent_std"),
            ({"seed": -1}, "seed"),
            ({"layout": "cmyk"}, "layout"),
            ({"surprise": 1}, "surprise"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_changed(self, run: Any, clips: Any, lr: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
        import json

        card = find_card(lr)
        assert card is not None
        text = json.dumps({**json.loads(card.to_json()), **change})
        path = with_card(clips, lr, tmp_path / "changed.mkv", text)
        done = run("receive", path, tmp_path / "out.mp4")
        assert done.code == 1
        assert said in done.error
        assert [p.name for p in tmp_path.iterdir()] == ["changed.mkv"]

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000])
    def test_senseless(self, run: Any, clips: Any, lr: Path, tmp_path: Path, text: str) -> None:
        path = with_card(clips, lr, tmp_path / "changed.mkv", text)
        done = run("receive", path, tmp_path / "out.mp4")
        assert done.code == 1
        assert "card" in done.error

    @pytest.mark.parametrize("field", ["matrix", "primaries", "transfer"])
    def test_colours_of_another_world(self, run: Any, clips: Any, lr: Path, tmp_path: Path, field: str) -> None:
        """Code points that nobody has assigned yet are no reason to fail."""
        card = find_card(lr)
        assert card is not None
        odd = replace(card, color=replace(card.color, **{field: 200}))
        path = with_card(clips, lr, tmp_path / "odd.mkv", odd.to_json())
        assert run("receive", path, tmp_path / "out.mp4").code == 0

    def test_impossible_siting(self, run: Any, clips: Any, lr: Path, tmp_path: Path) -> None:
        card = find_card(lr)
        assert card is not None
        text = card.to_json().replace('"chroma_siting":', '"chroma_siting":9')
        path = with_card(clips, lr, tmp_path / "odd.mkv", text)
        done = run("receive", path, tmp_path / "out.mp4")
        assert done.code == 1
        assert "color" in done.error


class TestDamage:
    def cut(self, path: Path, source: Path, part: float) -> Path:
        data = source.read_bytes()
        path.write_bytes(data[: int(len(data) * part)])
        return path

    def test_truncated_source(self, run: Any, clips: Any, tmp_path: Path) -> None:
        whole = clips.make(tmp_path / "whole.mp4", "-c:v", "libx264", "-movflags", "+faststart", frames=25)
        cut = self.cut(tmp_path / "cut.mp4", whole, 0.6)
        report = tmp_path / "report.json"
        done = run("send", cut, tmp_path / "lr.mp4", "--report", report, "--verify")
        assert done.code == 1
        assert "the file ends early" in done.error
        import json

        values = json.loads(report.read_text())
        assert "the file ends early" in values["damage"]
        sent = len(clips.read(tmp_path / "lr.mp4"))
        assert 5 < sent < 25
        assert len(values["frames"]) == sent
        # The damaged source lies beside the stream and decodes as before.
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mkv", "--codec", "ffv1", "--json")
        assert back.code == 0
        assert json.loads(back.out)["frames"] == values["frames"]

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_truncated_stream(self, run: Any, clips: Any, tmp_path: Path, suffix: str) -> None:
        import json

        source = clips.make(tmp_path / f"in.{suffix}", frames=25)
        verified = send(source, tmp_path / f"lr.{suffix}", SendOptions(verify=True)).report.frames
        whole = tmp_path / f"lr.{suffix}"
        if suffix == "mp4":
            whole = tmp_path / "fast.mp4"
            clips.ffmpeg("-i", tmp_path / "lr.mp4", "-c", "copy", "-movflags", "+faststart", whole)
        cut = self.cut(tmp_path / f"cut.{suffix}", whole, 0.75)
        done = run("receive", cut, tmp_path / "out.mkv", "--codec", "ffv1", "--report", tmp_path / "r.json")
        assert done.code == 1
        assert "the file ends early" in done.error
        values = json.loads((tmp_path / "r.json").read_text())
        assert "ends early" in values["damage"]
        frames = values["frames"]
        assert 5 < len(frames) < 25
        good = [a["psnr_y"] == b.metrics()["psnr_y"] for a, b in zip(frames, verified, strict=False)]
        assert sum(good) >= len(good) - 3  # the last ones may have been concealed

    def test_lost_pictures_do_not_shift_the_others(self, run: Any, clips: Any, tmp_path: Path) -> None:
        """The first pictures of the stream and some in the middle are gone: the rest is measured as before."""
        import json

        source = clips.make(tmp_path / "in.mkv", frames=24)
        verified = send(
            source, tmp_path / "lr.mkv", SendOptions(preset="ultrafast", keyint=6, crf=20, verify=True, temperature=0)
        ).report.frames
        data = bytearray((tmp_path / "lr.mkv").read_bytes())
        packets = packet_positions(tmp_path / "lr.mkv")
        for index in (0, 13):
            start, size = packets[index]
            data[start : start + size] = b"\0" * size
        (tmp_path / "lr.mkv").write_bytes(data)
        done = run(
            "receive", tmp_path / "lr.mkv", tmp_path / "out.mkv", "--codec", "ffv1", "--json", "--model", "irn-h264-x2"
        )
        assert done.code == 1
        frames = json.loads(done.out)["frames"]
        assert 12 <= len(frames) < 24
        by_time = {round(f.pts_seconds, 3): f.metrics()["psnr_y"] for f in verified}
        untouched = [f for f in frames if 0.24 <= f["pts_seconds"] < 0.48]
        assert len(untouched) == 6
        for frame in untouched:
            assert frame["psnr_y"] == pytest.approx(by_time[round(frame["pts_seconds"], 3)], abs=1e-6)

    def test_size_change(self, run: Any, clips: Any, tmp_path: Path) -> None:
        for index, size in enumerate(("96x64", "128x96")):
            clips.make(tmp_path / f"{index}.ts", "-c:v", "libx264", "-pix_fmt", "yuv420p", size=size)
        both = (tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes()
        (tmp_path / "both.ts").write_bytes(both)
        done = run("send", tmp_path / "both.ts", tmp_path / "out.mp4")
        assert done.code == 1
        assert "frame 8 is 128x96" in done.error
        assert not (tmp_path / "out.mp4").exists()
        assert not hidden(tmp_path)


def packet_positions(path: Path) -> list[tuple[int, int]]:
    """(offset, size) of the video packets of a file."""
    import av

    with av.open(str(path)) as container:
        return [(p.pos + p_offset(path, p.pos, bytes(p)), p.size) for p in container.demux(video=0) if p.size]


def p_offset(path: Path, start: int, content: bytes) -> int:
    """Where the content begins after the header of its block."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(len(content) + 64).index(content)


class TestOutputs:
    def test_missing_folder(self, run: Any, moving: Path, tmp_path: Path) -> None:
        done = run("send", moving, tmp_path / "no" / "out.mp4")
        assert done.code == 1
        assert "does not exist" in done.error

    @pytest.mark.parametrize("command", ["send", "receive"])
    def test_read_only_folder(self, run: Any, moving: Path, lr: Path, command: str) -> None:
        import tempfile

        source = {"send": moving, "receive": lr}[command]
        with tempfile.TemporaryDirectory() as name:
            shutil.copy(source, Path(name, "in.mp4"))
            (folder := Path(name, "locked")).mkdir(0o555)
            Path(name).chmod(0o755)
            with nobody():
                done = run(command, Path(name, "in.mp4"), folder / "out.mp4")
            assert done.code == 1
            assert "read-only" in done.error
            assert not list(folder.iterdir())

    @pytest.mark.parametrize("command", ["send", "receive"])
    @pytest.mark.parametrize("limit", [800, 6000])
    def test_full_disk(self, run: Any, clips: Any, tmp_path: Path, command: str, limit: int) -> None:
        (tmp_path / "out").mkdir()
        clips.make(tmp_path / "in.mp4", frames=25, size="160x96")
        send(tmp_path / "in.mp4", tmp_path / "lr.mp4")
        source = tmp_path / {"send": "in.mp4", "receive": "lr.mp4"}[command]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            done = run(command, source, tmp_path / "out" / "x.mkv")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert done.code == 1
        assert "larger than allowed" in done.error
        assert not list((tmp_path / "out").iterdir())

    @pytest.mark.parametrize("kind", ["same", "symbolic", "hard", "dots"])
    @pytest.mark.parametrize("command", ["send", "receive"])
    def test_output_is_input(self, run: Any, lr: Path, tmp_path: Path, command: str, kind: str) -> None:
        source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
        shutil.copy(lr, source)
        if kind == "symbolic":
            output.symlink_to(source)
        elif kind == "hard":
            output.hardlink_to(source)
        else:
            output = source if kind == "same" else tmp_path / ".." / tmp_path.name / "in.mp4"
        done = run(command, source, output, "--overwrite")
        assert done.code == 1
        assert "the output is the input" in done.error
        assert source.read_bytes() == lr.read_bytes()

    def test_output_is_source(self, run: Any, moving: Path, tmp_path: Path) -> None:
        """Even the source that was only found beside the stream is safe."""
        shutil.copy(moving, tmp_path / "in.mp4")
        send(tmp_path / "in.mp4", tmp_path / "lr.mp4")
        for more in ((), ("--source", tmp_path / "in.mp4")):
            done = run("receive", tmp_path / "lr.mp4", tmp_path / "in.mp4", "--overwrite", *more)
            assert done.code == 1
            assert "the output is the input" in done.error
        assert (tmp_path / "in.mp4").read_bytes() == moving.read_bytes()

    def test_existing_output(self, run: Any, moving: Path, tmp_path: Path) -> None:
        (tmp_path / "out.mp4").write_text("precious")
        done = run("send", moving, tmp_path / "out.mp4")
        assert done.code == 1
        assert "--overwrite" in done.error
        assert (tmp_path / "out.mp4").read_text() == "precious"
        assert run("send", moving, tmp_path / "out.mp4", "--overwrite").code == 0
        assert probe(tmp_path / "out.mp4").width == 48

    def test_failing_keeps_what_it_would_replace(self, run: Any, clips: Any, tmp_path: Path) -> None:
        for index, size in enumerate(("96x64", "128x96")):
            clips.make(tmp_path / f"{index}.ts", "-c:v", "libx264", "-pix_fmt", "yuv420p", size=size)
        (tmp_path / "in.ts").write_bytes((tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes())
        (tmp_path / "out.mp4").write_text("precious")
        assert run("send", tmp_path / "in.ts", tmp_path / "out.mp4", "--overwrite").code == 1
        assert (tmp_path / "out.mp4").read_text() == "precious"
        assert not hidden(tmp_path)

    def test_report_is_input(self, run: Any, moving: Path, tmp_path: Path) -> None:
        """Names of reports and of videos differ, but links do not."""
        shutil.copy(moving, tmp_path / "in.mp4")
        (tmp_path / "report.json").symlink_to(tmp_path / "in.mp4")
        done = run("send", tmp_path / "in.mp4", tmp_path / "o.mp4", "--report", tmp_path / "report.json", "--overwrite")
        assert done.code == 1
        assert "the output is the input" in done.error
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "report.json"]

    def test_existing_report(self, run: Any, moving: Path, tmp_path: Path) -> None:
        (tmp_path / "r.json").write_text("{}")
        done = run("send", moving, tmp_path / "out.mp4", "--report", tmp_path / "r.json")
        assert done.code == 1
        assert [p.name for p in tmp_path.iterdir()] == ["r.json"]

    def test_device(self, run: Any, moving: Path) -> None:
        done = run("send", moving, "/dev/full")
        assert done.code == 1
        assert "not a regular file" in done.error


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Not root, for whom no folder is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


class TestUnusualPictures:
    @pytest.mark.parametrize("size", ["1x1", "2x2", "3x1", "1x64"])
    def test_tiny(self, clips: Any, tmp_path: Path, size: str) -> None:
        width, height = map(int, size.split("x"))
        big = clips.make(tmp_path / "big.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p", frames=3)
        source = tmp_path / "in.nut"
        clips.ffmpeg("-i", big, "-vf", f"scale={width}:{height}", "-c:v", "rawvideo", "-pix_fmt", "yuv444p", source)
        verified = send(source, tmp_path / "lr.mp4", SendOptions(verify=True))
        result = receive(tmp_path / "lr.mp4", tmp_path / "out.mp4")
        info = probe(tmp_path / "out.mp4")
        assert (info.width, info.height) == (width, height)
        assert len(verified.report.frames) == len(result.report.frames) == 3

    @pytest.mark.slow
    def test_8k(self, run: Any, clips: Any, tmp_path: Path) -> None:
        source = clips.make(tmp_path / "in.mp4", "-c:v", "libx264", "-preset", "ultrafast", size="7680x4320", frames=1)
        quick = ("--preset", "ultrafast")
        assert run("send", source, tmp_path / "lr.mp4", *quick).code == 0
        assert run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", *quick).code == 0
        assert (probe(tmp_path / "out.mp4").width, probe(tmp_path / "out.mp4").height) == (7680, 4320)

    @pytest.mark.parametrize(
        ("pixels", "codec", "suffix", "warned"),
        [
            ("yuv422p", "ffv1", "mkv", "yuv422 is converted"),
            ("yuv444p", "ffv1", "mkv", "yuv444 is converted"),
            ("gbrp", "ffv1", "mkv", "rgb is converted"),
            ("yuva420p", "ffv1", "mkv", "alpha dropped"),
            ("gray", "ffv1", "mkv", "gray read as 4:2:0"),
            ("gray10le", "ffv1", "mkv", "gray read as 4:2:0"),
            ("yuv420p9le", "ffv1", "mkv", ""),
            ("yuv420p12le", "ffv1", "mkv", "the source's 12 are rounded"),
            ("rgb48le", "ffv1", "mkv", "the source's 16 are rounded"),
            ("pal8", "gif", "gif", "rgb is converted"),
            ("yuvj420p", "mjpeg", "avi", ""),
        ],
    )
    def test_converted_with_a_warning(
        self, run: Any, clips: Any, tmp_path: Path, pixels: str, codec: str, suffix: str, warned: str
    ) -> None:
        source = clips.make(tmp_path / f"in.{suffix}", "-c:v", codec, "-pix_fmt", pixels, frames=3)
        done = run("send", source, tmp_path / "lr.mp4", "--verify")
        assert done.code == 0
        assert any(warned in text for text in done.warnings) or not warned
        assert len(done.warnings) == len(set(done.warnings))
        back = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4")
        assert back.code == 0
        assert "mean PSNR" in back.out
        assert len(clips.read(tmp_path / "out.mp4")) == len(clips.read(source)) == 3

    def test_interlaced(self, run: Any, clips: Any, tmp_path: Path) -> None:
        fields = ("-vf", "interlace,setfield=tff", "-c:v", "libx264", "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p")
        source = clips.make(tmp_path / "in.mp4", *fields)
        done = run("send", source, tmp_path / "lr.mp4")
        assert done.code == 0
        assert [text for text in done.warnings if "interlaced" in text]
        quiet = run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4")
        assert not quiet.warnings

    def test_ordinary_video_warns_of_nothing(self, run: Any, moving: Path, tmp_path: Path) -> None:
        assert run("send", moving, tmp_path / "lr.mp4").warnings == []
        assert run("receive", tmp_path / "lr.mp4", tmp_path / "out.mp4", "--source", moving).warnings == []

    @pytest.mark.parametrize(
        ("options", "depth", "warned"),
        [
            (("--codec", "h265", "--preset", "ultrafast"), 10, ""),
            (("--codec", "av1"), 10, ""),
            (("--codec", "h264"), 10, "10-bit H.264"),
            (("--codec", "h264", "--pix-fmt", "yuv420p"), 8, "the source's 10 are rounded"),
        ],
        ids=["h265", "av1", "h264", "h264-8bit"],
    )
    def test_hdr10(
        self, run: Any, clips: Any, tmp_path: Path, options: tuple[str, ...], depth: int, warned: str
    ) -> None:
        tags = ("-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc")
        display = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
        params = ("-x265-params", f"log-level=none:hdr10=1:{display}:max-cll=1000,400")
        coded = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", *tags, *params)
        source = clips.make(tmp_path / "in.mkv", *coded, frames=3)
        done = run("send", source, tmp_path / "lr.mkv", *options)
        assert done.code == 0
        assert len(done.warnings) == bool(warned), done.warnings
        assert all(warned in text for text in done.warnings)
        codec = options[1] if depth == 10 else "h264"
        assert run("receive", tmp_path / "lr.mkv", tmp_path / "out.mkv", "--codec", codec).code == 0
        for name in ("lr.mkv", "out.mkv"):
            info = probe(tmp_path / name)
            assert info.bit_depth == depth
            assert (info.color.matrix, info.color.primaries, info.color.transfer) == (9, 9, 16)
            assert info.hdr is not None
            assert (info.hdr.max_content, info.hdr.max_average) == (1000, 400)
            assert info.hdr.mastering is not None
            assert info.hdr.mastering.green == pytest.approx((0.265, 0.69), abs=1e-4)

    def test_h264_quantiser_does_not_depend_on_depth(self, clips: Any, tmp_path: Path) -> None:
        """FFmpeg counts quantisers from below zero at 10 bits; the network was trained at 8."""
        means = []
        for pixels in ("yuv420p", "yuv420p10le"):
            path = clips.make(
                tmp_path / f"{pixels}.mkv", "-c:v", "libx264", "-crf", 24, "-pix_fmt", pixels, size="320x240"
            )
            with VideoReader(path, quantiser=True) as reader:
                means.append(np.mean([picture.qp for picture in reader]))
        assert abs(means[0] - means[1]) < 4


class TestInterrupted:
    """Signals at many moments: never a file under the final name, nothing left behind, no hang."""

    def test_python_says_nothing_of_one_that_it_ignores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = list[type[BaseException]]()
        monkeypatch.setattr(sys, "unraisablehook", lambda found: said.append(found.exc_type))

        class Dying:
            def __init__(self, error: BaseException) -> None:
                self.error = error

            def __del__(self) -> None:
                raise self.error

        with interrupts.caught():
            Dying(KeyboardInterrupt())
            Dying(ValueError())
        Dying(KeyboardInterrupt())
        assert said == [ValueError, KeyboardInterrupt]

    @pytest.fixture(scope="class")
    @staticmethod
    def long(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("long")
        clips.make(folder / "in.mp4", "-c:v", "libx264", "-preset", "ultrafast", size="320x240", frames=250)
        send(folder / "in.mp4", folder / "lr.mp4", SendOptions(model="lanczos-x2", preset="ultrafast"))
        return folder

    def start(self, command: str, source: Path, output: Path, *more: str) -> ForkServerProcess:
        """What it says goes to a file beside the output."""
        return self.forked(command, [source, output, *more], Path(f"{output}.log"))

    @pytest.fixture(autouse=True)
    def begin(self, forked: Callable[..., ForkServerProcess]) -> None:
        self.forked = forked

    def wait_for_work(self, process: ForkServerProcess, output: Path) -> None:
        """Until the temporary file is there: all stages run."""
        end = time.monotonic() + 60
        while not list(output.parent.glob(f".{output.stem}*.part*")):
            assert process.is_alive(), Path(f"{output}.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.005)

    def end(self, process: ForkServerProcess, output: Path) -> str:
        process.join(60)
        alive = process.is_alive()
        if alive:
            process.kill()
        assert not alive, "hangs"
        return Path(f"{output}.log").read_text()

    @pytest.mark.parametrize("command", ["send", "receive"])
    @pytest.mark.parametrize(
        ("number", "delay"),
        [(signal.SIGINT, 0.0), (signal.SIGTERM, 0.1), (signal.SIGINT, 0.3), (signal.SIGTERM, 0.6)],
    )
    def test_while_working(self, long: Path, tmp_path: Path, command: str, number: int, delay: float) -> None:
        output = tmp_path / "out.mp4"
        source = long / {"send": "in.mp4", "receive": "lr.mp4"}[command]
        process = self.start(command, source, output, "--preset", "veryslow")
        self.wait_for_work(process, output)
        time.sleep(delay)
        assert process.pid is not None
        os.kill(process.pid, number)
        os.kill(process.pid, number)  # a nervous user
        said = self.end(process, output)
        assert process.exitcode == 130
        assert said.strip().splitlines()[-1].startswith("error: interrupted")
        assert "Traceback" not in said
        assert [p.name for p in tmp_path.iterdir()] == ["out.mp4.log"]

    @pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2])
    def test_before_working(self, long: Path, tmp_path: Path, delay: float) -> None:
        """While the network is loaded, the file is digested, the encoder is opened."""
        output = tmp_path / "out.mp4"
        process = self.start(
            "receive", long / "lr.mp4", output, "--preset", "veryslow", "--source", str(long / "in.mp4")
        )
        end = time.monotonic() + 60
        while not Path(f"{output}.log").exists():
            assert time.monotonic() < end
            time.sleep(0.002)
        time.sleep(0.02 + delay)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        said = self.end(process, output)
        assert process.exitcode == 130
        assert "Traceback" not in said
        assert [p.name for p in tmp_path.iterdir()] == ["out.mp4.log"]

    def test_while_verifying(self, long: Path, tmp_path: Path) -> None:
        """What was sent is whole and stays; the report is not written."""
        output = tmp_path / "out.mp4"
        process = self.start(
            "send", long / "in.mp4", output, "--verify", "--preset", "ultrafast", "--report", str(tmp_path / "r.json")
        )
        end = time.monotonic() + 60
        while not output.exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        self.end(process, output)
        assert process.exitcode == 130
        assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "out.mp4.log"]
        assert probe(output).frames == 250

    @pytest.mark.parametrize("command", ["send", "receive"])
    def test_killed(self, long: Path, tmp_path: Path, command: str) -> None:
        output = tmp_path / "out.mp4"
        process = self.start(command, long / {"send": "in.mp4", "receive": "lr.mp4"}[command], output)
        self.wait_for_work(process, output)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not output.exists()

    @pytest.mark.parametrize(("device", "library"), [("cpu", "onnxruntime"), ("torch", "libtorch")])
    def test_real_command_while_starting(self, moving: Path, tmp_path: Path, device: str, library: str) -> None:
        """A signal while a large library is being imported."""
        command = [BIN / "irn-send", moving, tmp_path / "out.mp4", "--device", device]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            maps = Path(f"/proc/{process.pid}/maps")
            while library not in maps.read_text():
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert said.strip() == "error: interrupted; unfinished output was removed"
        assert not list(tmp_path.iterdir())
