"""One interface for networks and for ordinary resampling: sizes, seeds, samples."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadOption, BadWeights, MissingFile, UnavailableDevice, UnknownModel
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.scales import SCALES, enlarged
from irn_video.pipeline import Rescaler, Restoration
from irn_video.pipeline.engine.choosing import network_rescaler
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network.paper import PaperRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo import LoadedModel, ModelCard

COLOR = ColorSpec(6, full_range=False, chroma_siting=1)


def smooth(height: int, width: int, layout: Layout = Layout.YUV420, bit_depth: int = 8) -> Picture:
    """Waves that half the samples can carry."""
    planes = []
    for index, (rows, columns) in enumerate(layout.plane_shapes(height, width)):
        y, x = np.mgrid[:rows, :columns]
        wave = np.sin(y / 7 + index) * np.cos(x / 5) * 0.35 + 0.5
        planes.append((wave * ((1 << bit_depth) - 1)).astype(np.uint8 if bit_depth == 8 else np.uint16))
    color = replace(COLOR, matrix=0, full_range=True, chroma_siting=0) if layout is Layout.RGB else COLOR
    return Picture((planes[0], planes[1], planes[2]), layout, bit_depth, color, 3, Fraction(1, 25), 1)


def paper(scale: int) -> Rescaler:
    """An untrained network of the paper, whose LR picture is the Haar average."""
    network = PaperRescaler(scale, blocks=1).eval()
    card = ModelCard("paper", NetworkSpec("paper", scale, blocks=1), "", "", "", "", "", 0, 0, 0.0)
    return network_rescaler(LoadedModel(card, network, "0" * 64), choose_device("cpu", "fp32"))


def codec_aware(scale: int) -> Rescaler:
    """An untrained codec-aware network."""
    spec = NetworkSpec("codec-aware", scale, width=8, depth=1)
    card = ModelCard("codec-aware", spec, "", "", "", "", "", 0, 0, 0.0)
    return network_rescaler(LoadedModel(card, spec.build(), "0" * 64), choose_device("cpu", "fp32"))


KINDS: dict[str, Callable[[], Rescaler]] = {
    "irn-h264-x2": Rescaler.load,
    **{name: (lambda name=name: Rescaler.load(name)) for name in RESAMPLERS},  # type: ignore[misc]
    "codec-aware-x1": lambda: codec_aware(1),
    "codec-aware-x4": lambda: codec_aware(4),
    "paper-x2": lambda: paper(2),
    "paper-x4": lambda: paper(4),
}


def error(one: Picture, other: Picture) -> float:
    """PSNR of luma in dB."""
    peak = (1 << one.bit_depth) - 1
    mse = np.mean((one.planes[0].astype(float) - other.planes[0]) ** 2)
    return float(10 * np.log10(peak**2 / max(mse, 1e-9)))


@pytest.mark.parametrize("layout", [Layout.YUV420, Layout.YUV444, Layout.RGB])
@pytest.mark.parametrize("size", [(64, 96), (63, 97), (66, 98)])
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind: str, size: tuple[int, int], layout: Layout) -> None:
    rescaler = KINDS[kind]()
    before = smooth(*size, layout)
    lr = rescaler.sent(Samples.of(before), lossless=True, height=size[0])
    small = rescaler.downscale(before, lr)
    padded = rescaler.padded(*size)
    assert (small.height * rescaler.scale, small.width * rescaler.scale) == padded
    assert small.height % 2 == small.width % 2 == 0
    assert Samples.of(small) == lr
    carried = rescaler.carried(Samples.of(before), size[0])
    after = rescaler.upscale(small, Restoration(carried, *size))
    assert Samples.of(after) == carried
    assert (after.height, after.width) == size
    assert tuple(plane.shape for plane in after.planes) == carried.layout.plane_shapes(*size)
    assert (after.pts, after.time_base, after.duration) == (before.pts, before.time_base, before.duration)
    assert carried.layout is not layout or error(before, after) > (28 if rescaler.scale <= 2 else 20)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_repeats_the_edge(kind: str) -> None:
    """A picture and the same picture padded by hand give the same LR picture."""
    rescaler = KINDS[kind]()
    before = smooth(30, 45)
    height, width = rescaler.padded(30, 45)
    shapes = Layout.YUV420.plane_shapes(height, width)
    a, b, c = (
        np.pad(plane, ((0, h - plane.shape[0]), (0, w - plane.shape[1])), mode="edge")
        for plane, (h, w) in zip(before.planes, shapes, strict=True)
    )
    lr = rescaler.sent(Samples.of(before), lossless=False, height=30)
    one, other = (rescaler.downscale(p, lr) for p in (before, replace(before, planes=(a, b, c))))
    assert all(np.array_equal(p, q) for p, q in zip(one.planes, other.planes, strict=True))


class TestLatents:
    @pytest.fixture(scope="class")
    @staticmethod
    def rescaler() -> Rescaler:
        return Rescaler.load(device="cpu", precision="fp32")

    @pytest.fixture(scope="class")
    @staticmethod
    def small(rescaler: Rescaler) -> Picture:
        before = smooth(32, 48)
        return replace(rescaler.downscale(before, Samples.of(before)), qp=30.0)

    def restored(self, rescaler: Rescaler, small: Picture, index: int = 0, **how: float | int) -> bytes:
        to = Restoration(Samples(Layout.YUV420, 8, COLOR), 32, 48, **how)  # type: ignore[arg-type]
        return b"".join(plane.tobytes() for plane in rescaler.upscale(small, to, index).planes)

    def test_same_seed(self, rescaler: Rescaler, small: Picture) -> None:
        once = self.restored(rescaler, small, temperature=1.0, seed=4)
        torch.manual_seed(99)  # nothing global matters
        assert self.restored(rescaler, small, temperature=1.0, seed=4) == once

    @pytest.mark.parametrize("other", [{"seed": 5}, {"index": 1}, {"temperature": 0.5}])
    def test_other_noise(self, rescaler: Rescaler, small: Picture, other: dict[str, int]) -> None:
        given = {"temperature": 3.0, "seed": 4}
        assert self.restored(rescaler, small, **{**given, **other}) != self.restored(rescaler, small, **given)

    def test_pictures_of_neighbouring_seeds_differ(self, rescaler: Rescaler, small: Picture) -> None:
        """The second picture of one seed is not the first of the next."""
        one = self.restored(rescaler, small, index=1, temperature=3.0, seed=0)
        assert one != self.restored(rescaler, small, index=0, temperature=3.0, seed=1)

    def test_the_mean_has_no_seed(self, rescaler: Rescaler, small: Picture) -> None:
        assert self.restored(rescaler, small, seed=1) == self.restored(rescaler, small, index=2, seed=3)

    def test_largest_seed(self, rescaler: Rescaler, small: Picture) -> None:
        assert self.restored(rescaler, small, temperature=1.0, seed=2**63 - 1, index=10**6)

    def test_quantiser_matters(self, rescaler: Rescaler, small: Picture) -> None:
        """That of the picture, else that of the card."""
        told = self.restored(rescaler, small, quantiser=12.0)
        assert told == self.restored(rescaler, small)
        untold = replace(small, qp=None)
        assert self.restored(rescaler, untold, quantiser=30.0) == told
        assert self.restored(rescaler, untold, quantiser=50.0) != told

    def test_threads(self, rescaler: Rescaler, small: Picture) -> None:
        once = self.restored(rescaler, small, temperature=1.0)
        with ThreadPoolExecutor(4) as pool:
            runs = pool.map(lambda _: self.restored(rescaler, small, temperature=1.0), range(16))
        assert set(runs) == {once}


class TestLoading:
    def test_peers(self) -> None:
        assert set(RESAMPLERS) == {
            f"{kernel}-x{scale}" for kernel in ("lanczos", "bicubic") for scale in (1, 1.5, 2, 4)
        }
        lanczos, bicubic = (Rescaler.load(f"{name}-x2") for name in ("lanczos", "bicubic"))
        before = smooth(32, 32)
        small = [r.downscale(before, Samples.of(before)) for r in (lanczos, bicubic)]
        assert not np.array_equal(small[0].planes[0], small[1].planes[0])
        assert lanczos.sha256 == ""
        assert lanczos.where == "swscale"

    @pytest.mark.parametrize("bit_depth", [10, 12])
    @pytest.mark.parametrize("scale", [1.5, 2])
    def test_peers_at_many_bits(self, scale: float, bit_depth: int) -> None:
        before = smooth(64, 64, bit_depth=bit_depth)
        rescaler = Rescaler.load(f"lanczos-x{scale:g}")
        small = rescaler.downscale(before, Samples.of(before))
        after = rescaler.upscale(small, Restoration(Samples.of(before), 64, 64))
        assert small.planes[0].max() < 1 << bit_depth
        assert error(before, after) > 35

    @pytest.mark.parametrize("scale", SCALES)
    @pytest.mark.parametrize("layout", [Layout.YUV420, Layout.YUV444])
    def test_frames_of_any_size_are_enlarged_by_the_scale(self, scale: float, layout: Layout) -> None:
        """Streams of others have sides that no sender of ours makes: a slope stays one, and nothing is stretched."""
        for width in range(60, 64):
            shapes = layout.plane_shapes(16, width)
            planes = [np.tile((40 * np.arange(columns)).astype(np.uint16), (rows, 1)) for rows, columns in shapes]
            a, b, c = planes
            lr = replace(smooth(16, width, layout, bit_depth=12), planes=(a, b, c))
            size = enlarged(16, scale), enlarged(width, scale)
            large = Rescaler.load(f"lanczos-x{scale:g}").upscale(lr, Restoration(Samples.of(lr), *size))
            for plane, shape in zip(large.planes, layout.plane_shapes(*size), strict=True):
                wanted = 40 * ((np.arange(plane.shape[1]) + 0.5) / scale - 0.5)
                assert plane.shape == shape
                assert np.abs(plane - wanted)[:, 9:-9].max() < 3

    def test_full_hd_becomes_720p(self) -> None:
        assert Rescaler.load("lanczos-x1.5").lr_size(1080, 1920) == (720, 1280)

    def test_unknown(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownModel, match="did you mean lanczos-x"):
            Rescaler.load("lanczos-x3")
        with pytest.raises(MissingFile):
            Rescaler.load(str(tmp_path / "none.safetensors"))
        (tmp_path / "text.safetensors").write_text("text")
        with pytest.raises(BadWeights):
            Rescaler.load(str(tmp_path / "text.safetensors"))

    @pytest.mark.parametrize("device", ["cuda", "cuda:1"])
    @pytest.mark.parametrize("model", ["irn-h264-x2", "lanczos-x2"])
    def test_a_gpu_that_is_not_here(self, monkeypatch: pytest.MonkeyPatch, model: str, device: str) -> None:
        """Only `auto` may take the CPU in its place."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(UnavailableDevice, match=f"there is no {device} here"):
            Rescaler.load(model, device=device)
        assert Rescaler.load(model, device="auto").warnings == ()

    @pytest.mark.parametrize(
        ("device", "precision"), [("tpu", "auto"), ("cpu", "int8"), ("mps", "auto"), ("cuda:x", "auto")]
    )
    def test_device(self, device: str, precision: str) -> None:
        with pytest.raises(BadOption):
            Rescaler.load(device=device, precision=precision)

    def test_network_sends_420_only(self) -> None:
        before = smooth(32, 32, Layout.YUV444)
        with pytest.raises(BadOption, match="4:2:0 only"):
            Rescaler.load().downscale(before, Samples.of(before))
