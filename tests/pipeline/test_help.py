"""Help fits one screen, and everything is said by --help-all."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner
from irn_video.pipeline.adaptation.effort import NAMES
from irn_video.pipeline.commandline.help import Command, Option
from irn_video.pipeline.commands import irn, packing, stream

ROOT = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, click.Command]]:
    """All that do something, by what is typed."""
    group = irn.command
    context = click.Context(group, info_name="irn")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"irn {name} {below}", found) for below, found in command.commands.items())
        else:
            yield f"irn {name}", command


COMMANDS = dict(commands())
GROUPED = {name: command for name, command in COMMANDS.items() if isinstance(command, Command)}


def said(*arguments: str) -> list[str]:
    done = CliRunner().invoke(irn.command, arguments, prog_name="irn", terminal_width=100)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_one_screen(name: str) -> None:
    lines = said(*name.split()[1:], "--help")
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", GROUPED)
def test_nothing_is_kept_back(name: str) -> None:
    """Every option is in --help-all with all of its help, the rare ones there alone."""
    command = GROUPED[name]
    brief, whole = ("\n".join(said(*name.split()[1:], flag)) for flag in ("--help", "--help-all"))
    words = "".join(whole.split())  # lines break at hyphens too
    for option in command.params:
        if isinstance(option, click.Option):
            assert isinstance(option, Option) or option.expose_value is False
            flag = re.compile(rf"^  (-\w, )?{option.opts[0]}\b", re.MULTILINE)
            assert flag.search(whole)
            assert bool(flag.search(brief)) == (isinstance(option, Option) and not option.rare)
            assert "".join((option.help or "").split()) in words
            if isinstance(option, Option):
                assert f"\n{option.group}:\n" in whole
    assert f"{name} --help-all" in brief
    assert "Completion" not in brief


@pytest.mark.parametrize("name", GROUPED)
def test_examples_can_be_typed(name: str) -> None:
    command = GROUPED[name]
    assert command.examples
    for example in command.examples:
        assert f"  {name} {example}" in said(*name.split()[1:], "--help")
        command.make_context(name, shlex.split(example))


def test_first_sentences() -> None:
    option = Option(
        ["--x"], group="Rate", help="What it does, e.g. this [default: 1.5]. And why.", default=3, show_default=True
    )
    record = option.brief_record(click.Context(click.Command("c")))
    assert record is not None
    assert record[1].startswith("What it does, e.g")


def test_groups_are_in_the_order_in_which_they_appear() -> None:
    lines = [line for line in said("send", "--help") if line.endswith(":") and not line.startswith(" ")]
    assert lines == ["Examples:", "Rate:", "Network:", "Input:", "Output:", "Device:"]


def test_each_command_has_a_line() -> None:
    lines = said("--help")
    for name in irn.COMMANDS:
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.endswith(".")
        assert not line.endswith("...")


def test_the_umbrella_runs_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert irn.main(["info", str(tmp_path / "none.mp4")]) == 1
    assert "no such file" in capfd.readouterr().err
    assert irn.main(["fly"]) == 2
    assert "No such command 'fly'" in capfd.readouterr().err
    assert irn.main(["sennd"]) == 2
    assert "Did you mean 'send'?" in capfd.readouterr().err


def test_every_command_is_installed() -> None:
    scripts = (ROOT / "pyproject.toml").read_text()
    for name, module in irn.COMMANDS.items():
        assert f'irn-{name} = "irn_video.pipeline.commands.{module}:main"' in scripts
    assert 'irn = "irn_video.pipeline.commands.irn:main"' in scripts


@pytest.mark.parametrize("name", [*COMMANDS, "irn", "irn stream", "irn study", "irn models"])
def test_h_is_help(name: str) -> None:
    assert said(*name.split()[1:], "-h") == said(*name.split()[1:], "--help")


def test_each_command_alone_knows_h() -> None:
    """Not through `irn`, which would hand it down."""
    context = click.Context(irn.command)
    for one in (packing.command, irn.command, *(irn.command.get_command(context, name) for name in irn.COMMANDS)):
        assert one is not None
        assert CliRunner().invoke(one, ["-h"]).output.startswith("Usage: ")


SHORT = {"--out": "-o", "--overwrite": "-y", "--quiet": "-q"}


@pytest.mark.parametrize("name", COMMANDS)
def test_options_of_one_name_have_one_short_name(name: str) -> None:
    for option in COMMANDS[name].params:
        for long in SHORT.keys() & option.opts:
            if isinstance(option, Option):
                assert SHORT[long] in option.opts


def test_short_names_are_there() -> None:
    found = {word for command in COMMANDS.values() for option in command.params for word in option.opts}
    assert {"-o", "-y"} <= found


@pytest.mark.parametrize(
    ("words", "begun", "wanted"),
    [
        (["send"], "--ad", {"--adapt", "--adapt-budget"}),
        (["models"], "li", {"list"}),
        ([], "rec", {"receive"}),
        (["stream"], "de", {"demo"}),
        (["send", "--model"], "irn-h264-x2", {f"irn-h264-x2{suffix}" for suffix in ("", "-base", "-lite", "-plus")}),
        (["send", "--look"], "", {"faithful", "balanced", "real"}),
        (["send", "--tier"], "", {"lite", "fast", "base"}),
        (["stream", "demo", "--tier"], "l", {"lite"}),
        (["receive", "--model"], "bicubic-x", {"bicubic-x1", "bicubic-x1.5", "bicubic-x2", "bicubic-x4"}),
        (["stream", "demo", "--model"], "lanczos-x4", {"lanczos-x4"}),
        (["rescale", "--model"], "irn-p", {"irn-plus-x4"}),
        (["eval", "--model"], "irn-p", {"irn-plus-x4"}),
        (["train", "--init"], "irn-p", {"irn-plus-x4"}),
        (["models", "show"], "irn-p", {"irn-plus-x4"}),
        (["models", "export"], "irn-p", {"irn-plus-x4"}),
        (["study", "run", "--models"], "irn-x2,irn-p", {"irn-x2,irn-plus-x4"}),
        (["study", "run", "--anchors"], "full,lanczos-x", {f"full,lanczos-x{scale}" for scale in (1, 1.5, 2, 4)}),
        (["send", "--scale"], "", {"1", "1.5", "2", "4", "auto"}),
        (["stream", "send", "--scale"], "1", {"1", "1.5"}),
        (["send", "--adapt"], "", set(NAMES)),
        (["send", "--codec"], "h26", {"h264", "h265", "h264_nvenc"}),
        (["receive", "--codec"], "x", {"x264", "x265"}),
        (["study", "run", "--codec"], "hev", {"hevc", "hevc_nvenc"}),
        (["send", "--preset"], "very", {"veryfast", "veryslow"}),
        (["send", "--codec", "svtav1", "--preset"], "1", {"1", "10", "11", "12", "13"}),
        (["stream", "send", "--preset"], "ultra", {"ultrafast"}),
        (["study", "run", "--codec", "h264_nvenc", "--preset"], "", {f"p{number}" for number in range(1, 8)}),
        (["send", "--codec", "nothing", "--preset"], "", set()),
        (["send", "--tune"], "zero", {"zerolatency"}),
    ],
)
def test_words_are_completed(words: list[str], begun: str, wanted: set[str]) -> None:
    completion = BashComplete(irn.command, {}, "irn", "_IRN_COMPLETE")
    assert {item.value for item in completion.get_completions(words, begun) if item.type == "plain"} == wanted


def test_files_of_weights_are_completed_too() -> None:
    completion = BashComplete(irn.command, {}, "irn", "_IRN_COMPLETE")
    found = completion.get_completions(["send", "--model"], "my/")
    assert [(item.type, item.value) for item in found] == [("file", "my/")]


def test_metrics_are_completed() -> None:
    option = Option(["--metrics"])
    found = option.shell_complete(click.Context(click.Command("c")), "psnr-y,vmaf")
    assert [item.value for item in found] == ["psnr-y,vmaf", "psnr-y,vmaf-neg"]


def test_metrics_of_studies_are_completed() -> None:
    completion = BashComplete(irn.command, {}, "irn", "_IRN_COMPLETE")
    found = completion.get_completions(["study", "run", "--metrics"], "vmaf,fl")
    assert [item.value for item in found] == ["vmaf,flat-fine", "vmaf,flicker", "vmaf,flicker-static"]


def test_completing_a_network_is_quick() -> None:
    code = (
        "import sys; from irn_video.pipeline.commands.irn import command; "
        "from click.shell_completion import BashComplete; "
        "print(BashComplete(command, {}, 'irn', '_').get_completions(['send', '--model'], 'irn-x')[0].value, "
        "[name for name in ('torch', 'av', 'numpy', 'cv2') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "irn-x2 []\n"


def test_completion_is_documented() -> None:
    assert '  eval "$(_IRN_SEND_COMPLETE=bash_source irn-send)"' in (ROOT / "docs" / "completion.md").read_text()
    done = CliRunner().invoke(stream.command, ["send", "--help-all"], prog_name="irn-stream", terminal_width=100)
    assert 'eval "$(_IRN_STREAM_COMPLETE=bash_source irn-stream)"' in done.output
