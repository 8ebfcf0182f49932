"""Training through the real encoder: its samples, its batches, and the task that trains the sender too."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.scales import SCALES
from irn_video.pipeline.network import CodecAwareRescaler, InvertibleRescaler
from irn_video.pipeline.network.packed import fine_luma
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training import mixing, samples
from irn_video.pipeline.training.codec_task import CodecTask, stronger
from irn_video.pipeline.training.config import CodecConfig, TrainConfig
from irn_video.pipeline.training.packed import POOL_BATCHES, PackedGroups, PackedTask, prepare
from irn_video.pipeline.training.samples import CodedGroups, in_cells, plane_errors
from irn_video.pipeline.training.sender_task import MovingCrops, SenderTask, _crops, _mosaics
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.surrogates import METHODS, Method
from irn_video.pipeline.training.trainer import Trainer
from irn_video.pipeline.zoo import load_model

CODEC = CodecConfig(crf_min=18, crf_max=30, presets=("ultrafast",), frames=3)
TAUGHT = TrainConfig(
    "x",
    NetworkSpec("codec-aware", width=8, depth=1),
    codec=CODEC,
    teacher="irn-h264-x2",
    crop=64,
    batch=4,
    optimizer="muon",
    learning_rate=0.01,
    warmup=1,
    ema=0.5,
)


@pytest.fixture(scope="module")
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


@pytest.mark.parametrize("scale", SCALES)
def test_samples_come_from_the_real_encoder(scale: float, source: SequenceSource) -> None:
    network, (more, fewer) = CodecAwareRescaler(8, 1, scale), scale.as_integer_ratio()
    crop = 64 if fewer == 1 else 72
    group = CodedGroups(source, CODEC, network, crop, "0").group(1)
    cells = crop // (2 * more)
    assert group.lr.shape[1:] == (6, fewer * cells, fewer * cells)
    assert group.target.shape[1:] == (6 * more**2, cells, cells)
    assert 5 < float(group.qp.min()) <= float(group.qp.max()) <= 51
    sent = F.pixel_shuffle(group.target[:, : 6 * fewer**2].float(), fewer)
    error = (group.lr.float() / 255 - sent).square().mean()
    assert 1e-6 < float(error) < 1e-2  # coded, not copied, and aligned


def test_the_receiver_learns_what_the_filter_took(source: SequenceSource) -> None:
    plain, cored = (CodedGroups(source, CODEC, CodecAwareRescaler(8, 1, coring=c), 64, "0").group(1) for c in (0, 2.0))
    assert torch.equal(plain.target, cored.target)
    assert not torch.equal(plain.lr, cored.lr)


@pytest.mark.parametrize("scale", SCALES)
def test_subband_errors_are_those_of_the_planes(scale: float) -> None:
    """Parseval: the wavelet is close enough to orthonormal that both agree within two percent."""
    network = CodecAwareRescaler(8, 1, scale)
    hr, other = torch.rand(2, 2, 6, 192, 192)
    with torch.no_grad():
        bands = [in_cells(*network.downscale(x)) for x in (hr, other)]
    squared = (hr - other).square().mean((2, 3))
    planes = torch.stack((squared[:, :4].mean(1), squared[:, 4], squared[:, 5]), 1)
    assert torch.allclose(plane_errors(*bands), planes, rtol=0.02)


def test_groups_are_functions_of_their_number(source: SequenceSource) -> None:
    groups = CodedGroups(source, CODEC, CodecAwareRescaler(8, 1), 64, "0", first=4)
    first, again = next(iter(groups)), groups.group(4)
    for one, other in zip(first.tensors(), again.tensors(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.lr, groups.group(5).lr)


@pytest.mark.parametrize("scale", SCALES)
def test_an_aim_of_more_contrast(scale: float) -> None:
    """Only what is fine in the LR luma grows; the latent, chroma and flat areas stay."""
    network = CodecAwareRescaler(8, 1, scale)
    with torch.no_grad():
        lr, latent = network.downscale(torch.rand(2, 6, 48, 48))
        flat = network.downscale(torch.full((1, 6, 48, 48), 0.4))
    target = in_cells(lr, latent)
    aim = stronger(target, lr.shape[-1], 0.1)
    cell = lr.shape[-1] // latent.shape[-1]
    luma = 4 * cell**2
    assert torch.equal(aim[:, luma:], target[:, luma:])
    more = F.pixel_shuffle(aim[:, : 6 * cell**2], cell)
    assert torch.allclose(more[:, :4] - lr[:, :4], 0.1 * fine_luma(lr), atol=1e-6)
    assert float((more - lr).abs().max()) > 0.01
    assert torch.allclose(stronger(in_cells(*flat), flat[0].shape[-1], 0.1), in_cells(*flat), atol=1e-6)


def test_the_loss_is_least_at_the_aim(source: SequenceSource) -> None:
    """A network that says the source is punished for it, one that says the aim is not; what is reported stays."""
    batch = CodedGroups(source, CODEC, CodecAwareRescaler(8, 1), 64, "0").group(1)
    network, rng = TAUGHT.network.build(), torch.Generator()
    plain, strong = (CodecTask(replace(TAUGHT, teacher="", contrast=c), source) for c in (0.0, 0.2))
    with torch.no_grad():
        one, other = (task.loss(network, batch, rng) for task in (plain, strong))
    assert float(other.total) != pytest.approx(float(one.total), rel=1e-4)
    assert torch.equal(one.error, other.error)


class TestTeacher:
    def test_samples_hold_what_it_says(self, source: SequenceSource) -> None:
        student, teacher = CodecAwareRescaler(8, 1), load_model(TAUGHT.teacher).network
        alone = CodedGroups(source, CODEC, student, 64, "0").group(1)
        taught = CodedGroups(source, CODEC, student, 64, "0", teacher=teacher).group(1)
        for one, other in zip(alone.tensors()[:-1], taught.tensors()[:-1], strict=True):
            assert torch.equal(one, other)
        assert alone.taught.shape == (len(alone), 0, 16, 16)
        assert taught.taught.dtype == torch.float16
        with torch.no_grad():
            said = teacher.predict(taught.lr[5:6].float() / 255, float(taught.qp[5]))
        assert torch.allclose(torch.cat((said.lr, said.mean), 1), taught.taught[5:6].float(), atol=1e-3)

    def test_a_share_of_the_loss_is_against_it(self, source: SequenceSource) -> None:
        teacher = load_model(TAUGHT.teacher).network
        batch = CodedGroups(source, CODEC, CodecAwareRescaler(8, 1), 64, "0", teacher=teacher).group(1)
        student = TAUGHT.network.build()
        torch.nn.init.normal_(student.restorer.last.weight, std=0.1)  # type: ignore[union-attr, arg-type]
        rng = torch.Generator()

        def total(teaching: float, network: InvertibleRescaler, name: str = TAUGHT.teacher) -> float:
            task = CodecTask(replace(TAUGHT, teaching=teaching, teacher=name), source)
            with torch.no_grad():
                return float(task.loss(network, batch, rng).total)

        source_alone, half, teacher_alone = (total(share, student) for share in (0, 0.5, 1))
        assert half == pytest.approx((source_alone + teacher_alone) / 2, rel=1e-4)
        assert abs(source_alone - teacher_alone) > 0.01
        assert total(1, teacher) < 0.01 < 0.1 < total(0, teacher)
        assert total(1, student, "") == source_alone  # without a teacher the share says nothing

    def test_training_on_prepared_data_that_hold_it(
        self, source: SequenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mixing, "_GROUPS", 2)
        list(prepare(CodecTask(TAUGHT, source), TAUGHT, tmp_path / "data", 1))
        data = PackedGroups.open(tmp_path / "data")
        assert data.pool(0, 0)["taught"].shape == (4 * POOL_BATCHES, 24, 16, 16)
        monkeypatch.setattr("irn_video.pipeline.zoo.load_model", None)  # the teacher is needed where data are made
        trainer = Trainer(replace(TAUGHT, teaching=1), data, tmp_path / "run", steps=48)
        before = trainer.task.loss(trainer.averaged(), next(trainer.task.batches(0, 0)), torch.Generator())
        trainer.run(lambda _: None)
        after = trainer.task.loss(trainer.averaged(), next(trainer.task.batches(0, 0)), torch.Generator())
        assert after.total.item() < 0.9 * before.total.item()
        assert float(after.error) < float(before.error)  # what it learns from the teacher holds for the source
        with pytest.raises(TrainingFailed, match="prepared for teacher 'irn-h264-x2', not ''"):
            PackedTask(replace(TAUGHT, teacher=""), data)

    @pytest.mark.parametrize("name", ["irn-h264-x4", "irn-x2"])
    def test_another_sender_is_refused(self, name: str, source: SequenceSource) -> None:
        with pytest.raises(TrainingFailed, match=f"{name} cannot teach"):
            next(CodecTask(replace(TAUGHT, teacher=name), source).batches(0, 0))


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
