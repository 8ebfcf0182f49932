"""Defaults from a file, and what a purpose sets: what is typed wins."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from irn_video.codecs.errors import BadConfig, BadOption, MissingFile
from irn_video.pipeline.commandline.config import TABLES, user_file
from irn_video.pipeline.commandline.help import Command, Group, PlainCommand, option
from irn_video.pipeline.commandline.purposes import PURPOSES
from irn_video.pipeline.commands import irn, send

ROOT = Path(__file__).parents[2]


@click.command(name="irn-send", cls=Command)
@option("--crf", type=float, default=23.0)
@option("--pix-fmt", "pixel_format")
@option("--overwrite", is_flag=True)
def plain(**values: object) -> None:
    click.echo(json.dumps(values))


@click.group(name="irn-models", cls=Group)
def group() -> None:
    pass


@group.command(name="list")
@click.option("--wide", type=int, default=1)
def _list(wide: int) -> None:
    click.echo(wide)


@group.command(name="show", cls=Command)
@option("--deep", type=int, default=1)
def _show(deep: int) -> None:
    click.echo(deep)


def ran(command: click.Command, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(
        '[irn-send]\ncrf = 26\npix-fmt = "yuv444p"\noverwrite = true\n[irn-models.list]\nwide = 7\n'
        "[irn-models.show]\ndeep = 8\n"
    )
    return path


def test_a_file(file: Path) -> None:
    assert json.loads(ran(plain)) == {"crf": 23, "pixel_format": None, "overwrite": False}
    assert json.loads(ran(plain, "--config", file)) == {"crf": 26, "pixel_format": "yuv444p", "overwrite": True}
    assert json.loads(ran(plain, "--crf", 30, "--config", file))["crf"] == 30


def test_the_users_own(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, value, folder in (
        ("XDG_CONFIG_HOME", tmp_path / "xdg", tmp_path / "xdg"),
        ("HOME", tmp_path / "home", tmp_path / "home" / ".config"),
    ):
        monkeypatch.setenv(variable, str(value))
        assert user_file() is None
        (folder / "irn-video").mkdir(parents=True)
        (folder / "irn-video" / "config.toml").write_text(file.read_text())
        assert json.loads(ran(plain))["crf"] == 26
        (tmp_path / "other.toml").write_text("[irn-send]\ncrf = 1\n")
        assert json.loads(ran(plain, "--config", tmp_path / "other.toml"))["crf"] == 1
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        (folder / "irn-video" / "config.toml").unlink()


def test_tests_are_not_disturbed() -> None:
    """Nor are the commands that they run."""
    assert user_file() is None
    assert "irn-tests" not in os.environ["XDG_CONFIG_HOME"] or not list(
        Path(os.environ["XDG_CONFIG_HOME"]).glob("irn*")
    )
    assert "XDG_CONFIG_HOME=" in (ROOT / ".ci" / "run").read_text()


def test_sub_commands(file: Path) -> None:
    assert ran(group, "list") == "1\n"
    assert ran(group, "--config", file, "list") == "7\n"
    assert ran(group, "--config", file, "list", "--wide", 9) == "9\n"
    assert ran(group, "--config", file, "show") == ran(group, "show", "--config", file) == "8\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[irn-send]\ncfr = 26", r"unknown key irn-send\.cfr \(did you mean crf\?\)"),
        ("[irn-sned]\ncrf = 26", r"unknown key irn-sned \(did you mean irn-send\?\)"),
        ("crf = 26", "unknown key crf"),
        ("irn-send = 26", "irn-send must be a table"),
        ("[irn-send]\nhelp = true", "unknown key"),
        ("[irn-send", "not valid TOML"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(BadConfig, match=said):
        ran(plain, "--config", tmp_path / "my.toml")
    with pytest.raises(MissingFile):
        ran(plain, "--config", tmp_path / "none.toml")


def test_a_wrong_value_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[irn-send]\ncrf = "much"')
    done = CliRunner().invoke(plain, ["--config", str(tmp_path / "my.toml")])
    assert (done.exit_code, "'--crf'" in done.output) == (2, True)


def test_every_command_has_it() -> None:
    """And every one has a table of its own."""
    context = click.Context(irn.command)
    found = [irn.command.get_command(context, name) for name in irn.command.list_commands(context)]
    assert {command.name for command in found if command} == set(TABLES)
    assert all(isinstance(command, Command | Group | PlainCommand) for command in found)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(TABLES) | {"irn"} == scripts.keys()


def test_under_one_name(run: Any, moving: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[irn-send]\nmodel = "lanczos-x2"\ncrf = 40\n')
    for arguments in (("--config", tmp_path / "my.toml", "send"), ("send", "--config", tmp_path / "my.toml")):
        said = ran(irn.command, *arguments, moving, tmp_path / "lr.mp4", "--json", "-yq")
        assert json.loads(said)["stream"]["crf"] == 40
    done = run("send", moving, tmp_path / "b.mp4", "--config", tmp_path / "my.toml", "--bitrate", "100k", "--json")
    assert (json.loads(done.out)["stream"]["crf"], json.loads(done.out)["stream"]["bitrate"]) == (None, 100_000)


def settings(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Any:
    """What irn-send would do, and with which output."""
    seen: list[Any] = []
    monkeypatch.setattr(send, "_send", lambda job, options, *_, **__: seen.append((options, job)) or _Done())
    ran(send.command, "in.mov", *arguments)
    return seen[0]


class _Done:
    damage = ""


def test_purposes(monkeypatch: pytest.MonkeyPatch) -> None:
    web, job = settings(monkeypatch, "--for", "web")
    assert (web.crf, web.preset, web.pixel_format, web.keyint_seconds) == (23, "medium", "yuv420p", 2)
    assert job.output == Path("in_lr.mp4")
    archive, job = settings(monkeypatch, "--for", "archive", "--codec", "h265")
    assert (archive.crf, archive.preset, job.output) == (23, "slower", Path("in_lr.mkv"))
    live, job = settings(monkeypatch, "--for", "live")
    assert (live.preset, live.tune, job.output) == ("veryfast", "zerolatency", Path("in_lr.mov"))
    smallest, _ = settings(monkeypatch, "--for", "smallest")
    assert (smallest.crf, smallest.preset, smallest.adapt) == (29, "veryslow", "best")
    assert settings(monkeypatch, "--for", "smallest", "--codec", "h265")[0].adapt is None


def test_what_is_typed_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = settings(monkeypatch, "--for", "web", "--preset", "slow", "--keyint", 10, "--bitrate", "1M")[0]
    assert (chosen.preset, chosen.keyint, chosen.keyint_seconds) == ("slow", 10, None)
    assert (chosen.crf, chosen.bitrate) == (None, 1_000_000)
    assert settings(monkeypatch, tmp_path / "x.ts", "--for", "web")[1].output == tmp_path / "x.ts"
    (tmp_path / "my.toml").write_text('[irn-send]\nfor = "archive"\npreset = "fast"\n')
    chosen = settings(monkeypatch, "--config", tmp_path / "my.toml")[0]
    assert (chosen.crf, chosen.preset) == (18, "fast")  # the file is more exact than its purpose
    chosen = settings(monkeypatch, "--config", tmp_path / "my.toml", "--for", "live")[0]
    assert (chosen.crf, chosen.preset) == (23, "veryfast")


def test_purposes_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(ran(send.command, "--help-all").split())
    assert all(f"{name}: " in words for name in PURPOSES)
    with pytest.raises(BadOption, match="--for says nothing of av1"):
        settings(monkeypatch, "--for", "web", "--codec", "av1")


def test_keyframes_in_seconds(run: Any, clips: Any, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "in.mp4", rate=10, frames=12)
    sent = run("send", source, "--model", "lanczos-x2", "--keyint-seconds", 0.5, "--json")
    assert [f["index"] for f in json.loads(sent.out)["frames"] if f["keyframe"]] == [0, 5, 10]
    assert run("send", source, "-y", "--keyint-seconds", 0).code == 2
