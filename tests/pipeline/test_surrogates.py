"""Gradients through the encoder: the DCT, the three methods, and the rate that follows x264's bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from irn_video.codecs.writing.roundtrip import x264_roundtrip
from irn_video.pipeline.training.surrogates import METHODS, Method, dct, inverse_dct, rate_proxy, step_of, through_codec


def test_the_transform_is_orthonormal() -> None:
    planes = torch.rand(2, 1, 16, 24)
    coefficients = dct(planes)
    assert coefficients.shape == (2, 6, 64)
    assert torch.allclose(coefficients.square().sum(), planes.square().sum(), rtol=1e-5)
    assert torch.allclose(inverse_dct(coefficients, planes.shape), planes, atol=1e-6)
    flat = dct(torch.full((1, 1, 8, 8), 0.5))
    assert flat[0, 0, 0].item() == pytest.approx(4.0)
    assert flat[0, 0, 1:].abs().max().item() < 1e-6


def test_the_quantiser_step_doubles_every_six() -> None:
    assert (255 * step_of(torch.tensor([4.0, 10.0, 28.0]))).tolist() == pytest.approx([1, 2, 16])


@pytest.mark.parametrize("method", METHODS)
def test_the_value_is_the_decoded_picture(method: Method) -> None:
    sent, decoded = torch.rand(2, 2, 1, 16, 16)
    through = through_codec(sent.requires_grad_(), decoded, torch.tensor([20.0, 30.0]), method)
    assert torch.allclose(through, decoded, atol=1e-6)


def gradient(method: Method, coefficient: int, size: float) -> float:
    """Gradient that a DCT coefficient of this size, alone in its block and kept by the codec, hands back."""
    coefficients = torch.zeros(1, 1, 64)
    coefficients[0, 0, coefficient] = size
    sent = inverse_dct(coefficients, torch.Size((1, 1, 8, 8))).requires_grad_()
    decoded = sent.detach() if size > step_of(torch.tensor(28.0)) else torch.zeros_like(sent)
    dct(through_codec(sent, decoded, torch.tensor([28.0]), method))[0, 0, coefficient].backward()
    assert sent.grad is not None
    return float(dct(sent.grad)[0, 0, coefficient])


def test_what_each_method_lets_through() -> None:
    step = float(step_of(torch.tensor(28.0)))
    for size, expected in ((10 * step, 1.0), (0.05 * step, 0.0)):
        assert gradient("straight-through", 9, size) == pytest.approx(1, abs=1e-4)
        assert gradient("surrogate", 9, size) == pytest.approx(expected, abs=0.05)
        assert gradient("projection", 9, size) == pytest.approx(expected, abs=1e-4)


def test_the_rate_follows_the_bits_of_x264() -> None:
    """Over pictures from flat to rough, proxy and real bits rise together."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((64, 64))
    real, proxy = [], []
    for contrast in (0, 5, 15, 40):
        luma = np.clip(128 + contrast * noise, 0, 255).astype(np.uint8)
        chroma = np.full((32, 32), 128, np.uint8)
        _, qps, size = x264_roundtrip([(luma, chroma, chroma)], crf=26, preset="veryfast")
        sent = torch.from_numpy(luma)[None, None].float() / 255
        real.append(size)
        proxy.append(rate_proxy(sent, torch.zeros_like(sent), torch.tensor(qps)).item())
    assert real == sorted(real)
    assert proxy == sorted(proxy)
    assert proxy[0] < 1
