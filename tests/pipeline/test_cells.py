"""What the receiver's convolutions see: an orthonormal transform of the cells, scaled, with local means."""

from __future__ import annotations

import pytest
import torch
from irn_video.pipeline.network.cells import CellTransform
from irn_video.pipeline.network.packed import pack


@pytest.mark.parametrize("fold", [1, 2])
def test_the_basis_is_orthonormal(fold: int) -> None:
    basis = CellTransform(fold).basis[:, :, 0, 0]
    assert torch.allclose(basis @ basis.T, torch.eye(6 * fold**2), atol=1e-6)


@pytest.mark.parametrize("fold", [1, 2])
def test_flat_pictures_have_means_only(fold: int) -> None:
    y, u, v = (torch.full((1, 1, 16 // k, 24 // k), value) for k, value in ((1, 0.7), (2, 0.2), (2, 0.5)))
    seen = CellTransform(fold)(pack(y, u, v))
    assert seen.shape == (1, 6 * fold**2 + 3, 8 // fold, 12 // fold)
    assert float(seen[:, :-3].abs().max()) < 1e-4
    assert torch.allclose(seen[0, -3:, 0, 0] / 3 + 0.5, torch.tensor([0.7, 0.2, 0.5]), atol=1e-6)


@pytest.mark.parametrize("fold", [1, 2])
def test_a_luma_wave_is_one_coefficient(fold: int) -> None:
    """The horizontal frequency that fits once into a cell shows in the second coefficient alone, chroma nowhere."""
    size = 2 * fold
    wave = torch.cos(torch.pi / size * (torch.arange(size) + 0.5)).repeat(24 // size)
    y = 0.5 + 0.1 * wave[None, None, None].expand(1, 1, 16, 24)
    grey = torch.full((1, 1, 8, 12), 0.5)
    seen = CellTransform(fold)(pack(y, grey, grey))[0, :, 1, 1]
    assert seen[1].item() == pytest.approx(10 * 0.1 * size / 2**0.5, rel=1e-4)
    others = torch.cat((seen[:1], seen[2:]))
    assert float(others.abs().max()) < 1e-4
