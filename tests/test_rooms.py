"""No import runs upward: a room imports itself and those before it in this list, wherever in a file it does so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up. `codecs` and `pipeline` themselves hold what lies on no storey of its own: files, not folders.
ROOMS = (
    "codecs.errors",
    "codecs.pipes",
    "codecs.hdr",
    "codecs.scales",
    "codecs.kernels",
    "codecs.picture",
    "codecs.resample",
    "codecs.bitstream",
    "codecs.reading",
    "codecs.encoders",
    "codecs.writing",
    "codecs.links",
    "pipeline.system",
    "pipeline.flow",
    "pipeline.options",
    "pipeline.planes",
    "pipeline.network",
    "pipeline.zoo",
    "pipeline.engine",
    "pipeline.quality",
    "pipeline.commandline",
    "pipeline.adaptation",
    "pipeline.restoring",
    "pipeline.upscalers",
    "pipeline.baking",
    "pipeline.pace",
    "pipeline.inspection",
    "pipeline.serving",
    "sender",
    "receiver",
    "pipeline.evaluation",
    "pipeline.training",
    "pipeline.study",
    "pipeline.blind",
    "pipeline.live",
    "pipeline.commands",
    "pipeline.api",
)
APART = {("receiver", "sender")}
"""Rooms that do not know each other although one stands above the other in the list."""
NO_TORCH = ("codecs",)


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name below `irn_video` and file of everything that is installed."""
    for top in ("codecs", "pipeline", "sender", "receiver"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, also inside functions and for type checkers alone."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(("irn_video", *above, *([base] if base else [])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """The longest entry of the list that a module lies in; None for the faces of `codecs` and `pipeline`."""
    return max((room for room in ROOMS if f"{name}.".startswith(f"{room}.")), key=len, default=None)


@cache
def arrows() -> frozenset[tuple[str, str]]:
    """Which room knows which; looked up once, and not by those who only collect."""
    return frozenset(
        (room, other)
        for name, path in modules()
        if (room := room_of(name)) is not None
        for target in imports(name, path)
        if target.startswith("irn_video.") and (other := room_of(target.removeprefix("irn_video."))) is not None
    )


@pytest.mark.parametrize("room", ROOMS)
def test_no_import_runs_upward(room: str) -> None:
    upward = {other for one, other in arrows() if one == room and ROOMS.index(other) > ROOMS.index(room)}
    assert not upward


def test_sender_and_receiver_do_not_know_each_other() -> None:
    assert not APART & arrows()


def test_codecs_know_no_torch() -> None:
    torch = {name for name, path in modules() if name.startswith(NO_TORCH) and "torch" in imports(name, path)}
    assert not torch


def test_every_file_has_a_room() -> None:
    """A new file is put into the list, or into a folder that is."""
    assert {name for name, _ in modules() if room_of(name) is None} == {"codecs", "pipeline"}


def test_arrows_are_found() -> None:
    """The test sees imports of all kinds: relative ones, those inside functions, those of whole modules."""
    assert ("codecs.encoders", "codecs.reading") in arrows()
    assert ("pipeline.commands", "sender") in arrows()
    assert ("pipeline.study", "pipeline.system") in arrows()
