"""`irn.open`: frames in order, at any time, measured."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import irn_video as irn
import numpy as np
import pytest
import torch
from irn_video.codecs.errors import BadOption, MissingCard, MissingFile, SourceMismatch
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading import seeking
from irn_video.codecs.reading.reader import VideoReader


@pytest.fixture
def video(folder: Path) -> Iterator[irn.Video]:
    with irn.open(folder / "out_lr.mp4") as video:
        yield video


@pytest.fixture(scope="session")
def frames(folder: Path) -> list[irn.RestoredFrame]:
    with irn.open(folder / "out_lr.mp4") as video:
        return list(video)


@pytest.fixture(scope="module")
def rescaler() -> irn.Rescaler:
    return irn.Rescaler("irn-h264-x2", precision="fp32")


def same(one: Picture, other: Picture) -> bool:
    planes = zip(one.planes, other.planes, strict=True)
    return all(np.array_equal(a, b) for a, b in planes) and (one.pts, one.time_base) == (other.pts, other.time_base)


def stages() -> int:
    return sum(thread.name == "irn-stage" for thread in threading.enumerate())


def test_frames_are_those_of_receive(folder: Path, frames: list[irn.RestoredFrame], tmp_path: Path, clips: Any) -> None:
    irn.receive(folder / "out_lr.mp4", tmp_path / "out.mkv", codec="ffv1")
    written = clips.read(tmp_path / "out.mkv")
    assert len(written) == len(frames) == 40
    for frame, picture in zip(frames, written, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.picture.planes, picture.planes, strict=True))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([n / 25 for n in range(40)])


def test_the_video_says_what_it_is(video: irn.Video, folder: Path) -> None:
    assert (len(video), video.width, video.height, video.model) == (40, 192, 128, "irn-h264-x2")
    assert (video.info.width, video.card.crf, video.warnings) == (96, 20, ())
    assert "96x64 restored to 192x128 by irn-h264-x2" in repr(video)
    assert "thread" in video.device


def test_every_loop_starts_anew(video: irn.Video) -> None:
    first = [frame.picture for frame in itertools.islice(video, 3)]
    again = [frame.picture for frame in itertools.islice(video, 3)]
    assert all(map(same, first, again))


def test_leaving_early_ends_the_threads(video: irn.Video) -> None:
    before = stages()
    for frame in video:
        assert stages() > before
        if frame.index == 1:
            break
    gc.collect()
    assert stages() == before


def test_closing_ends_loops(folder: Path) -> None:
    before = stages()
    video = irn.open(folder / "out_lr.mp4")
    frames = iter(video)
    next(frames)
    video.close()
    assert stages() == before
    assert next(frames, None) is None
    for use in (lambda: iter(video), lambda: video.at(0), lambda: video.psnr(folder / "input.mp4")):
        with pytest.raises(BadOption, match="closed"):
            use()


class TestAt:
    def test_the_same_frames_in_any_order(self, video: irn.Video, frames: list[irn.RestoredFrame]) -> None:
        """Sampled latents and tuned weights too."""
        assert video.card.latent_std > 0
        assert len({frame.lr.picture.update for frame in frames} - {b""}) == 2
        for index in (27, 3, 4, 4, 39, 0, 23, 20, 19, 8):
            found = video.at(frames[index].pts_seconds)
            assert found.index == found.lr.index == index
            assert same(found.picture, frames[index].picture)
            assert same(found.lr.picture, frames[index].lr.picture)
            assert found.lr.qp == frames[index].lr.qp

    def test_between_frames(self, video: irn.Video) -> None:
        assert [video.at(t).index for t in (0.0399, 0.04, 0.0401, 0.5, 1.599)] == [0, 1, 1, 12, 39]

    def test_outside(self, video: irn.Video) -> None:
        for seconds in (-0.01, 1.6, 1e9, float("nan"), float("inf")):
            with pytest.raises(BadOption):
                video.at(seconds)

    @pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi", ".h264", "open.mp4"])
    def test_containers(
        self, suffix: str, folder: Path, tmp_path: Path, clips: Any, frames: list[irn.RestoredFrame]
    ) -> None:
        """With other clocks, without an index, without times, with an edit list."""
        path = tmp_path / f"lr{suffix}"
        cut = ("-ss", 0.3) if suffix == "open.mp4" else ()
        clips.ffmpeg(*cut, "-i", folder / "out_lr.mp4", "-c", "copy", path)
        with irn.open(path) as video:
            given = list(video)
            assert len(given) >= 32
            for index in (25, 2, 31, 9):
                found = video.at(given[index].pts_seconds)
                assert found.index == index
                assert same(found.picture, given[index].picture)

    def test_a_stream_that_lacks_its_beginning(self, folder: Path, tmp_path: Path) -> None:
        """What cannot be decoded has times, but no index."""
        path = tmp_path / "joined.mkv"
        with av.open(str(folder / "out_lr.mp4")) as source, av.open(str(path), "w") as joined:
            stream = joined.add_stream_from_template(source.streams.video[0])
            for number, packet in enumerate(source.demux(video=0)):
                if number >= 5 and packet.size:
                    packet.stream = stream
                    joined.mux(packet)
        with irn.open(path) as video:
            given = list(video)
            assert len(given) < 35
            for index in (len(given) - 2, 3):
                found = video.at(given[index].pts_seconds)
                assert found.index == index
                assert same(found.picture, given[index].picture)

    def test_only_what_is_needed_is_decoded(
        self, video: irn.Video, frames: list[irn.RestoredFrame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        video.at(0)
        read: list[Picture] = []
        following = VideoReader._picture

        def counted(self: VideoReader, *given: Any) -> Picture:
            read.append(following(self, *given))
            return read[-1]

        monkeypatch.setattr(VideoReader, "_picture", counted)
        monkeypatch.setattr(seeking.FrameFinder, "_counted", None)
        assert video.at(frames[22].pts_seconds).index == 22
        assert len(read) == 4  # the one after tells how long it is shown
        assert video.at(frames[23].pts_seconds).index == 23
        assert len(read) == 5


def test_psnr_is_that_of_the_report(video: irn.Video, folder: Path, tmp_path: Path, clips: Any) -> None:
    report = irn.receive(folder / "out_lr.mp4", tmp_path / "a.mp4").report.summary()
    measured = video.psnr(folder / "input.mp4")
    assert measured == {name: values["mean"] for name, values in report.items()}
    assert measured["psnr_y"] is not None
    with pytest.raises(MissingFile):
        video.psnr(tmp_path / "nothing.mp4")
    with pytest.raises(SourceMismatch, match="32x32"):
        video.psnr(clips.make(tmp_path / "small.mp4", size="32x32"))
    with pytest.raises(SourceMismatch, match="the source ends"):
        video.psnr(clips.make(tmp_path / "short.mp4", size=f"{video.width}x{video.height}", frames=4))


class TestOptions:
    def test_upscaler(self, folder: Path, frames: list[irn.RestoredFrame]) -> None:
        with irn.open(folder / "out_lr.mp4", upscaler="lanczos") as video:
            assert video.model == "lanczos-x2"
            assert not same(next(iter(video)).picture, frames[0].picture)

    def test_latents(self, folder: Path, frames: list[irn.RestoredFrame]) -> None:
        def first(**options: Any) -> Picture:
            with irn.open(folder / "out_lr.mp4", **options) as video:
                return video.at(0).picture

        assert same(first(temperature=1.0, seed=3), first(temperature=1.0, seed=3))
        assert not same(first(temperature=1.0, seed=3), first(temperature=1.0, seed=4))
        assert same(first(seed=0), frames[0].picture)

    def test_refusals(self, folder: Path, tmp_path: Path) -> None:
        for options in ({"upscaler": "magic"}, {"temperature": -1}, {"weights": "x.pt"}, {"device": "tpu"}):
            with pytest.raises(BadOption):
                irn.open(folder / "out_lr.mp4", **options)  # type: ignore[arg-type]
        with pytest.raises(MissingFile):
            irn.open(tmp_path / "nothing.mp4")
        with pytest.raises(MissingCard):
            irn.open(folder / "input.mp4")

    def test_a_stream_without_a_card(self, folder: Path) -> None:
        with irn.open(folder / "input.mp4", model="irn-h264-x2") as video:
            assert video.at(0.5).width == 384


class TestFrame:
    def test_arrays(self, frames: list[irn.RestoredFrame]) -> None:
        frame = frames[5]
        rgb = frame.to_ndarray("rgb24")
        assert (rgb.shape, rgb.dtype) == ((128, 192, 3), np.uint8)
        tensor = frame.to_tensor()
        assert (tensor.shape, tensor.dtype) == ((3, 128, 192), torch.float32)
        assert 0 <= tensor.min() < tensor.max() <= 1
        assert np.array_equal(rgb, (tensor * 255).round().permute(1, 2, 0).numpy())
        wide = frame.to_ndarray("rgb48")
        assert wide.dtype == np.uint16
        assert np.abs(wide / 257 - rgb).max() <= 0.51
        yuv = frame.to_ndarray("yuv420p")
        assert np.array_equal(yuv[:128], frame.picture.planes[0])
        # FFmpeg's own conversion, which puts chroma elsewhere.
        theirs = frame.to_video_frame().to_ndarray(format="rgb24").astype(int)
        assert np.median(np.abs(theirs - rgb)) <= 2

    def test_video_frames(self, frames: list[irn.RestoredFrame]) -> None:
        frame = frames[5]
        native = frame.to_video_frame()
        assert (native.format.name, native.width, native.height) == ("yuv420p", 192, 128)
        assert native.time == pytest.approx(frame.pts_seconds)
        assert np.array_equal(native.to_ndarray()[:128], frame.picture.planes[0])
        assert np.array_equal(frame.to_video_frame("rgb24").to_ndarray(), frame.to_ndarray("rgb24"))
        assert frame.to_video_frame("yuv444p10le").format.name == "yuv444p10le"
        for wrong in (lambda: frame.to_video_frame("pal8"), lambda: frame.to_ndarray("nonsense")):
            with pytest.raises(BadOption, match="no pixel format"):
                wrong()

    def test_what_it_came_from(self, frames: list[irn.RestoredFrame]) -> None:
        frame = frames[5]
        assert frame.lr.to_ndarray().shape == (64, 96, 3)
        assert frame.lr.qp is not None
        assert 10 < frame.lr.qp < 40
        assert repr(frame) == "RestoredFrame(192x128 yuv420p, index=5, pts_seconds=0.200, lr=96x64)"


class TestRescaler:
    def test_a_decoded_frame_is_restored_as_open_does(
        self, folder: Path, rescaler: irn.Rescaler, tmp_path: Path
    ) -> None:
        irn.send(folder / "input.mp4", tmp_path / "lr.mp4", frames=3)
        with irn.open(tmp_path / "lr.mp4", precision="fp32") as video, av.open(str(tmp_path / "lr.mp4")) as container:
            for frame, decoded in zip(video, container.decode(video=0), strict=True):
                restored = rescaler.upscale(decoded, qp=frame.lr.qp, index=frame.index)
                assert np.array_equal(restored.to_ndarray(), frame.to_ndarray("yuv420p"))
                assert (restored.pts, restored.time_base) == (decoded.pts, decoded.time_base)

    @pytest.mark.parametrize("model", ["irn-h264-x2", "irn-x2", "lanczos-x2", "irn-h264-x1", "lanczos-x1.5"])
    def test_kinds(self, model: str, frames: list[irn.RestoredFrame]) -> None:
        """There and back each kind stays what it is, and the frame much as it was."""
        rescaler = irn.Rescaler(model, precision="fp32")
        rgb = np.ascontiguousarray(frames[5].to_ndarray("rgb24")[32:80, 64:124])
        for peak, hr in ((255, rgb), (65535, rgb.astype(np.uint16) * 257)):
            lr = rescaler.downscale(hr)
            assert lr.shape == (48 / rescaler.scale, 60 / rescaler.scale, 3)
            back = rescaler.upscale(lr)
            assert (back.dtype, back.shape) == (hr.dtype, hr.shape)
            assert np.abs(back.astype(float) - hr).mean() < 0.06 * peak
        tensor = frames[5].to_tensor()[:, 32:80, 64:124]
        small = rescaler.downscale(tensor)
        assert torch.allclose(rescaler.upscale(small)[..., :8], rescaler.upscale(small.double())[..., :8].float())
        assert rescaler.upscale(small).shape == tensor.shape
        coded = av.VideoFrame.from_ndarray(rgb, "rgb24")
        for given in (coded, coded.reformat(format="yuv420p")):
            restored = rescaler.upscale(rescaler.downscale(given))
            assert np.abs(restored.to_ndarray(format="rgb24").astype(float) - rgb).mean() < 0.06 * 255

    def test_a_batch_is_its_frames(self, rescaler: irn.Rescaler, frames: list[irn.RestoredFrame]) -> None:
        hr = torch.stack([frame.to_tensor() for frame in frames[:3]])
        lr = rescaler.downscale(hr)
        assert lr.shape == (3, 3, 64, 96)
        qp = torch.tensor([20.0, 30.0, 40.0])
        large = rescaler.upscale(lr, qp=qp, temperature=1.0, seed=7, index=4)
        for number in range(3):
            alone = rescaler.upscale(lr[number], qp=float(qp[number]), temperature=1.0, seed=7, index=4 + number)
            assert torch.allclose(large[number], alone, atol=1e-5)
        assert not torch.allclose(large[0], rescaler.upscale(lr[0], qp=30, temperature=1.0, seed=7, index=4), atol=1e-4)

    def test_odd_sizes(self, rescaler: irn.Rescaler) -> None:
        hr = np.full((63, 61, 3), 99, np.uint8)
        lr = rescaler.downscale(hr)
        assert lr.shape == (32, 32, 3)
        assert np.abs(rescaler.upscale(lr).astype(int) - 99).max() <= 2
        assert rescaler.upscale(np.full((9, 7, 3), 99, np.uint8)).shape == (18, 14, 3)
        odd = av.VideoFrame.from_ndarray(np.full((9, 7, 3), 99, np.uint8), "rgb24")
        assert (rescaler.upscale(odd).width, rescaler.upscale(odd).format.name) == (14, "rgb24")

    def test_odd_sizes_at_three_halves(self) -> None:
        rescaler = irn.Rescaler("lanczos-x1.5")
        assert repr(rescaler).startswith("Rescaler('lanczos-x1.5', scale=1.5,")
        assert rescaler.downscale(np.full((63, 61, 3), 99, np.uint8)).shape == (44, 44, 3)
        assert rescaler.upscale(np.full((9, 7, 3), 99, np.uint8)).shape == (13, 10, 3)
        odd = av.VideoFrame.from_ndarray(np.full((9, 7, 3), 99, np.uint8), "rgb24")
        assert (rescaler.upscale(odd).width, rescaler.upscale(odd).height) == (10, 13)

    def test_wrong_kinds(self, rescaler: irn.Rescaler) -> None:
        wrong: Any = (
            *(
                torch.zeros(4, 4),
                torch.zeros(1, 4, 4),
                torch.zeros(3, 4, 4, dtype=torch.uint8),
                torch.zeros(2, 6, 4, 4),
            ),
            *(
                np.zeros((4, 4), np.uint8),
                np.zeros((4, 4, 3)),
                np.zeros((3, 4, 4), np.uint8),
                np.zeros((0, 4, 3), np.uint8),
            ),
            *(None, "input.mp4", [[1]]),
        )
        for frame in wrong:
            for do in (rescaler.upscale, rescaler.downscale):
                with pytest.raises(BadOption, match="is no frame") as caught:
                    do(frame)
                assert "\n" not in str(caught.value)
        good = torch.zeros(2, 3, 8, 8)
        for options in ({"qp": 52}, {"qp": -1}, {"temperature": 11}, {"qp": torch.zeros(3)}):
            with pytest.raises(BadOption):
                rescaler.upscale(good, **options)  # type: ignore[arg-type]

    def test_it_says_what_it_is(self, rescaler: irn.Rescaler) -> None:
        assert (rescaler.name, rescaler.scale, rescaler.temperature, rescaler.warnings) == ("irn-h264-x2", 2, 0.05, ())
        assert repr(rescaler).startswith("Rescaler('irn-h264-x2', scale=2, device='CPU")
