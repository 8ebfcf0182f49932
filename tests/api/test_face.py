"""`import irn_video as irn`: what it shows, what it costs, what its examples do."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import irn_video as irn
import pytest

ROOT = Path(__file__).parents[2]


def test_import_costs_no_pytorch() -> None:
    program = """
import sys
import irn_video as irn
print(irn.__version__, irn.IrnError.__name__, dir(irn), file=sys.stderr)
assert not {"torch", "av", "numpy", "click"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)


def test_names() -> None:
    assert irn.__version__ == version("irn-video")
    assert set(irn.__all__) <= set(dir(irn))
    for name in irn.__all__:
        assert getattr(irn, name).__doc__
    with pytest.raises(AttributeError, match="sned"):
        _ = irn.sned  # type: ignore[attr-defined]
    assert "irn.open(" in (irn.__doc__ or "")


def test_there_is_one_copy() -> None:
    with pytest.raises(ImportError, match="import irn_video"):
        importlib.import_module("irn_video.pipeline.api")


@pytest.mark.parametrize("name", ["", "_video", "_rescaler", "_frame", "_commands"])
def test_examples(name: str, clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"irn_video.{name}" if name else "irn_video")
    if name == "_video" or not name:
        clips.make(tmp_path / "input.mp4")
    if name == "_video":
        irn.send("input.mp4", "out_lr.mp4")
    failed, tried = doctest.testmod(module, raise_on_error=False)
    assert not failed
    assert tried or name in ("_frame", "_commands")


class TestKeywords:
    def test_they_are_the_options(self, folder: Path, tmp_path: Path) -> None:
        source, one, two = folder / "input.mp4", tmp_path / "one.mp4", tmp_path / "two.mp4"
        irn.send(source, one, crf=30, frames=4)
        irn.send(source, two, irn.SendOptions(crf=30, frames=4))
        assert one.read_bytes() == two.read_bytes()
        received = irn.receive(one, tmp_path / "out.mkv", source=str(source), frames=2, codec="ffv1")
        assert received.written.frames == len(received.report.frames) == 2

    def test_with_progress(self, folder: Path, tmp_path: Path) -> None:
        said: list[object] = []
        options = irn.SendOptions(frames=2, model="lanczos-x2")
        irn.send(
            folder / "input.mp4", tmp_path / "a.mp4", options, advance=lambda *done: said.append(done), say=said.append
        )
        assert said[0] == "lanczos-x2 on swscale"
        assert said[-1] == (2, 2)

    def test_a_wrong_one(self, folder: Path, tmp_path: Path) -> None:
        call: Any = irn.send
        with pytest.raises(irn.IrnError, match=r"^no option 'cfr' \(did you mean crf\?\)$"):
            call(folder / "input.mp4", tmp_path / "a.mp4", cfr=26)
        call = irn.receive
        with pytest.raises(irn.IrnError, match=r"there are: .*upscaler"):
            call(folder / "out_lr.mp4", tmp_path / "a.mp4", zzz=26)
        assert not list(tmp_path.iterdir())

    def test_help_names_them(self) -> None:
        assert {"crf", "adapt", "device", "advance"} <= inspect.signature(irn.send).parameters.keys()
        assert {"temperature", "source"} <= inspect.signature(irn.receive).parameters.keys()
        assert (irn.send.__doc__ or "").startswith("Shrink a video")


def test_summary_has_its_keys(folder: Path, tmp_path: Path) -> None:
    sent = irn.send(folder / "input.mp4", tmp_path / "a.mp4", frames=2)
    assert sent.report.summary()["psnr_y"]["mean"] is None


def test_notebook(folder: Path, tmp_path: Path, clips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells run in their order."""
    notebook = json.loads((ROOT / "samples" / "demo" / "frames.ipynb").read_text())
    clips.make(tmp_path / "input.mp4", frames=12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, object] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        exec("".join(cell["source"]), names)
    assert len(cells) >= 6
