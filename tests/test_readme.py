"""What README shows runs as it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from irn_video.pipeline.commands.evaluate import command as evaluate
from irn_video.pipeline.commands.info import command as info
from irn_video.pipeline.commands.models import command as models
from irn_video.pipeline.commands.receive import command as receive
from irn_video.pipeline.commands.rescale import command as rescale
from irn_video.pipeline.commands.send import command as send
from irn_video.pipeline.commands.stream import command as stream
from irn_video.pipeline.commands.study import command as study
from irn_video.pipeline.commands.train import command as train
from irn_video.pipeline.zoo import list_models

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = {
    "irn-send": send,
    "irn-receive": receive,
    "irn-train": train,
    "irn-models": models,
    "irn-eval": evaluate,
    "irn-rescale": rescale,
    "irn-study": study,
    "irn-stream": stream,
    "irn-info": info,
}


def test_python_examples_run(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips.make(tmp_path / "input.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
    sent, received = capsys.readouterr().out.split()
    assert float(sent) == pytest.approx(float(received), abs=1e-9)
    assert names["restored"].shape == names["image"].shape == (64, 96, 3)


def _known(name: str, command: click.Command, words: Sequence[str]) -> set[str]:
    if isinstance(command, click.Group):
        given = (command.commands.get(word) for word in words)
        command = next((found for found in given if found is not None), None) or command.commands["run"]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_options_in_examples_exist() -> None:
    seen = 0
    for line in re.findall(r"(irn-(?:send|receive|models|train|eval|rescale|study|stream|info) [^`\n]*)", README):
        name, *words = line.split()
        options = {word for word in words if word.startswith("--")}
        if not options or any("|" in word for word in words):
            continue
        assert options <= _known(name, COMMANDS[name], words), line
        seen += 1
    assert seen >= 8


def test_every_shipped_network_is_listed() -> None:
    for entry in list_models():
        if entry.shipped:
            assert f"| `{entry.card.name}`" in README


def test_pictures_exist() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (Path(__file__).parents[1] / picture).is_file(), picture
