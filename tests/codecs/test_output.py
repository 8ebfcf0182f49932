from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from irn_video.codecs.errors import OutputRefused, UnwritableOutput
from irn_video.codecs.writing.output import atomic_path, check_output


def test_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with atomic_path(target) as part:
        part.write_text("half")
        assert not target.exists()
        assert part.parent == tmp_path
        assert part.name.startswith(".report.")
        assert part.name.endswith(".part.json")
    assert target.read_text() == "half"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_exception_removes_the_temporary_file(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_path(tmp_path / "x.mp4"):
        raise error
    assert not list(tmp_path.iterdir())


def test_two_runs_never_collide(tmp_path: Path) -> None:
    target = tmp_path / "x.mp4"
    with atomic_path(target, overwrite=True) as one, atomic_path(target, overwrite=True) as two:
        assert one != two


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "x") as part:
            part.write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_long_names(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 120 + ".mp4")
    with atomic_path(target):
        pass
    assert target.exists()
    with pytest.raises(UnwritableOutput, match="too long"), atomic_path(tmp_path / ("x" * 300)):
        pass


def test_refuses_an_existing_file_unless_told(tmp_path: Path) -> None:
    target = tmp_path / "x.mp4"
    target.write_text("old")
    with pytest.raises(OutputRefused, match="--overwrite"):
        check_output(target)
    with atomic_path(target, overwrite=True) as part:
        part.write_text("new")
    assert target.read_text() == "new"


def test_refuses_a_file_that_appeared_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "x.mp4"
    with pytest.raises(OutputRefused, match="meanwhile"), atomic_path(target):
        target.write_text("theirs")
    assert target.read_text() == "theirs"


@pytest.mark.parametrize("link", ["itself", "hard", "symbolic", "dotted"])
def test_the_output_is_never_the_input(tmp_path: Path, link: str) -> None:
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    other = tmp_path / "out.mp4"
    if link == "hard":
        other.hardlink_to(source)
    elif link == "symbolic":
        other.symlink_to(source)
    else:
        other = source if link == "itself" else tmp_path / ".." / tmp_path.name / "in.mp4"
    with pytest.raises(OutputRefused, match="the output is the input"):
        check_output(other, [tmp_path / "missing.mp4", source], overwrite=True)
    assert source.read_text() == "precious"


def test_folders_and_devices(tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput, match="is a folder"):
        check_output(tmp_path)
    with pytest.raises(UnwritableOutput, match=r"does not exist.*create"):
        check_output(tmp_path / "no" / "x.mp4")
    with pytest.raises(UnwritableOutput, match="not a regular file"):
        check_output("/dev/full", overwrite=True)


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UnwritableOutput, match="read-only"):
        check_output(tmp_path / "x.mp4")


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput, match=r"x\.mp4: the disk is full") as caught, atomic_path(tmp_path / "x.mp4"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
