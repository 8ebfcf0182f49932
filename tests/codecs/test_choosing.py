"""Which video stream is taken where nobody says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.reading.reader import probe


@pytest.fixture(scope="module")
def parts(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small film, a larger one, a still and a film that FFmpeg does not think much of, being small."""
    folder = tmp_path_factory.mktemp("parts")
    tools.clip(folder / "small.mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p", size="64x48")
    tools.clip(folder / "large.mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p", size="96x64")
    tools.clip(folder / "still.mkv", "-c:v", "png", size="128x128", frames=1)
    return folder


def joined(tools: Any, parts: Path, output: Path, names: list[str], default: int | None) -> Path:
    inputs = [word for name in names for word in ("-i", parts / f"{name}.mkv")]
    maps = [word for index in range(len(names)) for word in ("-map", index)]
    marks = [word for i in range(len(names)) for word in (f"-disposition:v:{i}", "default" if i == default else 0)]
    tools.ffmpeg(*inputs, *maps, "-c", "copy", *marks, "-default_mode", "infer_no_subs", output)
    return output


@pytest.mark.parametrize(
    ("names", "default", "chosen"),
    [
        (["large", "small"], 1, 1),
        (["small", "large"], 0, 0),
        (["still", "small"], 1, 1),
        (["still", "small"], 0, 1),
        (["small", "still"], 1, 0),
        (["still", "small", "large"], 0, 2),
    ],
)
def test_shown_by_a_player(
    tools: Any, parts: Path, tmp_path: Path, names: list[str], default: int | None, chosen: int
) -> None:
    path = joined(tools, parts, tmp_path / "x.mkv", names, default)
    info = probe(path)
    assert (info.stream, info.streams) == (chosen, len(names))
    assert info.width == {"small": 64, "large": 96}[names[chosen]]
    for index, name in enumerate(names):
        assert probe(path, stream=index).width == {"small": 64, "large": 96, "still": 128}[name]


def test_a_still_alone_is_taken(parts: Path) -> None:
    assert (probe(parts / "still.mkv").width, probe(parts / "still.mkv").streams) == (128, 1)
