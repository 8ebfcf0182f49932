"""Training through the real encoder: its samples, its batches, and the task that trains the sender too."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training import mixing, samples
from irn_video.pipeline.training.codec_task import CodecTask
from irn_video.pipeline.training.config import CodecConfig, TrainConfig
from irn_video.pipeline.training.samples import CodedGroups, plane_errors
from irn_video.pipeline.training.sender_task import MovingCrops, SenderTask, _crops, _mosaics
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.surrogates import METHODS, Method

CODEC = CodecConfig(crf_min=18, crf_max=30, presets=("ultrafast",), frames=3)


@pytest.fixture(scope="module")
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_samples_come_from_the_real_encoder(scale: int, source: SequenceSource) -> None:
    network = CodecAwareRescaler(8, 1, scale)
    group = CodedGroups(source, CODEC, network, 64, "0").group(1)
    side = 64 // (2 * scale)
    assert group.lr.shape[1:] == (6, side, side)
    assert group.target.shape[1:] == (6 * scale**2, side, side)
    assert 5 < float(group.qp.min()) <= float(group.qp.max()) <= 51
    error = (group.lr.float() / 255 - group.target[:, :6].float()).square().mean()
    assert 1e-6 < float(error) < 1e-2  # coded, not copied, and aligned


def test_the_receiver_learns_what_the_filter_took(source: SequenceSource) -> None:
    plain, cored = (CodedGroups(source, CODEC, CodecAwareRescaler(8, 1, coring=c), 64, "0").group(1) for c in (0, 2.0))
    assert torch.equal(plain.target, cored.target)
    assert not torch.equal(plain.lr, cored.lr)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_subband_errors_are_those_of_the_planes(scale: int) -> None:
    """Parseval: the wavelet is close enough to orthonormal that both agree within two percent."""
    network = CodecAwareRescaler(8, 1, scale)
    hr, other = torch.rand(2, 2, 6, 64, 64)
    with torch.no_grad():
        bands = [torch.cat(network.downscale(x), 1) for x in (hr, other)]
    squared = (hr - other).square().mean((2, 3))
    planes = torch.stack((squared[:, :4].mean(1), squared[:, 4], squared[:, 5]), 1)
    assert torch.allclose(plane_errors(*bands), planes, rtol=0.02)


def test_groups_are_functions_of_their_number(source: SequenceSource) -> None:
    groups = CodedGroups(source, CODEC, CodecAwareRescaler(8, 1), 64, "0", first=4)
    first, again = next(iter(groups)), groups.group(4)
    for one, other in zip(first.tensors(), again.tensors(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.lr, groups.group(5).lr)


def test_crops_larger_than_all_pictures_are_an_error(source: SequenceSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_TRIES", 2)
    with pytest.raises(TrainingFailed, match="larger than the crops of 1024"):
        CodedGroups(source, CODEC, CodecAwareRescaler(8, 1), 1024, "0").group(0)


def test_batches_do_not_depend_on_where_a_run_began(source: SequenceSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "_GROUPS", 2)
    monkeypatch.setattr(mixing, "_BATCHES_PER_GROUP", 3)
    config = TrainConfig("x", NetworkSpec("codec-aware", width=8, depth=1), codec=CODEC, crop=64, batch=4)
    task = CodecTask(config, source)
    whole = list(islice(task.batches(0, 0), 9))
    for start in (1, 3, 8):
        assert torch.equal(next(task.batches(0, start)).lr, whole[start].lr)
    assert not torch.equal(whole[0].lr, whole[1].lr)
    assert not torch.equal(next(task.batches(1, 0)).lr, whole[0].lr)  # another shard


def test_mosaics_and_back() -> None:
    crops = torch.rand(3 * 6, 2, 4, 8)
    mosaics = _mosaics(crops, 3)
    assert mosaics.shape == (3, 2, 2 * 4, 3 * 8)
    assert torch.equal(mosaics[0, :, :4, :8], crops[0])
    assert torch.equal(mosaics[1, :, 4:, 8:16], crops[6 + 4])
    assert torch.equal(_crops(mosaics, 6), crops)


@pytest.mark.parametrize("method", METHODS)
def test_the_sender_learns_through_the_encoder(method: Method, source: SequenceSource) -> None:
    codec = CodecConfig(presets=("ultrafast",), frames=2, sender=method)
    spec = NetworkSpec("codec-aware", width=8, depth=1)
    task = SenderTask(TrainConfig("x", spec, codec=codec, crop=64, batch=4), source)
    batch = MovingCrops(source, 2, 64, "0").group(0)[:4]
    network = spec.build().train()
    assert task.frozen(network) == []
    (receiver, one), (sender, slow) = task.rates(network)
    assert (one, slow) == (1.0, 0.05)
    assert [p.shape for p in sender] == [(3, 7)]
    assert len(receiver) + 1 == len(list(network.parameters()))
    loss = task.loss(network, batch, torch.Generator().manual_seed(1))
    loss.total.backward()  # type: ignore[no-untyped-call]
    assert isinstance(network, CodecAwareRescaler)
    gradient = network.wavelet.taps.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert float(gradient.abs().max()) > 1e-4
    again = task.loss(network, batch, torch.Generator().manual_seed(1))
    assert again.total.item() == pytest.approx(loss.total.item(), rel=1e-5)


def test_a_sender_of_rate_zero_stays_fixed(source: SequenceSource) -> None:
    codec = CodecConfig(sender="straight-through", sender_rate=0)
    spec = NetworkSpec("codec-aware", width=8, depth=1)
    task = SenderTask(TrainConfig("x", spec, codec=codec, crop=64, batch=4), source)
    network = spec.build()
    assert task.frozen(network) == [network.wavelet]
