"""The web player's modules that need no browser, run by Node.js on what the product wrote."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.coded import coded_frames
from irn_video.pipeline.zoo import load_weights
from irn_video.pipeline.zoo.weight_update import (
    QUANTISER,
    HiddenLayers,
    LastLayer,
    WeightUpdate,
    changeable,
    gain_names,
)
from irn_video.sender import SendOptions, send

NETWORK = "irn-h264-x2-lite"
ROOT = Path(__file__).parents[2]
# Every macroblock has the quantiser of its slice, so that what the decoder tells is what the slices begin with.
FLAT = "aq-mode=0:mbtree=0"
STREAMS = {
    "MPEG-TS": ("out.ts", f"{FLAT}:bframes=3:ref=4:weightp=2:weightb=1:b-pyramid=normal"),
    "CAVLC": ("out.mp4", f"{FLAT}:cabac=0:bframes=2:direct=spatial:slices=3"),
    "interlaced": ("out.mkv", f"{FLAT}:interlaced=1:bframes=1"),
    "baseline": ("out.mp4", f"{FLAT}:bframes=0:8x8dct=0:cabac=0:weightp=0"),
    "scaling lists": ("out.mp4", f"{FLAT}:cqm=jvt:bframes=2:open-gop=1:keyint=5:min-keyint=2"),
}


def stream(name: str, clip: Path, folder: Path) -> dict[str, Any]:
    """A stream's access units, and the quantisers of its frames."""
    file, parameters = STREAMS[name]
    path = folder / file
    with av.open(str(clip)) as source, av.open(str(path), "w") as output:
        video = output.add_stream("libx264", 25, options={"crf": "28", "x264-params": parameters})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for frame in source.decode(video=0):
            frame.pict_type = av.video.frame.PictureType.NONE
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return described(name, path)


def described(name: str, path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        extradata = bytes(video.codec_context.extradata or b"")
        packets = [packet for packet in container.demux(video) if packet.size]
    found = {round(frame.pts_seconds, 4): frame.qp for frame in coded_frames(path, quantisers=True)}
    return {
        "name": name,
        "description": extradata.hex() if extradata[:1] == b"\1" else "",
        "units": [bytes(packet).hex() for packet in packets],
        "quantisers": [found[round(float(p.pts * p.time_base), 4)] for p in packets],
    }


def updates(arrays: Any) -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    layers, (outputs, width) = len(gain_names(arrays)), arrays["restorer.last.weight"].shape[:2]

    def steps(*shape: int) -> np.ndarray:
        return np.clip(np.round(random.normal(0, 2, shape)), -15, 15).astype(np.int8)

    hidden = HiddenLayers(steps(layers, 2 * width), steps(layers, width, 3), steps(layers, 3, width), 7)
    last = steps(9, width + 1, outputs)
    last[[tap for tap in range(9) if tap != 4], -1] = 0
    found = []
    for update in (
        WeightUpdate(told=-5),
        WeightUpdate(hidden, told=3),
        WeightUpdate(replace(hidden, left=steps(layers, width, 0), right=steps(layers, 0, width))),
        WeightUpdate(hidden, LastLayer(last, random.integers(5, 12, width + 1).astype(np.uint8))),
    ):
        changed = update.applied(arrays)
        values = [(name, changed[name].astype("<f4").tobytes().hex()) for name in changeable(arrays)]
        found.append({"message": update.to_message(arrays).hex(), "changed": values})
    return found


def cards(card: StreamCard) -> list[dict[str, str]]:
    """Payloads, and a part of what is said of those that are refused."""
    values = json.loads(replace(card, model="irn-h264-x2").to_json())

    def payload(**changes: Any) -> str:
        return base64.b64encode(json.dumps({**values, **changes}).encode()).hex()

    return [
        {"payload": replace(card, model="irn-h264-x2").to_payload().hex(), "why": ""},
        {"payload": payload(version=1), "why": ""},
        {"payload": replace(card, model="irn-h264-x2", look="real", version=4).to_payload().hex(), "why": ""},
        {"payload": payload(version=4, look=5), "why": "look"},
        {"payload": payload(version=9), "why": "version 9; a newer player is needed"},
        {"payload": payload(width=10**9), "why": "make no sense"},
        {"payload": payload(scale=0), "why": "make no sense"},
        {"payload": payload(model=3), "why": "make no sense"},
        {"payload": payload(bit_depth=10), "why": "4:2:0 of 8 bits, not"},
        {"payload": payload(pad_right=1), "why": "do not fit"},
        {"payload": b"\2\1zzzz".hex(), "why": "does not inflate"},
        {"payload": base64.b64encode(b"[1]").hex(), "why": "version"},
        {"payload": base64.b64encode(b"null").hex(), "why": "damaged"},
        {"payload": (b"A" * 70000).hex(), "why": "too long"},
    ]


@pytest.fixture(scope="module")
def fixtures(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    send(moving, folder / "lr.mp4", SendOptions(model=NETWORK, crf=30, quantisers=True))
    card = find_card(folder / "lr.mp4")
    assert card is not None
    height, width = card.lr_size
    said = {"model": card.model, "digest": card.model_sha256, "width": card.width, "height": card.height}
    sent = described("irn-send", folder / "lr.mp4") | {
        "card": {**said, "lrWidth": width, "lrHeight": height, "scale": card.scale}
    }
    arrays = load_weights(NETWORK).arrays
    names = [*changeable(arrays), QUANTISER]
    files = [folder / "fragments.mp4", folder / "segments.ts"]
    for file in files:
        send(moving, file, SendOptions(model=NETWORK, crf=30, fragmented=file.suffix == ".mp4"))
    content = {
        "files": [path.read_bytes().hex() for path in files],
        "sent": sent,
        "streams": [stream(name, moving, folder) for name in STREAMS],
        "cards": cards(card),
        "updates": updates(arrays),
        "weights": [(name, arrays[name].shape, arrays[name].astype("<f4").tobytes().hex()) for name in names],
    }
    path = folder / "fixtures.json"
    path.write_text(json.dumps(content))
    return path


def test_modules(fixtures: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js (Debian or Ubuntu: apt-get install nodejs)")
    folder = Path(__file__).parent / "web"
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(folder / "modules.test.js")],
        env={"IRN_FIXTURES": str(fixtures), "PATH": "/usr/bin:/bin", "NODE_NO_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"# tests {len(STREAMS) + 23}" in done.stdout
