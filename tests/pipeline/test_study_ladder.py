"""The table of a ladder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from irn_video.pipeline.commands.study import main

RUNGS = '[[rung]]\nmodel = "full"\ncrf = 20\n[[rung]]\nmodel = "lanczos-x2"\ncrf = 24\n'


def test_each_rung_has_a_line(clips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.make(tmp_path / "moving.mp4", size="384x256", frames=6)
    (tmp_path / "ladder.toml").write_text(RUNGS)
    words = ["ladder", str(clip), "--frames", "4", "--ladder", str(tmp_path / "ladder.toml")]
    assert main(words) == 0
    _, _, plain, small = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert plain[:2] == ["| 384x256", "none: plain H.264"]
    assert plain[3] == plain[4] == plain[5]
    assert small[:2] == ["| 192x128", "lanczos-x2"]
    kbps, restored, unrestored, same, plain_kbps = (float(cell.strip("| ")) for cell in small[2:])
    assert plain_kbps == pytest.approx(kbps, rel=0.5)
    assert all(20 < score <= 100 for score in (restored, unrestored, same))
    assert main([*words, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["model"], second["size"]) == ("lanczos-x1", "192x128")
    assert second["restored"] == pytest.approx(restored, abs=0.06)


def test_a_clip_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ladder", str(tmp_path / "none.mp4")]) == 1
    assert "none.mp4" in capsys.readouterr().err
