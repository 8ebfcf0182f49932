"""Configurations, the command, and the task of the paper's networks."""

from __future__ import annotations

import multiprocessing
import random
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from irn_video.codecs.errors import BadConfig, MissingFile, TrainingFailed
from irn_video.pipeline.commands.train import main
from irn_video.pipeline.network import quantise
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.training.config import TrainConfig, load_config
from irn_video.pipeline.training.paper_task import CropPools, PaperTask
from irn_video.pipeline.training.sequences import SequenceSource, find_files, photo_sequence

CONFIGS = sorted((Path(__file__).parents[2] / "samples" / "configs").glob("*.toml"))
TINY = TrainConfig("tiny", NetworkSpec("paper", blocks=1, latent_std=0.01), crop=32, batch=4, warmup=1)


@pytest.fixture
def source(photos: Path) -> SequenceSource:
    return SequenceSource(find_files((photos,), photos=True), (), 0.0)


class TestPaperTask:
    def test_batches_are_functions_of_seed_shard_and_step(self, source: SequenceSource) -> None:
        task = PaperTask(TINY, source)
        whole = list(islice(task.batches(0, 0), 40))
        assert all(batch.shape == (4, 3, 32, 32) and batch.dtype == torch.uint8 for batch in whole)
        for start in (3, 16, 37):
            for one, other in zip(islice(task.batches(0, start), 3), whole[start:], strict=False):
                assert torch.equal(one, other)
        other_shard = next(task.batches(1, 0))
        other_seed = next(PaperTask(replace(TINY, seed=1), source).batches(0, 0))
        assert not torch.equal(whole[0], other_shard)
        assert not torch.equal(whole[0], other_seed)

    def test_shards_share_a_batch(self, source: SequenceSource) -> None:
        assert len(next(PaperTask(replace(TINY, shards=2), source).batches(1, 0))) == 2

    def test_small_pictures_are_left_out(self, source: SequenceSource) -> None:
        pools = CropPools(source.photos, frozenset(source.photos), 4, 248, 0, 0)
        error = pools[0]  # the pictures are 320x240
        assert isinstance(error, TrainingFailed)
        with pytest.raises(TrainingFailed, match="no image has 256 by 256 samples"):
            next(PaperTask(replace(TINY, crop=256), source).batches(0, 0))

    def test_broken_pictures_are_named_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"no frame")
        task = PaperTask(TINY, SequenceSource((tmp_path / "x.png",), (), 0.0))
        with pytest.raises(TrainingFailed, match=r"^\S*x\.png: not an image") as caught:
            next(task.batches(0, 0))
        assert "Traceback" not in str(caught.value)

    def test_workers_end_with_the_batches(self, source: SequenceSource) -> None:
        """Also where something holds on to what runs them, as a cycle does that waits for the garbage collector."""
        before = set(multiprocessing.active_children())
        batches = PaperTask(TINY, source).batches(0, 0)
        next(batches)
        held = batches.gi_frame.f_locals["made"].gi_yieldfrom
        workers = set(multiprocessing.active_children()) - before
        assert workers
        batches.close()
        assert not any(worker.is_alive() for worker in workers)
        del held

    def test_clips_will_do(self, moving: Path) -> None:
        batch = next(PaperTask(TINY, SequenceSource((), (moving,), 1.0)).batches(0, 0))
        assert batch.float().std() > 10

    @pytest.mark.parametrize("scale", [2, 4])
    def test_the_sum_is_that_of_the_reference_implementation(self, scale: int) -> None:
        """Written out as there: per crop, weights scale²/1/1, sqrt(d² + 1e-6)."""
        spec = NetworkSpec("paper", scale=scale, blocks=1)
        config = replace(TINY, network=spec, loss="sum")
        network, batch = spec.build(), torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
        task = PaperTask(config, SequenceSource((), (), 0.0))
        loss = task.loss(network, batch, torch.Generator().manual_seed(7))
        hr = batch / 255
        guide = torch.nn.functional.interpolate(hr, scale_factor=1 / scale, mode="bicubic", antialias=True)
        guide = (guide.clamp(0, 1) * 255).round() / 255
        lr, z = network.downscale(hr)
        drawn = torch.randn(z.shape, generator=torch.Generator().manual_seed(7))
        difference = network.upscale(quantise(lr), drawn) - hr
        fit = scale**2 * (lr - guide).square().sum((1, 2, 3)).mean()
        energy = z.square().sum() / len(z)
        restoration = (difference * difference + 1e-6).sqrt().sum((1, 2, 3)).mean()
        assert loss.total.item() == pytest.approx((fit + energy + restoration).item(), rel=1e-5)
        mean = task.__class__(replace(config, loss="mean"), task.source)
        same = mean.loss(network, batch, torch.Generator().manual_seed(7))
        assert same.total.item() * 3 * 32 * 32 == pytest.approx(loss.total.item(), rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_sequences_move_and_keep_their_size(seed: int, source: SequenceSource) -> None:
    sequence = photo_sequence(source.photos[0], random.Random(seed), 4)
    shapes = {tuple(plane.shape for plane in picture) for picture in sequence}
    assert len(shapes) == 1
    (luma, cb, cr) = shapes.pop()
    assert cb == cr == (luma[0] // 2, luma[1] // 2)
    assert luma[0] % 8 == luma[1] % 8 == 0
    assert any((one != other).any() for one, other in zip(sequence[0], sequence[-1], strict=True))
    again = photo_sequence(source.photos[0], random.Random(seed), 4)
    assert all(
        (one == other).all() for pair in zip(sequence, again, strict=True) for one, other in zip(*pair, strict=True)
    )


GOOD = 'name = "x"\n[network]\nfamily = "codec-aware"\nwidth = 8\n'


class TestConfig:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name = ", "not valid TOML"),
            (GOOD.replace("width", "widht"), "unknown key network.widht.*did you mean width"),
            ("batch = 4\n", "name is missing|network is missing"),
            (GOOD.replace("8", '"8"'), "network.width must be of type int"),
            (GOOD.replace("codec-aware", "magic"), "must be one of"),
            ("crop = 100\n" + GOOD, "crop must be a multiple of 8"),
            ("learning_rate = -1.0\n" + GOOD, "learning_rate"),
            (GOOD + "[codec]\ncrf_min = 30\ncrf_max = 20\n", "crf_min"),
            (GOOD + "[codec]\npresets = []\n", "list of strings"),
            ('name = "x"\nnetwork = 3\n', "must be a table"),
            ("betas = [0.9]\n" + GOOD, "betas must be a list of 2 numbers"),
            ("betas = [0.9, 1.0]\n" + GOOD, "betas must be from 0"),
            ('halve_at = ["a"]\n' + GOOD, "halve_at must be a list of whole numbers"),
            ('schedule = "steps"\n' + GOOD, "needs halve_at"),
            ('schedule = "steps"\nhalve_at = [20, 10]\n' + GOOD, "halve_at must rise"),
            ('schedule = "linear"\n' + GOOD, "schedule must be one of 'cosine', 'steps'"),
            ("shards = 3\n" + GOOD, "shards must .* divide batch"),
            ("steps = -1\n" + GOOD, "steps must not be negative"),
            ("steps = 1.5\n" + GOOD, "steps must be of type int"),
            ('loss = "max"\n' + GOOD, "loss must be one of"),
            ("weight_decay = 2\n" + GOOD, "weight_decay"),
            ("workers = 0\n" + GOOD, "workers"),
            ("teaching = 1.5\n" + GOOD, "teaching must be from 0 to 1"),
            ('teacher = "x"\n' + GOOD + '[codec]\nsender = "surrogate"\n', "teacher needs a codec-aware network"),
            ('teacher = "x"\n' + GOOD.replace("codec-aware", "paper"), "teacher needs a codec-aware network"),
        ],
    )
    def test_bad_configurations_name_the_fault(self, text: str, message: str, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(text)
        with pytest.raises(BadConfig, match=message):
            load_config(path)

    def test_missing_configuration(self, tmp_path: Path) -> None:
        with pytest.raises(MissingFile):
            load_config(tmp_path / "none.toml")

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
    def test_shipped_configurations_load(self, path: Path) -> None:
        assert load_config(path).name == path.stem

    @pytest.mark.parametrize("scale", [2, 4])
    def test_the_paper_s_recipe(self, scale: int) -> None:
        config = load_config(CONFIGS[0].with_name(f"irn-x{scale}-paper.toml"))
        assert (config.crop, config.batch, config.learning_rate, config.betas) == (144, 16, 2e-4, (0.9, 0.999))
        assert (config.steps, config.halve_at) == (500_000, (100_000, 200_000, 300_000, 400_000))
        assert (config.loss, config.weight_decay, config.gradient_norm) == ("sum", 1e-5, 10)
        assert config.network == NetworkSpec("paper", scale=scale)


class TestCommand:
    def test_refuses_missing_folders(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = tmp_path / "config.toml"
        config.write_text(GOOD)
        assert main([str(config), "--images", str(tmp_path / "none"), "--out", str(tmp_path / "run")]) == 1
        assert "no such folder" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()

    def test_refuses_to_validate_on_what_it_trains_on(
        self, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = tmp_path / "config.toml"
        config.write_text('name = "x"\n[network]\nfamily = "paper"\nblocks = 1\n')
        folders = ["--images", str(photos), "--validate", str(photos)]
        assert main([str(config), *folders, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
        assert "is trained on" in capsys.readouterr().err


def test_whole_scales_are_whole_numbers(tmp_path: Path) -> None:
    """TOML's come as floats where 1.5 may stand too, and the card of a stream has 2, not 2.0."""
    path = tmp_path / "x.toml"
    for text, kind in (("2", int), ("4", int), ("1.5", float)):
        path.write_text(f'name = "x"\ncrop = 144\n[network]\nfamily = "codec-aware"\nscale = {text}\n')
        assert type(load_config(path).network.scale) is kind
