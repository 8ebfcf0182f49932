"""Errors become one line and an exit code, in one place for all commands."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import av.error
import click
import pytest
import torch
from irn_video.codecs.errors import BadOption, MissingFile
from irn_video.pipeline.commandline import interrupts
from irn_video.pipeline.commandline import progress as progress_module
from irn_video.pipeline.commandline.progress import phases, progress
from irn_video.pipeline.commandline.running import PartialResult, run_command
from irn_video.pipeline.commandline.talk import Talk


def raising(error: BaseException) -> click.Command:
    @click.command
    def command() -> None:
        raise error

    return command


def doing(work: Callable[[], object]) -> click.Command:
    @click.command
    def command() -> None:
        work()

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MissingFile("no such file", path="a.mp4", hint="check the path"), 1, "a.mp4: no such file (check the path)"),
        (BadOption("crf 99 is out of range", hint="0 to 51"), 2, "crf 99 is out of range (0 to 51)"),
        (PartialResult("the input is damaged", path="a.mp4"), 1, "a.mp4: the input is damaged"),
        (MemoryError(), 1, "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 1, "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted; unfinished output was removed"),
        (ValueError("two\nlines"), 1, "ValueError: two (this is a bug"),
        (ValueError(), 1, "ValueError: ValueError (this is a bug"),
        (EOFError("ended"), 1, "EOFError: ended (this is a bug"),
        (av.error.EOFError(1, "End of file"), 1, "EOFError: "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors(capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str) -> None:
    assert run_command(raising(error), []) == code
    captured = capsys.readouterr()
    lines = [text for text in captured.err.splitlines() if text]
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {line}")
    assert captured.out == ""


def test_usage_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(doing(lambda: None), []) == 0
    assert run_command(doing(lambda: None), ["--help"]) == 0
    assert run_command(doing(lambda: None), ["--nonsense"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_traceback_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRN_VIDEO_DEBUG", "1")
    run_command(raising(ValueError("deep")), [])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(number: signal.Signals) -> None:
    """The second of two quick signals must not disturb what the first one has started; afterwards all is as before."""
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), number)
            cleaned.append(True)

    assert run_command(doing(work), []) == 130
    assert cleaned == [True]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_interrupt_in_the_guise_of_another_error(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt as error:  # some extension modules do so while they are imported
            raise ImportError("numpy.core failed to import") from error

    assert run_command(doing(work), []) == 130
    assert capsys.readouterr().err.strip() == "error: interrupted; unfinished output was removed"


@pytest.mark.parametrize("when", ["before", "within"])
def test_swallowed_interrupt(when: str) -> None:
    """Importing PyTorch can swallow one: the work ends all the same, at the next picture."""
    pictures = []

    def swallow() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except BaseException:
            pass

    def work() -> None:
        if when == "before":
            swallow()
        with progress("sending") as advance:
            for done in range(1, 10):
                pictures.append(done)
                if done == 3:
                    swallow()
                advance(done, 9)

    assert run_command(doing(work), []) == 130
    assert pictures == ([] if when == "before" else [1, 2, 3])
    with progress("sending") as advance:  # the next command starts afresh
        advance(1, 1)


def test_insisting_interrupts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_GRACE_SECONDS", 0.0)
    done = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        finally:
            time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
            done.append(True)

    assert run_command(doing(work), []) == 130
    assert not done


def test_in_a_thread() -> None:
    """Only the main thread may handle signals; commands run elsewhere all the same."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run_command(doing(lambda: None), [])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_plain_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_PLAIN_LINE_SECONDS", 0.0)
    with progress("sending") as advance:
        time.sleep(0.01)
        advance(5, 10)
        advance(6, None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("sending: 5 of 10 frames, ")
    assert first.endswith(" s left")
    assert second.startswith("sending: 6 frames, ")
    assert second.endswith(" fps")


def test_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("sending") as advance:
        advance(1, 3)
        advance(3, 3)
    assert capsys.readouterr().out == ""


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns is given."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return screen


def shown_on(screen: io.StringIO) -> list[str]:
    """Its lines, without what moves the cursor and colours."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()))


def test_the_bar_starts_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stick to what was said before, and only that of the phase at work is shown."""
    screen = on_a_terminal(monkeypatch)
    with phases() as phase:
        sending, verifying = phase("sending a.mp4"), phase("verifying")
        assert screen.getvalue() == ""
        Talk().before(sending)("irn-h264-x2 on CPU")
        said, _, bar = screen.getvalue().partition("\n")
        assert said == "irn-h264-x2 on CPU"
        assert "sending a.mp4" in bar
        sending(2, 4)
        verifying(1, 4)
        screen.truncate(0)
        verifying(2, 4)
        time.sleep(0.3)  # it is drawn ten times a second
        assert "verifying" in screen.getvalue()
        assert "sending" not in screen.getvalue()


def test_a_share_of_work_that_is_no_frames(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Percent and time left, on a terminal and in lines."""
    monkeypatch.setattr(progress_module, "_PLAIN_LINE_SECONDS", 0.0)
    with phases() as phase:
        advance = phase("searching", counted=False)
        advance(0, 200)
        time.sleep(0.01)
        advance(50, 200)
        advance(60, None)
    assert re.fullmatch(r"searching: 25 %, \d+ s left\n", capsys.readouterr().err)
    screen = on_a_terminal(monkeypatch)
    with phases() as phase:
        advance = phase("searching", counted=False)
        advance(0, 200)
        advance(50, 200)
        time.sleep(0.3)
    shown = shown_on(screen)
    assert any("25 %" in line and line.rstrip().endswith("left") for line in shown)
    assert not any("50/200" in line or "fps" in line for line in shown)


def test_a_bar_that_has_begun_does_not_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said meanwhile stands above it."""
    screen = on_a_terminal(monkeypatch)
    with phases() as phase:
        sending = phase("sending")
        sending(30, 40)
        Talk().before(sending)("chosen for VMAF 90")
        time.sleep(0.3)
        shown = shown_on(screen)
        assert any(line.startswith("chosen for VMAF 90") for line in shown)
        assert "30/40" in [line for line in shown if line.startswith("sending")][-1]


def test_the_bar_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_a_terminal(monkeypatch)
    with progress("sending a_clip_of_a_rather_long_name_2160p_from_the_archive_of_last_year.mp4") as advance:
        advance(0, 123_456)
        advance(12_345, 123_456)
        time.sleep(0.3)
    lines = shown_on(screen)
    assert max(map(len, lines)) <= 80
    assert any("12345/123456" in line and line.rstrip().endswith("left") for line in lines)


@pytest.mark.parametrize("name", ["send", "receive", "info", "irn"])
def test_help_does_not_wait_for_torch(name: str) -> None:
    code = (
        f"import sys, json; from irn_video.pipeline.commands.{name} import main; code = main(['--help']); "
        "print(json.dumps([code, [m for m in ('torch', 'av', 'numpy', 'cv2') if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
    assert "Usage: " in done.stdout


def test_what_was_there_before_does_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 10.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(now))
    pace = progress_module._Pace()
    pace(66)
    assert pace(75) == 1.0  # ten in ten seconds
