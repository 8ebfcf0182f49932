"""The protocol of the papers on pictures made here, against independent computation; what networks cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadOption, UnknownModel
from irn_video.pipeline.commands.evaluate import main
from irn_video.pipeline.engine import tiles
from irn_video.pipeline.evaluation.complexity import complexity_of
from irn_video.pipeline.evaluation.evaluate import luma_of, measure
from irn_video.pipeline.evaluation.rescalers import Draw, load_stills
from irn_video.pipeline.evaluation.stills import picture_of, rgb_of
from irn_video.pipeline.network import PaperRescaler
from irn_video.pipeline.network.coupling import AffineCoupling
from irn_video.pipeline.network.rcan import Rcan
from numpy.typing import NDArray

Array = NDArray[Any]
Eval = Callable[..., tuple[int, str, str]]
METRICS = {"psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y"}


def scene(height: int, width: int, seed: int = 0) -> Array:
    """R, G, B with edges and texture, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 3 + k) * np.cos(y / (2 + k)) * 50 + 120 + 40 * ((x // 9 + y // 7 + k) % 2) for k in range(3)]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def save(path: Path, rgb: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    return path


def load(path: Path) -> Array:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR))[..., ::-1]


def paper_network(scale: int, blocks: int = 1) -> PaperRescaler:
    """A network of the paper whose couplings do something."""
    torch.manual_seed(scale)
    network = PaperRescaler(scale, blocks).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.01)
    return network


@pytest.fixture
def evaluate(capfd: pytest.CaptureFixture[str]) -> Eval:
    def ran(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        assert "this is a bug" not in captured.err
        return code, captured.out, captured.err

    return ran


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRN_VIDEO_HOME", str(tmp_path / "home"))


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    """Two pictures, one of odd size, and a file that is none."""
    save(tmp_path / "hr" / "a.png", scene(48, 64))
    save(tmp_path / "hr" / "b.png", scene(51, 45, 1))
    (tmp_path / "hr" / "readme.txt").write_text("no image")
    return tmp_path / "hr"


@pytest.fixture
def irn(tmp_path: Path) -> Path:
    path = tmp_path / "IRN_x2.pth"
    torch.save(paper_network(2).state_dict(), path)
    return path


def imresize(picture: Array, height: int, width: int) -> Array:
    """MATLAB's bicubic `imresize` of (H, W, C) float: Keys with a = −0.5, widened to shrink, mirrored edges."""

    def weights(size: int, target: int) -> Array:
        ratio = target / size
        stretch = min(ratio, 1.0)
        matrix = np.zeros((target, size))
        for place in range(target):
            centre = (place + 0.5) / ratio - 0.5
            for index in range(int(np.floor(centre - 2 / stretch)), int(np.ceil(centre + 2 / stretch)) + 1):
                d = abs(centre - index) * stretch
                cubic = (
                    1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d <= 2 else 0.0
                )
                inside = index % (2 * size)
                matrix[place, inside if inside < size else 2 * size - 1 - inside] += cubic
        return matrix / matrix.sum(1, keepdims=True)

    rows, columns = weights(picture.shape[0], height), weights(picture.shape[1], width)
    return np.einsum("yh,hwc,xw->yxc", rows, picture, columns)


class TestProtocol:
    @pytest.mark.parametrize(("scale", "step", "border"), [(2, 2, 2), (4, 4, 4), (1.5, 3, 2)])
    def test_bicubic_is_that_of_the_papers(
        self, evaluate: Eval, tmp_path: Path, scale: float, step: int, border: int
    ) -> None:
        """Shrink, round, enlarge, round, crop, Y of BT.601, all of it written out with NumPy."""
        rgb = scene(99, 130)
        save(tmp_path / "set" / "a.png", rgb)
        code, out, _ = evaluate(tmp_path / "set", "--model", f"bicubic-x{scale}", "--json")
        assert code == 0
        (image,) = json.loads(out)["images"]
        height, width = (side // step * step for side in rgb.shape[:2])
        truth = rgb[:height, :width].astype(float)
        lr = imresize(truth, round(height / scale), round(width / scale)).round().clip(0, 255)
        restored = imresize(lr, height, width).round().clip(0, 255)
        error = (truth - restored)[border:-border, border:-border]
        y_error = error @ np.array([65.481, 128.553, 24.966]) / 255
        assert (image["width"], image["height"]) == (width, height)
        assert image["psnr_rgb"] == pytest.approx(10 * np.log10(255**2 / (error**2).mean()), abs=0.02)
        assert image["psnr_y"] == pytest.approx(10 * np.log10(255**2 / (y_error**2).mean()), abs=0.02)
        assert image["lr_psnr_y"] is None
        assert image["lr_identical"] is True

    def test_luma_of_primaries(self) -> None:
        """MATLAB's documentation: black is 16, white 235; the primaries by their coefficients."""
        colours = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]).double()
        luma = luma_of(colours.T[:, None])
        assert luma[0, 0].tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])

    def test_border_is_left_out(self) -> None:
        one, other = scene(40, 40), scene(40, 40)
        other[:2] = 255 - other[:2]
        other[:, -2:] = 0
        assert measure(picture_of(one), picture_of(other), 2).identical
        assert not measure(picture_of(one), picture_of(other), 1).identical

    def test_grey_counts_as_three_channels(self, evaluate: Eval, tmp_path: Path) -> None:
        grey = scene(40, 40)[..., 0]
        save(tmp_path / "grey" / "a.png", grey)
        save(tmp_path / "rgb" / "a.png", np.repeat(grey[..., None], 3, 2))
        rows = [
            json.loads(evaluate(tmp_path / n, "--model", "bicubic-x2", "--json")[1])["images"][0]
            for n in ("grey", "rgb")
        ]
        assert [rows[0][name] for name in METRICS] == [rows[1][name] for name in METRICS]

    def test_network_of_the_paper(self, evaluate: Eval, hr: Path, irn: Path, tmp_path: Path) -> None:
        """Forward pass, 8 bits, reverse pass with latent 0, with the network alone; sizes that 4 does not divide."""
        code, _, _ = evaluate(hr, "--model", irn, "--device", "cpu", "--out", tmp_path / "out", "--temperature", 0)
        assert code == 0
        truth = load(hr / "b.png")[:50, :44]
        network = paper_network(2)
        with torch.inference_mode():
            lr, latent = network.downscale(torch.from_numpy(truth / 255).float().permute(2, 0, 1)[None])
            sent = (lr.clamp(0, 1) * 255).round()
            back = (network.upscale(sent / 255, torch.zeros_like(latent)).clamp(0, 1) * 255).round()
        for name, expected in (("lr", sent), ("restored", back)):
            found = load(tmp_path / "out" / f"b_{name}.png").astype(int)
            assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 1
        bicubic = imresize(truth.astype(float), 25, 22).round().clip(0, 255)
        assert np.abs(load(tmp_path / "out" / "b_lr_bicubic.png")[3:-3, 3:-3] - bicubic[3:-3, 3:-3]).max() <= 1


class TestReport:
    def test_schema(self, evaluate: Eval, hr: Path, irn: Path) -> None:
        code, out, err = evaluate(hr, "--model", irn, "--device", "cpu", "--json", "--draws", 3, "--temperature", 0.5)
        assert code == 0
        report = json.loads(out)
        assert (report["schema"], report["command"]) == (1, "irn-eval")
        environment = report["environment"]
        assert (environment["model"], len(environment["model_sha256"])) == ("IRN_x2", 64)
        assert {"irn-video", "torch", "numpy", "python", "device"} <= environment.keys()
        assert report["protocol"] == {
            "mode": "rescale", "scale": 2, "border": 2, "lr": None, "draws": 3, "temperature": 0.5, "seed": 0
        }  # fmt: skip
        assert [(i["index"], i["name"], i["width"], i["height"]) for i in report["images"]] == [
            (0, "a.png", 64, 48), (1, "b.png", 44, 50)
        ]  # fmt: skip
        every = METRICS | {f"lr_{name}" for name in METRICS}
        assert every == report["summary"].keys()
        for name in every:
            values = [image[name] for image in report["images"]]
            assert report["summary"][name] == {
                "mean": pytest.approx(np.mean(values)), "min": min(values), "max": max(values)
            }  # fmt: skip
        (one,) = report["sets"]
        assert (one["folder"], one["images"], one["summary"]) == (str(hr), 2, report["summary"])
        assert "IRN_x2 on CPU" in err

    def test_table(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        save(tmp_path / "more" / "c.jpg", scene(32, 32))
        code, out, _ = evaluate(hr, tmp_path / "more", "--model", "lanczos-x2")
        assert code == 0
        assert out.count("mean") == 2
        names = ["PSNR-RGB", "SSIM-RGB", "PSNR-Y", "SSIM-Y"]
        assert out.splitlines()[1].split() == [*names, *(f"LR-{name}" for name in names)]
        assert f"{hr}: 2 images, rescale, x2" in out
        assert "b.png" in out
        assert "c.jpg" in out

    def test_draws_are_averaged_and_repeat(self, evaluate: Eval, hr: Path, irn: Path) -> None:
        def psnr(*how: object) -> float:
            _, out, _ = evaluate(hr, "--model", irn, "--device", "cpu", "--json", *how)
            return float(json.loads(out)["summary"]["psnr_y"]["mean"])

        noisy = ("--temperature", 1)
        assert psnr(*noisy) == psnr(*noisy)
        assert psnr(*noisy, "--seed", 1) != psnr(*noisy)
        assert psnr(*noisy, "--draws", 2) != psnr(*noisy)
        assert psnr() == psnr("--temperature", 0, "--draws", 5, "--seed", 9)  # the card's temperature is 0

    def test_16_bits_and_alpha_are_said(self, evaluate: Eval, tmp_path: Path) -> None:
        save(tmp_path / "set" / "deep.png", scene(32, 32).astype(np.uint16) * 257)
        save(tmp_path / "set" / "flat.png", scene(32, 32))
        cv2.imwrite(str(tmp_path / "set" / "glass.png"), np.dstack((scene(32, 32)[..., ::-1], scene(32, 32)[..., 0])))
        code, out, err = evaluate(tmp_path / "set", "--model", "bicubic-x2", "--json")
        assert code == 0
        rows = json.loads(out)["images"]
        assert rows[0]["psnr_y"] == rows[1]["psnr_y"] == rows[2]["psnr_y"]
        assert "16 bits per sample were rounded to 8" in err
        assert "alpha is not measured" in err


class TestModes:
    def test_upscale_from_bicubic(self, evaluate: Eval, hr: Path) -> None:
        """For bicubic resampling the two modes are one."""
        reports = [
            json.loads(evaluate(hr, "--model", "bicubic-x2", "--mode", mode, "--json")[1])
            for mode in ("rescale", "upscale")
        ]
        assert reports[0]["summary"]["psnr_y"] == reports[1]["summary"]["psnr_y"]
        assert "lr_psnr_y" not in reports[1]["summary"]

    def test_upscale_from_files(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        save(tmp_path / "lr" / "a.png", scene(24, 32))
        save(tmp_path / "lr" / "bx2.png", scene(25, 22))
        how = ("--model", "irn-h264-x2", "--mode", "upscale", "--lr", tmp_path / "lr", "--device", "cpu", "--json")
        code, out, _ = evaluate(hr, *how)
        assert code == 0
        assert all(image["lr_psnr_y"] < 30 for image in json.loads(out)["images"])
        save(tmp_path / "lr" / "a.png", scene(24, 31))
        code, _, err = evaluate(hr, *how)
        assert code == 1
        assert "the LR image is 31x24, not 32x24" in err
        (tmp_path / "lr" / "a.png").unlink()
        code, _, err = evaluate(hr, *how)
        assert code == 1
        assert "no LR images for a.png" in err

    def test_rcan(self, evaluate: Eval, tmp_path: Path) -> None:
        save(tmp_path / "set" / "a.png", scene(24, 24))
        torch.save(Rcan(2).state_dict(), tmp_path / "rcan.pt")
        code, out, _ = evaluate(
            tmp_path / "set", "--model", tmp_path / "rcan.pt", "--mode", "upscale", "--json", "--device", "cpu"
        )
        assert code == 0
        assert json.loads(out)["environment"]["model"] == "rcan-x2"
        code, _, err = evaluate(tmp_path / "set", "--model", tmp_path / "rcan.pt", "--device", "cpu")
        assert code == 2
        assert "use --mode upscale" in err

    def test_codec_aware_networks_send_420(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        how = ("--model", "irn-h264-x2", "--device", "cpu", "--precision", "fp32")
        code, out, _ = evaluate(hr, *how, "--json", "--out", tmp_path / "out")
        assert code == 0
        assert all(image["psnr_y"] > 20 for image in json.loads(out)["images"])
        assert load(tmp_path / "out" / "b_lr.png").shape == (25, 22, 3)
        assert load(tmp_path / "out" / "b_restored.png").shape == (50, 44, 3)


class TestSaving:
    def test_pictures(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        out = tmp_path / "new" / "out"
        arguments = (hr, "--model", "bicubic-x2", "--out", out)
        assert evaluate(*arguments)[0] == 0
        kinds = ("lr", "lr_bicubic", "restored")
        assert sorted(p.name for p in out.iterdir()) == sorted(f"{n}_{k}.png" for n in "ab" for k in kinds)
        assert np.array_equal(load(out / "a_lr.png"), load(out / "a_lr_bicubic.png"))
        code, _, err = evaluate(*arguments)
        assert code == 1
        assert "use --overwrite" in err
        assert evaluate(*arguments, "--overwrite")[0] == 0

    def test_folders_do_not_mix(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        save(tmp_path / "other" / "a.png", scene(32, 32))
        assert evaluate(hr, tmp_path / "other", "--model", "bicubic-x2", "--out", tmp_path / "out")[0] == 0
        assert (tmp_path / "out" / "hr" / "a_lr.png").is_file()
        assert (tmp_path / "out" / "other" / "a_lr.png").is_file()

    def test_two_of_one_name(self, evaluate: Eval, hr: Path, tmp_path: Path) -> None:
        save(hr / "a.jpg", scene(32, 32))
        code, _, err = evaluate(hr, "--model", "bicubic-x2", "--out", tmp_path / "out")
        assert code == 2
        assert "two images would be saved" in err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (("--model", "bicubic-x2"), 2, "Missing argument"),
            (("HR",), 2, "--model"),
            (("HR", "--model", "nothing"), 1, "no network is called"),
            (("HR", "--model", "rcan-x4"), 1, "the weights of rcan-x4 are not installed"),
            (("HR", "--model", "none.pth"), 1, "no such checkpoint"),
            (("HR/none", "--model", "bicubic-x2"), 1, "no such folder"),
            (("HR/..", "--model", "bicubic-x2"), 1, "no images in this folder"),
            (("HR", "--model", "bicubic-x2", "--lr", "HR"), 2, "use --mode upscale"),
            (("HR", "--model", "bicubic-x2", "--draws", "0"), 2, "latents per image"),
            (("HR", "--model", "bicubic-x2", "--temperature", "-1"), 2, "temperature"),
            (("HR", "--model", "bicubic-x2", "--input", "8x8"), 2, "--complexity"),
            (("HR", "--model", "irn-x2", "--complexity", "--input", "8x8"), 2, "no folders"),
            (("--model", "irn-x2", "--complexity"), 2, "--input WxH"),
            (("--model", "irn-x2", "--complexity", "--input", "big"), 2, "not a size"),
            (("--model", "irn-x2", "--complexity", "--input", "0x8"), 2, "out of range"),
            (("--model", "bicubic-x2", "--complexity", "--input", "8x8"), 2, "not a network"),
        ],
    )
    def test_one_line(self, evaluate: Eval, hr: Path, arguments: Sequence[str], code: int, words: str) -> None:
        ended, out, err = evaluate(*(a.replace("HR", str(hr)) for a in arguments))
        assert (ended, out) == (code, "")
        assert words in err

    @pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0 broken"])
    def test_corrupt_pictures(self, evaluate: Eval, hr: Path, content: bytes) -> None:
        (hr / "c.png").write_bytes(content)
        code, _, err = evaluate(hr, "--model", "bicubic-x2")
        assert code == 1
        assert f"error: {hr / 'c.png'}: " in err

    def test_too_small(self, evaluate: Eval, hr: Path) -> None:
        save(hr / "c.png", scene(14, 64))
        code, _, err = evaluate(hr, "--model", "bicubic-x2")
        assert code == 1
        assert "too small to measure at x2" in err


class TestComplexity:
    @pytest.mark.parametrize(("side", "macs"), [(192, 15.38e9), (96, 3.84e9)])
    def test_published_numbers_of_irn(self, evaluate: Eval, side: int, macs: float) -> None:
        code, out, _ = evaluate("--complexity", "--model", "irn-x2", "--input", f"{side}x{side}", "--json")
        assert code == 0
        cost = json.loads(out)
        assert cost["parameters"] == 1_668_000
        assert cost["macs"] == pytest.approx(macs, rel=0.01)
        assert cost["operations"] == 2 * cost["macs"]
        assert cost["reverse"]["macs"] == cost["macs"]

    def test_activations(self) -> None:
        """Of RCAN by hand: the trunk, the tail and the shifts of the mean, the attention; 4 bytes each."""
        cost = complexity_of("rcan-x2", 20, 10)
        trunk = 64 * (1 + 10 * (20 * 2 + 1) + 1) + 256 + 3
        at_hr, attention = 2 * 3 * 4, 200 * (4 + 64)
        assert cost.forward.activation_bytes == 4 * (200 * (trunk + at_hr) + attention)

    def test_memory_at_a_time(self) -> None:
        """A dense block keeps all its features; a picture four times as large needs four times as much."""
        small, large = (complexity_of("irn-x2", side, side) for side in (64, 128))
        features = 32 * 32 * 4 * 140
        assert features < small.forward.peak_bytes < 5 * features
        assert large.forward.peak_bytes == pytest.approx(4 * small.forward.peak_bytes, rel=0.01)

    def test_weights_count_where_they_are(self, irn: Path) -> None:
        """One coupling layer instead of eight."""
        assert complexity_of(str(irn), 64, 64).parameters == sum(p.numel() for p in paper_network(2).parameters())

    def test_codec_aware(self) -> None:
        from irn_video.pipeline.zoo import load_model

        card = load_model("irn-h264-x2").card
        cost = complexity_of("irn-h264-x2", 127, 62)
        assert (cost.width, cost.height) == (128, 64)
        assert cost.reverse is not None
        assert (cost.forward.macs, cost.reverse.macs) == (card.macs_down * 8192, card.macs_up * 8192)

    def test_people_can_read_it(self, evaluate: Eval) -> None:
        _, out, _ = evaluate("--complexity", "--model", "rcan-x4", "--input", "48x48")
        assert "15,592,379 parameters" in out
        assert "upscale: 36." in out

    def test_unknown(self) -> None:
        with pytest.raises(UnknownModel):
            complexity_of("irn-x3", 8, 8)
        with pytest.raises(BadOption):
            complexity_of("irn-x2", 8, 10**6)


class TestTiles:
    def test_cover_every_sample_once(self) -> None:
        seen = np.zeros((1, 1, 70, 50), int)
        for tile in tiles.tiles(70, 50, 32, 6):
            seen[tile.inner()] += 1
            part = np.zeros_like(seen)[tile.outer()]
            assert part[tile.inner_of_outer()].shape == seen[tile.inner()].shape
        assert (seen == 1).all()

    @pytest.mark.parametrize("scale", [2, 4])
    def test_leave_no_trace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int) -> None:
        network = paper_network(scale)
        torch.save(network.state_dict(), tmp_path / "irn.pth")
        rescaler = load_stills(str(tmp_path / "irn.pth"), device="cpu", precision="fp32")
        picture = picture_of(scene(160, 200))
        draw = Draw(temperature=0.5, seed=3)

        def both() -> tuple[Array, Array]:
            lr = rescaler.down(picture)
            return rgb_of(lr), rgb_of(rescaler.up(lr, 160, 200, draw))

        whole = both()
        monkeypatch.setattr(tiles, "_SIDE", 32)
        for one, other in zip(whole, both(), strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1
            assert (one == other).mean() > 0.999

    @pytest.mark.parametrize("scale", [2, 4])
    def test_are_exact(self, monkeypatch: pytest.MonkeyPatch, scale: int) -> None:
        """In float64 nothing is left of the seams; with one sample less of overlap they would be seen."""
        network = paper_network(scale, blocks=2).double()
        hr = torch.rand(1, 3, 80, 96, dtype=torch.float64)
        with torch.inference_mode():
            lr, latent = network.downscale(hr)
            latent += torch.rand_like(latent)
            large = network.upscale(lr, latent)

            def worst() -> list[float]:
                small, rest = tiles.downscale(network, hr)
                changed = ((small, lr), (tiles.upscale(network, lr, latent), large))
                assert rest.shape == latent.shape
                return [float((one - other).abs().max()) for one, other in changed]

            assert worst() == [0, 0]
            monkeypatch.setattr(tiles, "_SIDE", 32)
            assert max(worst()) < 1e-14
            monkeypatch.setattr(tiles, "REACH", tiles.REACH - 1)
            assert min(worst()) > 1e-13

    def test_reach(self) -> None:
        """A change of one sample goes as far as said, and no further."""
        layer = paper_network(2).double().operations[1]
        assert isinstance(layer, AffineCoupling)
        for block, channels in ((layer.F, 9), (layer.G, 3), (layer.log_scale, 3)):
            x = torch.rand(1, channels, 64, 64, dtype=torch.float64)
            other = x.clone()
            other[..., 32, 32] += 0.5
            with torch.inference_mode():
                places = (block(x) - block(other)).abs().amax((0, 1)).gt(0).nonzero()
            assert (places - 32).abs().max() == tiles.REACH
