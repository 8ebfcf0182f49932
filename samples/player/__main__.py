"""Prepare a folder with the web player, a clip and networks, and serve it.

python samples/player [--out demo/player] [--clip FILE] [--port 8000] [--no-serve]

npm fetches what the player stands on (receiver/web/package.json). The folder may lie on any static server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # drawers import from one another

import click
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.zoo import DEFAULT_MODEL
from irn_video.pipeline.zoo.tiers import network_of

from demo.get_clip import DEFAULT_PATH, get_clip

ROOT = Path(__file__).resolve().parents[2]
PLAYER, PAGE = ROOT / "receiver" / "web", Path(__file__).parent / "page"
_COMMANDS = "irn_video.pipeline.commands"


def npm_packages() -> Path:
    """The folder node_modules of the player, filled if it is not.

    Raises:
        ClickException: there is no npm, or it fails.
    """
    found = PLAYER / "node_modules"
    if not (found / "onnxruntime-web").is_dir():
        npm = shutil.which("npm")
        if npm is None:
            raise click.ClickException("there is no npm (Debian or Ubuntu: apt-get install npm; it comes with Node.js)")
        if subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-fund"], cwd=PLAYER, stdin=subprocess.DEVNULL
        ).returncode:
            raise click.ClickException("npm could not install what receiver/web/package.json names")
    return found


def run_command(name: str, *arguments: object) -> None:
    """Run one of our commands, showing it."""
    words = [str(argument) for argument in arguments]
    click.echo(f"$ irn-{name} {' '.join(words)}")
    if subprocess.run([sys.executable, "-m", f"{_COMMANDS}.{name}", *words], stdin=subprocess.DEVNULL).returncode:
        raise click.ClickException(f"irn-{name} failed")


def prepare(folder: Path, clip: Path, crf: float) -> None:
    """All that the page needs, but for the packages, to which there is a link."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    (folder / "irn-player").mkdir(exist_ok=True)
    for module in PLAYER.glob("*.js"):
        shutil.copy(module, folder / "irn-player")
    link = folder / "node_modules"
    if not link.is_symlink():
        link.symlink_to(npm_packages())
    cheaper = network_of(2, "lite")
    for name in (DEFAULT_MODEL, cheaper):
        run_command("models", "export", name, "--web", folder / "networks", "--overwrite")
    sending = ("--model", DEFAULT_MODEL, "--crf", f"{crf:g}", "--adapt", "quick", "--quantisers", "--verify")
    run_command("send", clip, folder / "clip.mp4", *sending, "--report", folder / "report.json", "--overwrite")


@click.command(help=__doc__.split("\n", maxsplit=1)[0])
@click.option("--clip", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Any video [default: Big Buck Bunny at 720p, fetched once].")  # fmt: skip
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("demo") / "player",
              show_default=True, help="Where everything goes.")  # fmt: skip
@click.option("--crf", type=click.FloatRange(1, 50), default=26, show_default=True, help="Of the LR stream.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Of the page.")
@click.option("--serve/--no-serve", default=True, show_default=True, help="Serve it on 127.0.0.1.")
def main(clip: Path | None, folder: Path, crf: float, port: int, serve: bool) -> None:
    """Prepare the page, and serve it until Ctrl-C."""
    try:
        npm_packages()
        prepare(folder, clip or get_clip(DEFAULT_PATH), crf)
    except (IrnError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if serve:
        click.echo(f"open http://127.0.0.1:{port}/ (Ctrl-C ends it)")
        sys.stdout.flush()
        command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
        os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
