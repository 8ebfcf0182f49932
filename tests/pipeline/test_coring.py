"""The sender's coring: what it takes away, what it leaves, and where it is not done."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.pipeline.engine.choosing import network_rescaler
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import quantiser_step
from irn_video.pipeline.network.coring import Coring
from irn_video.pipeline.network.packed import unpack
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo import LoadedModel, ModelCard

GREY = 0.5


def wave(amplitude: float) -> torch.Tensor:
    """The finest checkerboard, (1, 1, 40, 48): one coefficient in every block, wherever the blocks lie."""
    y, x = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    return (GREY + amplitude * (1 - 2 * ((x + y) % 2)))[None, None]


def test_quantiser_steps_are_those_of_the_standard() -> None:
    assert [quantiser_step(qp) for qp in (4, 10, 28, 52)] == [1, 2, 16, 256]


@pytest.mark.parametrize("qp", [16.0, 26.0, 40.0])
def test_means_and_strong_detail_stay(qp: float) -> None:
    coring = Coring(0.5)
    flat = torch.full((1, 1, 17, 23), 0.3)
    assert torch.allclose(coring(flat, qp), flat, atol=1e-6)
    strong = 4 * quantiser_step(qp) / 255
    inner = (..., slice(8, -8), slice(8, -8))  # at the edge the replicated samples are another pattern
    assert torch.allclose(coring(wave(strong), qp)[inner], wave(strong)[inner], atol=1e-4)


def test_faint_detail_is_shrunk_by_the_square_of_its_size() -> None:
    """At a tenth of the threshold a hundredth is left, and never more than there was at any size."""
    coring, qp = Coring(0.5), 26.0
    inner = (..., slice(8, -8), slice(8, -8))
    before = wave(0.001)
    left = (coring(before, qp) - GREY)[inner].norm() / (before - GREY)[inner].norm()
    largest = float(torch.einsum("kp,p->k", coring.basis, (before - GREY)[0, 0, 8:16, 8:16].flatten()).abs().max())
    threshold = 0.5 * quantiser_step(qp) / 255
    assert float(left) < (largest / threshold) ** 2 + 1e-3
    waves = [wave(amplitude) - GREY for amplitude in (0.001, 0.004, 0.1)]
    sizes = [float((coring(GREY + w, qp) - GREY)[inner].norm() / w[inner].norm()) for w in waves]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.2
    assert sizes[-1] == pytest.approx(1, abs=1e-3)


def test_higher_quantisers_take_more() -> None:
    noise = GREY + 0.01 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    left = [float(Coring(0.5)(noise, qp).std()) for qp in (0.0, 20.0, 30.0, 40.0)]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(0.01, rel=0.05)
    assert left[-1] < 0.003


@pytest.mark.parametrize("scale", [1, 2])
def test_networks_filter_every_plane_or_none(scale: int) -> None:
    lr = GREY + 0.02 * torch.randn(2, 6, 11, 13, generator=torch.Generator().manual_seed(0))
    network = CodecAwareRescaler(8, 1, scale, coring=0.5)
    assert torch.equal(network.prefilter(lr), lr)  # no quantiser is known
    assert torch.equal(CodecAwareRescaler(8, 1, scale).prefilter(lr, 30.0), lr)
    cored = network.prefilter(lr, 40.0)
    assert cored.shape == lr.shape
    for before, after in zip(unpack(lr), unpack(cored), strict=True):
        assert float(after.std()) < 0.5 * float(before.std())


@pytest.mark.parametrize(
    ("settings", "qp"),
    [
        (EncoderSettings(crf=31), 31),
        (EncoderSettings(), 23),
        (EncoderSettings(crf=31, tune="zerolatency"), 31),
        (EncoderSettings(crf=31, tune="psnr"), None),
        (EncoderSettings(crf=31, tune="grain"), None),
        (EncoderSettings(bitrate=800_000), None),
        (EncoderSettings(lossless=True), None),
        (EncoderSettings(codec="h265", crf=31), None),
        (EncoderSettings(codec="av1", crf=31), None),
        (EncoderSettings(codec="ffv1"), None),
    ],
)
def test_only_what_x264_treats_so_is_filtered(settings: EncoderSettings, qp: float | None) -> None:
    assert make_encoder(settings).prefilter_qp == qp


def test_senders_filter_for_the_quantiser_they_are_told() -> None:
    spec = NetworkSpec("codec-aware", 1, width=8, depth=1, coring=0.5)
    model = LoadedModel(ModelCard("x", spec, "", "", "", "", "", 0, 0, 0.0), spec.build(), "")
    rescaler = network_rescaler(model, choose_device("cpu", "fp32"))
    rng = np.random.default_rng(0)
    planes = tuple((128 + rng.normal(0, 3, shape)).astype(np.uint8) for shape in Layout.YUV420.plane_shapes(48, 64))
    picture = Picture(planes, Layout.YUV420, 8, ColorSpec(), 0, Fraction(1, 25))  # type: ignore[arg-type]
    spreads = [rescaler.downscale(picture, Samples.of(picture), qp).planes[0].std() for qp in (None, 16.0, 36.0)]
    assert spreads[0] == picture.planes[0].std()
    assert spreads[0] > spreads[1] > spreads[2]
