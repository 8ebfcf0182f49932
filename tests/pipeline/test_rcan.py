"""RCAN: the published network, its official checkpoints, and its place in the receiver."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption, BadWeights, MissingFile
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline import Restoration
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.engine.upscaling import RcanRescaler, load_rcan
from irn_video.pipeline.evaluation.complexity import complexity_of
from irn_video.pipeline.network.rcan import Rcan
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.study.cells import measure_cell
from irn_video.pipeline.study.methods import Method, macs_per_pixel
from irn_video.pipeline.study.plan import Cell
from torch import Tensor

State = dict[str, Tensor]


def small(scale: int = 2) -> Rcan:
    """The same structure, a thousandth of the weights."""
    torch.manual_seed(scale)
    return Rcan(scale, groups=2, blocks=1, width=8, reduction=4).eval()


def flat(colour: tuple[int, int, int], layout: Layout = Layout.RGB, size: tuple[int, int] = (6, 8)) -> Picture:
    shapes = layout.plane_shapes(*size)
    a, b, c = (np.full(shape, value, np.uint8) for shape, value in zip(shapes, colour, strict=True))
    color = ColorSpec(0, full_range=True) if layout is Layout.RGB else ColorSpec(6, full_range=False, chroma_siting=1)
    return Picture((a, b, c), layout, 8, color, 0, Fraction(1, 25))


@pytest.fixture(scope="session")
def states() -> dict[int, State]:
    """Weights as official checkpoints have them, damped so that RCAN of random weights stays near its input's range."""
    torch.manual_seed(0)
    return {s: {k: v * (0.1 if "tail.1" in k else 1) for k, v in Rcan(s).state_dict().items()} for s in (2, 4)}


@pytest.fixture(scope="session")
def official(states: dict[int, State], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rcan") / "RCAN_BIX2.pt"
    torch.save(states[2], path)
    return path


class TestNetwork:
    def test_published_numbers(self) -> None:
        cost = complexity_of("rcan-x2", 96, 96)
        assert cost.parameters == 15_444_667
        assert cost.forward.macs == pytest.approx(141.44e9, rel=0.01)
        assert cost.forward.operations == 2 * cost.forward.macs
        assert cost.reverse is None

    def test_names_of_the_official_checkpoints(self, states: dict[int, State]) -> None:
        state = states[4]
        assert {"sub_mean.weight", "head.0.weight", "body.10.bias", "tail.0.2.weight", "tail.1.bias"} <= state.keys()
        assert state["body.9.body.19.body.3.conv_du.0.weight"].shape == (4, 64, 1, 1)
        assert state["body.0.body.20.weight"].shape == (64, 64, 3, 3)
        assert len(states[2]) == 2 * (2 + 1 + 10 * (20 * 4 + 1) + 1 + 1 + 1)

    def test_follows_the_paper(self) -> None:
        """The network written out with plain functions."""
        network = small()
        w = network.state_dict()

        def conv(name: str, x: Tensor, padding: int = 1) -> Tensor:
            return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)

        lr = torch.rand(2, 3, 7, 9)
        mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None] * 255
        x = start = conv("head.0", lr * 255 - mean)
        for group in range(2):
            inside = x
            for block in range(1):
                name = f"body.{group}.body.{block}.body"
                y = conv(f"{name}.2", conv(f"{name}.0", inside).relu())
                squeezed = conv(f"{name}.3.conv_du.0", y.mean((2, 3), keepdim=True), 0).relu()
                inside = inside + y * conv(f"{name}.3.conv_du.2", squeezed, 0).sigmoid()
            x = x + conv(f"body.{group}.body.1", inside)
        x = start + conv("body.2", x)
        expected = (conv("tail.1", F.pixel_shuffle(conv("tail.0.0", x), 2)) + mean) / 255
        with torch.inference_mode():
            assert torch.allclose(network(lr), expected, atol=1e-5)

    @pytest.mark.parametrize("scale", [2, 4])
    def test_sizes(self, scale: int) -> None:
        with torch.inference_mode():
            assert small(scale)(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)


class TestCheckpoints:
    def test_official_weights_load_unchanged(self, official: Path, states: dict[int, State]) -> None:
        rescaler = load_rcan(official, device="cpu")
        assert (rescaler.name, rescaler.scale, len(rescaler.sha256)) == ("rcan-x2", 2, 64)
        assert all(torch.equal(v, states[2][k]) for k, v in rescaler.network.state_dict().items())
        assert "fp32" in rescaler.where

    def test_x4_from_several_gpus(self, states: dict[int, State], tmp_path: Path) -> None:
        torch.save({f"module.{k}": v for k, v in states[4].items()}, tmp_path / "x4.pt")
        assert load_rcan(tmp_path / "x4.pt", device="cpu").scale == 4

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"body.3.body.7.body.2.weight": None}, r"missing body\.3\.body\.7\.body\.2\.weight"),
            ({"extra": torch.zeros(1)}, "unknown extra"),
            ({"body.10.bias": torch.zeros(63)}, r"body\.10\.bias has shape \(63,\) instead of \(64,\)"),
            ({"head.0.bias": torch.full((64,), float("nan"))}, "head.0.bias holds values that are not finite"),
            ({"head.0.weight": None}, "is this RCAN"),
            ({"tail.0.0.weight": torch.zeros(576, 64, 3, 3)}, "another scale than 2 or 4"),
            ({"tail.0.0.weight": torch.zeros(5)}, "another scale than 2 or 4"),
            ({"tail.0.2.weight": torch.zeros(1), "tail.0.4.weight": torch.zeros(1)}, "scale 8"),
        ],
    )
    def test_names_what_does_not_fit(
        self, states: dict[int, State], tmp_path: Path, change: dict[str, Tensor | None], message: str
    ) -> None:
        changed = {**states[2], **change}
        torch.save({k: v for k, v in changed.items() if v is not None}, tmp_path / "bad.pt")
        with pytest.raises(BadWeights, match=message):
            load_rcan(tmp_path / "bad.pt", device="cpu")

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 half a zip"])
    def test_other_files(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(BadWeights):
            load_rcan(tmp_path / "bad.pt")
        with pytest.raises(MissingFile):
            load_rcan(tmp_path / "none.pt")

    def test_nothing_is_executed(self, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
                return eval, (f"open({str(tmp_path / 'gone')!r}, 'w')",)

        torch.save({"head.0.weight": Bomb()}, tmp_path / "bomb.pt")
        with pytest.raises(BadWeights):
            load_rcan(tmp_path / "bomb.pt")
        assert not (tmp_path / "gone").exists()


class TestRescaler:
    @pytest.mark.parametrize("layout", [Layout.RGB, Layout.YUV420, Layout.YUV444])
    @pytest.mark.parametrize("scale", [2, 4])
    def test_samples_and_size(self, layout: Layout, scale: int) -> None:
        network = small(scale)
        with torch.no_grad():
            network.tail[1].weight.zero_()
            network.tail[1].bias.zero_()  # type: ignore[union-attr,operator]
        rescaler = RcanRescaler(network, choose_device("cpu", "fp32"))
        lr = flat((114, 111, 103) if layout is Layout.RGB else (100, 120, 130), layout)
        to = Restoration(Samples.of(lr), 6 * scale - 1, 8 * scale - 2)
        large = rescaler.upscale(lr, to)
        assert [p.shape for p in large.planes] == list(layout.plane_shapes(6 * scale - 1, 8 * scale - 2))
        if layout is Layout.RGB:  # a last layer of zeros leaves the mean colour of DIV2K
            assert [int(p[0, 0]) for p in large.planes] == [114, 111, 103]

    def test_only_up(self) -> None:
        rescaler = RcanRescaler(small(), choose_device("cpu", "fp32"))
        lr = flat((0, 0, 0))
        with pytest.raises(BadOption, match="only enlarges"):
            rescaler.downscale(lr, Samples.of(lr))
        with pytest.raises(BadOption, match="only enlarges"):
            rescaler.sent(Samples.of(lr), lossless=True, height=6)


class TestReceiver:
    @pytest.fixture(scope="class")
    @staticmethod
    def lr(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
        from irn_video.sender import SendOptions, send

        folder = tmp_path_factory.mktemp("lr")
        clips.make(folder / "in.mkv", size="32x24", frames=2)
        send(folder / "in.mkv", folder / "lr.mkv", SendOptions(model="bicubic-x2"))
        send(folder / "in.mkv", folder / "lr4.mkv", SendOptions(model="bicubic-x4"))
        return folder / "lr.mkv"

    def test_end_to_end(self, clips: Any, run: Any, lr: Path, official: Path, tmp_path: Path) -> None:
        how = ("--upscaler", "rcan", "--weights", official, "--device", "cpu", "--json")
        done = run("receive", lr, tmp_path / "out.mkv", *how)
        assert done.code == 0, done.err
        report = json.loads(done.out)
        assert report["environment"]["model"] == "rcan-x2"
        assert len(report["environment"]["model_sha256"]) == 64
        assert len(report["frames"]) == 2
        pictures = clips.read(tmp_path / "out.mkv")
        assert [(p.width, p.height) for p in pictures] == [(32, 24)] * 2

    @pytest.mark.slow
    def test_as_a_method_of_a_study(self, clips: Any, run: Any, lr: Path, official: Path, tmp_path: Path) -> None:
        clip = clips.make(tmp_path / "in.mp4", size="32x24", frames=2)
        method = Method.parse(f"bicubic+{official}")
        cell = Cell(clip, method, EncoderSettings(crf=20.0), None, ("psnr",))
        measured = measure_cell(cell, tmp_path)
        assert measured.method == "bicubic-x2+RCAN_BIX2"
        sent = json.loads(run("send", clip, tmp_path / "lr.mkv", "--model", "bicubic-x2", "--crf", 20, "--json").out)
        options = ["--upscaler", "rcan", "--weights", official, "--codec", "ffv1", "--json"]
        report = json.loads(run("receive", tmp_path / "lr.mkv", tmp_path / "r.mkv", *options).out)
        assert measured.bytes == sent["stream"]["bytes"]
        assert measured.values("psnr_y") == pytest.approx([frame["psnr_y"] for frame in report["frames"]])
        assert macs_per_pixel(method) == (None, pytest.approx(3_827_000, rel=0.01))

    def test_stream_that_lost_its_card(self, clips: Any, run: Any, official: Path, tmp_path: Path) -> None:
        clips.make(tmp_path / "plain.mp4", size="16x16", frames=1)
        done = run("receive", tmp_path / "plain.mp4", tmp_path / "out.mp4", "--upscaler", "rcan", "--weights", official)
        assert done.code == 0, done.err
        (picture,) = clips.read(tmp_path / "out.mp4")
        assert (picture.width, picture.height) == (32, 32)

    def test_mistakes(self, run: Any, lr: Path, official: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.mkv"
        done = run("receive", lr, out, "--upscaler", "rcan")
        assert done.code == 2
        assert "--weights" in done.error
        assert run("receive", lr, out, "--weights", official).code == 2
        done = run("receive", lr.with_name("lr4.mkv"), out, "--upscaler", "rcan", "--weights", official)
        assert done.code == 1
        assert "RCAN of scale 2, the stream is of scale 4" in done.error
        done = run("receive", lr, out, "--upscaler", "rcan", "--weights", lr)
        assert done.code == 1
        assert "checkpoint" in done.error
        done = run("receive", lr, official, "--upscaler", "rcan", "--weights", official, "--overwrite")
        assert done.code == 1
        assert "the output is the input" in done.error
        assert not out.exists()
