"""The card of a small image: enlarging obeys it, refuses what does not fit, and stands hostile ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.bitstream.image_card import card_in, png_chunk, with_card
from irn_video.codecs.errors import BadCard
from irn_video.pipeline.commands.rescale import main
from irn_video.pipeline.network import PaperRescaler
from numpy.typing import NDArray

Rescale = Callable[..., tuple[int, str]]
FORMATS = ("png", "webp", "jpg")


def scene(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.stack([np.sin(x / 6 + k) * np.cos(y / (5 + k)) * 80 + 128 for k in range(channels)], -1).astype(np.uint8)


def save(path: Path, image: NDArray[np.uint8]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def load(path: Path) -> NDArray[Any]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def change(path: Path, **changes: Any) -> None:
    """Another card in place of that of a PNG file."""
    data = path.read_bytes()
    card = card_in(data)
    assert card is not None
    path.write_bytes(with_card(without_text(data), replace(card, **changes)))


def without_text(data: bytes) -> bytes:
    """A PNG file of ours whose card, the chunk after the header, is gone."""
    return data[:33] + data[33 + 12 + int.from_bytes(data[33:37]) :]


def with_text(data: bytes, text: bytes) -> bytes:
    return data[:33] + png_chunk(b"tEXt", b"irn-video\0" + text) + data[33:]


@pytest.fixture
def rescale(capfd: pytest.CaptureFixture[str]) -> Rescale:
    """Exit code, and what was said besides the files."""

    def ran(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = main([*map(str, arguments), "--device", "cpu", "--overwrite"])
        captured = capfd.readouterr()
        assert "this is a bug" not in captured.err
        return code, captured.err

    return ran


@pytest.fixture
def small(rescale: Rescale, tmp_path: Path) -> Path:
    """A PNG of 12x8 that irn-x2 made of one of 23x16."""
    save(tmp_path / "a.png", scene(16, 23))
    assert rescale(tmp_path / "a.png", "--out", tmp_path / "small", "--model", "irn-x2")[0] == 0
    return tmp_path / "small" / "a.png"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("channels", [3, 4])
def test_the_card_picks_network_and_size(rescale: Rescale, tmp_path: Path, kind: str, channels: int) -> None:
    """As if --model had named it."""
    save(tmp_path / "a.png", scene(17, 23, channels))
    assert rescale(tmp_path / "a.png", "--out", tmp_path / "s", "--model", "irn-x2", "--format", kind)[0] == 0
    path = tmp_path / "s" / f"a.{kind}"
    assert load(path).shape == (9, 12, 3 if kind == "jpg" else channels)
    card = card_in(path.read_bytes())
    assert card is not None
    assert (card.model, card.scale, card.width, card.height, card.codec) == ("irn-x2", 2, 23, 17, kind)
    code, err = rescale(path, "--up", "--out", tmp_path / "r")
    assert code == 0
    assert err.splitlines() == ["irn-x2 on CPU, 1 thread, fp32"]
    assert load(tmp_path / "r" / "a.png").shape[:2] == (17, 23)
    assert rescale(path, "--up", "--out", tmp_path / "same", "--model", "irn-x2")[0] == 0
    assert (tmp_path / "r" / "a.png").read_bytes() == (tmp_path / "same" / "a.png").read_bytes()
    assert rescale(path, "--up", "--out", tmp_path / "other", "--model", "irn-h264-x2", "--no-card")[0] == 0
    restored, wrong = (load(tmp_path / where / "a.png")[:17, :23] for where in ("r", "other"))
    assert not np.array_equal(restored, wrong)


def test_each_image_has_its_own(rescale: Rescale, tmp_path: Path) -> None:
    for model in ("bicubic-x2", "lanczos-x4"):
        path = save(tmp_path / f"{model}.png", scene(16, 24))
        assert rescale(path, "--out", tmp_path / "s", "--model", model)[0] == 0
    code, err = rescale(tmp_path / "s", "--up", "--out", tmp_path / "r")
    assert code == 0
    assert err.splitlines() == ["bicubic-x2 on CPU, fp32", "lanczos-x4 on swscale"]
    assert [load(path).shape for path in (tmp_path / "r").iterdir()] == [(16, 24, 3)] * 2


def test_json_says_what_each_was_made_with(rescale: Rescale, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for model in ("bicubic-x2", "lanczos-x4"):
        path = save(tmp_path / f"{model}.png", scene(16, 24))
        assert rescale(path, "--out", tmp_path / "s", "--model", model)[0] == 0
    assert main([str(tmp_path / "s"), "--up", "--out", str(tmp_path / "r"), "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["scale"], report["environment"]["model"]) == (None, None)
    assert [(image["model"], image["scale"], image["card"]) for image in report["images"]] == [
        ("bicubic-x2", 2, True),
        ("lanczos-x4", 4, True),
    ]


def test_temperature_and_seed_travel(rescale: Rescale, tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(16, 16))
    how = ("--model", "irn-h264-x2")
    latents = {"cold": (), "warm": ("--temperature", 0.8), "seeded": ("--temperature", 0.8, "--seed", 3)}
    made = {}
    for name, latent in latents.items():
        assert rescale(tmp_path / "a.png", "--out", tmp_path / name, *how, *latent)[0] == 0
        assert rescale(tmp_path / name, "--up", "--out", tmp_path / "r")[0] == 0
        made[name] = (tmp_path / "r" / "a.png").read_bytes()
        assert rescale(tmp_path / "cold", "--up", "--out", tmp_path / "r", *latent)[0] == 0
        assert (tmp_path / "r" / "a.png").read_bytes() == made[name]
    assert len(set(made.values())) == 3


class TestRefusals:
    def test_another_network(self, rescale: Rescale, small: Path, tmp_path: Path) -> None:
        code, err = rescale(small, "--up", "--out", tmp_path / "r", "--model", "irn-h264-x2")
        assert code == 1
        said = err.splitlines()[-1]
        assert said.startswith(f"error: {small}: irn-h264-x2 has other weights (")
        assert "than the network that made this image (irn-x2 " in said
        assert said.endswith("(leave --model out, or give those weights)")
        assert not list((tmp_path / "r").iterdir())

    def test_other_weights_of_that_name(self, rescale: Rescale, small: Path, tmp_path: Path) -> None:
        change(small, model_sha256="0123456789abcdef")
        code, err = rescale(small, "--up", "--out", tmp_path / "r")
        assert code == 1
        assert f"{small}: irn-x2 has other weights" in err
        assert "irn-x2 0123456789ab)" in err

    def test_another_kernel(self, rescale: Rescale, tmp_path: Path) -> None:
        save(tmp_path / "a.png", scene(16, 16))
        rescale(tmp_path / "a.png", "--out", tmp_path / "s", "--model", "bicubic-x2")
        assert rescale(tmp_path / "s", "--up", "--out", tmp_path / "r", "--model", "lanczos-x2")[0] == 1
        assert rescale(tmp_path / "s", "--up", "--out", tmp_path / "r", "--model", "bicubic-x2")[0] == 0

    def test_a_network_that_is_not_here(self, rescale: Rescale, tmp_path: Path) -> None:
        save(tmp_path / "a.png", scene(16, 16))
        torch.save(PaperRescaler(2, 1).state_dict(), tmp_path / "mine.pth")
        rescale(tmp_path / "a.png", "--out", tmp_path / "s", "--model", tmp_path / "mine.pth")
        code, err = rescale(tmp_path / "s", "--up", "--out", tmp_path / "r")
        assert code == 1
        assert "the network that made this image, 'mine', is not here (give it with --model FILE)" in err
        how = ("--up", "--out", tmp_path / "r", "--model", tmp_path / "mine.pth")
        assert rescale(tmp_path / "s", *how)[0] == 0

    @pytest.mark.parametrize("model", ["/etc/secret", "../x.safetensors", "x.pth"])
    def test_a_card_names_no_files(self, rescale: Rescale, small: Path, tmp_path: Path, model: str) -> None:
        change(small, model=model)
        code, err = rescale(small, "--up", "--out", tmp_path / "r")
        assert code == 1
        assert "the card names a file as its model" in err

    def test_a_changed_size(self, rescale: Rescale, small: Path, tmp_path: Path) -> None:
        data = small.read_bytes()
        card = card_in(data)
        assert card is not None
        save(small, load(small)[:, :-1])
        small.write_bytes(with_card(small.read_bytes(), card))
        code, err = rescale(small, "--up", "--out", tmp_path / "r")
        assert code == 1
        said = (
            "the card describes frames of 24x16 shrunk by 2, these are 11x8 (it was cropped or resized since; --no-card"
        )
        assert f"error: {small}: {said}" in err
        assert rescale(small, "--up", "--out", tmp_path / "r", "--no-card", "--model", "irn-x2")[0] == 0
        assert load(tmp_path / "r" / "a.png").shape == (16, 22, 3)

    def test_no_card_is_for_up(self, rescale: Rescale, small: Path, tmp_path: Path) -> None:
        code, err = rescale(small, "--out", tmp_path / "r", "--no-card")
        assert code == 2
        assert "--no-card is for --up" in err


def test_without_a_card_it_says_what_it_does(rescale: Rescale, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png", scene(8, 8))
    _, err = rescale(folder, "--up", "--out", tmp_path / "r")
    ask = "(say --model NAME if another network made it small)"
    assert f"{folder / 'a.png'}: no card inside; enlarged 2 times with irn-h264-x2 {ask}" in err
    save(folder / "b.png", scene(8, 8))
    _, err = rescale(folder, "--up", "--out", tmp_path / "r", "--model", "bicubic-x4")
    assert f"2 images have no card, {folder / 'a.png'} first; enlarged 4 times with bicubic-x4\n" in err
    assert "no card" not in rescale(folder, "--up", "--out", tmp_path / "r", "--model", "bicubic-x4", "--no-card")[1]


HOSTILE = {
    "not base64": b"irn-video card ====",
    "not JSON": b"irn-video card " + base64.b64encode(b"[" * 40000),
    "too long": b"irn-video card " + b"A" * 10**6,
    "another version": b"irn-video card " + base64.b64encode(b'{"version": 99}'),
    "unknown fields": b"irn-video card " + base64.b64encode(b'{"version": 2, "run": "rm"}'),
    "a terminal's commands": b"irn-video card " + base64.b64encode(b'{"version": 2, "\\u001b[2J": 1}'),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_damaged_cards_are_refused_in_a_line(rescale: Rescale, small: Path, tmp_path: Path, text: bytes) -> None:
    small.write_bytes(with_text(without_text(small.read_bytes()), text))
    code, err = rescale(small, "--up", "--out", tmp_path / "r")
    assert code == 1
    assert err.startswith(f"error: {small}: the card")
    assert err.endswith("(--no-card enlarges it all the same)\n")
    assert len(err.splitlines()) == 1
    assert err.strip().isprintable()


def test_no_size_is_believed(rescale: Rescale, small: Path, tmp_path: Path) -> None:
    change(small, width=1 << 20, height=1 << 20)
    code, err = rescale(small, "--up", "--out", tmp_path / "r")
    assert code == 1
    assert "the card describes frames of 1048577x1048576" in err


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_do_not_crash(tmp_path: Path, kind: str) -> None:
    """Every byte changed, every length: a card, none, or an error of ours."""
    data = with_card(save(tmp_path / f"a.{kind}", scene(4, 4)).read_bytes() if kind != "webp" else webp(), card())
    assert card_in(data) == card()
    for place in range(len(data)):
        for changed in (data[:place], data[:place] + b"\xff" + data[place + 1 :], data[:place] + b"\0" + data[place:]):
            with suppress(BadCard):
                card_in(changed)


def webp() -> bytes:
    return bytes(cv2.imencode(".webp", scene(4, 4), [cv2.IMWRITE_WEBP_QUALITY, 101])[1])


def card() -> StreamCard:
    data = {"model": "irn-x2", "model_sha256": "", "scale": 2, "width": 8, "height": 8, "pad_right": 0, "pad_bottom": 0}
    data |= {"layout": "rgb", "bit_depth": 8, "codec": "png", "crf": None, "bitrate": None, "lossless": True}
    data |= {"latent_std": 0.0, "seed": 0, "source_name": "", "source_bytes": 0, "source_sha256": "", "frames": 1}
    color = {"matrix": 0, "primaries": 1, "transfer": 13, "full_range": True, "chroma_siting": 0}
    return StreamCard.from_json(json.dumps({**data, "color": color, "comment": None, "version": 2}))


def test_other_programs_text_is_no_card(tmp_path: Path) -> None:
    data = save(tmp_path / "a.png", scene(4, 4)).read_bytes()
    assert card_in(data) is None
    assert card_in(with_text(data, b"irn-video")) is None
    assert card_in(b"BM" + data) is None


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_card_is_found_anywhere(tmp_path: Path, place: str) -> None:
    """Programs that write a file again put it where they like, and in other words."""
    data = save(tmp_path / "a.png", scene(4, 4)).read_bytes()
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<irn:card>" + card().to_tag().encode() + b"</irn:card>")
    where = 33 if place == "before" else len(data) - 12
    assert card_in(data[:where] + chunk + data[where:]) == card()


def test_time_is_not_wasted() -> None:
    """Half a million empty parts are not all looked at."""
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13)) + png_chunk(b"none", b"") * (1 << 19)
    assert card_in(data + png_chunk(b"tEXt", card().to_tag().encode())) is None


def test_names_are_printable() -> None:
    """They are shown on terminals."""
    with pytest.raises(BadCard, match="the card is damaged: model = "):
        replace(card(), model="irn\x1b[2J")
