"""The engines against each other, and the ONNX one against itself: parts of pictures, still pictures, no PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.errors import UnavailableDevice
from irn_video.codecs.picture import Picture
from irn_video.codecs.writing.roundtrip import x264_roundtrip
from irn_video.pipeline import Rescaler, Restoration
from irn_video.pipeline.engine import onnx_network
from irn_video.pipeline.engine.noise import windows
from irn_video.pipeline.engine.onnx_network import OnnxNetwork, Runtime
from irn_video.pipeline.engine.wavelet import Wavelet
from irn_video.pipeline.network.packed import pack, unpack
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.zoo import list_models, load_weights
from irn_video.sender import SendOptions, send

NETWORKS = [e.card.name for e in list_models() if e.shipped and e.card.network.family == "codec-aware"]


def sent(rescaler: Rescaler, picture: Picture) -> Picture:
    return rescaler.downscale(picture, rescaler.sent(Samples.of(picture), lossless=False, height=picture.height), 26.0)


def most_different(one: Picture, other: Picture) -> int:
    pairs = zip(one.planes, other.planes, strict=True)
    return max(int(np.abs(p.astype(int) - q).max()) for p, q in pairs)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p"])
@pytest.mark.parametrize("name", NETWORKS)
def test_engines_agree(name: str, pix_fmt: str, clips: Any, tmp_path: Path) -> None:
    """At most one level apart and 0.005 dB, down and up, on what an encoder made of the LR frames."""
    source = clips.read(clips.make(tmp_path / "in.mkv", "-pix_fmt", pix_fmt, "-c:v", "ffv1", size="150x98", frames=2))
    ours, theirs = Rescaler.load(name, device="cpu"), Rescaler.load(name, device="torch", precision="fp32")
    small = [sent(ours, picture) for picture in source]
    assert max(most_different(a, sent(theirs, p)) for a, p in zip(small, source, strict=True)) <= 1
    if pix_fmt != "yuv420p10le":
        planes, quantisers, _ = x264_roundtrip([p.planes for p in small], crf=24)  # type: ignore[misc]
        small = [replace(s, planes=p, qp=q) for s, p, q in zip(small, planes, quantisers, strict=True)]
    for original, arrived in zip(source, small, strict=True):
        to = Restoration(Samples.of(original), original.height, original.width)
        a, b = ours.upscale(arrived, to), theirs.upscale(arrived, to)
        assert most_different(a, b) <= 1
        assert compare(original, a).psnr() == pytest.approx(compare(original, b).psnr(), abs=0.005)


def test_the_same_noise_on_every_engine(clips: Any, tmp_path: Path) -> None:
    (picture,) = clips.read(clips.make(tmp_path / "in.mkv", size="96x64", frames=1))
    ours, theirs = (Rescaler.load("irn-h264-x2", device=device) for device in ("cpu", "torch"))
    small, to = sent(ours, picture), Restoration(Samples.of(picture), 64, 96, temperature=1.0, seed=5)
    assert most_different(ours.upscale(small, to, 3), theirs.upscale(small, to, 3)) <= 1
    assert most_different(ours.upscale(small, to, 3), ours.upscale(small, to, 4)) > 1


def test_noise_is_normal_and_its_own_for_each_frame_and_channel() -> None:
    one = np.stack(windows(7, 0, 4, 50_000))
    assert abs(one.mean()) < 0.02
    assert abs(one.std() - 1) < 0.02
    others = np.stack([*windows(7, 1, 4, 50_000), *windows(8, 0, 4, 50_000)])
    assert np.abs(np.corrcoef(np.concatenate((one, others))) - np.eye(12)).max() < 0.03
    assert np.array_equal(windows(-7, 0, 1, 100), windows(-7, 0, 1, 100))  # Python's callers may give any number
    assert all(np.array_equal(a, b[:100]) for a, b in zip(windows(7, 0, 4, 100), one, strict=True))


@pytest.mark.parametrize("name", ["irn-h264-x2", "irn-h264-x1"])
def test_a_picture_in_bands_is_the_whole_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = load_weights(name)
    packed = np.random.default_rng(1).random((6, 92, 40), np.float32) - np.float32(0.5)
    network = OnnxNetwork(weights.arrays, weights.card.network, Runtime())
    whole = network(packed, 27.0, 255.0, 0.0)[0]
    monkeypatch.setattr(onnx_network, "_LARGEST_LAYER", 1)
    bands = OnnxNetwork(weights.arrays, weights.card.network, Runtime())(packed, 27.0, 255.0, 0.0)[0]
    assert np.array_equal(whole, bands)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reuse_never_changes_a_bit(data: st.DataObject) -> None:
    """Whatever changes from one picture to the next."""
    weights = load_weights("irn-h264-x2")
    still, fresh = (OnnxNetwork(weights.arrays, weights.card.network, Runtime(reuse=r)) for r in (True, False))
    chance = np.random.default_rng(data.draw(st.integers(0, 99)))
    packed = chance.random((6, 60, 80), np.float32) - np.float32(0.5)
    for _ in range(3):
        temperature = data.draw(st.sampled_from((0.0, 0.5)))
        ours, theirs = (network(packed, 30.0, 255.0, temperature) for network in (still, fresh))
        assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
        packed = packed.copy()
        if data.draw(st.booleans()):
            top, left = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 79))
            height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
            packed[:, top : top + height, left : left + width] += np.float32(0.01)


def test_still_parts_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = load_weights("irn-h264-x2")
    network = OnnxNetwork(weights.arrays, weights.card.network, Runtime())
    packed = np.zeros((6, 60, 80), np.float32)
    first = network(packed, 30.0, 255.0, 0.0)[0]
    computed: list[Any] = []
    tiles = network._tiles
    monkeypatch.setattr(network, "_tiles", lambda region: computed.append(region) or tiles(region))
    assert np.array_equal(network(packed.copy(), 30.0, 255.0, 0.0)[0], first)
    changed = packed.copy()
    changed[0, 30, 40] = 0.1
    network(changed, 30.0, 255.0, 0.0)
    assert computed == [(slice(0, 0), slice(0, 0)), (slice(23, 38), slice(33, 48))]


@pytest.mark.parametrize("scale", [1.5, 2, 4])
def test_the_wavelet_is_that_of_pytorch(scale: float) -> None:
    import torch

    spec = NetworkSpec("codec-aware", scale, width=8, depth=1)
    network = spec.build()
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    wavelet = Wavelet.of(spec, arrays)
    assert wavelet is not None
    planes = torch.rand(1, 1, 48, 72), torch.rand(1, 1, 24, 36), torch.rand(1, 1, 24, 36)
    with torch.inference_mode():
        low, latent = network.downscale(pack(*planes))
    averages = tuple(wavelet.averages(plane[0, 0].numpy()) for plane in planes)
    assert all(np.abs(a - b[0, 0].numpy()).max() < 1e-6 for a, b in zip(averages, unpack(low), strict=True))
    for bits, unit in ((None, 1.0), (8, 255.0), (10, 1023.0)):
        y, u, v = (plane * np.float32(unit) for plane in averages)
        back = wavelet.synthesis((y, u, v), latent[0].numpy() * np.float32(unit), bits)
        wanted = [plane[0, 0].numpy() * np.float32(unit) for plane in planes]
        for ours, theirs in zip(back, wanted if bits is None else map(np.rint, wanted), strict=True):
            assert np.abs(ours - theirs).max() <= (2e-6 if bits is None else 1)


def test_no_pytorch_to_send_and_receive(clips: Any, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "in.mp4", size="96x64", frames=3)
    script = (
        "import sys\n"
        "from irn_video.sender import SendOptions, send\n"
        "from irn_video.receiver import ReceiveOptions, receive\n"
        "source, lr, back = sys.argv[1:]\n"
        "for model, adapt in (('irn-h264-x2', 'quick'), ('irn-h264-x1', None), ('lanczos-x2', None)):\n"
        "    report = send(source, lr, SendOptions(model=model, adapt=adapt, verify=True, overwrite=True)).report\n"
        "    assert len(report.adaptation) == (adapt is not None)\n"
        "    assert receive(lr, back, ReceiveOptions(overwrite=True, device='cpu')).report.frames\n"
        "assert 'torch' not in sys.modules\n"
    )
    paths = [str(source), str(tmp_path / "lr.mp4"), str(tmp_path / "back.mp4")]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_onnx_runtime_tells_nobody(tmp_path: Path) -> None:
    script = (
        "from irn_video.pipeline.engine.rescaler import Rescaler\n"
        "from irn_video.pipeline.system.onnx_runtime import onnxruntime\n"
        "Rescaler.load(device='cpu')\n"
        "onnxruntime().get_available_providers()\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_providers_by_name() -> None:
    assert Runtime.named("cpu") == Runtime.named("CPUExecutionProvider") == Runtime()
    with pytest.raises(UnavailableDevice, match=r"no provider 'Abacus' here .there are: .*CPUExecutionProvider"):
        Rescaler.load(device="onnx:Abacus")
    assert Rescaler.load(device="onnx:CPU").where == Rescaler.load(device="cpu").where


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not say which cores are ours")
@pytest.mark.parametrize("cores", [1, 2])
def test_as_many_frames_at_a_time_as_cores(cores: int, clips: Any, tmp_path: Path) -> None:
    """Each is computed by one thread; ONNX Runtime starts none of its own."""
    if cores > len(os.sched_getaffinity(0)):
        pytest.skip(f"has no {cores} cores")
    lr = tmp_path / "lr.mp4"
    send(clips.make(tmp_path / "in.mp4", size="96x64", frames=12), lr, SendOptions())
    script = (
        "import os, sys, threading\n"
        f"os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}])\n"
        "from irn_video.pipeline import Rescaler\n"
        "from irn_video.receiver import ReceiveOptions, receive\n"
        "seen = set()\n"
        "def advance(done, total):\n"
        "    seen.update(t.name for t in threading.enumerate() if t.name.startswith('irn-worker'))\n"
        "receive(sys.argv[1], sys.argv[2], ReceiveOptions(device='cpu'), advance=advance)\n"
        "from irn_video.codecs.reading.reader import VideoReader\n"
        "from irn_video.pipeline import Restoration\n"
        "from irn_video.pipeline.planes import Samples\n"
        "with VideoReader(sys.argv[1]) as reader:\n"
        "    picture = next(iter(reader))\n"
        "rescaler = Rescaler.load(device='cpu')\n"
        "to = Restoration(Samples.of(picture), 64, 96)\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "rescaler.upscale(picture, to)\n"
        "print(len(seen), rescaler.workers, len(os.listdir('/proc/self/task')) - before)\n"
    )
    words = [sys.executable, "-c", script, str(lr), str(tmp_path / "back.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    workers = cores if cores > 1 else 0  # a single one is the stage's own thread
    assert list(map(int, done.stdout.split())) == [workers, cores, 0]
