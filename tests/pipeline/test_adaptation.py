"""Weights tuned to a clip: found, coded, carried and applied."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.bitstream.sei import UPDATE_UUID, find_payloads, with_zeros, without_zeros
from irn_video.codecs.errors import BadOption, BadUpdate
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.scales import SCALES
from irn_video.pipeline.adaptation.effort import EFFORTS, Budget
from irn_video.pipeline.adaptation.equations import Equations, best_layer, change_of
from irn_video.pipeline.adaptation.gradient import (
    Change,
    Sample,
    error,
    fine_tuned,
    of_lower_rank,
    preconditioner,
    predicted,
)
from irn_video.pipeline.adaptation.parts import Part
from irn_video.pipeline.adaptation.pricing import importance_of
from irn_video.pipeline.adaptation.tuner import Tuner
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.engine.torch_engine import TorchEngine
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.network.constants import DETAIL, PACKED
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples, to_planes
from irn_video.pipeline.restoring import restoration_of
from irn_video.pipeline.zoo.card import ModelCard, Weights, arrays_of
from irn_video.pipeline.zoo.tuned import gains_of, kernels_of, tuned_network, with_hidden
from irn_video.pipeline.zoo.weight_update import LARGEST, MAX_EXPONENT, HiddenLayers, LastLayer, WeightUpdate
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, SendResult, send
from numpy.typing import NDArray
from torch import Tensor

WIDTH = 4
EVERYWHERE = slice(None), slice(None)
LIMITS = {"steps": 150, "seconds": math.inf, "rank": 0, "outputs": 24}


@pytest.fixture(scope="module")
def network() -> CodecAwareRescaler:
    torch.manual_seed(1)
    network = CodecAwareRescaler(WIDTH, 1)
    torch.nn.init.normal_(network.restorer.last.weight, std=0.1)
    return network.eval()


def some_update(chance: np.random.Generator, share: float, network: CodecAwareRescaler, parts: int = 3) -> WeightUpdate:
    """Random steps for a share of the weights: of the hidden layers (1), the last one (2) or both (3)."""
    shape = 9, network.restorer.last.in_channels + 1, network.restorer.last.out_channels
    steps = chance.integers(-LARGEST, LARGEST + 1, shape).astype(np.int8) * (chance.random(shape) < share)
    steps[np.arange(9) != 4, -1] = 0
    last = LastLayer(steps, chance.integers(0, MAX_EXPONENT + 1, shape[1], dtype=np.uint8))
    layers, width, rank = 1 + len(network.restorer.body), network.restorer.last.in_channels, int(chance.integers(4))
    shapes = (layers, 2 * width), (layers, width, rank), (layers, rank, width)
    hidden = HiddenLayers(
        *((chance.integers(-LARGEST, LARGEST + 1, s) * (chance.random(s) < share)).astype(np.int8) for s in shapes),
        exponent=int(chance.integers(1, MAX_EXPONENT + 1)),
    )
    return WeightUpdate(hidden if parts & 1 else None, last if parts & 2 else None)


def tuned(network: CodecAwareRescaler, update: WeightUpdate | HiddenLayers) -> CodecAwareRescaler:
    return tuned_network(network, update.applied(weights_of(network)))


def received(message: bytes, network: CodecAwareRescaler) -> CodecAwareRescaler:
    return tuned_network(network, WeightUpdate.from_message(message, weights_of(network)))


def weights_of(network: CodecAwareRescaler) -> dict[str, NDArray[np.float32]]:
    return arrays_of(network.state_dict())


@given(st.binary(max_size=1000))
def test_bytes_without_zeros_and_back(content: bytes) -> None:
    assert 0 not in without_zeros(content)
    assert with_zeros(without_zeros(content)) == content


class TestUpdate:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1 << 30), st.floats(0, 1), st.integers(0, 3))
    def test_the_receiver_has_the_weights_of_the_sender(
        self, network: CodecAwareRescaler, seed: int, share: float, parts: int
    ) -> None:
        update = some_update(np.random.default_rng(seed), share, network, parts)
        message = update.to_message(weights_of(network))
        assert 0 not in message
        ours, theirs = tuned(network, update), received(message, network)
        for one, other in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            assert one[0] == other[0]
            assert torch.equal(one[1], other[1])

    def test_the_general_network_stays_as_it_is(self, network: CodecAwareRescaler) -> None:
        before = network.restorer.last.weight.clone()
        update = some_update(np.random.default_rng(2), 1, network)
        assert update.last is not None
        assert update.hidden is not None
        assert update.hidden.rank
        gains, kernels = gains_of(network)[0].clone(), kernels_of(network)[1].clone()
        changed = tuned(network, update)
        assert torch.equal(network.restorer.last.weight, before)
        assert torch.equal(gains_of(network)[0], gains)
        assert torch.equal(kernels_of(network)[1], kernels)
        assert not torch.equal(changed.restorer.last.weight, before)
        assert not torch.equal(gains_of(changed)[0], gains)
        assert not torch.equal(kernels_of(changed)[1], kernels)
        assert changed.restorer.shortcut is network.restorer.shortcut

    def test_few_changes_take_few_bytes(self, network: CodecAwareRescaler) -> None:
        few, many = (some_update(np.random.default_rng(1), share, network) for share in (0.01, 0.5))
        weights = weights_of(network)
        assert len(few.to_message(weights)) < 80 < len(many.to_message(weights)) < 2000

    def test_one_for_another_network(self, network: CodecAwareRescaler) -> None:
        message = some_update(np.random.default_rng(1), 0.1, network).to_message(weights_of(network))
        with pytest.raises(BadUpdate, match="not what was sent"):
            received(message, CodecAwareRescaler(WIDTH, 1))

    @pytest.mark.parametrize("message", [b"", b"\1", b"\2" * 70_000, without_zeros(b"\2" + bytes(40))])
    def test_nonsense(self, network: CodecAwareRescaler, message: bytes) -> None:
        with pytest.raises(BadUpdate):
            received(message, network)

    def test_damaged_ones(self) -> None:
        """Every bit turned, then ten thousand with some more or cut short."""
        network = CodecAwareRescaler(1, 1)  # there are many to decode
        weights, chance, refused = weights_of(network), random.Random(1), 0
        update = some_update(np.random.default_rng(1), 0.2, network)
        message, right = update.to_message(weights), update.applied(weights)
        bits = range(8 * len(message))
        damages = [[bit] for bit in bits] + [chance.sample(bits, chance.choice((1, 3))) for _ in range(10_000)]
        for number, turned in enumerate(damages):
            data = bytearray(message)
            for bit in turned:
                data[bit // 8] ^= 1 << bit % 8
            cut = number >= len(bits) and chance.random() < 0.3
            try:
                found = WeightUpdate.from_message(bytes(data[: chance.randrange(len(data))] if cut else data), weights)
            except BadUpdate:
                refused += 1
            else:  # some of the last bits say nothing
                assert all(np.array_equal(found[name], right[name]) for name in weights)
        assert refused > 0.9 * len(damages)


class TestGradient:
    @pytest.fixture
    def samples(self, network: CodecAwareRescaler) -> list[Sample]:
        """What a network with other gains and shifts says."""
        chance = np.random.default_rng(1)
        steps = chance.integers(-3, 4, (2, 2 * WIDTH)), chance.integers(-1, 2, (2, WIDTH, 1))
        gains, left = (part.astype(np.int8) for part in steps)
        moved = HiddenLayers(gains, left, left.transpose(0, 2, 1), 5)
        torch.manual_seed(1)
        made = []
        for _ in range(6):
            cells, quantiser = torch.rand(1, 9, 40, 30), torch.tensor([26.0])
            with torch.no_grad():
                wanted = predicted(tuned(network, moved), cells, quantiser)[0]
            made.append(Sample(cells.half(), wanted.half(), torch.zeros(4, 40, 30), quantiser, EVERYWHERE))
        return made

    def fine_tuned(
        self, network: CodecAwareRescaler, samples: list[Sample], start: Change | None = None, **limits: float
    ) -> Change:
        steps, seconds, rank, outputs = (limits.get(name, usual) for name, usual in LIMITS.items())
        importance, chance = (np.arange(24) < outputs).astype(np.float64), random.Random(0)
        on = choose_device("cpu", "fp32")
        return fine_tuned(
            *(network, start, int(rank), samples, importance, preconditioner(network, samples, importance, chance)),
            steps=int(steps),
            seconds=seconds,
            device=on,
            chance=chance,
        )

    @pytest.mark.parametrize(("rank", "left"), [(0, 0.35), (1, 0.1)])
    def test_it_finds_the_change(
        self, network: CodecAwareRescaler, samples: list[Sample], rank: int, left: float
    ) -> None:
        device = choose_device("cpu", "fp32")
        before, general = error(network, samples, device).mean(), gains_of(network)[0].clone()
        found = HiddenLayers.nearest(*self.fine_tuned(network, samples[1:], rank=rank), 8)
        assert found.rank == rank
        assert error(tuned(network, found), samples[:1], device).mean() < left * before
        assert torch.equal(gains_of(network)[0], general)
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_few_steps_go_far(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        """The preconditioner knows what moves the outputs most, wherever gains start from."""
        device = choose_device("cpu", "fp32")
        before = error(network, samples, device).mean()
        found = HiddenLayers.nearest(*self.fine_tuned(network, samples[1:], steps=12), 8)
        assert error(tuned(network, found), samples[:1], device).mean() < 0.6 * before

    def test_the_preconditioner_undoes_the_curvature(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        """With the Jacobian of all outputs by all gains, for one crop: where it moves outputs most it steps least."""
        importance, (sample, *_) = np.arange(1, 25, dtype=np.float64), samples
        found = preconditioner(network, samples, importance, random.Random(0)).double()
        general = [gain.detach().clone() for gain in gains_of(network)]

        def said(*gains: Tensor) -> Tensor:
            changed = with_hidden(network, gains, kernels_of(network))
            return predicted(changed, sample.cells[..., :12, :12].float(), sample.quantiser)[0]

        rows = torch.cat(torch.autograd.functional.jacobian(said, tuple(general)), 3).detach().flatten(1, 2)
        weights = torch.tensor(importance / importance.sum(), dtype=torch.float32)
        curvature = torch.einsum("opi,opj,o->ij", rows, rows, weights).double() / rows.shape[1]
        own = curvature.diagonal()
        expected = torch.linalg.inv(curvature + 3 * torch.diag(own + 0.03 * own.mean()))
        assert torch.allclose(found, found.T, atol=1e-4 * float(found.abs().max()))
        assert float((found - expected).norm() / expected.norm()) < 0.3

    def test_it_leaves_the_contrast(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        """Where a fainter picture has the least error."""

        def said(network: CodecAwareRescaler, sample: Sample) -> Tensor:
            with torch.no_grad():
                return predicted(network, sample.cells.float(), sample.quantiser)[0]

        def share(fine: float) -> float:
            """How strong the first sample comes out, where the fine luma is so much of it."""
            some = [replace(sample, wanted=0.9 * said(network, sample)) for sample in samples]
            some = [replace(sample, fine=fine * said(network, sample)[:4]) for sample in some]
            found = tuned(network, HiddenLayers.nearest(*self.fine_tuned(network, some, outputs=4), 8))
            one, other = (said(which, samples[0])[:4] for which in (network, found))
            return float((one * other).sum() / one.square().sum())

        assert share(0) < 0.92
        assert share(1) > 0.97

    def test_it_begins_where_it_is_told(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        found = HiddenLayers.nearest(*self.fine_tuned(network, samples), 8).change
        assert np.array_equal(self.fine_tuned(network, samples, found, steps=0)[0], found[0])
        more = self.fine_tuned(network, samples, found, steps=5, rank=2)
        assert np.abs(more[0] - found[0]).max() < 0.05
        assert more[1].shape == (2, WIDTH, 2)

    def test_the_same_again(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        one, other = (self.fine_tuned(network, samples, rank=1, steps=20) for _ in range(2))
        assert all(np.array_equal(*parts) for parts in zip(one, other, strict=True))

    @pytest.mark.alone
    def test_time_is_limited(self, network: CodecAwareRescaler, samples: list[Sample]) -> None:
        self.fine_tuned(network, samples, steps=1)  # PyTorch loads its optimizers when they are first used
        begin = time.monotonic()
        self.fine_tuned(network, samples, steps=1_000_000, seconds=0.2)
        assert 0.2 < time.monotonic() - begin < 5

    def test_a_mixing_of_lower_rank(self) -> None:
        chance = np.random.default_rng(1)
        one = tuple(chance.standard_normal(shape).astype(np.float32) for shape in ((2, 8), (2, 4, 1), (2, 1, 4)))
        gains, left, right = one
        padded = gains, np.concatenate((left, left), 2), np.concatenate((right, right), 1)
        same = of_lower_rank(padded, 1)
        assert np.allclose(same[1] @ same[2], 2 * left @ right, atol=1e-5)
        assert of_lower_rank(padded, 0)[1].shape == (2, 4, 0)


class TestEquations:
    def problem(self, noise: float) -> tuple[Equations, NDArray[np.float32], NDArray[np.float32]]:
        """Features of different strength, and what depends on a few of them."""
        chance = np.random.default_rng(1)
        strength = np.append(np.repeat([3.0, 0.1, 1.0, 0.5], 9), 1)[:, None]
        seen = (chance.standard_normal((37, 4000)) * strength).astype(np.float32)
        seen[-1] = 1
        truth = np.zeros((37, 5), np.float32)
        truth[[2, 14, 30, 36], [0, 1, 2, 3]] = 0.08, 2.0, -0.3, 0.25
        missing = truth.T @ seen + noise * chance.standard_normal((5, 4000)).astype(np.float32)
        return self.equations(seen, missing, missing), seen, missing.astype(np.float32)

    def equations(self, *parts: NDArray[np.float32]) -> Equations:
        return Equations.of(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def test_it_finds_what_is_missing(self) -> None:
        equations, seen, missing = self.problem(0.01)
        change = change_of(best_layer(equations, np.full(5, 1e-6)))
        left = missing - change.T @ seen
        assert np.square(left).sum(0).mean() < 0.02 * np.square(missing).sum(0).mean()
        gained = (np.square(missing).sum(0) - np.square(left).sum(0)).mean()
        assert equations.gain(change).sum() == pytest.approx(gained, rel=1e-3)

    def test_it_aims_elsewhere_and_tells_what_is_gained(self) -> None:
        _, seen, missing = self.problem(0.01)
        equations, prices = self.equations(seen, missing, 1.25 * missing), np.full(5, 1e-6)
        strong, plain = (change_of(best_layer(e, prices)) for e in (equations, self.equations(seen, missing, missing)))
        assert strong[14, 1] == pytest.approx(1.25 * plain[14, 1], rel=0.05)
        assert equations.gain(strong)[1] == pytest.approx(0.9375 * equations.gain(plain)[1], rel=0.02)

    def test_what_is_not_worth_its_bits_is_left(self) -> None:
        equations, _, _ = self.problem(0.3)
        counts = [np.count_nonzero(best_layer(equations, np.full(5, price)).steps) for price in (1e-7, 1e-4, 1e-3, 10)]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > 10 > counts[2] >= 3
        assert counts[3] == 0

    def test_parts_make_a_whole(self) -> None:
        whole, seen, missing = self.problem(0.1)
        parts = [
            self.equations(*(x[:, part] for x in (seen, missing, missing))) for part in (slice(900), slice(900, None))
        ]
        total = Equations.total(parts)
        assert total.count == whole.count
        np.testing.assert_allclose(total.seen, whole.seen, rtol=1e-4, atol=1e-2)


@pytest.fixture(scope="module")
def source(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of pictures that no network was trained on, one after the other."""
    folder = tmp_path_factory.mktemp("adapted")
    parts = [
        clips.make(folder / f"{name}.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="192x128", frames=24, name=name)
        for name in ("testsrc2", "mandelbrot")
    ]
    joined = folder / "joined.mkv"
    inputs = [option for part in parts for option in ("-i", part)]
    clips.ffmpeg(*inputs, "-filter_complex", "concat=n=2", "-c:v", "ffv1", "-pix_fmt", "yuv420p", joined)
    return joined


ENCODER: dict[str, Any] = {"crf": 20, "preset": "veryfast", "keyint": 24}


@pytest.fixture(scope="module")
def results(source: Path, tmp_path_factory: pytest.TempPathFactory) -> list[SendResult]:
    """Without and with tuning."""
    folder = tmp_path_factory.mktemp("sent")
    options = {"plain": None, "tuned": "fast"}
    return [send(source, folder / f"{n}.mkv", SendOptions(**ENCODER, adapt=a)) for n, a in options.items()]


@pytest.fixture(scope="module")
def sent(results: list[SendResult]) -> tuple[Path, Path]:
    """Without and with tuning."""
    return results[0].written.path, results[1].written.path


@pytest.fixture(scope="module")
def full_size(source: Path, clips: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Its first scene in frames that the network's cells do not divide; sent at scale 1 without and with tuning."""
    folder = tmp_path_factory.mktemp("full")
    cut = folder / "cut.mkv"
    clips.ffmpeg("-i", source, "-frames:v", 24, "-vf", "crop=186:122:0:0", "-c:v", "ffv1", cut)
    for name, adapt in {"plain": None, "tuned": "fast"}.items():
        send(cut, folder / f"{name}.mkv", SendOptions(**ENCODER | {"crf": 14}, model="irn-h264-x1", adapt=adapt))
    return cut, folder / "plain.mkv", folder / "tuned.mkv"


def psnr(lr: Path, source: Path, tmp_path: Path) -> list[float]:
    report = receive(lr, tmp_path / f"{lr.name}.mkv", ReceiveOptions(source=source, overwrite=True)).report
    return [frame.error.psnr()["psnr_y"] or 99.0 for frame in report.frames]


def squares(lr: Path, source: Path) -> np.ndarray[Any, Any]:
    """What the squared error of each frame counts: chroma a quarter, in luma levels."""
    report = receive(lr, lr.with_name(f"{lr.stem}.mp4"), ReceiveOptions(source=source, overwrite=True)).report
    planes = np.array([[f.error.psnr()[f"psnr_{plane}"] or 99.0 for plane in "yuv"] for f in report.frames])
    total = 255**2 * 10 ** (-planes / 10) * 192 * 128 * np.array([1, 0.25 / 4, 0.25 / 4])
    return np.asarray(total.sum(1))


def updates(path: Path) -> list[bytes]:
    with VideoReader(path, quantiser=True) as reader:
        return [picture.update for picture in reader]


class TestStream:
    def test_it_pays(self, sent: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
        plain, tuned = (psnr(path, source, tmp_path) for path in sent)
        assert np.mean(tuned) > np.mean(plain) + 0.3
        assert np.mean(tuned[:24]) > np.mean(plain[:24])

    def test_each_group_has_its_own_from_its_first_picture_on(self, sent: tuple[Path, Path]) -> None:
        found = updates(sent[1])
        assert found[0]
        assert len(set(found[:24])) == len(set(found[24:])) == 1
        assert found[0] != found[24]
        assert set(updates(sent[0])) == {b""}

    def test_its_bytes_are_counted_and_the_pictures_stay(self, sent: tuple[Path, Path], clips: Any) -> None:
        plain, tuned = (clips.read(path) for path in sent)
        for one, other in zip(plain, tuned, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))

    def test_the_same_again(self, sent: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
        again = tmp_path / "again.mkv"
        send(source, again, SendOptions(**ENCODER, adapt="fast"))
        assert again.read_bytes() == sent[1].read_bytes()

    @pytest.mark.parametrize("name", ["x.ts", "x.mp4", "cut.mkv"])
    def test_it_survives_other_containers_and_cuts(
        self, sent: tuple[Path, Path], clips: Any, tmp_path: Path, name: str
    ) -> None:
        cut = ("-ss", 0.96) if name == "cut.mkv" else ()
        clips.ffmpeg(*cut, "-i", sent[1], "-c", "copy", tmp_path / name)
        assert updates(tmp_path / name)[-24:] == updates(sent[1])[-24:]

    def test_damaged_weights_are_told_and_not_used(self, sent: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
        data, message = sent[1].read_bytes(), updates(sent[1])[0]
        at = data.index(message) + len(message) // 2
        broken = tmp_path / "broken.mkv"
        broken.write_bytes(data[:at] + bytes([data[at] ^ 2]) + data[at + 1 :])
        result = receive(broken, tmp_path / "out.mkv", ReceiveOptions(source=source))
        assert [text for text in result.report.warnings if "general network was used" in text]
        plain, tuned = (psnr(path, source, tmp_path) for path in sent)
        found = [frame.error.psnr()["psnr_y"] for frame in result.report.frames]
        assert found == pytest.approx(plain[:24] + tuned[24:])

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_weights_from_an_enemy_make_some_picture(self, sent: tuple[Path, Path], clips: Any, precision: str) -> None:
        """As large as a message can say and with the right checksum: no error, and the next picture is as ever."""
        rescaler = Rescaler.load("irn-h264-x2", device="cpu", precision=precision)
        assert isinstance(rescaler, PackedRescaler)
        network, (card, picture) = rescaler.network, (find_card(sent[0]), clips.read(sent[0])[0])
        assert card is not None
        width, outputs, layers = network.restorer.last.in_channels, network.restorer.last.out_channels, 1
        layers += len(network.restorer.body)
        hidden = (np.full(s, LARGEST, np.int8) for s in ((layers, 2 * width), (layers, width, 15), (layers, 15, width)))
        last = np.full((9, width + 1, outputs), LARGEST, np.int8)
        last[np.arange(9) != 4, -1] = 0
        update = WeightUpdate(HiddenLayers(*hidden, exponent=0), LastLayer(last, np.zeros(width + 1, np.uint8)))
        to = restoration_of(card, temperature=1.0, seed=None)

        def restored(message: bytes) -> Picture:
            return rescaler.reverse(rescaler.predict(replace(picture, update=message), to), to)

        before, enemy, after = (restored(message) for message in (b"", update.to_message(rescaler.weights.arrays), b""))
        assert [plane.shape for plane in enemy.planes] == [plane.shape for plane in before.planes]
        assert not all(np.array_equal(*planes) for planes in zip(enemy.planes, before.planes, strict=True))
        assert all(np.array_equal(*planes) for planes in zip(after.planes, before.planes, strict=True))
        assert not rescaler.warnings

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (SendOptions(adapt="fast", codec="h265"), "only lossy H.264"),
            (SendOptions(adapt="0"), "'0' is no effort"),
            (SendOptions(adapt="nan"), "'nan' is no effort"),
            (SendOptions(adapt_budget="2%"), "weights that are not sent"),
            (SendOptions(adapt="fast", model="lanczos-x2"), "lanczos-x2 cannot be tuned"),
            (SendOptions(adapt="fast", model="irn-x2", pixel_format="yuv444p"), "irn-x2 cannot be tuned"),
        ],
    )
    def test_refused(self, source: Path, tmp_path: Path, options: SendOptions, message: str) -> None:
        with pytest.raises(BadOption, match=message):
            send(source, tmp_path / "x.mkv", options)
        assert not list(tmp_path.iterdir())

    def test_the_report_tells_what_the_bits_save(self, results: list[SendResult]) -> None:
        plain, tuned = (result.report.as_json() for result in results)
        assert "adaptation" not in plain
        groups = tuned["adaptation"]
        assert [group["frames"] for group in groups] == [24, 24]
        assert [group["bytes"] for group in groups] == [len(m) for m in updates(results[1].written.path)[::24]]
        assert all(group["saved_per_bit"] > group["video_saves_per_bit"] > 0 for group in groups)
        tuning = tuned["tuning"]
        assert (tuning["groups"], tuning["tuned"], tuning["untuned"]) == (2, 2, None)
        assert tuning["bytes"] == sum(group["bytes"] for group in groups)
        assert plain["tuning"]["untuned"] == "it was not asked for"

    def test_what_it_gains_is_told(self, results: list[SendResult], sent: tuple[Path, Path], source: Path) -> None:
        """Never too much, and about right on the second scene."""
        plain, tuned = (squares(path, source).reshape(2, 24).sum(1) for path in sent)
        gained = 10 * np.log10(plain / tuned)
        told = [group.gained_db for group in results[1].report.adaptation]
        assert 0 < told[0] < gained[0]
        assert told[1] == pytest.approx(gained[1], rel=0.3)
        assert results[1].report.tuning.gained_db == pytest.approx(np.mean(told))

    @pytest.mark.parametrize(
        ("budget", "why"),
        [("40", "what was worth its bits is over the budget"), (None, "no change was worth its bits")],
    )
    def test_why_nothing_was_tuned(
        self, source: Path, clips: Any, tmp_path: Path, budget: str | None, why: str
    ) -> None:
        flat = clips.make(tmp_path / "flat.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="192x128", name="color")
        options = SendOptions(**ENCODER, adapt="fast", adapt_budget=budget, frames=24)
        report = send(source if budget else flat, tmp_path / "x.mkv", options).report
        assert (report.tuning.tuned, report.tuning.untuned) == (0, why)

    def test_what_a_bit_of_video_saves_is_measured(
        self, results: list[SendResult], sent: tuple[Path, Path], source: Path, tmp_path: Path
    ) -> None:
        """Against whole streams with this CRF and with two more."""
        coarse = send(source, tmp_path / "coarse.mkv", SendOptions(**{**ENCODER, "crf": 22})).written.path
        errors = [squares(path, source).reshape(2, 24).sum(1) for path in (sent[0], coarse)]
        sizes = []
        for path in (sent[0], coarse):
            with av.open(path) as container:
                packets = [packet.size for packet in container.demux(video=0) if packet.size]
            sizes.append(np.array(packets).reshape(2, 24).sum(1))
        slopes = (errors[1] - errors[0]) / (8 * (sizes[0] - sizes[1]))
        found = [group["video_saves_per_bit"] for group in results[1].report.as_json()["adaptation"]]
        assert found == pytest.approx(slopes.tolist(), rel=0.5)

    @pytest.mark.parametrize("adapt", ["best", pytest.param("1.5", marks=pytest.mark.alone)])
    def test_more_effort_and_a_limit_of_time(self, source: Path, tmp_path: Path, adapt: str) -> None:
        (found,) = send(source, tmp_path / "x.mkv", SendOptions(**ENCODER, adapt=adapt, frames=12)).report.adaptation
        assert found.bytes
        assert found.rank is not None

    def test_a_budget_is_kept(self, sent: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
        within = len(updates(sent[1])[0]) // 2
        options = SendOptions(**ENCODER, adapt="fast", adapt_budget=str(within), frames=24)
        send(source, tmp_path / "x.mkv", options)
        assert 0 < len(updates(tmp_path / "x.mkv")[0]) <= within

    def test_the_command(self, run: Callable[..., Any], source: Path, tmp_path: Path) -> None:
        done = run(
            "send", source, tmp_path / "x.mp4", "--adapt", "fast", "--adapt-budget", "20%", "--frames", "24", "--verify"
        )
        assert done.code == 0, done.err
        assert "tuned 1 of 1 groups of frames: in " in done.out
        with VideoReader(tmp_path / "x.mp4") as reader:
            assert reader.info.frames == 24


class TestFullSize:
    """At scale 1, where there is no latent and a cell is 4×4 samples."""

    def test_it_pays(self, full_size: tuple[Path, Path, Path], tmp_path: Path) -> None:
        """Restored by the receiver, which runs on another engine than the tuner."""
        source, plain, tuned = full_size
        assert len(set(updates(tuned))) == 1
        assert updates(tuned)[0]
        assert set(updates(plain)) == {b""}
        assert np.mean(psnr(tuned, source, tmp_path)) > np.mean(psnr(plain, source, tmp_path)) + 0.03

    def test_damaged_weights_are_told_and_not_used(self, full_size: tuple[Path, Path, Path], tmp_path: Path) -> None:
        source, plain, tuned = full_size
        data, message = tuned.read_bytes(), updates(tuned)[0]
        at = data.index(message) + len(message) // 2
        broken = tmp_path / "broken.mkv"
        broken.write_bytes(data[:at] + bytes([data[at] ^ 2]) + data[at + 1 :])
        report = receive(broken, tmp_path / "out.mkv", ReceiveOptions(source=source)).report
        assert [text for text in report.warnings if "general network was used" in text]
        assert [frame.error.psnr()["psnr_y"] for frame in report.frames] == psnr(plain, source, tmp_path)


def untrained(scale: float) -> PackedRescaler:
    """A network of a scale, whether or not there are weights for it."""
    spec = NetworkSpec("codec-aware", scale=scale, width=WIDTH, depth=1)
    card = ModelCard("untrained", spec, "", "", "", "", "", 0, 0, 0.0)
    torch.manual_seed(1)
    weights = Weights(card, arrays_of(spec.build().state_dict()), "")
    return PackedRescaler(weights, TorchEngine.of(weights, choose_device("cpu", "fp32")))


@pytest.mark.parametrize("scale", SCALES)
def test_what_the_network_should_say_restores_the_source(scale: float, clips: Any, tmp_path: Path) -> None:
    """Whatever the scale, and where cells and frames end: said by the network, it gives the frame that was shrunk."""
    path = clips.make(tmp_path / "x.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="90x58", frames=1)
    (picture,), rescaler = clips.read(path), untrained(scale)
    tuner, network = Tuner(rescaler, EFFORTS["best"]), rescaler.network
    tuner.remember(picture)
    remembered = tuner._waiting[0]
    assert remembered is not None
    arrived = rescaler.downscale(picture, Samples.of(picture))
    y, u, v = (np.flip(plane, 1).copy() for plane in arrived.planes)
    arrived = replace(arrived, planes=(y, u, v), qp=26.0)
    sample = tuner._sample(arrived, *remembered)
    there = pack(*to_planes(arrived, torch.device("cpu")))
    height, width = there.shape[2:]
    said, corrected = sample.wanted[None].float() * DETAIL, PACKED * network.fold**2
    lr = there + F.pixel_shuffle(said[:, :corrected], network.fold)[..., :height, :width]
    restored = unpack(network.upscale(lr, said[:, corrected:]).detach())
    for plane, original in zip((part[0, 0].numpy() for part in restored), picture.planes, strict=True):
        assert np.abs(plane[: len(original), : original.shape[1]] * 255 - original).max() < 0.5
    beyond = (0, -width % network.fold, 0, -height % network.fold)
    seen = network.cells(F.pad(there, beyond, mode="replicate"))
    assert torch.allclose(sample.cells.float(), seen, atol=0.02)


@pytest.mark.parametrize("scale", SCALES)
def test_what_an_error_of_each_output_is_worth(scale: float) -> None:
    """White noise in one output after another, through the way back of the network."""
    network, chance = untrained(scale).network, torch.Generator().manual_seed(1)
    importance, corrected = importance_of(network), PACKED * network.fold**2
    assert len(importance) == network.restorer.last.out_channels
    for output, expected in enumerate(importance):
        wrong = torch.zeros(1, len(importance), 40, 40)
        wrong[:, output] = torch.randn(40, 40, generator=chance)
        with torch.no_grad():
            hr = network.upscale(F.pixel_shuffle(wrong[:, :corrected], network.fold), wrong[:, corrected:])
        found = hr.square() * torch.tensor([1, 1, 1, 1, 0.25, 0.25])[:, None, None]
        assert float(found.sum() / wrong.square().sum()) == pytest.approx(expected, rel=0.15)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([96, 128]))
def test_parts_cover_a_picture_once(height: int, width: int, side: int) -> None:
    """By places drawn at random the borders would be looked at least."""
    covered = np.zeros((height, width), int)
    for part in Part.all(height, width, side):
        rows, columns = part.inner
        whole = np.zeros((part.rows.stop - part.rows.start, part.columns.stop - part.columns.start), int)
        whole[rows, columns] = 1
        covered[part.rows, part.columns] += whole
        assert whole.sum() <= 2.25 * side**2
    assert (covered == 1).all()


@pytest.mark.parametrize(("effort", "share"), [("fast", 0.25), ("best", 1)])
def test_parts_are_taken_evenly(clips: Any, tmp_path: Path, effort: str, share: float) -> None:
    """By chance alone a short group of pictures can be left without any."""
    path = clips.make(tmp_path / "x.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="768x768", frames=1)
    (picture,), tuner = clips.read(path), Tuner(Rescaler.load("irn-h264-x2", device="cpu"), EFFORTS[effort])
    for count in range(1, 41):
        tuner.remember(picture)
        taken = [index for index, part in enumerate(tuner._waiting) if part is not None]
        assert count * share - 1 <= len(taken) <= count * share + 1
    assert share == 1 or len(set(np.diff(taken))) > 1  # not always the same type of picture


@pytest.mark.parametrize(
    ("text", "budget"),
    [("2%", Budget(share=0.02)), ("4k", Budget(4000)), ("1.5 kB", Budget(1500)), ("500", Budget(500))],
)
def test_budgets(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "0", "-1", "101%", "2MB", "much", "nan"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(BadOption, match="no budget"):
        Budget.parse(text)


def test_messages_are_found_in_packets(sent: tuple[Path, Path]) -> None:
    message = updates(sent[1])[0]
    assert find_payloads(sent[1].read_bytes(), UPDATE_UUID)[0] == message
