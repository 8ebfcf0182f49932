"""Help fits one screen, and everything is said by --help-all."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner
from irn_video.pipeline.commandline.help import Command, Option
from irn_video.pipeline.commands import irn, stream

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
            flag = re.compile(rf"^  {option.opts[0]}\b", re.MULTILINE)
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
    assert lines == ["Examples:", "Rate:", "Network:", "Tuning:", "Input:", "Output:", "Device:"]


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


def test_every_command_is_installed() -> None:
    scripts = (ROOT / "pyproject.toml").read_text()
    for name, module in irn.COMMANDS.items():
        assert f'irn-{name} = "irn_video.pipeline.commands.{module}:main"' in scripts
    assert 'irn = "irn_video.pipeline.commands.irn:main"' in scripts


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["send"], "--adapt"), (["models"], "list"), ([], "receive"), (["stream"], "demo")],
)
def test_words_are_completed(words: list[str], wanted: str) -> None:
    completion = BashComplete(irn.command, {}, "irn", "_IRN_COMPLETE")
    found = [item.value for item in completion.get_completions(words, wanted[:4])]
    assert wanted in found


def test_completion_is_documented() -> None:
    assert '  eval "$(_IRN_SEND_COMPLETE=bash_source irn-send)"' in (ROOT / "docs" / "completion.md").read_text()
    done = CliRunner().invoke(stream.command, ["send", "--help-all"], prog_name="irn-stream", terminal_width=100)
    assert 'eval "$(_IRN_STREAM_COMPLETE=bash_source irn-stream)"' in done.output
