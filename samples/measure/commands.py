"""Commands of this or another version of the product, run whole, as a user runs them, and watched."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from measure.rates import PRESET, weights_file

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.05
_NO_ADVICE = "--no-advice"
_RUN = "import sys; from {} import {} as main; sys.exit(main())"


class CommandFailed(click.ClickException):
    """A command ended with another exit code than 0; the message is its last line."""


@dataclass(frozen=True)
class Run:
    """A command that has run.

    Attributes:
        seconds: from the start of its process to its end.
        cpu_seconds: of all cores together.
        peak_bytes: resident, the process's own; 0 on a system without /proc.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Product:
    """A version of the product.

    Attributes:
        name: in tables and errors.
        packages: folder with `irn_video`, for PYTHONPATH.
        scripts: where each command is, as `module:function`.
    """

    name: str
    packages: Path
    scripts: Mapping[str, str]

    @property
    def advises(self) -> bool:
        """Whether its `irn-send` looks at other ways to send too, which it can be told not to."""
        folder = self.packages / "irn_video" / "pipeline" / "commands"
        return any(_NO_ADVICE in source.read_text() for source in folder.glob("send*.py"))

    def run(self, script: str, *words: object, cores: Collection[int] | None = None) -> Run:
        """Run a command.

        Raises:
            CommandFailed: it did.
        """
        if script not in self.scripts:
            raise CommandFailed(f"{self.name} has no {script}")
        # Nothing of the user's defaults, which one version knows and another does not.
        environment = {**os.environ, "PYTHONPATH": str(self.packages), "XDG_CONFIG_HOME": str(self.packages)}
        # Without -P the folder that this runs in would come before all packages.
        command = [sys.executable, "-P", "-c", _RUN.format(*self.scripts[script].split(":")), *map(str, words)]
        try:
            return watch(command, cores=cores, environment=environment)
        except CommandFailed as error:
            raise CommandFailed(f"{self.name}: {script}: {error.message}") from error


@dataclass(frozen=True)
class Work:
    """What a version of the product does with a clip.

    Attributes:
        product: the version.
        clip: the source, against which the receiver measures.
        model: a network or weights file; None for the version's default.
        folder: for the files.
    """

    product: Product
    clip: Path
    model: str | None
    folder: Path

    def send(self, lr: Path, frames: int, *options: str) -> Run:
        """`irn-send` at preset medium, without looking at other ways to send; what was at `lr` is replaced."""
        words = ["--preset", PRESET, *(["--model", self.model] if self.model is not None else [])]
        words += [_NO_ADVICE] if self.product.advises else []
        return self.product.run("irn-send", self.clip, lr, *words, "--frames", frames, "--overwrite", *options)

    def receive(self, lr: Path, frames: int, cores: Collection[int] | None = None) -> Run:
        """`irn-receive`, with measurement."""
        weights = ["--model", self.model] if self.model is not None and weights_file(self.model) else []
        words = [lr, self.folder / "restored.mp4", "--source", self.clip, *weights, "--frames", frames, "--overwrite"]
        return self.product.run("irn-receive", *words, cores=cores)


def product_of(name: str, tree: Path, folder: Path) -> Product:
    """The version whose files are in `tree`, made importable by links in `folder`, which is made: nothing is installed.

    The libraries are those of this environment.

    Raises:
        click.ClickException: `tree` is no version of the product.
    """
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text())
        scripts, places = project["project"]["scripts"], project["tool"]["setuptools"]["package-dir"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(
            f"{name} is no version of this product: its pyproject.toml names no command"
        ) from error
    package = folder / "irn_video"
    package.mkdir(parents=True)
    face = places.get("irn_video")
    for path in (tree / face).iterdir() if face else ():
        (package / path.name).symlink_to(path)
    if not face:
        # Without it an installed irn_video would come first, wherever it is on the path.
        (package / "__init__.py").touch()
    for dotted, place in places.items():
        if dotted.startswith("irn_video."):
            package.joinpath(*dotted.split(".")[1:]).symlink_to(tree / place)
    return Product(name, folder, scripts)


def watch(
    command: Sequence[str], *, cores: Collection[int] | None = None, environment: Mapping[str, str] | None = None
) -> Run:
    """Run a command, on these cores alone if given (Linux only); what it prints is not shown.

    Raises:
        CommandFailed: it did.
    """
    peaks = [0]
    with tempfile.TemporaryFile("w+") as said:
        start, cpu = time.perf_counter(), _children_cpu()
        with held_to(cores):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env=environment
            )
        with process:
            watcher = threading.Thread(target=_follow, args=(process, peaks))
            watcher.start()
            process.wait()
            seconds = time.perf_counter() - start
            cpu = _children_cpu() - cpu
            watcher.join()
        if process.returncode:
            said.seek(0)
            lines = said.read().strip().splitlines() or [f"exit code {process.returncode}"]
            raise CommandFailed(lines[-1].removeprefix("error: "))
    return Run(seconds, cpu, max(peaks))


@contextmanager
def held_to(cores: Collection[int] | None) -> Iterator[None]:
    """Processes that are started meanwhile get these cores alone; None for all that this one has."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _children_cpu() -> float:
    """Seconds of all processes that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _follow(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """Note the high-water mark (VmHWM), which the kernel keeps for each process.

    `ru_maxrss` would not do: it counts the memory of the process that started the command, too.
    """
    while process.returncode is None:
        peaks.append(_high_water(process.pid))
        time.sleep(_POLL_SECONDS)


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended, or there is no /proc
        return 0
    marks = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0
