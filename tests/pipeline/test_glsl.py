"""The receiver as a user shader, run by FFmpeg on whatever Vulkan there is, against the product's own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from irn_video.codecs.errors import BadOption, MissingCard, OutputRefused, UnknownModel, WeightsMismatch
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.adaptation import tuner
from irn_video.pipeline.baking import bake
from irn_video.pipeline.zoo import list_models, load_weights
from irn_video.pipeline.zoo.glsl_export import Shown, export_glsl, shader_of
from irn_video.pipeline.zoo.weight_update import HiddenLayers, WeightUpdate, gain_names
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

Planes = tuple[np.ndarray[Any, Any], ...]
SHIPPED = [entry for entry in list_models() if entry.shipped]
NETWORKS = [entry.card.name for entry in SHIPPED if entry.card.network.family == "codec-aware"]
LITE = "irn-h264-x2-lite"
LEAST = 50.0
"""PSNR in dB of what the shader restores against what irn-receive restores."""


def filtered(source: Sequence[object], libplacebo: str, layout: str = "yuv420p") -> bytes:
    """A 4:4:4 frame as libplacebo makes it, with nothing of its own."""
    plain = "format=yuv444p:upscaler=nearest:downscaler=nearest:dithering=none"
    chain = f"format={layout},hwupload,libplacebo={libplacebo}:{plain},hwdownload,format=yuv444p"
    command = ["ffmpeg", "-v", "error", "-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu", *map(str, source)]
    command += ["-frames:v", "1", "-vf", chain, "-f", "rawvideo", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    # FFmpeg goes on without a shader that does not compile.
    assert b"libplacebo" not in done.stderr, done.stderr.decode()
    return done.stdout


def shaded(sent: Path, shader: Path, height: int, width: int, layout: str = "yuv420p") -> Planes:
    """The first frame of an LR stream, restored by a shader; of 4:2:0 chroma is on the left and repeated."""
    raw = filtered(("-i", sent), f"w={width}:h={height}:custom_shader_path={shader}", layout)
    y, u, v = np.frombuffer(raw, np.uint8).reshape(3, height, width)
    return (y, u[::2, ::2], v[::2, ::2]) if layout == "yuv420p" else (y, u, v)


def received(sent: Path, folder: Path) -> list[Picture]:
    """What irn-receive makes of it."""
    output = folder / "restored.mkv"
    receive(sent, output, ReceiveOptions(temperature=0, precision="fp32", codec="ffv1", overwrite=True))
    with VideoReader(output) as reader:
        return list(reader)


def psnr(planes: Planes, others: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    errors = [np.square(a.astype(float) - b).mean() for a, b in zip(planes, others, strict=True)]
    return [10 * np.log10(255**2 / max(error, 1e-9)) for error in errors]


def exported(run: Any, name: str, sent: Path, path: Path) -> str:
    done = run("models", "export", name, path, "--for", sent, "--overwrite")
    assert done.code == 0
    return str(done.out)


SIZES = [(LITE, "98x66"), (LITE, "171x42"), *((name, "123x87") for name in NETWORKS)]


@pytest.mark.usefixtures("vulkan")
@pytest.mark.parametrize(("name", "size"), SIZES)
def test_restores_as_the_receiver_does(name: str, size: str, clips: Any, run: Any, tmp_path: Path) -> None:
    sent, shader = tmp_path / "lr.mp4", tmp_path / "x.glsl"
    source = clips.make(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size=size, frames=1)
    send(source, sent, SendOptions(model=name, crf=28))
    exported(run, name, sent, shader)
    (expected,) = received(sent, tmp_path)
    planes = shaded(sent, shader, expected.height, expected.width)
    assert min(psnr(planes, expected.planes)) >= LEAST


@pytest.mark.usefixtures("vulkan")
def test_other_videos_are_left_alone(clips: Any, run: Any, tmp_path: Path) -> None:
    """A shader for one stream does not touch frames of another size, nor any shader what is not 4:2:0."""
    sent, one, general = tmp_path / "lr.mp4", tmp_path / "one.glsl", tmp_path / "general.glsl"
    send(clips.make(tmp_path / "in.mp4", frames=1), sent, SendOptions(model=LITE))
    exported(run, LITE, sent, one)
    export_glsl("irn-h264-x1", general, qp=30)
    for layout, size, shader in (("yuv420p", "64x48", one), ("yuv444p", "24x16", one), ("yuv444p", "48x32", general)):
        other = clips.make(tmp_path / f"{size}.mkv", "-c:v", "ffv1", "-pix_fmt", layout, size=size, frames=1)
        (original,) = clips.read(other)
        planes = shaded(other, shader, original.height, original.width, layout=layout)
        assert min(psnr(planes, original.planes)) >= LEAST


class Weights:
    """A tuner that has these messages for the groups, one after another."""

    wants_coarser = False
    messages: Sequence[bytes] = ()

    def __init__(self, *_: object) -> None:
        self.groups: list[object] = []
        self._left = list(self.messages)

    def remember(self, _: object) -> None:
        return None

    def message(self, *_: object) -> bytes:
        return self._left.pop(0) if self._left else b""


@pytest.fixture(scope="module")
def updates() -> list[bytes]:
    """Two changes of the hidden layers of a network that show, one of them with another quantiser."""
    chance, arrays = np.random.default_rng(3), load_weights(LITE).arrays
    layers, width = len(gain_names(arrays)), arrays["restorer.last.weight"].shape[1]

    def hidden() -> HiddenLayers:
        gains = chance.normal(0, 0.1, (layers, 2 * width)).astype(np.float32)
        left, right = (chance.normal(0, 0.2, s).astype(np.float32) for s in ((layers, width, 1), (layers, 1, width)))
        return HiddenLayers.nearest(gains, left, right, 7)

    return [WeightUpdate(hidden(), told=told).to_message(arrays) for told in (8, 0)]


def tuned_stream(folder: Path, clips: Any, messages: Sequence[bytes], frames: int) -> Path:
    """Groups of two frames."""
    source, sent = clips.make(folder / "in.mp4", frames=frames), folder / "lr.mp4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Weights, "messages", messages)
        patch.setattr(tuner, "Tuner", Weights)
        send(source, sent, SendOptions(model=LITE, crf=24, keyint=2, preset="ultrafast", adapt="fast", overwrite=True))
    return sent


@pytest.mark.usefixtures("vulkan")
def test_tuned_weights(clips: Any, run: Any, updates: list[bytes], tmp_path: Path) -> None:
    sent = tuned_stream(tmp_path, clips, updates[:1], 1)
    shader, onnx_file, general = (tmp_path / name for name in ("x.glsl", "x.onnx", "general.glsl"))
    assert "tuned weights, as irn-receive has for 1 of 1 frames" in exported(run, LITE, sent, shader)
    exported(run, LITE, sent, onnx_file)
    export_glsl(LITE, general, qp=bake(sent, LITE).qp)
    (expected,) = received(sent, tmp_path)
    with VideoReader(sent, quantiser=True) as reader:
        (small,) = reader
    session = onnxruntime.InferenceSession(onnx_file)
    feed = {name: plane[None, None] for name, plane in zip("yuv", small.planes, strict=True)}
    outputs = session.run(None, {**feed, "qp": np.array([small.qp], np.float32)})
    assert max(np.abs(o[0, 0].astype(int) - p).max() for o, p in zip(outputs, expected.planes, strict=True)) <= 1
    planes, untuned = (shaded(sent, file, expected.height, expected.width) for file in (shader, general))
    assert min(psnr(planes, expected.planes)) >= LEAST
    assert min(psnr(untuned, expected.planes)) < LEAST - 5


@pytest.mark.parametrize(
    ("groups", "tuned", "fitting"),
    [((0, 0, 1), True, 4), ((0, 1), False, 0), ((0, 1, None), False, 2), ((None, None, 0), False, 4), ((), False, 6)],
)
def test_weights_of_most_frames_are_taken(
    groups: tuple[int | None, ...], tuned: bool, fitting: int, clips: Any, updates: list[bytes], tmp_path: Path
) -> None:
    messages = [b"" if at is None else updates[at] for at in groups]
    frames = 2 * len(groups) or 6
    baked = bake(tuned_stream(tmp_path, clips, messages, frames), LITE)
    assert (baked.tuned is not None, baked.fitting, baked.frames) == (tuned, fitting, frames)
    if baked.tuned is not None:
        right = WeightUpdate.from_message(updates[0], load_weights(LITE).arrays)
        assert all(np.array_equal(baked.tuned[name], array) for name, array in right.items())


def test_quantiser_is_the_mean(clips: Any, tmp_path: Path) -> None:
    sent = tmp_path / "lr.mp4"
    send(clips.make(tmp_path / "in.mp4", frames=6), sent, SendOptions(model=LITE, crf=30))
    with VideoReader(sent, quantiser=True) as reader:
        quantisers = [picture.qp or 0.0 for picture in reader]
    assert len(set(quantisers)) > 1
    baked = bake(sent, LITE)
    assert baked.qp == pytest.approx(np.mean(quantisers), abs=1 / 8)
    assert baked.qp % 0.25 == 0


def test_what_a_shader_says(run: Any, tmp_path: Path) -> None:
    """Without a quantiser it has a parameter, which older players do not know, and only then."""
    with_parameter, without = tmp_path / "a.glsl", tmp_path / "b.glsl"
    assert "by parameter" in run("models", "export", LITE, with_parameter).out
    assert "quantiser 30.5" in run("models", "export", LITE, without, "--qp", 30.5).out
    parameter = "//!PARAM qp\n//!DESC H.264 quantiser of the stream\n//!TYPE float\n//!MINIMUM 0\n//!MAXIMUM 51\n26\n"
    assert parameter in with_parameter.read_text()
    assert "PARAM" not in without.read_text()
    assert without.read_text() == shader_of(load_weights(LITE), 30.5, Shown())
    assert without.read_text() != shader_of(load_weights(LITE), 30.75, Shown())
    assert f"// {LITE}, quantiser: 30.5." in without.read_text()


@pytest.mark.parametrize(
    ("siting", "offset"), [(0, "-0.25 0"), (1, "-0.25 0"), (2, None), (3, "-0.25 -0.25"), (4, "0 -0.25")]
)
def test_chroma_is_shown_where_it_lies(siting: int, offset: str | None, clips: Any, tmp_path: Path) -> None:
    names = ("unspecified", "left", "center", "topleft", "top")
    source, sent = tmp_path / "in.mkv", tmp_path / "lr.mp4"
    coded = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-chroma_sample_location", names[siting])
    send(clips.make(source, *coded, frames=1), sent, SendOptions(model=LITE))
    baked = bake(sent, LITE)
    assert baked.card.color.chroma_siting in ({0, 1} if siting < 2 else {siting})
    lines = shader_of(load_weights(LITE), 26, Shown.of(baked.card)).splitlines()
    assert [line for line in lines if "OFFSET" in line] == ([] if offset is None else [f"//!OFFSET {offset}"])


def test_refusals(clips: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.glsl"
    with pytest.raises(UnknownModel, match="did you mean irn-h264-x2"):
        export_glsl("irn-h265-x2", path)
    with pytest.raises(BadOption, match="name a codec-aware network"):
        export_glsl("irn-x2", path)
    with pytest.raises(BadOption, match="no quantiser 52"):
        export_glsl(LITE, path, qp=52)
    assert "an ONNX file has qp as an input" in run("models", "export", LITE, tmp_path / "x.onnx", "--qp", 20).error
    source, sent = clips.make(tmp_path / "in.mp4", frames=1), tmp_path / "lr.mp4"
    send(source, sent, SendOptions(model=LITE))
    assert "--qp is for a shader" in run("models", "export", LITE, path, "--qp", 20, "--for", sent).error
    with pytest.raises(MissingCard, match="made by irn-send"):
        bake(source, LITE)
    with pytest.raises(WeightsMismatch, match=f"made with {LITE}, not irn-h264-x2"):
        bake(sent, "irn-h264-x2")
    before = sent.read_bytes()
    assert "the output is the input" in run("models", "export", LITE, sent, "--for", sent, "--overwrite").error
    assert sent.read_bytes() == before
    path.write_text("mine")
    with pytest.raises(OutputRefused, match="--overwrite"):
        export_glsl(LITE, path, qp=20)
    assert path.read_text() == "mine"
    assert run("models", "export", LITE, path, "--qp", 20, "--overwrite").code == 0
    assert "//!HOOK NATIVE" in path.read_text()


def test_onnx_file_for_a_stream_still_takes_a_quantiser(clips: Any, run: Any, tmp_path: Path) -> None:
    sent, path = tmp_path / "lr.mp4", tmp_path / "x.onnx"
    send(clips.make(tmp_path / "in.mp4", frames=1), sent, SendOptions(model=LITE))
    assert "the general network, as irn-receive has for 1 of 1 frames" in exported(run, LITE, sent, path)
    assert [value.name for value in onnx.load(path).graph.input] == ["y", "u", "v", "qp"]
