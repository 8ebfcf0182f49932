"""Several inputs with --out: all are worked on, and what failed is listed at the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.errors import BadOption, MissingFile
from irn_video.codecs.reading.card_search import find_card
from irn_video.pipeline.commandline.several import Job, Naming, arranged, jobs_of

QUICK = ("--model", "lanczos-x2", "--preset", "ultrafast", "--frames", 2)


@pytest.fixture
def folder(moving: Path, tmp_path: Path) -> Path:
    """Two videos, and a file between them that is none."""
    shutil.copy(moving, tmp_path / "a.mp4")
    shutil.copy(moving, tmp_path / "c.mp4")
    (tmp_path / "b.mp4").write_text("no video")
    return tmp_path


def test_there_and_back(folder: Path, run: Any) -> None:
    inputs = [folder / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    there = run("send", *inputs, "--out", folder / "small", *QUICK)
    assert there.code == 1
    assert [line.split(":")[0] for line in there.out.splitlines()[::2]] == [  # the second is that of size and time
        str(folder / "small" / name) for name in ("a.mp4", "c.mp4")
    ]
    lines = there.err.splitlines()[-2:]
    assert lines[0].startswith(f"failed: {folder / 'b.mp4'}: FFmpeg cannot read it")
    assert lines[1] == "error: 1 of 3 failed"
    assert sorted(path.name for path in (folder / "small").iterdir()) == ["a.mp4", "c.mp4"]
    back = run("receive", folder / "small/a.mp4", folder / "small/c.mp4", "--out", folder / "back/again", "--json")
    assert back.code == 0
    values = json.loads(back.out)
    assert [Path(entry["output"]).name for entry in values] == ["a.mp4", "c.mp4"]
    assert all(Path(entry["output"]).is_file() and entry["report"]["command"] == "irn-receive" for entry in values)


def test_json_of_what_failed(folder: Path, run: Any) -> None:
    done = run("send", folder / "b.mp4", folder / "a.mp4", "--out", folder / "small", "--json", *QUICK)
    assert done.code == 1
    failed, sent = json.loads(done.out)
    assert failed["error"].startswith(f"{folder / 'b.mp4'}: FFmpeg cannot read it")
    assert "report" not in failed
    assert "error" not in sent


def test_one_failure_is_no_end(folder: Path, run: Any) -> None:
    """An output that exists is a failure like others, so that the same command goes on where it stopped."""
    (folder / "small").mkdir()
    (folder / "small/a.mp4").write_text("mine")
    done = run("send", folder / "a.mp4", folder / "c.mp4", "--out", folder / "small", *QUICK)
    assert done.code == 1
    assert f"failed: {folder / 'small/a.mp4'}: the output exists" in done.err
    assert (folder / "small/a.mp4").read_text() == "mine"
    assert (folder / "small/c.mp4").is_file()


def test_into_the_folder_of_the_inputs(folder: Path, run: Any) -> None:
    before = (folder / "a.mp4").read_bytes()
    done = run("send", folder / "a.mp4", "--out", folder, "--overwrite", *QUICK)
    assert done.code == 1
    assert "the output is the input" in done.err
    assert (folder / "a.mp4").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.mp4", "c.mp4", "x.mp4"), "3 files: which is the output?"),
        (("a.mp4", "x.mp4", "--out", "small"), "x.mp4: no such file (with --out, every name is that of an input)"),
        (("a.mp4", "sub/a.mp4", "--out", "small"), "would both become"),
        (("a.mp4", "--out", "small", "--report", "r.json"), "--report is for one video"),
        (("a.mp4", "--out", "b.mp4"), "b.mp4: the output exists"),
        (("a.mp4", "c.mp4", "--out", "small.mp4"), "small.mp4: 2 videos cannot become one file (give --out a folder)"),
    ],
)
@pytest.mark.parametrize("command", ["send", "receive"])
def test_refused_before_work(
    folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch, command: str, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "sub").mkdir()
    shutil.copy(folder / "a.mp4", folder / "sub/a.mp4")
    monkeypatch.chdir(folder)
    done = run(command, *arguments)
    assert done.code in (1, 2)
    assert said in done.error
    assert not (folder / "small").exists()


def test_a_source_is_for_one(folder: Path, run: Any) -> None:
    done = run("receive", folder / "a.mp4", "--out", folder / "small", "--source", folder / "c.mp4")
    assert (done.code, "--source is for one video" in done.error) == (2, True)


def test_names(tmp_path: Path) -> None:
    names = ("a.mp4", "b.avi", "c.webm", "d.MKV", "e")
    inputs = [tmp_path / name for name in names]
    for path in inputs:
        path.touch()
    out = tmp_path / "out"
    h264, av1 = Naming("h264", "_lr"), Naming("av1", "_restored", instead_of="_lr")
    assert [job.output.name for job in jobs_of(inputs, out, h264)] == ["a.mp4", "b.mkv", "c.mkv", "d.MKV", "e.mkv"]
    assert [job.output.name for job in jobs_of(inputs[2:3], out, av1)] == ["c.webm"]
    (tmp_path / "a.avi").touch()
    (tmp_path / "a.y4m").touch()
    with pytest.raises(BadOption, match=r"a\.avi and .*a\.y4m would both become"):
        jobs_of([tmp_path / "a.avi", tmp_path / "a.y4m"], out, h264)
    with pytest.raises(MissingFile):
        jobs_of([tmp_path / "none"], out, h264)
    assert jobs_of([Path("x"), Path("y")], None, h264) == [Job(Path("x"), Path("y"))]
    for name, naming, output in (
        ("sub/clip.mp4", h264, "sub/clip_lr.mp4"),
        ("clip.avi", h264, "clip_lr.mkv"),
        ("clip_lr.mp4", av1, "clip_restored.mp4"),
        ("small.webm", av1, "small_restored.webm"),
    ):
        assert jobs_of([Path(name)], None, naming) == [Job(Path(name), Path(output))]


def test_out_may_be_a_file(tmp_path: Path) -> None:
    one, several = (Path("a.mp4"),), (Path("a.mp4"), Path("b.mp4"))
    assert arranged(one, Path("x.MKV")) == ((Path("a.mp4"), Path("x.MKV")), None)
    assert arranged(one, Path("small")) == (one, Path("small"))
    (tmp_path / "folder.mp4").mkdir()
    assert arranged(several, tmp_path / "folder.mp4") == (several, tmp_path / "folder.mp4")
    with pytest.raises(BadOption):
        arranged(several, Path("x.mkv"))


def test_without_a_name(folder: Path, run: Any) -> None:
    assert run("send", folder / "a.mp4", *QUICK).code == 0
    assert run("receive", folder / "a_lr.mp4").code == 0
    assert (folder / "a_restored.mp4").is_file()
    assert "the output exists" in run("send", folder / "a.mp4", *QUICK).error
    assert run("send", folder / "a.mp4", "-o", folder / "b.mkv", "-y", *QUICK).code == 0
    assert (folder / "b.mkv").is_file()


def test_quiet(folder: Path, run: Any) -> None:
    """Nothing but errors, though there is something to warn of; JSON that was asked for is no talk."""
    options = ("--pix-fmt", "yuv420p10le", *QUICK)
    loud = run("send", folder / "a.mp4", folder / "x.mp4", *options)
    assert loud.warnings
    assert loud.out
    done = run("send", folder / "a.mp4", folder / "a_lr.mp4", "-q", *options)
    assert (done.code, done.out, done.err) == (0, "", "")
    done = run("receive", folder / "a_lr.mp4", folder / "back.mp4", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert json.loads(run("send", folder / "a.mp4", "-yq", "--json", *options).out)["command"] == "irn-send"
    assert run("send", folder / "b.mp4", "-q", *QUICK).error


def test_resume(folder: Path, run: Any) -> None:
    """What was made of the same file is finished; what is of another, or nobody's, is an error as before."""
    inputs = (folder / "a.mp4", folder / "c.mp4")
    assert run("send", *inputs[:1], "-o", folder / "small", *QUICK).code == 0
    before = (folder / "small/a.mp4").stat().st_mtime_ns
    done = run("send", *inputs, "-o", folder / "small", "--resume", *QUICK)
    assert done.code == 0
    assert "1 of 2 finished before: skipped" in done.err
    assert (folder / "small/a.mp4").stat().st_mtime_ns == before
    assert (folder / "small/c.mp4").is_file()
    back = ("receive", folder / "small/a.mp4", folder / "small/c.mp4", "-o", folder / "back")
    assert run(*back).code == 0
    assert "2 of 2 finished before: skipped" in run(*back, "--resume").err
    with (folder / "c.mp4").open("ab") as file:
        file.write(b"changed")
    shutil.copy(folder / "a.mp4", folder / "small/a.mp4")
    done = run("send", *inputs, "-o", folder / "small", "--resume", *QUICK)
    assert done.err.count("the output exists") == 2
    done = run("send", *inputs, "-o", folder / "small", "--resume", "--overwrite", *QUICK)
    assert (done.code, "skipped" in done.err) == (0, False)


def test_other_names_of_codecs_are_stored_as_the_one(folder: Path, run: Any) -> None:
    """The card, the report and the container are those of h265."""
    done = run("send", folder / "a.mp4", "--out", folder / "small", "--codec", "hevc", "--json", *QUICK)
    assert done.code == 0
    assert json.loads(done.out)[0]["report"]["stream"]["codec"] == "h265"
    card = find_card(folder / "small/a.mp4")
    assert card is not None
    assert card.codec == "h265"
