"""What all commands share: option groups, progress, exit codes, and the one place where errors become lines.

Exit codes: 0 done, 1 failed or done only in part (one line says what), 2 wrong usage, 130 interrupted.
This module must not import PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.pipeline.cores import usable_cores

if TYPE_CHECKING:
    from irn_video.codecs.encoders import EncoderSettings
    from irn_video.pipeline.flow import Advance

Function = TypeVar("Function", bound=Callable[..., Any])

_PLAIN_LINE_SECONDS = 5.0
_SWITCH_SECONDS = 0.0005
_DEBUG = "IRN_VIDEO_DEBUG"
# Signals that follow this soon after the first (a nervous Ctrl-C) must not disturb the cleaning up.
_GRACE_SECONDS = 2.0
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class PartialResult(IrnError, RuntimeError):
    """The work was done as far as a damaged input allowed."""


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code; every error becomes one line on stderr."""
    share_cores()
    with _interrupts.caught():
        try:
            command.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        except click.Abort as error:  # what click makes of KeyboardInterrupt, but of EOFError too
            return _failed(error.__cause__ or error)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except SystemExit as error:  # click's answer to a closed pipe
            return error.code if isinstance(error.code, int) else 1
        except (Exception, KeyboardInterrupt) as error:
            return _failed(error)
    return 0


def share_cores() -> None:
    """Set this process up for stages that run side by side; call it before PyTorch is loaded."""
    # The stages share the cores with decoder and encoder: one core is left to them, and idle threads must not spin.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() - 1)))
    # Stages hand pictures to each other all the time; Python's 5 ms until a busy thread gives way would cost them.
    sys.setswitchinterval(_SWITCH_SECONDS)


def warn(text: str) -> None:
    """Say something on stderr that does not stop the work."""
    click.echo(f"warning: {text}", err=True)


def device_options(function: Function) -> Function:
    """`--device` and `--precision`."""
    function = click.option(
        "--precision",
        default="auto",
        show_default=True,
        metavar="auto|fp32|bf16|fp16",
        help="Arithmetic of the convolutions; auto takes the fastest that the processor computes natively.",
    )(function)
    return click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where the network runs."
    )(function)


def latent_options(*, temperature_help: str, seed_help: str, seed: int | None = 0) -> Callable[[Function], Function]:
    """`--temperature` and `--seed`; `seed` is the default, None where something else knows it."""
    temperature_option = click.option("--temperature", type=float, metavar="T", help=temperature_help)
    seed_option = click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=seed,
        show_default=seed is not None,
        metavar="N",
        help=seed_help,
    )
    return lambda function: temperature_option(seed_option(function))


def encoder_options(*, crf_help: str, preset_help: str) -> Callable[[Function], Function]:
    """`--codec`, `--crf`, `--bitrate`, `--lossless`, `--preset`, `--tune`, `--pix-fmt`, `--keyint`."""
    options = (
        click.option(
            "--codec",
            default="h264",
            show_default=True,
            metavar="NAME",
            help="h264, h265, av1, ffv1 (lossless), or h264_nvenc, hevc_nvenc, av1_nvenc with an NVIDIA GPU.",
        ),
        click.option("--crf", type=float, metavar="N", help=crf_help),
        click.option("--bitrate", metavar="RATE", help="Mean bit rate in bit/s, such as 800k or 2M, instead of --crf."),
        click.option("--lossless", is_flag=True, help="Keep every sample; large files."),
        click.option("--preset", metavar="NAME", help=preset_help),
        click.option("--tune", metavar="NAME", help="The codec's tuning, such as film or zerolatency."),
        click.option(
            "--pix-fmt",
            "pixel_format",
            metavar="NAME",
            help="yuv420p, yuv444p, yuv420p10le, … [default: the source's].",
        ),
        click.option(
            "--keyint", type=int, metavar="N", help="Largest distance of keyframes, in pictures [default: the codec's]."
        ),
    )

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def encoder_settings(
    options: Mapping[str, Any], defaults: Mapping[str, EncoderSettings] | None = None
) -> EncoderSettings:
    """The settings that `encoder_options` collected; `defaults` hold rate and preset per codec where none was given."""
    from irn_video.codecs.encoders import EncoderSettings, parse_bitrate

    bitrate, crf, preset = options["bitrate"], options["crf"], options["preset"]
    if default := (defaults or {}).get(options["codec"]):
        preset = preset or default.preset
        if crf is None and bitrate is None and not options["lossless"]:
            crf = default.crf
    return EncoderSettings(
        codec=options["codec"],
        crf=crf,
        bitrate=parse_bitrate(bitrate) if bitrate is not None else None,
        preset=preset,
        tune=options["tune"],
        keyint=options["keyint"],
        pixel_format=options["pixel_format"],
        lossless=options["lossless"],
    )


def summary_line(summary: Mapping[str, Mapping[str, float | None]]) -> str:
    """Mean PSNR of each kind that differs at all, in one line."""
    means = {metric.removeprefix("psnr_").upper(): values["mean"] for metric, values in summary.items()}
    parts = [f"{name} {mean:.2f} dB" for name, mean in means.items() if mean is not None]
    return "mean PSNR: " + (", ".join(parts) or "every picture is identical")


def video_options(function: Function) -> Function:
    """`--stream`, `--frames`, `--overwrite`, `--json`."""
    for option in reversed(
        (
            click.option(
                "--stream",
                type=click.IntRange(0),
                default=0,
                show_default=True,
                metavar="N",
                help="Which video stream of the input, counted from 0.",
            ),
            click.option(
                "--frames", type=click.IntRange(1), metavar="N", help="Only the first N pictures [default: all]."
            ),
            click.option("--overwrite", is_flag=True, help="Replace existing output files."),
            click.option("--json", "as_json", is_flag=True, help="Print the report on stdout as JSON."),
        )
    ):
        function = option(function)
    return function


@contextmanager
def progress(title: str, unit: str = "pictures") -> Iterator[Advance]:
    """Yield what to call after each picture: a bar on a terminal, plain lines elsewhere, with rate and time left."""
    _interrupts.check()
    with _bar(title, unit) if sys.stderr.isatty() else nullcontext(_Lines(title, unit)) as show:

        def advance(done: int, total: int | None) -> None:
            _interrupts.check()
            show(done, total)

        yield advance


class _Pace:
    """Items a second; those that were there at the first call, from an earlier run, do not count."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._before: int | None = None

    def __call__(self, done: int) -> float:
        if self._before is None:
            self._before = max(0, done - 1)
        return (done - self._before) / max(1e-9, time.monotonic() - self._start)


class _Lines:
    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._pace = _Pace()
        self._said = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now, rate = time.monotonic(), self._pace(done)
        if now - self._said < _PLAIN_LINE_SECONDS or not rate:
            return
        self._said = now
        of, left = (f" of {total}", f", {max(0, total - done) / rate:.0f} s left") if total else ("", "")
        click.echo(f"{self._title}: {done}{of} {self._unit}, {_rate(rate, self._unit)}{left}", err=True)


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    pace = _Pace()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, rate="")

        def advance(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total, rate=_rate(pace(done), unit))

        yield advance


def _rate(per_second: float, unit: str) -> str:
    return f"{per_second:.1f} fps" if unit == "pictures" else f"{60 * per_second:.1f} {unit} a minute"


class _Interrupts:
    """SIGINT and SIGTERM raise KeyboardInterrupt, while a command runs.

    Some libraries swallow it while they are imported, so `check` raises it again.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    def __bool__(self) -> bool:
        """Whether a signal has come."""
        return self._last is not None

    def check(self) -> None:
        """Raise what has been swallowed."""
        if self:
            raise KeyboardInterrupt

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals inside, where that is possible: only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            self._last = None

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._last
        if before is None or now - before > _GRACE_SECONDS:
            self._last = now
            raise KeyboardInterrupt


_interrupts = _Interrupts()


def _failed(error: BaseException) -> int:
    """Say in one line what has ended the work; an interrupt may surface as some library's error."""
    if _interrupts or isinstance(error, KeyboardInterrupt):
        return _fail("interrupted; unfinished output was removed", 130)
    if isinstance(error, IrnError):
        return _fail(str(error), 2 if isinstance(error, BadOption) else 1)
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return _fail("not enough memory (try a smaller picture, or another --device)", 1)
    if os.environ.get(_DEBUG):
        traceback.print_exception(error)
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _fail(f"{type(error).__name__}: {first} (this is a bug; set {_DEBUG}=1 for its traceback)", 1)


def _fail(line: str, code: int) -> int:
    click.echo(f"error: {line}", err=True)
    return code
