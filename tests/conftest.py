"""Clips made by another FFmpeg than the one under test, and commands run in this process."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import hypothesis
import imageio_ffmpeg
import pytest
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader

# As the commands do, before PyTorch is loaded: threads that spin take the cores from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes that share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# ONNX Runtime would note its session in the temporary folder, and report it to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# A shell starts its background jobs with interrupts ignored, and tests that send themselves one would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

_PRELOADED = [f"irn_video.{name}" for name in ("sender.sending", "receiver.receiving", "pipeline.training.trainer")]
_CLEANING_SECONDS = 10.0  # workers of a study that was killed notice within two


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first: a process that begins one at the end keeps all others waiting."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Python waits for its children when it exits: one that does not end would be a hang after the last test."""
    yield
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    assert not left


@pytest.fixture(scope="session", autouse=True)
def no_file_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever is made for a while, here or by other processes, is made in a folder that is empty at the end."""
    cache = tmp_path_factory.mktemp("cache")
    multiprocessing.util.get_temp_dir()  # this process's own, which is removed when it exits, lies elsewhere
    with tempfile.TemporaryDirectory(prefix="irn-tests-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o711)  # tests that give up their rights go on in it
        patch.setenv("TMPDIR", name)
        patch.setattr(tempfile, "tempdir", name)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))  # which PyTorch keeps on purpose
        patch.setenv("XDG_CONFIG_HOME", str(cache))  # where the user's defaults are not
        if "HOME" not in os.environ:  # without one Chromium keeps its settings among temporary files
            patch.setenv("HOME", str(cache))
        yield
        deadline = time.monotonic() + _CLEANING_SECONDS
        while any(folder.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        left = sorted(path.name for path in folder.iterdir())
    assert not left


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error line: the only one, and no traceback beside it."""
        lines = [line for line in self.err.splitlines() if line.startswith(("error: ", "Error: "))]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "this is a bug" not in self.err
        return lines[0]

    @property
    def warnings(self) -> list[str]:
        return [line.removeprefix("warning: ") for line in self.err.splitlines() if line.startswith("warning: ")]


class Clips:
    """Makes clips and looks into them."""

    @staticmethod
    def ffmpeg(*arguments: object) -> str:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
        done = subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    @classmethod
    def make(
        cls, path: Path, *arguments: object, size: str = "96x64", frames: int = 8, rate: object = 25, name: str = ""
    ) -> Path:
        """A moving pattern; H.264 of high quality unless the arguments say otherwise."""
        odd = any(int(side) % 2 for side in size.split("x"))
        name = name or ("testsrc" if odd else "testsrc2")  # the second draws even sizes only
        coded = arguments or ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", 10)
        cls.ffmpeg("-f", "lavfi", "-i", f"{name}=size={size}:rate={rate}", "-frames:v", frames, *coded, path)
        return path

    @classmethod
    def psnr(cls, one: Path, other: Path) -> list[dict[str, float]]:
        """What FFmpeg's psnr filter says of each picture."""
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", one, "-i", other]
        command += ["-lavfi", "psnr=stats_file=-", "-f", "null", "-"]
        done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
        values = r"psnr_([yuvrgb]):(\S+)"
        return [
            {f"psnr_{k}": float(v) for k, v in re.findall(values, line)}
            for line in done.stdout.splitlines()
            if line.startswith("n:")
        ]

    @staticmethod
    def read(path: Path) -> list[Picture]:
        with VideoReader(path) as reader:
            return list(reader)


@pytest.fixture(scope="session")
def clips() -> Clips:
    return Clips()


@pytest.fixture(scope="session")
def moving(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of 96x64 at 25 per second."""
    return clips.make(tmp_path_factory.mktemp("clips") / "moving.mp4")


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run irn-send, irn-receive, irn-info or irn-models in this process: `run("send", "in.mp4", "lr.mp4")`.

    irn-send gives its advice, which takes its time, with `advice=True` alone.
    """
    from irn_video.pipeline.commands.info import main as info
    from irn_video.pipeline.commands.models import main as models
    from irn_video.pipeline.commands.receive import main as receive
    from irn_video.pipeline.commands.send import main as send

    commands = {"send": send, "receive": receive, "info": info, "models": models}

    def ran(command: str, *arguments: object, advice: bool = False) -> Ran:
        capfd.readouterr()
        silent = ["--no-advice"] if command == "send" and not advice else []
        code = commands[command]([*map(str, arguments), *silent])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran


def _begun(command: str, arguments: Sequence[object], log: Path) -> ForkServerProcess:
    code = (
        "import os, signal, sys\n"
        f"from irn_video.pipeline.commands.{command} import main\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, lambda *_: os._exit(130))\n"
        f"os.dup2(os.open({str(log)!r}, os.O_CREAT | os.O_WRONLY), 2)\n"
        f"sys.exit(main({list(map(str, arguments))!r}))\n"
    )
    multiprocessing.set_forkserver_preload(_PRELOADED)
    process = ForkServerProcess(target=exec, args=(code, {}))  # nothing of the tests: they cannot be imported there
    process.start()
    return process


@pytest.fixture(scope="session")
def forked() -> Callable[[str, Sequence[object], Path], ForkServerProcess]:
    """Begins a command in a process of its own that has PyTorch already; what it says goes to a file.

    `forked("send", ["in.mp4", "out.mp4"], log)`. Signals that come before the command handles them end it with 130.
    """
    return _begun


@pytest.fixture
def port() -> int:
    """One that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium (Debian or Ubuntu: apt-get install chromium)")
    return program


@pytest.fixture(scope="session")
def vulkan() -> None:
    """Skips where FFmpeg has no libplacebo or no Vulkan device; that of imageio-ffmpeg has neither."""
    device = ["-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu", "-f", "lavfi", "-i", "color=size=16x16"]
    chain = "format=yuv420p,hwupload,libplacebo=w=16:h=16,hwdownload,format=yuv420p"
    command = ["ffmpeg", "-v", "error", *device, "-frames:v", "1", "-vf", chain, "-f", "rawvideo", "-"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60)
        reason = "" if len(done.stdout) == 16 * 16 * 3 // 2 else done.stderr.decode()
    except FileNotFoundError:
        reason = "no FFmpeg"
    if reason:
        pytest.skip(f"no libplacebo on Vulkan (apt-get install ffmpeg mesa-vulkan-drivers): {reason}")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What the web player stands on."""
    found = Path(__file__).parents[1] / "receiver" / "web" / "node_modules"
    if not (found / "onnxruntime-web").is_dir():
        pytest.skip("no packages for the web player (npm ci --prefix receiver/web)")
    return found
