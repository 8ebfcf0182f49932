"""The folder with the web player that `make player` serves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_everything_that_the_page_names_is_there(moving: Path, node_modules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "player"
    command = [sys.executable, str(ROOT / "samples" / "player"), "--no-serve", "--clip", moving, "--out", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    page = (folder / "index.html").read_text()
    imports = json.loads(page.partition('<script type="importmap">')[2].partition("</script>")[0])["imports"]
    for name in (*imports.values(), "irn-player/irn_video.js", "page.js", "page.css", "clip.mp4", "report.json"):
        assert (folder / name).exists(), name
    assert set(json.loads((folder / "networks" / "networks.json").read_text())["networks"]) == {
        "irn-h264-x2",
        "irn-h264-x2-lite",
    }
    modules = {path.name for path in (ROOT / "receiver" / "web").glob("*.js")}
    assert {path.name for path in (folder / "irn-player").iterdir()} == modules
