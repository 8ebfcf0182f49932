"""Pictures down and up again by `irn-rescale`: any size, alpha, formats, refusals."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from irn_video.codecs.errors import IrnError
from irn_video.pipeline.commands.rescale import main
from irn_video.pipeline.evaluation.stills import read_still
from irn_video.pipeline.network import PaperRescaler
from irn_video.pipeline.network.rcan import Rcan
from numpy.typing import NDArray

Array = NDArray[Any]
Rescale = Callable[..., tuple[int, str, str]]
CPU = ("--device", "cpu")


def scene(height: int, width: int) -> Array:
    """Smooth B, G, R, (H, W, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 6 + k) * np.cos(y / (5 + k)) * 80 + 128 for k in range(3)]
    return np.stack(waves, -1).astype(np.uint8)


def save(path: Path, bgr: Array, *options: int) -> Path:
    assert cv2.imwrite(str(path), bgr, list(options))
    return path


def load(path: Path) -> Array:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def psnr(one: Array, other: Array) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, ((one.astype(float) - other) ** 2).mean())))


@pytest.fixture
def rescale(capfd: pytest.CaptureFixture[str]) -> Rescale:
    def ran(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        assert "this is a bug" not in captured.err
        return code, captured.out, captured.err

    return ran


@pytest.fixture(scope="module")
def irn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of the paper: its LR picture is the Haar average."""
    path = tmp_path_factory.mktemp("weights") / "IRN_x2.pth"
    torch.save(PaperRescaler(2, 1).state_dict(), path)
    return path


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (2, 33)])
@pytest.mark.parametrize("model", ["irn", "irn-h264-x2", "bicubic-x4", "lanczos-x2", "bicubic-x1.5", "lanczos-x1.5"])
def test_there_and_back(rescale: Rescale, irn: Path, tmp_path: Path, model: str, size: tuple[int, int]) -> None:
    """Sizes are rounded up on the way down, and come back exactly."""
    scale = {"x4": 4, ".5": 1.5}.get(model[-2:], 2)
    how = ("--model", irn if model == "irn" else model, *CPU)
    before = scene(*size)
    source = save(tmp_path / "a.png", before)
    code, out, _ = rescale(source, "--out", tmp_path / "lr", *how)
    assert code == 0
    small = load(tmp_path / "lr" / "a.png")
    assert small.shape == (math.ceil(size[0] / scale), math.ceil(size[1] / scale), 3)
    assert out.strip() == f"{tmp_path / 'lr' / 'a.png'}: {small.shape[1]}x{small.shape[0]}"
    assert rescale(tmp_path / "lr" / "a.png", "--up", "--out", tmp_path / "hr", *how)[0] == 0
    after = load(tmp_path / "hr" / "a.png")
    assert after.shape == before.shape
    assert psnr(before, after) > 25


def test_odd_size_repeats_the_edge(rescale: Rescale, irn: Path, tmp_path: Path) -> None:
    before = scene(47, 63)
    save(tmp_path / "odd.png", before)
    save(tmp_path / "even.png", np.pad(before, ((0, 1), (0, 1), (0, 0)), mode="edge"))
    rescale(tmp_path / "odd.png", tmp_path / "even.png", "--out", tmp_path / "lr", "--model", irn, *CPU)
    assert np.array_equal(load(tmp_path / "lr" / "odd.png"), load(tmp_path / "lr" / "even.png"))


@pytest.mark.parametrize(("note", "size"), [(b"", (30, 42)), (b"41x29", (29, 41)), (b"100x41", (30, 42))])
def test_without_a_card_up_is_the_scale(
    rescale: Rescale, irn: Path, tmp_path: Path, note: bytes, size: tuple[int, int]
) -> None:
    """Older PNG files have a note of the full size, which is followed where it fits."""
    data = save(tmp_path / "a.png", scene(15, 21)).read_bytes()
    if note:
        data = data[:33] + chunk(b"tEXt", b"irn-video\0hr-size " + note) + data[33:]
    (tmp_path / "a.png").write_bytes(data)
    assert rescale(tmp_path / "a.png", "--up", "--out", tmp_path / "hr", "--model", irn, *CPU)[0] == 0
    assert load(tmp_path / "hr" / "a.png").shape == (*size, 3)


def test_alpha_is_kept(rescale: Rescale, irn: Path, tmp_path: Path) -> None:
    before = np.dstack((scene(47, 63), np.repeat(np.linspace(0, 255, 63)[None], 47, 0).astype(np.uint8)))
    for name in ("a.png", "b.webp"):
        save(tmp_path / name, before, *((cv2.IMWRITE_WEBP_QUALITY, 101) if name == "b.webp" else ()))
    how = ("--model", irn, *CPU)
    assert rescale(tmp_path / "a.png", tmp_path / "b.webp", "--out", tmp_path / "lr", *how)[0] == 0
    small = load(tmp_path / "lr" / "a.png")
    assert small.shape == (24, 32, 4)
    assert np.abs(small[5, 1:-1, 3] - (before[10, 2:-2:2, 3].astype(float) + before[10, 3:-1:2, 3]) / 2).max() <= 2
    assert rescale(tmp_path / "lr", "--up", "--out", tmp_path / "hr", *how)[0] == 0
    for name in ("a.png", "b.png"):
        after = load(tmp_path / "hr" / name)
        assert after.shape == before.shape
        assert np.abs(after[..., 3].astype(int) - before[..., 3]).max() <= 8
    # The colours do not depend on it.
    save(tmp_path / "c.png", before[..., :3])
    rescale(tmp_path / "c.png", "--out", tmp_path / "lr", *how)
    assert np.array_equal(load(tmp_path / "lr" / "c.png"), small[..., :3])


def test_formats(rescale: Rescale, irn: Path, tmp_path: Path) -> None:
    glass = save(tmp_path / "a.png", np.dstack((scene(32, 48), scene(32, 48)[..., 0])))
    results = {}
    for kind in ("png", "webp", "jpg"):
        code, _, err = rescale(glass, "--out", tmp_path, "--format", kind, "--model", irn, *CPU, "--overwrite")
        if kind == "png":  # beside the input it would be the input
            assert code == 1
            assert "the output is the input" in err
            code, _, err = rescale(glass, "--out", tmp_path / "out", "--model", irn, *CPU)
        assert code == 0, err
        results[kind] = load(tmp_path / ("out" if kind == "png" else "") / f"a.{kind}")
        assert ("JPEG has no alpha" in err) is (kind == "jpg")
        assert ("JPEG loses" in err) is (kind == "jpg")
    assert np.array_equal(results["png"], results["webp"])
    assert results["jpg"].shape == (16, 24, 3)
    assert psnr(results["jpg"], results["png"][..., :3]) > 35


@pytest.mark.parametrize("kind", ["grey", "grey16", "colour16", "palette", "bmp", "tiff", "jpeg"])
def test_kinds_of_input(rescale: Rescale, irn: Path, tmp_path: Path, kind: str) -> None:
    colour = scene(32, 48)
    grey = np.repeat(colour[..., :1], 3, 2)
    pictures: dict[str, tuple[str, Array, Array]] = {
        "grey": ("a.png", grey[..., 0], grey),
        "grey16": ("a.png", grey[..., 0].astype(np.uint16) * 257, grey),
        "colour16": ("a.tif", colour.astype(np.uint16) * 257, colour),
        "palette": ("a.png", grey[..., 0], grey),
        "bmp": ("a.bmp", colour, colour),
        "tiff": ("a.tiff", colour, colour),
        "jpeg": ("a.jpeg", colour, colour),
    }
    name, stored, meant = pictures[kind]
    path = save(tmp_path / name, stored)
    if kind == "palette":
        path.write_bytes(palette_png(stored))
    code, _, err = rescale(path, "--out", tmp_path / "lr", "--model", irn, *CPU)
    assert code == 0
    assert ("rounded to 8" in err) is kind.endswith("16")
    expected = meant.reshape(16, 2, 24, 2, 3).mean((1, 3))
    assert np.abs(load(tmp_path / "lr" / "a.png") - expected).max() <= (12 if kind == "jpeg" else 1)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def palette_png(indices: Array) -> bytes:
    """A PNG file whose palette has every grey."""
    height, width = indices.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (
        (b"IHDR", header),
        (b"PLTE", bytes(v for v in range(256) for _ in range(3))),
        (b"IDAT", zlib.compress(rows)),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in (*parts, (b"IEND", b"")))


def test_jpeg_is_turned_upright(tmp_path: Path) -> None:
    data = save(tmp_path / "a.jpg", scene(16, 32)).read_bytes()
    # One EXIF entry: orientation 6, to be turned by 90 degrees.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    picture = read_still(tmp_path / "a.jpg").picture
    assert (picture.width, picture.height) == (16, 32)


def test_seed_and_temperature(rescale: Rescale, irn: Path, tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(16, 16))
    save(tmp_path / "b.png", scene(16, 16))

    def restored(name: str, *how: object) -> bytes:
        inputs = [tmp_path / "a.png", tmp_path / "b.png"]
        code, _, err = rescale(*inputs, "--up", "--out", tmp_path / "hr", "--model", irn, *CPU, "--overwrite", *how)
        assert code == 0, err
        return (tmp_path / "hr" / name).read_bytes()

    noisy = restored("a.png", "--temperature", 0.5)
    assert restored("b.png", "--temperature", 0.5) == noisy  # whatever comes before it
    assert restored("a.png", "--temperature", 0.5, "--seed", 1) != noisy
    assert restored("a.png") == restored("a.png", "--seed", 5) != noisy


def test_rcan_goes_up_only(rescale: Rescale, tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(8, 9))
    torch.save(Rcan(2).state_dict(), tmp_path / "rcan.pt")
    how = ("--out", tmp_path / "out", "--model", tmp_path / "rcan.pt", *CPU)
    assert rescale(tmp_path / "a.png", "--up", *how)[0] == 0
    assert load(tmp_path / "out" / "a.png").shape == (16, 18, 3)
    code, _, err = rescale(tmp_path / "a.png", "--down", *how, "--overwrite")
    assert code == 2
    assert "only enlarges (use --up)" in err


def test_json(rescale: Rescale, irn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.png", "a.jpg"):
        save(folder / name, scene(31, 40))
    (folder / "notes.txt").touch()
    code, out, _ = rescale(folder, "--out", tmp_path / "out", "--model", irn, *CPU, "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["schema"], report["command"], report["direction"], report["scale"]) == (1, "irn-rescale", "down", 2)
    assert report["environment"]["model"] == "IRN_x2"
    made = {"model": "IRN_x2", "model_sha256": report["environment"]["model_sha256"], "scale": 2, "card": True}
    assert report["images"] == [
        {"input": str(folder / f), "output": str(tmp_path / "out" / f"{f[0]}.png"), "width": 20, "height": 16, **made}
        for f in ("a.jpg", "b.png")
    ]


class TestRefusals:
    def test_existing_output(self, rescale: Rescale, tmp_path: Path) -> None:
        source = save(tmp_path / "a.png", scene(8, 8))
        how = (source, "--out", tmp_path / "out", "--model", "bicubic-x2")
        assert rescale(*how)[0] == 0
        before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
        code, _, err = rescale(*how)
        assert code == 1
        assert "use --overwrite" in err
        assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before
        assert rescale(*how, "--overwrite")[0] == 0

    def test_two_of_one_name(self, rescale: Rescale, tmp_path: Path) -> None:
        save(tmp_path / "a.png", scene(8, 8))
        save(tmp_path / "a.bmp", scene(8, 8))
        code, _, err = rescale(tmp_path, "--out", tmp_path / "out", "--model", "bicubic-x2")
        assert code == 2
        assert "would both be written here" in err
        assert not (tmp_path / "out").exists()

    def test_output_that_is_no_folder(self, rescale: Rescale, tmp_path: Path) -> None:
        source = save(tmp_path / "a.png", scene(8, 8))
        code, _, err = rescale(source, "--out", source, "--model", "bicubic-x2")
        assert code == 1
        assert "cannot make the folder" in err

    @pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"RIFF\x04\0\0\0WEBP", b"\xff\xd8\xff"])
    def test_corrupt_files(self, rescale: Rescale, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.png").write_bytes(content)
        code, _, err = rescale(tmp_path / "a.png", "--out", tmp_path / "out", "--model", "bicubic-x2")
        assert code == 1
        assert f"error: {tmp_path / 'a.png'}: " in err
        assert list((tmp_path / "out").iterdir()) == []

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
    def test_truncated_files(self, tmp_path: Path, suffix: str) -> None:
        path = save(tmp_path / f"a{suffix}", scene(64, 64))
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(IrnError, match="damaged"):
            read_still(path)

    def test_missing(self, rescale: Rescale, tmp_path: Path) -> None:
        code, _, err = rescale(tmp_path / "none.png", "--out", tmp_path / "out", "--model", "bicubic-x2")
        assert code == 1
        assert "no such image" in err

    def test_bomb(self, rescale: Rescale, tmp_path: Path) -> None:
        """A small file that claims to be 4 Gpixel."""
        header = struct.pack(">IIBBBBB", 1 << 16, 1 << 16, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(data)
        code, _, err = rescale(tmp_path / "a.png", "--out", tmp_path / "out", "--model", "bicubic-x2")
        assert code == 1
        assert "4295 million pixels" in err

    def test_floating_point(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.tiff", scene(8, 8).astype(np.float32))
        with pytest.raises(IrnError, match="float32"):
            read_still(path)

    def test_too_wide_for_webp(self, rescale: Rescale, tmp_path: Path) -> None:
        save(tmp_path / "a.png", np.zeros((1, 9000, 3), np.uint8))
        how = ("--up", "--out", tmp_path / "out", "--model", "bicubic-x2", "--format", "webp")
        code, _, err = rescale(tmp_path / "a.png", *how)
        assert code == 1
        assert ".webp does not hold 18000x2" in err

    @pytest.mark.parametrize("arguments", [("--out", "x"), ("a.png",), ("a.png", "--out", "x", "--quality", "0")])
    def test_usage(self, rescale: Rescale, arguments: tuple[str, ...]) -> None:
        assert rescale(*arguments)[0] == 2
