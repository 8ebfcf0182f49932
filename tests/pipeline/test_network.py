"""The networks: invertibility, the paper's numbers, the rounding between their halves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.errors import BadWeights
from irn_video.codecs.picture import Layout
from irn_video.codecs.scales import SCALES, multiple_of
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler, PaperRescaler, quantise
from irn_video.pipeline.network.constants import sampled_channels
from irn_video.pipeline.network.haar import HaarTransform
from irn_video.pipeline.network.lifting import BRICK_WALL_TAPS, LiftedSplit
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.network.thirds import ThirdsSplit
from irn_video.pipeline.planes import crop, pad
from torch import nn


def randomised(network: InvertibleRescaler, seed: int, spread: float = 0.03) -> InvertibleRescaler:
    """Every trainable weight moved at random, so that no layer is the identity."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += spread * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return network


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_paper_networks_have_the_published_sizes() -> None:
    assert parameters(PaperRescaler(2)) == 1_668_000
    assert parameters(PaperRescaler(4)) == 4_355_376
    assert sum(p.numel() for n, p in PaperRescaler(2).named_parameters() if "haar" in n) == 48


def test_official_tensor_names() -> None:
    names = set(PaperRescaler(4).state_dict())
    assert {"operations.0.haar_weights", "operations.1.F.conv1.weight", "operations.9.haar_weights"} <= names
    assert "operations.17.H.conv5.bias" in names
    assert not any(n.startswith("operations.18.") for n in names)


def test_haar_equals_a_hand_computed_cell() -> None:
    # a b / c d: average, left − right, top − bottom, diagonal; each over 4.
    cell = torch.tensor([[[[1.0, 2.0], [4.0, 9.0]]]])
    bands = HaarTransform(1)(cell).flatten().tolist()
    assert bands == [(1 + 2 + 4 + 9) / 4, (1 - 2 + 4 - 9) / 4, (1 + 2 - 4 - 9) / 4, (1 - 2 - 4 + 9) / 4]


def test_haar_puts_the_averages_of_all_channels_first() -> None:
    picture = torch.stack([torch.full((4, 4), float(c)) for c in range(3)])[None]
    bands = HaarTransform(3)(picture)
    assert torch.equal(bands[0, :, 0, 0], torch.tensor([0.0, 1, 2, *[0.0] * 9]))


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(["paper-2", "paper-4"]),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    seed=st.integers(0, 10**6),
)
def test_paper_inverse_undoes_forward_at_any_size(kind: str, height: int, width: int, seed: int) -> None:
    scale = int(kind[-1])
    network = randomised(PaperRescaler(scale, blocks=2), seed)
    planes = tuple(torch.rand(1, 1, height, width, dtype=torch.float64) for _ in range(3))
    padded = pad(planes, Layout.RGB, -(-height // scale) * scale, -(-width // scale) * scale)  # type: ignore[arg-type]
    hr = torch.cat(padded, 1)
    with torch.no_grad():
        lr, latent = network.downscale(hr)
        back = network.upscale(lr, latent)
    assert lr.shape[-2:] == (hr.shape[-2] // scale, hr.shape[-1] // scale)
    assert latent.shape[1] == 3 * (scale**2 - 1)
    restored = crop(back.split(1, 1), Layout.RGB, height, width)
    assert max(float((a - b).abs().max()) for a, b in zip(planes, restored, strict=True)) < 1e-9


@settings(max_examples=30, deadline=None)
@given(scale=st.sampled_from(SCALES), height=st.integers(1, 37), width=st.integers(1, 37), seed=st.integers(0, 10**6))
def test_codec_aware_inverse_undoes_forward_at_any_size(scale: float, height: int, width: int, seed: int) -> None:
    network = randomised(CodecAwareRescaler(8, 1, scale), seed)
    shapes = Layout.YUV420.plane_shapes(height, width)
    planes = tuple(torch.rand(1, 1, *shape, dtype=torch.float64) for shape in shapes)
    step, (more, fewer) = multiple_of(scale), scale.as_integer_ratio()
    padded = pad(planes, Layout.YUV420, -(-height // step) * step, -(-width // step) * step)  # type: ignore[arg-type]
    hr = pack(*padded)
    with torch.no_grad():
        lr, latent = network.downscale(hr)
        back = network.upscale(lr, latent)
    assert lr.shape[1:] == (6, *(side * fewer // more for side in hr.shape[2:]))
    assert latent.shape[1:] == (6 * (more**2 - fewer**2), *(side // more for side in hr.shape[2:]))
    restored = crop(unpack(back), Layout.YUV420, height, width)
    assert max(float((a - b).abs().max()) for a, b in zip(planes, restored, strict=True)) < 1e-9


@pytest.mark.parametrize("scale", SCALES)
def test_predictions_have_the_shapes_of_lr_and_latent(scale: float) -> None:
    network = randomised(CodecAwareRescaler(8, 1, scale), 5).float()
    height, width = 7 * network.multiple, 9 * network.multiple  # odd sides: scale 1 pads inside
    lr, latent = network.downscale(torch.rand(2, 6, height, width))
    with torch.inference_mode():
        prediction = network.predict(lr, 30.0)
        restored = network.restore(lr, 30.0, temperature=0.5, generator=torch.Generator().manual_seed(1))
    assert prediction.lr.shape == lr.shape
    assert prediction.mean.shape == prediction.log_std.shape == latent.shape
    assert restored.shape == (2, 6, height, width)
    assert not torch.equal(prediction.lr, lr)


def test_scale_four_is_scale_two_twice() -> None:
    two, four = CodecAwareRescaler(8, 1, 2), CodecAwareRescaler(8, 1, 4)
    hr = torch.rand(1, 6, 32, 48)
    with torch.inference_mode():
        assert torch.equal(four.downscale(hr)[0], two.downscale(two.downscale(hr)[0])[0])


def test_full_depth_paper_network_inverts() -> None:
    network = randomised(PaperRescaler(2), 1, spread=0.02)
    hr = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        assert float((network.upscale(*network.downscale(hr)) - hr).abs().max()) < 1e-9


def test_low_pass_keeps_flat_areas_and_stops_the_finest_lines() -> None:
    split = LiftedSplit()
    flat = torch.full((1, 1, 4, 32), 0.7)
    s, d = split.split(flat, flat, -1)
    assert torch.allclose(s, flat, atol=1e-6)
    assert torch.allclose(d, torch.zeros_like(d), atol=1e-6)
    s, _ = split.split(flat, -flat, -1)  # +0.7 −0.7 +0.7 …: nothing of it may reach the LR picture
    assert float(s.detach().abs().max()) < 1e-6


def test_split_acts_alike_along_both_axes() -> None:
    split = LiftedSplit()
    even, odd = torch.rand(2, 1, 1, 24, 20)
    across = split.split(even, odd, -1)
    down = split.split(even.transpose(-1, -2), odd.transpose(-1, -2), -2)
    for a, b in zip(across, down, strict=True):
        assert torch.allclose(a, b.transpose(-1, -2), atol=1e-6)


def test_taps_pass_low_and_stop_high_frequencies() -> None:
    """Gain of the LR low-pass at 0.35 and 0.65 of the HR Nyquist frequency: the passband and what would alias."""
    split = LiftedSplit(BRICK_WALL_TAPS)
    gains = []
    for frequency in (0.35, 0.65):
        n = torch.arange(512, dtype=torch.float64)
        wave = torch.cos(torch.pi * frequency * n).float()
        s, _ = split.split(wave[None, None, None, ::2], wave[None, None, None, 1::2], -1)
        gains.append(float(s[..., 40:-40].square().mean().sqrt() * 2**0.5))
    assert gains[0] == pytest.approx(1, abs=0.02)
    assert gains[1] < 0.02


class TestThirds:
    def test_flat_areas_stay_and_the_finest_lines_go(self) -> None:
        split = ThirdsSplit()
        flat = torch.full((1, 1, 4, 48), 0.7)
        s, d = split.split(flat, -1)
        assert s.shape[-1] == 32
        assert torch.allclose(s, torch.full_like(s, 0.7), atol=1e-5)
        assert torch.allclose(d, torch.zeros_like(d), atol=1e-5)
        s, _ = split.split(flat * (-1.0) ** torch.arange(48), -1)
        assert float(s[..., 12:-12].abs().max()) < 1e-3

    def test_acts_alike_along_both_axes(self) -> None:
        split, x = ThirdsSplit(), torch.rand(1, 1, 24, 30)
        for a, b in zip(split.split(x, -1), split.split(x.mT, -2), strict=True):
            assert torch.allclose(a, b.mT, atol=1e-6)

    def test_a_mirrored_picture_is_sent_mirrored(self) -> None:
        split, x = ThirdsSplit(), torch.rand(1, 1, 4, 60)
        for a, b in zip(split.split(x, -1), split.split(x.flip(-1), -1), strict=True):
            assert torch.allclose(a, b.flip(-1), atol=1e-6)

    def test_passes_low_and_stops_high_frequencies(self) -> None:
        """Gain of the LR low-pass at 0.52 and 0.82 of the HR Nyquist frequency, with the phase of LR samples."""
        split, n = ThirdsSplit(), torch.arange(768, dtype=torch.float64)
        for frequency, gain in ((0.52, 1.0), (0.82, 0.0)):
            wave = torch.cos(torch.pi * frequency * n).float()[None, None, None]
            s, _ = split.split(wave, -1)
            places = 1.5 * torch.arange(512, dtype=torch.float64) + 0.25
            ideal = gain * torch.cos(torch.pi * frequency * places)
            assert float((s[0, 0, 0].double() - ideal)[20:-20].abs().max()) < 0.03

    def test_is_nearly_orthonormal(self) -> None:
        """A detail of size 1 spreads over three samples, an average over one and a half."""
        split, zeros = ThirdsSplit(), torch.zeros(1, 1, 1, 32)
        one = zeros.clone()
        one[..., 16] = 1
        energies = [split.join(zeros.repeat(1, 1, 1, 2), one, -1), split.join(torch.cat((one, zeros), -1), zeros, -1)]
        assert [float(x.square().sum()) for x in energies] == pytest.approx([3, 1.5], rel=2e-3)


def test_pack_is_undone() -> None:
    y, u, v = torch.rand(2, 1, 8, 12), torch.rand(2, 1, 4, 6), torch.rand(2, 1, 4, 6)
    for a, b in zip((y, u, v), unpack(pack(y, u, v)), strict=True):
        assert torch.equal(a, b)


def test_rounding_has_a_straight_through_gradient() -> None:
    lr = torch.tensor([-0.2, 0.1, 0.50001, 1.3], requires_grad=True)
    rounded = quantise(lr)
    assert torch.equal(rounded * 255, torch.tensor([0.0, 26.0, 128.0, 255.0]))
    rounded.backward(torch.tensor([1.0, -2.0, 3.0, 4.0]))
    assert lr.grad is not None
    assert torch.equal(lr.grad, torch.tensor([1.0, -2.0, 3.0, 4.0]))


def test_rounding_to_ten_bits() -> None:
    assert float(quantise(torch.tensor(0.5), 10)) == pytest.approx(512 / 1023)


def test_untrained_paper_network_is_the_haar_transform() -> None:
    network = PaperRescaler(2)
    hr = torch.rand(1, 3, 8, 8)
    lr, latent = network.downscale(hr)
    assert torch.allclose(torch.cat((lr, latent), 1), HaarTransform(3)(hr), atol=1e-6)


def test_sampled_latents_follow_the_prediction() -> None:
    network = CodecAwareRescaler(8, 1).eval()
    with torch.inference_mode():
        prediction = network.predict(torch.rand(1, 6, 64, 64), 30.0)
        draws = [prediction.latent(0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    drawn = list(sampled_channels(2))
    assert drawn == list(range(12))  # luma alone: noise in Cb and Cr would be coloured dots
    assert torch.equal(draws[0][:, 12:], prediction.mean[:, 12:])
    spread = ((draws[0] - prediction.mean) / prediction.std)[:, drawn]
    assert float(spread.std()) == pytest.approx(0.5, rel=0.02)
    assert torch.equal(prediction.latent(0.0), prediction.mean)


@pytest.mark.parametrize(("scale", "luma"), [(1, 0), (1.5, 20), (2, 12), (4, 60)])
def test_noise_never_reaches_chroma(scale: float, luma: int) -> None:
    network = CodecAwareRescaler(8, 1, scale).eval()
    with torch.inference_mode():
        prediction = network.predict(torch.rand(1, 6, 24, 24), 30.0)
        noisy = prediction.latent(1.0, torch.Generator().manual_seed(1))
        (y, *chroma), (mean_y, *means) = (unpack(network.upscale(prediction.lr, x)) for x in (noisy, prediction.mean))
    assert len(sampled_channels(scale)) == luma
    assert torch.equal(y, mean_y) == (luma == 0)
    assert all(torch.equal(*pair) for pair in zip(chroma, means, strict=True))


def test_quantiser_matters_alone_or_in_a_batch() -> None:
    """Folding one quantiser into the weights gives what a batch with that quantiser everywhere gives."""
    network = randomised(CodecAwareRescaler(8, 1), 3, spread=0.2).eval()
    lr = torch.rand(2, 6, 12, 12, dtype=torch.float64)
    network = network.float()
    lr = lr.float()
    with torch.inference_mode():
        one, batch = network.predict(lr, 33.0), network.predict(lr, torch.tensor([33.0, 33.0]))
        other = network.predict(lr, 20.0)
    assert torch.allclose(one.mean, batch.mean, atol=1e-5)
    assert not torch.allclose(one.mean, other.mean, atol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        {"family": "transformer"},
        {"family": "codec-aware", "scale": 3},
        {"family": "paper", "scale": 8},
        {"family": "codec-aware", "width": 10**6},
        {"family": "paper", "blocks": 0},
    ],
)
def test_senseless_specs_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(BadWeights):
        NetworkSpec(**values)  # type: ignore[arg-type]
