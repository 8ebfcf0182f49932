"""The exported receiver, run by another program than PyTorch, against the product's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from irn_video.codecs.errors import BadOption, OutputRefused, UnknownModel
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.scales import SCALES, enlarged, lr_multiple_of, multiple_of, shrunk
from irn_video.codecs.writing.roundtrip import x264_roundtrip
from irn_video.pipeline import Rescaler, Restoration
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.zoo import list_models, load_model, load_weights, write_model
from irn_video.pipeline.zoo.onnx_export import OUTPUTS, export_onnx, receiver_graph
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

Upscale = Callable[[Picture], Picture]


def shipped(family: str) -> list[str]:
    return [entry.card.name for entry in list_models() if entry.shipped and entry.card.network.family == family]


NETWORKS = shipped("codec-aware")


@cache
def exported(name: str) -> Upscale:
    """The receiver of a network as others run it: plane by plane in, padded planes out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(receiver_graph(load_weights(name)).SerializeToString(), options)

    def upscale(picture: Picture) -> Picture:
        feed: dict[str, Any] = {name: p[None, None] for name, p in zip("yuv", picture.planes, strict=True)}
        y, u, v = session.run(list(OUTPUTS), {**feed, "qp": np.array([picture.qp], np.float32)})
        return replace(picture, planes=(y[0, 0], u[0, 0], v[0, 0]))

    return upscale


@cache
def rescaler(name: str) -> Rescaler:
    return Rescaler.load(name, device="cpu", precision="fp32")


def decoded(name: str, pictures: list[Picture], crf: float) -> list[Picture]:
    """LR pictures of the product's sender, coded and decoded."""
    down = rescaler(name)
    small = [down.downscale(p, down.sent(Samples.of(p), lossless=False, height=p.height)) for p in pictures]
    planes, quantisers, _ = x264_roundtrip([p.planes for p in small], crf=crf)  # type: ignore[misc]
    return [replace(s, planes=p, qp=q) for s, p, q in zip(small, planes, quantisers, strict=True)]


def assert_alike(name: str, picture: Picture) -> None:
    """Both receivers make the same of an LR picture, but for what lies on the border between two levels."""
    up = rescaler(name)
    to = Restoration(Samples.of(picture), *(enlarged(side, up.scale) for side in (picture.height, picture.width)))
    for ours, theirs in zip(up.upscale(picture, to).planes, exported(name)(picture).planes, strict=True):
        assert theirs.dtype == np.uint8
        assert theirs.shape == ours.shape
        difference = np.abs(theirs.astype(int) - ours)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) < 0.01 * difference.size


# The cells of the network for scale 1 are four samples wide, and reach over both edges of a picture of the second size.
@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
@pytest.mark.parametrize("crf", [18, 36])
@pytest.mark.parametrize("name", NETWORKS)
def test_gives_the_samples_of_the_product(
    name: str, crf: float, size: tuple[int, int], clips: Any, tmp_path: Path
) -> None:
    scale = rescaler(name).scale
    height, width = (-(-enlarged(side, scale) // multiple_of(scale)) * multiple_of(scale) for side in size)
    source = clips.read(clips.make(tmp_path / "in.mp4", size=f"{width}x{height}", frames=2))
    pictures = decoded(name, source, crf)
    assert pictures[0].planes[0].shape == (shrunk(height, scale), shrunk(width, scale))
    for picture in pictures:
        assert_alike(name, picture)


def test_networks_of_every_scale_are_exported() -> None:
    assert {load_model(name).network.scale for name in NETWORKS} == set(SCALES)


@pytest.mark.parametrize("name", NETWORKS)
def test_restores_what_was_sent(name: str, clips: Any, tmp_path: Path) -> None:
    source, sent = clips.make(tmp_path / "in.mp4", size="98x66", frames=4), tmp_path / "lr.mp4"
    send(source, sent, SendOptions(model=name))
    report = receive(sent, tmp_path / "out.mp4", ReceiveOptions(temperature=0, precision="fp32")).report
    expected = [frame.error.psnr() for frame in report.frames]
    with VideoReader(sent, quantiser=True) as reader:
        restored = [exported(name)(picture) for picture in reader]
    for ours, theirs, picture in zip(expected, restored, clips.read(source), strict=True):
        y, u, v = theirs.planes
        cropped = replace(picture, planes=(y[:66, :98], u[:33, :49], v[:33, :49]))
        assert compare(picture, cropped).psnr() == pytest.approx(ours, abs=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_planar_file_computes_the_same(name: str, clips: Any, tmp_path: Path) -> None:
    """Its sizes are known from those of its input, as programs need that have fixed ones."""
    scale, path = rescaler(name).scale, tmp_path / "planar.onnx"
    if scale == 1.5:
        with pytest.raises(BadOption, match="whole scales"):
            export_onnx(name, path, planar=True)
        return
    (picture,) = decoded(name, clips.read(clips.make(tmp_path / "in.mp4", size="96x64", frames=1)), 26)
    height, width = picture.height, picture.width
    export_onnx(name, path, planar=True)
    proto = onnx.load(path)
    for dim, side in zip(proto.graph.input[0].type.tensor_type.shape.dim[2:], (height, width), strict=True):
        dim.dim_value = side
    proto.graph.output[0].type.tensor_type.shape.Clear()
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    assert [len(session.get_inputs()), len(session.get_outputs())] == [1, 1]
    assert session.get_outputs()[0].shape == [1, 3, scale * height, scale * width]
    y, u, v = (plane / np.float32(255) for plane in picture.planes)
    quantiser = np.full_like(y, (picture.qp or 0) / 51)
    planes = np.stack((y, *(plane.repeat(2, 0).repeat(2, 1) for plane in (u, v)), quantiser))[None]
    (restored,) = session.run(None, {"planes": planes})
    assert restored.dtype == np.float32
    levels = restored[0] * 255
    whole = exported(name)(picture).planes
    for plane, expected in zip(levels, (whole[0], *(p.repeat(2, 0).repeat(2, 1) for p in whole[1:])), strict=True):
        assert np.abs(plane - expected).max() < 0.01


def test_quantiser_matters() -> None:
    rows, columns = np.mgrid[:32, :32]
    luma = (rows * 5 + columns * 7 % 40).astype(np.uint8)
    feed = {"y": luma[None, None], "u": luma[None, None, ::2, ::2], "v": luma[None, None, ::2, ::2]}
    session = onnxruntime.InferenceSession(receiver_graph(load_weights()).SerializeToString())
    few, many = (session.run(None, {**feed, "qp": np.array([qp], np.float32)})[0] for qp in (10, 40))
    assert not np.array_equal(few, many)


@pytest.mark.parametrize("name", NETWORKS)
def test_smallest_picture(name: str) -> None:
    times = lr_multiple_of(rescaler(name).scale) // 2
    y, u, v = (np.tile(np.array(p, np.uint8), (times, times)) for p in ([[90, 94], [80, 85]], [[120]], [[130]]))
    assert_alike(name, Picture((y, u, v), Layout.YUV420, 8, ColorSpec(), 0, Fraction(1, 25), qp=30.0))


def test_file_says_what_it_is(run: Any, tmp_path: Path) -> None:
    model, path = load_model(), tmp_path / "x2.onnx"
    done = run("models", "export", "irn-h264-x2", path)
    assert done.code == 0
    assert str(path) in done.out
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.producer_name, proto.producer_version) == ("irn-video", version("irn-video"))
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert facts == {"model": "irn-h264-x2", "sha256": model.sha256, "scale": "2", "licence": model.card.licence}
    assert [entry.version for entry in proto.opset_import] == [17]
    assert [value.name for value in proto.graph.input] == ["y", "u", "v", "qp"]
    assert [value.name for value in proto.graph.output] == list(OUTPUTS)
    assert isinstance(model.network, CodecAwareRescaler)
    weights = sum(p.numel() for p in model.network.parameters())
    assert path.stat().st_size < 4 * weights + 50_000


def test_repeats_itself(tmp_path: Path) -> None:
    for name in "ab":
        export_onnx("irn-h264-x2", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_refusals(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    assert "is for an ONNX file" in run("models", "export", "irn-h264-x2", tmp_path / "x.glsl", "--planar").error
    with pytest.raises(UnknownModel, match="did you mean irn-h264-x2"):
        export_onnx("irn-h265-x2", path)
    for name in shipped("paper"):
        with pytest.raises(BadOption, match="name a codec-aware network"):
            export_onnx(name, path)
    assert "such as irn-h264-x2" in run("models", "export", "irn-x2", path).error
    assert run("models", "export", "irn-h264-x2", tmp_path / "no" / "where.onnx").code == 1
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(OutputRefused, match="--overwrite"):
        export_onnx("irn-h264-x2", path)
    assert path.read_text() == "mine"
    assert run("models", "export", "irn-h264-x2", path, "--overwrite").code == 0
    assert onnx.load(path).graph.name == "receiver"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.onnx"]


def test_weights_are_not_written_over(tmp_path: Path) -> None:
    model, path = load_model(), tmp_path / "mine.safetensors"
    write_model(path, model.card, model.network.state_dict())
    with pytest.raises(OutputRefused, match="the output is the input"):
        export_onnx(str(path), path, overwrite=True)
    assert load_model(str(path)).sha256 == model.sha256
