"""Names of numbered pictures, as FFmpeg writes them: `frames/%05d.png`."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"%(?:0?([1-9]))?d")


def is_numbered(path: Path) -> bool:
    """Whether a name stands for many: it has one `%d` or `%05d`, in its last part."""
    return len(_NUMBER.findall(path.name)) == 1


def numbered_files(path: Path) -> dict[int, Path]:
    """Those that there are, by number, which rises; none where there is no such folder."""
    match = _NUMBER.search(path.name)
    if match is None or not path.parent.is_dir():
        return {}
    before, after = re.escape(path.name[: match.start()]), re.escape(path.name[match.end() :])
    name = re.compile(rf"{before}([0-9]{{{match[1] or 1},9}}){after}")
    found = {int(m[1]): file for file in path.parent.iterdir() if (m := name.fullmatch(file.name))}
    return dict(sorted(found.items()))
