"""Telling the receiver's network another quantiser than a frame's own: found, sent and obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.scales import SCALES
from irn_video.codecs.writing.coarser import CodedGroup
from irn_video.pipeline.adaptation.effort import NOT_SEEN, NOT_WORTH_IT, OVER_BUDGET
from irn_video.pipeline.adaptation.parts import cell_of, decoded, kept, parts_of
from irn_video.pipeline.adaptation.telling import Errors, Seen, Teller, best_told, gain_of
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.engine.packed import PackedRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.engine.torch_engine import TorchEngine
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo.card import ModelCard, Weights, arrays_of
from irn_video.pipeline.zoo.weight_update import MOST_TOLD, WeightUpdate
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, SendResult, send

GROUP = 7
ENCODER: dict[str, Any] = {"model": "irn-h264-x1", "crf": 26, "preset": "veryfast", "keyint": GROUP}


class TestSearch:
    @pytest.mark.parametrize("start", [-14, -3, 0, 5, 14])
    @pytest.mark.parametrize("highest", [-14, -7, -2, 0, 1, 4, 12])
    def test_it_finds_the_highest(self, highest: int, start: int) -> None:
        asked: list[int] = []

        def gain(told: int) -> float:
            asked.append(told)
            return -float((told - highest) ** 2)

        assert abs(best_told(gain, start) - highest) <= 1
        assert len(asked) == len(set(asked)) <= 14

    def test_few_are_tried_where_nothing_is_better(self) -> None:
        asked: list[int] = []

        def gain(told: int) -> float:
            asked.append(told)
            return -abs(told)

        assert best_told(gain) == 0
        assert sorted(asked) == [-3, 0, 3]

    def test_nothing_to_choose(self) -> None:
        assert best_told(lambda told: 0.0, 9) == 0

    @pytest.mark.parametrize("sign", [-1, 1])
    @pytest.mark.parametrize("start", [-14, 0, 2])
    def test_it_ends(self, sign: int, start: int) -> None:
        asked: list[int] = []

        def gain(told: int) -> float:
            asked.append(told)
            return float(sign * told)

        assert 11 <= sign * best_told(gain, start) <= 15
        assert max(map(abs, asked)) <= MOST_TOLD

    def test_the_gain_is_sure_in_both_metrics(self) -> None:
        before = [(9.0, 4.0, 4.0)] * 4
        assert gain_of(before, before) == 0
        half = [(4.5, 2.0, 2.0)] * 4
        assert gain_of(before, half) == pytest.approx(3, abs=0.2)
        assert gain_of(before, half[:3] + before[:1]) < gain_of(before, half) * 3 / 4
        assert gain_of(before, [(4.5, 40.0, 40.0)] * 4) < 0  # PSNR-YUV
        assert gain_of(before, [(9.5, 0.4, 0.4)] * 4) < 0  # PSNR-Y
        assert gain_of(before[:1], half[:1]) == pytest.approx(3, abs=0.2)


def untrained(scale: float) -> PackedRescaler:
    """A network of a scale, whether or not there are weights for it, to which the quantiser matters."""
    spec = NetworkSpec("codec-aware", scale=scale, width=4, depth=1)
    torch.manual_seed(1)
    network = spec.build()
    for name, tensor in network.named_parameters():
        if name.startswith("restorer") and "spread" not in name:
            torch.nn.init.normal_(tensor, std=0.3)
    weights = Weights(ModelCard("untrained", spec, "", "", "", "", "", 0, 0, 0.0), arrays_of(network.state_dict()), "")
    return PackedRescaler(weights, TorchEngine.of(weights, choose_device("cpu", "fp32")))


def drawn(height: int, width: int, bits: int) -> Picture:
    """Smooth noise, 4:2:0."""
    chance = np.random.default_rng(1)
    kind = np.uint8 if bits == 8 else np.uint16
    shapes = Layout.YUV420.plane_shapes(height, width)
    y, u, v = ((chance.normal(0.5, 0.1, s).clip(0, 1) * 255 * 2 ** (bits - 8)).astype(kind) for s in shapes)
    return Picture((y, u, v), Layout.YUV420, bits, ColorSpec(), 0, Fraction(1, 25))


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("scale", SCALES)
def test_parts_have_the_error_of_the_whole(scale: float, bits: int) -> None:
    """Of odd sizes, in more than one part, and as the receiver restores it."""
    rescaler = untrained(scale)
    original = drawn(round(48 * scale) - 1, round(64 * scale) - 5, bits)
    samples = Samples.of(original)
    small = rescaler.downscale(original, rescaler.sent(samples, lossless=False, height=original.height))
    arrived = replace(small, qp=30.25)
    parts = parts_of(original, scale, 8)
    assert len(parts) > 1
    seen = [Seen(part.of(arrived, cell_of(scale)), *kept(original, part, rescaler)) for part in parts]
    areas = [part.inside(one.original, round(cell_of(scale) * scale)) for one, part in zip(seen, parts, strict=True)]
    assert sum(y.size for y, _, _ in areas) == original.height * original.width

    def of_the_whole(update: WeightUpdate) -> list[float]:
        message = update.to_message(rescaler.weights.arrays) if update else b""
        to = Restoration(samples, original.height, original.width)
        restored = rescaler.upscale(replace(arrived, update=message), to)
        pairs = zip(restored.planes, original.planes, strict=True)
        return [float(np.square(p.astype(float) - q).mean()) / 16 ** (bits == 10) for p, q in pairs]

    for told in (0, -5, 7):
        each = [one.errors(rescaler, told) for one in seen]
        for plane, expected in enumerate(of_the_whole(WeightUpdate(told=told))):
            sizes = [area[plane].size for area in areas]
            assert np.average([errors[plane] for errors in each], weights=sizes) == pytest.approx(expected, rel=1e-3)
    assert of_the_whole(WeightUpdate(told=7)) != pytest.approx(of_the_whole(WeightUpdate()), rel=2e-3)


@pytest.fixture(scope="module")
def aliased(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second sample of a sharp picture that moves; sides that no network divides."""
    path = tmp_path_factory.mktemp("aliased") / "aliased.mkv"
    still = "trim=start_frame=20:end_frame=21,loop=-1:1:0,setpts=N/25/TB"
    moved = "crop=384:256:4*n:2*n,scale=192:128:flags=neighbor,format=yuv420p,crop=187:125:0:0:exact=1"
    life = ("-f", "lavfi", "-i", "life=ratio=0.3:mold=10:seed=1:size=768x512")
    clips.ffmpeg(*life, "-vf", f"{still},{moved}", "-frames:v", 2 * GROUP, "-c:v", "ffv1", path)
    return path


@pytest.fixture(scope="module")
def results(aliased: Path) -> list[SendResult]:
    """Without and with telling."""
    options = {"plain": None, "told": "quick"}
    return [send(aliased, aliased.with_name(f"{n}.mkv"), SendOptions(**ENCODER, adapt=a)) for n, a in options.items()]


def updates(path: Path) -> list[bytes]:
    with VideoReader(path, quantiser=True) as reader:
        return [picture.update for picture in reader]


def psnr(lr: Path, source: Path, output: Path) -> list[float]:
    report = receive(lr, output, ReceiveOptions(source=source, overwrite=True)).report
    return [frame.error.psnr()["psnr_yuv"] or 99.0 for frame in report.frames]


class TestStream:
    def test_it_pays(self, results: list[SendResult], aliased: Path, tmp_path: Path) -> None:
        """By about what is told, which is careful."""
        plain, told = (psnr(r.written.path, aliased, tmp_path / "x.mkv") for r in results)
        gained = np.reshape(np.subtract(told, plain), (2, GROUP)).mean(1)
        assert (gained > 1).all()
        groups = results[1].report.adaptation
        assert all(0.5 * gain < group.gained_db < 1.3 * gain for group, gain in zip(groups, gained, strict=True))
        assert all(group.told < 0 for group in groups)

    def test_the_report(self, results: list[SendResult]) -> None:
        plain, told = (result.report.as_json() for result in results)
        assert "adaptation" not in plain
        for group, message in zip(told["adaptation"], updates(results[1].written.path)[::GROUP], strict=True):
            assert (group["frames"], group["rank"], group["last_layer"], group["untuned"]) == (GROUP, None, False, "")
            assert group["bytes"] == len(message) == 10
            assert group["saved_per_bit"] > group["video_saves_per_bit"] > 0
        assert told["tuning"]["tuned"] == told["tuning"]["groups"] == 2

    def test_nothing_but_the_messages_is_added(self, results: list[SendResult], clips: Any) -> None:
        plain, told = (result.written for result in results)
        assert 0 < told.video_bytes - plain.video_bytes <= 2 * 36
        for one, other in zip(clips.read(plain.path), clips.read(told.path), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))

    def test_the_receiver_does_as_it_is_told(self, results: list[SendResult], aliased: Path, clips: Any) -> None:
        """As if each frame had another quantiser."""
        path, rescaler = results[1].written.path, Rescaler.load("irn-h264-x1", device="cpu")
        groups = results[1].report.adaptation
        original = clips.read(aliased)[0]
        to = Restoration(Samples.of(original), original.height, original.width)
        with VideoReader(path, quantiser=True) as reader:
            for index, picture in enumerate(reader):
                assert picture.qp is not None
                obeyed = rescaler.upscale(picture, to)
                otherwise = replace(picture, update=b"", qp=picture.qp + groups[index // GROUP].told)
                for one, other in zip(obeyed.planes, rescaler.upscale(otherwise, to).planes, strict=True):
                    assert np.abs(one.astype(int) - other).max() <= 1
        assert not rescaler.warnings

    def test_damaged_ones_are_told_and_not_used(self, results: list[SendResult], aliased: Path, tmp_path: Path) -> None:
        plain, told = (result.written.path for result in results)
        data, message = told.read_bytes(), updates(told)[0]
        at, broken = data.index(message) + len(message) // 2, tmp_path / "broken.mkv"
        broken.write_bytes(data[:at] + bytes([data[at] ^ 64]) + data[at + 1 :])
        report = receive(broken, tmp_path / "x.mkv", ReceiveOptions(source=aliased)).report
        assert [text for text in report.warnings if "general network was used" in text]
        found = [frame.error.psnr()["psnr_yuv"] for frame in report.frames]
        assert (
            found == psnr(plain, aliased, tmp_path / "y.mkv")[:GROUP] + psnr(told, aliased, tmp_path / "z.mkv")[GROUP:]
        )

    def test_the_same_again(self, results: list[SendResult], aliased: Path, tmp_path: Path) -> None:
        again = send(aliased, tmp_path / "again.mkv", SendOptions(**ENCODER, adapt="quick")).written.path
        assert again.read_bytes() == results[1].written.path.read_bytes()

    def test_nothing_is_sent_where_it_does_not_pay(self, clips: Any, tmp_path: Path) -> None:
        ffv1 = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
        source = clips.make(tmp_path / "in.mkv", *ffv1, size="192x128", frames=GROUP, name="mandelbrot")
        self.same_as_plain(source, tmp_path, SendOptions(**ENCODER | {"model": "irn-h264-x2"}), NOT_WORTH_IT)

    def test_a_budget_is_kept(self, aliased: Path, tmp_path: Path) -> None:
        self.same_as_plain(aliased, tmp_path, SendOptions(**ENCODER, frames=GROUP), OVER_BUDGET, budget="5")

    def same_as_plain(
        self, source: Path, folder: Path, options: SendOptions, why: str, budget: str | None = None
    ) -> None:
        plain = send(source, folder / "plain.mkv", options).written.path
        result = send(source, folder / "told.mkv", replace(options, adapt="quick", adapt_budget=budget))
        assert result.written.path.read_bytes() == plain.read_bytes()
        assert result.report.tuning.untuned == why
        assert [(group.told, group.gained_db) for group in result.report.adaptation] == [(0, 0.0)]

    def test_the_command(self, run: Callable[..., Any], aliased: Path, tmp_path: Path) -> None:
        done = run("send", aliased, tmp_path / "x.mp4", "--scale", "1", "--crf", "26", "--adapt", "quick", "--verify")
        assert done.code == 0, done.err
        assert "tuned 1 of 1 groups of frames: in " in done.out


def test_what_the_last_group_was_told_comes_first(results: list[SendResult], aliased: Path, clips: Any) -> None:
    """Skipped frames leave groups that nobody has looked at; the next begins at nothing."""
    teller = Teller(Rescaler.load("irn-h264-x1", device="cpu"))
    tried: list[int] = []
    look = teller._errors

    def errors(seen: Sequence[Seen], told: int) -> list[Errors]:
        tried.append(told)
        return look(seen, told)

    teller._errors = errors  # type: ignore[method-assign]
    with av.open(results[0].written.path) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        groups = [CodedGroup(packets[at : at + GROUP], video.codec_context.extradata) for at in (0, GROUP)]
        pictures = clips.read(aliased)
        for picture in pictures[:GROUP]:
            teller.remember(picture)
        assert teller.message(groups[0])
        first, tried[:] = teller.groups[0].told, []
        for picture in pictures[GROUP:]:
            teller.remember(picture)
        assert teller.message(groups[1])
        assert {max(-13, first) + 3, max(-13, first) - 3} <= set(tried[:3])
        for _ in range(GROUP):
            teller.skip()
        assert teller.message(groups[1]) == b""
    assert [group.untuned for group in teller.groups] == ["", "", NOT_SEEN]


def test_only_what_is_wanted_is_decoded(results: list[SendResult]) -> None:
    """As it is among all others, at the right place."""
    with av.open(results[0].written.path) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size][:GROUP]
        group = CodedGroup(packets, video.codec_context.extradata)
        assert any(packet.pts > later.pts for packet, later in pairwise(packets))  # there are B pictures
        whole = dict(decoded(group))
        assert list(whole) == list(range(GROUP))
        for wanted in ([0], [3], [1, 6], [2, 4, 5]):
            some = dict(decoded(group, wanted))
            assert list(some) == wanted
            for place, picture in some.items():
                assert picture.qp == whole[place].qp
                assert all(map(np.array_equal, picture.planes, whole[place].planes))


def test_only_networks_made_for_h264() -> None:
    with pytest.raises(BadOption, match="lanczos-x2 cannot be tuned"):
        Teller(Rescaler.load("lanczos-x2"))
