"""Looks: pairs of networks and what lies between them, in streams with tuned weights too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadCard, BadOption, BadWeights, UnknownModel
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline import Rescaler, Restoration
from irn_video.pipeline.commands import info as info_command
from irn_video.pipeline.commands import receive as receive_command
from irn_video.pipeline.commands import send as send_command
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.upscalers import load_for
from irn_video.pipeline.zoo.card import ModelCard, Weights, network_of, read_weights, write_model
from irn_video.pipeline.zoo.looks import LOOKS, has_look, names_with_looks, with_look
from irn_video.pipeline.zoo.registry import load_weights
from irn_video.pipeline.zoo.weight_update import WeightUpdate
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

SPEC = NetworkSpec("codec-aware", width=8, depth=1)
PAIRS = names_with_looks()


def made(folder: Path, name: str, seed: int, temperature: float = 0.05) -> Weights:
    """A network of the user's own, with the usual sender."""
    torch.manual_seed(seed)
    network = SPEC.build()
    with torch.no_grad():
        for weight in network.restorer.parameters():
            weight += 0.05 * torch.randn_like(weight)
    card = ModelCard(name, SPEC, "", "", "", "", "", 0, 0, temperature)
    write_model(folder / f"{name}.safetensors", card, network.state_dict(), overwrite=True)
    return read_weights(folder / f"{name}.safetensors")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Weights, Weights]:
    monkeypatch.setenv("IRN_VIDEO_HOME", str(tmp_path))
    return made(tmp_path, "mine", 0), made(tmp_path, "mine-plus", 1, 0.8)


def test_shipped_pairs() -> None:
    assert "irn-h264-x2" in PAIRS
    for name in PAIRS:
        one, other = load_weights(name).card, load_weights(f"{name}-plus").card
        assert (one.network, one.macs_up, one.macs_down) == (other.network, other.macs_up, other.macs_down)
        assert other.temperature == LOOKS["real"].temperature


@pytest.mark.parametrize(
    ("look", "share", "temperatures"),
    [("faithful", 0, (0.05, 0.05)), ("balanced", 0.5, (0.5, 0.5)), ("real", 1, (1, 1))],
)
def test_a_look_is_the_same_from_either_network(
    look: str, share: float, temperatures: tuple[float, float], pair: tuple[Weights, Weights]
) -> None:
    exact, real = pair
    for weights, temperature in zip(pair, temperatures, strict=True):
        looked = with_look(weights, look)
        assert looked.temperature == temperature
        found = looked.applied(weights.arrays)
        assert found.keys() == weights.arrays.keys()
        for name, array in found.items():
            between = exact.arrays[name] + share * (real.arrays[name] - exact.arrays[name])
            np.testing.assert_allclose(array, between, atol=1e-6, err_msg=name)


def test_without_a_look_a_network_is_as_it_is(pair: tuple[Weights, Weights]) -> None:
    assert [with_look(weights, None).temperature for weights in pair] == [0.05, 0.8]
    assert all(with_look(weights, None).difference == {} for weights in pair)


def test_what_has_no_other_look(pair: tuple[Weights, Weights], tmp_path: Path) -> None:
    assert has_look("mine", "real")
    assert has_look("mine-plus", "balanced")
    assert not has_look("irn-h264-x1", "real")
    assert has_look("irn-h264-x1", "faithful")
    with pytest.raises(BadOption, match=r"no look is called 'nice' .*faithful, balanced, real"):
        with_look(pair[0], "nice")
    for name in ("irn-h264-x1", "lanczos-x2", "irn-x2"):
        with pytest.raises(BadOption, match=rf"{name} has one look alone .*mine"):
            Rescaler.load(name, look="real")
    wrong = NetworkSpec("codec-aware", width=8, depth=2)
    card = replace(pair[0].card, name="mine-plus", network=wrong)
    write_model(tmp_path / "mine-plus.safetensors", card, wrong.build().state_dict(), overwrite=True)
    with pytest.raises(BadWeights, match="mine-plus does not go with mine"):
        with_look(pair[0], "real")


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_tuned_weights_and_a_look_add_up(
    device: str, pair: tuple[Weights, Weights], clips: Any, tmp_path: Path
) -> None:
    (picture,) = clips.read(clips.make(tmp_path / "in.mkv", size="64x48", frames=1))
    exact, _ = pair
    message = WeightUpdate(told=5).to_message(exact.arrays)
    arrays = with_look(exact, "balanced").applied(WeightUpdate.from_message(message, exact.arrays))
    network = network_of(replace(exact, arrays=arrays))
    write_model(tmp_path / "sum.safetensors", replace(exact.card, name="sum"), network.state_dict())
    to = Restoration(Samples.of(picture), 96, 128)
    ours = Rescaler.load("mine", device=device, look="balanced")
    found = ours.upscale(replace(picture, qp=30.0, update=message), to)
    wanted = Rescaler.load("sum", device=device).upscale(replace(picture, qp=30.0), to)
    assert all(np.array_equal(one, other) for one, other in zip(found.planes, wanted.planes, strict=True))
    plain = ours.upscale(replace(picture, qp=30.0), to)
    assert not np.array_equal(plain.planes[0], found.planes[0])
    assert not ours.warnings


def test_tuning_is_of_the_network_without_a_look() -> None:
    for device in ("cpu", "torch"):
        plain, looked = (Rescaler.load("irn-h264-x2", device=device, look=look) for look in (None, "real"))
        assert isinstance(plain, PackedRescaler)
        assert isinstance(looked, PackedRescaler)
        ours, theirs = plain.network.state_dict(), looked.network.state_dict()
        assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
        assert (plain.name, plain.sha256) == (looked.name, looked.sha256)


def restored(lr: Path, folder: Path, **options: Any) -> list[np.ndarray[Any, Any]]:
    output = folder / "restored.mkv"
    receive(lr, output, ReceiveOptions(codec="ffv1", overwrite=True, **options))
    with VideoReader(output) as reader:
        return [picture.planes[0] for picture in reader]


def same(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_the_sender_chose_is_shown_unless_the_receiver_chooses(moving: Path, tmp_path: Path) -> None:
    """A look changes no byte of the LR frames, and the card carries it."""
    plain, real = tmp_path / "plain.mkv", tmp_path / "real.mkv"
    send(moving, plain, SendOptions(crf=30, look="faithful"))
    send(moving, real, SendOptions(crf=30, look="real"))
    cards = [find_card(path) for path in (plain, real)]
    assert [(card.look, card.version, card.latent_std) for card in cards if card] == [(None, 2, 0.05), ("real", 4, 1.0)]
    with VideoReader(plain) as one, VideoReader(real) as other:
        assert same([p.planes[0] for p in one], [p.planes[0] for p in other])
    faithful, shown = restored(plain, tmp_path), restored(real, tmp_path)
    assert not same(faithful, shown)
    assert same(restored(real, tmp_path, look="faithful"), faithful)
    assert same(restored(plain, tmp_path, look="real"), shown)
    assert same(restored(real, tmp_path), shown)  # the same bytes each time
    assert not same(restored(real, tmp_path, temperature=0.0), shown)
    assert not same(restored(real, tmp_path, seed=3), shown)
    between = restored(real, tmp_path, look="balanced")
    assert not same(between, shown)
    assert not same(between, faithful)


def test_people_are_told_the_look(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lr = tmp_path / "lr.mkv"
    assert send_command.main([str(moving), str(lr), "--crf", "30", "--look", "balanced"]) == 0
    assert info_command.main([str(lr)]) == 0
    assert "look balanced; temperature 0.5" in capsys.readouterr().out
    assert receive_command.main([str(lr), str(tmp_path / "x.mkv"), "--look", "real"]) == 0
    assert "irn-h264-x2, look real on" in capsys.readouterr().err
    assert receive_command.main([str(lr), str(tmp_path / "y.mkv"), "--look", "nice"]) == 2
    assert "faithful" in capsys.readouterr().err


@pytest.mark.parametrize(("model", "look"), [("irn-h264-x2", "from the future"), ("irn-h264-x2-lite", "real")])
def test_a_card_asks_for_what_is_not_here(model: str, look: str, moving: Path, tmp_path: Path) -> None:
    """The stream can still be shown, and told about, otherwise."""
    sent = send(moving, tmp_path / "lr.mkv", SendOptions(model=model, crf=30)).card
    card = replace(sent, look=look, version=4)
    with pytest.raises(BadCard, match=rf"{model} has no look {look!r} here .*--look faithful"):
        load_for(card, None, device="cpu", precision="auto")
    assert load_for(card, None, device="cpu", precision="auto", look="faithful").name == model
    unknown = replace(card, model="nobody-has-it", look="real")
    with pytest.raises(UnknownModel, match="nobody-has-it"):
        load_for(unknown, None, device="cpu", precision="auto")


def test_the_report_of_a_verified_look_is_that_of_the_receiver(moving: Path, tmp_path: Path) -> None:
    lr, output = tmp_path / "lr.mkv", tmp_path / "out.mkv"
    sent = send(moving, lr, SendOptions(crf=30, look="real", verify=True))
    found = receive(lr, output, ReceiveOptions(codec="ffv1", source=moving))
    assert [frame.error for frame in sent.report.frames] == [frame.error for frame in found.report.frames]


def test_a_look_narrows_the_search(moving: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="irn-h264-x1 has one look alone"):
        send(moving, tmp_path / "x.mkv", SendOptions(scale=1, crf=30, look="real"))
    assert list(tmp_path.iterdir()) == []
