"""What README and the docs show runs as it stands, and the docs can be built.

Blocks marked `console` are run, those marked `python` too, page by page, beside a small `input.mp4`. Commands anywhere
else, in blocks marked `sh`, indented blocks and code spans, must name commands and options that exist.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from irn_video.pipeline.commands import packing, train
from irn_video.pipeline.zoo import list_models

from measure.__main__ import group as measure

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "TRAINING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
MODULES = {name: import_module(target.partition(":")[0]) for name, target in SCRIPTS.items()}
COMMANDS: dict[str, click.Command] = {
    **{name: module.command for name, module in MODULES.items()},
    "python samples/measure": measure,
    "python -m irn_video.pipeline.commands.packing": packing.command,
    "-m irn_video.pipeline.commands.train": train.command,
}
_SHOWN = re.compile(rf"(?<![\w/.])({'|'.join(map(re.escape, COMMANDS))})(?= |$)(.*)")
_PLACEHOLDER = re.compile(r"…|\.\.\.")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def names_of(pages: Sequence[Path], language: str) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages if blocks(page, language)]


def code_lines(page: Path) -> Iterator[str]:
    """Every line of code: in blocks, and code spans, which may be wrapped."""
    text = page.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"^ {4}(\S.*)", prose, re.MULTILINE)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


def chosen(command: click.Command, words: Sequence[str]) -> click.Command | None:
    """What the words choose of a group; None where they name no sub-command."""
    if not isinstance(command, click.Group):
        return command
    context = click.Context(command)
    word = next((word for word in words if not word.startswith("-")), "…")
    otherwise = command.get_command(context, "run")  # irn-study's, which may be left out
    return command.get_command(context, word) or otherwise or (command if _PLACEHOLDER.search(word) else None)


def test_commands_and_options_exist() -> None:
    seen = 0
    for page in PAGES:
        for line in code_lines(page):
            for shown in filter(None, map(_SHOWN.search, re.split(r" (?:\||&&) ", line))):
                words = [word.strip("[]") for word in re.split(r"[\s|]+", shown[2]) if word]
                command = chosen(COMMANDS[shown[1]], words)
                assert command is not None, f"{page.name}: {line}"
                options = {word.partition("=")[0] for word in words if word.startswith("--")}
                known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
                assert options <= known, f"{page.name}: {line}"
                seen += bool(options)
    assert seen >= 60


def test_files_and_targets_exist() -> None:
    """Paths of this repository, modules and targets of make that are named in code."""
    makefile = (ROOT / "Makefile").read_text()
    rooms = r"(?:samples|docs|tests|pipeline|codecs|sender|receiver)"
    for page in PAGES:
        for line in code_lines(page):
            for path in re.findall(rf"(?<![\w/.-])({rooms}/[\w/.-]*\w)", line):
                assert (ROOT / path).exists(), f"{page.name}: {line}"
            for target in re.findall(r"(?:^|\s)make ([a-z]+)", line):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {line}"
            for module in re.findall(r"python -m ([\w.]+)", line):
                import_module(module)


@pytest.mark.parametrize("name", names_of(PAGES, "console"))
def test_console_blocks_run(
    name: str, clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips.make(tmp_path / "input.mp4")
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks(ROOT / name, "console")).splitlines():
        assert line.startswith("$ ")
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert MODULES[program].main(arguments) == 0, (line, capsys.readouterr().err)


@pytest.mark.parametrize("name", names_of(PAGES, "python"))
def test_python_blocks_run(name: str, clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.make(tmp_path / "input.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"hr": torch.rand(1, 6, 16, 16)}
    for block in blocks(ROOT / name, "python"):
        exec(block, names)


def test_every_shipped_network_is_listed() -> None:
    text = (ROOT / "docs" / "networks.md").read_text()
    for entry in list_models():
        if entry.shipped:
            assert f"| `{entry.card.name}`" in text


def test_every_command_has_its_reference() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert set(re.findall(r":prog_name: (\S+)", text)) == SCRIPTS.keys() - {"irn"}


def test_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page: Path) -> None:
    """Those of the docs as they stand on disk; the build looks at anchors too."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert "://" not in target
        assert (page.parent / target).exists(), target


@pytest.mark.slow
def test_docs_build_and_need_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 3
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)|<link\b[^>]*\bhref="([^"]+)', text)
        assert loaded
        assert not [url for url in map("".join, loaded) if re.match(r"(https?:)?//", url)], page.name
        assert 'class="mermaid"' not in text  # would be drawn by a script from the network
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text()), style.name
