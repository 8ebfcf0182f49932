"""What is installed and what a clone holds: packages, constraints, set-up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("codecs", "pipeline", "receiver", "sender")
TARGETS = {"help", "venv", "demo", "player", "test", "lint", "docs", "bench", "dist", "clean"}
# What a source distribution holds beside the rooms.
SOURCES = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "constraints.txt", "pyproject.toml"}
FACE = Path("pipeline", "api")
"""What `import irn_video` finds: this folder is installed as the package itself."""


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """Versions by name; two sorted blocks: what is always needed, then what a GPU build of torch adds."""
    blocks = (ROOT / "constraints.txt").read_text().split("\n\n")
    pinned: dict[str, str] = {}
    for block in blocks:
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        versions = dict(line.split("==") for line in lines)
        assert list(versions) == sorted(versions)
        pinned |= versions
    return pinned


def modules() -> list[Path]:
    return [path.relative_to(ROOT) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def installed(path: Path) -> Path:
    """Where a file of the repository lies once it is installed."""
    return "irn_video" / (path.relative_to(FACE) if path.is_relative_to(FACE) else path)


def tracked() -> list[Path]:
    """Files of the repository, those not yet added too."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(f"git does not list the files: {listed.stderr.strip()}")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_every_package_is_listed(pyproject: dict[str, Any]) -> None:
    found = {".".join(installed(path).parent.parts) for path in modules()}
    listed = pyproject["tool"]["setuptools"]["packages"]
    assert sorted(found) == listed
    for path in modules():
        assert (ROOT / path.parent / "__init__.py").is_file(), path.parent


def test_every_room_is_mapped_and_typed(pyproject: dict[str, Any]) -> None:
    mapped = pyproject["tool"]["setuptools"]["package-dir"]
    data = pyproject["tool"]["setuptools"]["package-data"]
    assert mapped == {"irn_video": FACE.as_posix()} | {f"irn_video.{room}": room for room in ROOMS}
    assert data["irn_video"] == ["py.typed"]
    for room in ROOMS:
        assert (ROOT / room / "py.typed").is_file()
        assert "py.typed" in data[f"irn_video.{room}"]
        assert (ROOT / "typings" / "irn_video" / room).resolve() == ROOT / room


def git(folder: Path, *arguments: str) -> None:
    """As somebody, whatever this machine's user is called and has configured."""
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = [shutil.which("git") or pytest.skip("no git on this machine"), *arguments]
    subprocess.run(command, cwd=folder, env={**os.environ, **who, **nothing}, capture_output=True, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--allow-empty", "--message", "a change")


def version_of(folder: Path) -> str:
    command = [sys.executable, "-m", "setuptools_scm"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_version_comes_from_tags(pyproject: dict[str, Any], tmp_path: Path) -> None:
    assert pyproject["project"]["dynamic"] == ["version"]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert version_of(tmp_path) == "0.1.0.dev0"  # no git
    git(tmp_path, "init")
    commit(tmp_path)
    git(tmp_path, "tag", "stop-7.1")
    assert version_of(tmp_path) == "0.1.0.dev1"  # no tag of a version
    git(tmp_path, "tag", "v1.2.3")
    assert version_of(tmp_path) == "1.2.3"
    commit(tmp_path)
    (tmp_path / "pyproject.toml").open("a").write("\n")
    assert version_of(tmp_path) == "1.2.4.dev1"  # whatever has not been committed


def test_commands_know_their_version(run: Any) -> None:
    shown = run("send", "--version").out
    assert Version(shown.split()[-1]) == Version(version("irn-video"))


def test_typings_hold_what_is_installed() -> None:
    """The folder that mypy, and a PYTHONPATH without an install, find the package in."""
    face = {path.name for path in (ROOT / FACE).iterdir() if path.is_file()}
    linked = {path.name: path.resolve() for path in (ROOT / "typings" / "irn_video").iterdir() if path.is_symlink()}
    assert linked == {name: ROOT / FACE / name for name in face} | {room: ROOT / room for room in ROOMS}


def test_every_command_can_be_loaded(pyproject: dict[str, Any]) -> None:
    scripts = pyproject["project"]["scripts"]
    installed = {entry.name: entry for entry in entry_points(group="console_scripts")}
    for name, target in scripts.items():
        assert installed[name].value == target
        assert callable(installed[name].load()), name


def test_constraints_pin_every_dependency(pyproject: dict[str, Any], pins: dict[str, str]) -> None:
    project = pyproject["project"]
    waiting = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    needed: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in needed:
            continue
        needed.add(name)
        try:
            further = [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        extras = requirement.extras or {""}
        # A version that its parent fixes exactly (as a GPU build of torch does) needs no second pin.
        waiting += [
            r
            for r in further
            if (r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in extras))
            and not str(r.specifier).startswith("==")
        ]
    assert sorted(needed - pins.keys()) == []


def test_constraints_fit_the_requirements(pyproject: dict[str, Any], pins: dict[str, str]) -> None:
    project = pyproject["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text
    # Without a build tag: with one, only machines that find just that build could install it.
    assert pins["torch"] == "2.13.0"


def test_nothing_points_out_of_the_repository() -> None:
    ordinary = {Path("/"), Path(tempfile.gettempdir()), Path.home()}
    outside = [str(folder) + "/" for folder in (ROOT, ROOT.parent) if folder not in ordinary]
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # weights
        for folder in outside:
            assert folder not in text, f"{path} names {folder}"
        depth = len(path.relative_to(ROOT).parts) - 1
        climbs = [len(match[0]) // 3 for match in re.finditer(r"(?:\.\./)+", text)]
        assert max(climbs, default=0) <= depth, f"{path} leaves the repository"


def test_every_shipped_model_is_a_tracked_file() -> None:
    weights = set((ROOT / "pipeline" / "zoo" / "weights").glob("*.safetensors"))
    assert weights
    assert weights <= set(tracked())


def test_make_has_its_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) >= TARGETS
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    shown = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z]+)", shown, re.MULTILINE)) == TARGETS


def test_make_says_what_is_missing(tmp_path: Path) -> None:
    """Without a usable Python the error names it and the packages, and nothing is left behind."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run([make, "venv", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert "error: none of 'false' is Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_lint_docs_and_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert re.findall(r"^make (\w+)", text, re.MULTILINE) == ["lint", "docs", "dist", "test"]
    assert re.search(r"^\.ci/wheel$", text, re.MULTILINE)
    assert os.access(ROOT / ".ci" / "wheel", os.X_OK)


def test_the_licence_is_there(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_citation_names_the_paper() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "license"} <= cited.keys()
    (paper,) = cited["references"]
    assert (paper["title"], paper["year"]) == ("Invertible Image Rescaling", 2020)
    assert paper["authors"][0]["family-names"] == "Xiao"


def test_hooks_are_the_environments_own() -> None:
    """What they run is what `make lint` runs: another version would judge otherwise."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    tools = {hook["entry"].split()[0] for hook in repository["hooks"] if hook["language"] == "system"}
    assert tools == {".venv/bin/ruff", ".venv/bin/mypy"}
    assert len(repository["hooks"]) == 3


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_ask_for_what_is_needed(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert {"name", "description", "body"} <= form.keys()
    fields = [field["id"] for field in form["body"]]
    assert len(set(fields)) == len(fields)
    text = str(form)
    for command in ("irn-send --version", "irn-info FILE"):
        assert command in text


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a source distribution and the wheel made of it, from a tagged copy; without a network."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors" or path.relative_to(ROOT).parts[0] in ("docs", "samples", "tests"):
            target.touch()  # whether it gets in shows without its bytes
        else:
            shutil.copy(path, target)
    git(source, "init")
    commit(source)
    git(source, "tag", "v1.2.3")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return source / "dist"


@pytest.mark.slow
def test_the_source_distribution_holds_what_a_wheel_is_made_of(built: Path) -> None:
    with tarfile.open(built / "irn_video-1.2.3.tar.gz") as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    made = {"PKG-INFO", "setup.cfg", "irn_video.egg-info", "."}
    assert {name.split("/")[0] for name in names} - made == SOURCES | set(ROOMS)
    assert sorted({path.as_posix() for path in modules()} - names) == []


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_model(built: Path) -> None:
    with zipfile.ZipFile(built / "irn_video-1.2.3-py3-none-any.whl") as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    weights = [path.relative_to(ROOT) for path in (ROOT / "pipeline/zoo/weights").glob("*.safetensors")]
    markers = [Path(room, "py.typed") for room in (*ROOMS, FACE)]
    wanted = {installed(path).as_posix() for path in (*modules(), *weights, *markers)}
    assert weights
    assert sorted(wanted - names) == []
    assert not any(name.startswith("irn_video/pipeline/api") for name in names)
    # Nothing that would land beside other people's packages.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"irn_video"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
