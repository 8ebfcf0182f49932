"""Weights files, model cards, names, and the import of official checkpoints."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import BadOption, BadWeights, MissingFile, OutputRefused, UnknownModel, UnwritableOutput
from irn_video.pipeline.commands.models import main
from irn_video.pipeline.network import PaperRescaler
from irn_video.pipeline.zoo import (
    DEFAULT_MODEL,
    ModelEntry,
    find_model,
    import_model,
    list_models,
    load_model,
    read_model,
    write_model,
)
from irn_video.pipeline.zoo.card import digest, read_card
from irn_video.pipeline.zoo.cost import cost_of
from safetensors.torch import save_file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("IRN_VIDEO_HOME", str(folder))
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "official.pth"
    torch.save(PaperRescaler(2).state_dict(), path)
    return path


def test_default_network_is_within_its_tier() -> None:
    model = load_model()
    assert model.card.name == DEFAULT_MODEL
    down, up = cost_of(model.network)
    assert (down, up) == (model.card.macs_down, model.card.macs_up)
    assert max(down, up) <= 5000


@pytest.mark.parametrize("entry", [entry for entry in list_models() if entry.shipped], ids=lambda e: e.card.name)
def test_shipped_cards_are_complete(entry: ModelEntry) -> None:
    card = entry.card
    assert card.name == entry.path.stem
    for text in (card.summary, card.training, card.data, card.licence, card.scores):
        assert text
        assert "not measured" not in text


def test_the_lite_network_is_within_its_tier() -> None:
    model, default = load_model("irn-h264-x2-lite"), load_model()
    assert cost_of(model.network) == (model.card.macs_down, model.card.macs_up)
    assert model.card.macs_down <= default.card.macs_down
    assert model.card.macs_up <= 1300


def test_paper_network_costs_what_is_published() -> None:
    assert cost_of(PaperRescaler(2))[0] == pytest.approx(15.38e9 / 192 / 192, rel=0.01)


def test_weights_survive_writing_and_reading(tmp_path: Path) -> None:
    model = load_model()
    path = tmp_path / "copy.safetensors"
    assert write_model(path, model.card, model.network.state_dict()) == model.sha256
    again = read_model(path)
    assert again.card == model.card
    assert again.sha256 == model.sha256


def test_digest_is_of_the_weights_not_of_the_card(tmp_path: Path) -> None:
    model = load_model()
    path = tmp_path / "copy.safetensors"
    write_model(path, dataclasses.replace(model.card, scores="other"), model.network.state_dict())
    assert read_model(path).sha256 == model.sha256
    state = model.network.state_dict()
    state["restorer.last.bias"] = state["restorer.last.bias"] + 1e-6
    assert digest(state) != model.sha256


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_scores_change_no_weight(kind: torch.dtype, tmp_path: Path) -> None:
    model, path = load_model(), tmp_path / "mine.safetensors"
    before = write_model(path, model.card, {n: t.to(kind) for n, t in model.network.state_dict().items()})
    assert main(["score", str(path), "42 dB"]) == 0
    again = read_model(path)
    assert (again.sha256, again.card.scores) == (before, "42 dB")


def test_import_gives_the_same_pictures(checkpoint: Path, home: Path) -> None:
    entry = import_model(checkpoint, "my-irn")
    assert entry.path.parent == home
    assert find_model("my-irn") == entry.path
    network = PaperRescaler(2)
    network.load_state_dict(torch.load(checkpoint, weights_only=True))
    hr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        ours = load_model("my-irn").network.downscale(hr)
        theirs = network.downscale(hr)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_import_of_x4(tmp_path: Path) -> None:
    path = tmp_path / "x4.pth"
    torch.save({f"module.{k}": v for k, v in PaperRescaler(4).state_dict().items()}, path)
    assert import_model(path, "x4").card.network.scale == 4


def test_import_names_what_does_not_fit(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    broken = tmp_path / "broken.pth"
    torch.save({k: v for k, v in state.items() if k != "operations.3.G.conv2.bias"}, broken)
    with pytest.raises(BadWeights, match=r"missing operations\.3\.G\.conv2\.bias"):
        import_model(broken, "x")
    torch.save({**state, "operations.3.G.conv2.bias": torch.zeros(31)}, broken)
    with pytest.raises(BadWeights, match=r"operations\.3\.G\.conv2\.bias has shape \(31,\) instead of \(32,\)"):
        import_model(broken, "x")
    torch.save({**state, "extra": torch.zeros(1)}, broken)
    with pytest.raises(BadWeights, match="unknown extra"):
        import_model(broken, "x")
    torch.save({**state, "operations.3.G.conv2.bias": torch.full((32,), torch.nan)}, broken)
    with pytest.raises(BadWeights, match="not finite"):
        import_model(broken, "x")


class Bomb:
    """Would run code when unpickled without `weights_only`."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", {"a": 1}, [1, 2], {"weights": Bomb()}, {"a": torch.zeros(1)}]
)
def test_import_refuses_other_files(content: object, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(BadWeights):
        import_model(path, "x")


def test_import_refuses_taken_and_odd_names(checkpoint: Path) -> None:
    import_model(checkpoint, "mine")
    with pytest.raises(OutputRefused):
        import_model(checkpoint, "mine")
    import_model(checkpoint, "mine", overwrite=True)
    for name in (DEFAULT_MODEL, "../evil", "", "a/b", ".hidden"):
        with pytest.raises(BadOption):
            import_model(checkpoint, name)


def test_import_into_an_impossible_folder(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("IRN_VIDEO_HOME", str(tmp_path / "file" / "inside"))
    with pytest.raises(UnwritableOutput, match="IRN_VIDEO_HOME"):
        import_model(checkpoint, "mine")


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(UnknownModel, match="did you mean irn-h264-x2"):
        find_model("irn-h265-x2")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    whole = find_model(DEFAULT_MODEL).read_bytes()
    path = tmp_path / "w.safetensors"
    for content in (b"", whole[:1000], whole[:-10], b"\xff" * 5000, b"\x00" * 5000):
        path.write_bytes(content)
        with pytest.raises(BadWeights):
            read_model(path)
    with pytest.raises(MissingFile):
        read_model(tmp_path / "none.safetensors")


def test_cards_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    card = {"version": 1, **dataclasses.asdict(load_model().card)}
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BadWeights, match="no model card"):
        read_card(path)
    for change in (
        {"version": 2},
        {"network": {"family": "nope"}},
        {"network": 3},
        {"name": 5},
        {"temperature": 99},
        {"more": 1},
    ):
        save_file({"a": torch.zeros(1)}, path, metadata={"irn_video_card": json.dumps({**card, **change})})
        with pytest.raises(BadWeights):
            read_card(path)
    save_file({"a": torch.zeros(1)}, path, metadata={"irn_video_card": json.dumps(card)})
    with pytest.raises(BadWeights, match="missing"):
        read_model(path)


def test_commands(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(checkpoint), "--name", "mine"]) == 0
    capsys.readouterr()
    assert main(["list"]) == 0
    rows = [line.split(maxsplit=4) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["NAME", "SCALE", "TIER", "FROM", "WHAT"]
    assert [row[1:4] for row in rows if row[0] == "irn-h264-x2"] == [["x2", "fast", "default"]]
    assert [row[1:4] for row in rows if row[0] == "mine"] == [["x2", "-", "imported"]]
    assert main(["list", "--json"]) == 0
    tiers = {card["name"]: card["tier"] for card in json.loads(capsys.readouterr().out)}
    assert (tiers["irn-h264-x2"], tiers["irn-h264-x4"], tiers["mine"]) == ("fast", "base", None)
    assert main(["show", "irn-h264-x2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tier"] == "fast"
    assert shown["sha256"] == load_model().sha256
    assert main(["show", "nothing"]) == 1
    assert capsys.readouterr().err.startswith("error: no network is called 'nothing'")


def test_every_listed_name_can_be_shown(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_model(checkpoint, "mine")
    assert main(["list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert {"irn-x2", "mine", "lanczos-x4", "bicubic-x1"} <= set(names)
    for name in names:
        assert main(["show", name, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["name"] == name
        assert (shown["parameters"] > 0) == name.startswith(("irn-", "mine"))
    assert main(["show", "lanczos-x3"]) == 1
    assert "did you mean lanczos-x" in capsys.readouterr().err


def test_the_list_has_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the last column is wrapped within itself; elsewhere each name has one line."""
    assert main(["list"]) == 0
    plain = capsys.readouterr().out.splitlines()
    start = plain[0].index("WHAT")
    assert all(line[start - 1] == " " != line[start] for line in plain)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["list"]) == 0
    wrapped = capsys.readouterr().out.splitlines()
    assert len(wrapped) > len(plain)
    assert max(map(len, wrapped)) <= 80
    assert all(line[start - 1] == " " != line[start] for line in wrapped)
    assert [line.split()[0] for line in wrapped if line[0] != " "] == [line.split()[0] for line in plain]


def test_the_list_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from irn_video.pipeline.commands.models import main; code = main(['list']); "
        "print(code, [name for name in ('torch', 'av', 'cv2', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_others_may_read_weights(tmp_path: Path) -> None:
    model = load_model()
    path = tmp_path / "copy.safetensors"
    before = os.umask(0o022)
    try:
        write_model(path, model.card, model.network.state_dict())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
