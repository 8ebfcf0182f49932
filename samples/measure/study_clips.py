"""Make the clips of the committed study from freely licensed videos: 64 pictures each, coded without loss.

python samples/measure study-clips [demo/study]

Two of the three are reduced by 2, which takes most of the coding errors out of them that their makers put in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import ffmpeg
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.system import ffmpeg_binary

from demo.get_clip import BUNNY, CITY, PARK, Clip, get_clip

DEFAULT_FOLDER = Path("demo") / "study"
PICTURES = 64


@dataclass(frozen=True)
class Part:
    """What is taken of a clip.

    Attributes:
        clip: where it comes from.
        first: its first picture.
        crop: width and height that are kept, or None for all.
        reduced: by this factor.
    """

    clip: Clip
    first: int
    crop: tuple[int, int] | None
    reduced: int


PARTS = {
    "bunny_360p": Part(BUNNY, 30, None, 2),
    "city_404p": Part(CITY, 20, (720, 404), 1),
    "park_496p": Part(PARK, 60, (1768, 992), 2),
}


def make_clips(folder: Path) -> list[Path]:
    """All of them, as FFV1 in Matroska; those that are there are kept."""
    found = []
    for name, part in PARTS.items():
        source = get_clip(folder / "sources" / f"{name}{Path(part.clip.name).suffix}", part.clip)
        path = folder / f"{name}.mkv"
        if not path.exists():
            with atomic_path(path) as unfinished:
                _make(source, part, unfinished)
        found.append(path)
    return found


def _make(source: Path, part: Part, path: Path) -> None:
    pictures = ffmpeg_binary.read(source)["v:0"]
    pictures = pictures.filter("trim", start_frame=part.first, end_frame=part.first + PICTURES)
    pictures = pictures.filter("setpts", "PTS-STARTPTS")
    if part.crop:
        pictures = pictures.filter("crop", *part.crop, 0, 0)
    if part.reduced > 1:
        flags = "lanczos+accurate_rnd+full_chroma_int"
        pictures = pictures.filter("scale", f"iw/{part.reduced}", f"ih/{part.reduced}", flags=flags)
    made = ffmpeg.output(pictures, str(path), vcodec="ffv1", pix_fmt="yuv420p", format="matroska")
    ffmpeg_binary.run(made, "the part cannot be made", source)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def command(folder: Path) -> None:
    """Make the clips of the committed study and say where they are."""
    for path in make_clips(folder):
        click.echo(path)
