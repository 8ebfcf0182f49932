"""Seconds of the sender and the receiver for a clip, of each stage alone, and of tuning to the clip.

The receiver's stages run one after the other here, each alone, and then together as in irn-receive: with perfect
overlap the whole takes as long as its slowest stage.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from irn_video.codecs.errors import UnreadableVideo
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.restoring import restoration_of
from irn_video.pipeline.upscalers import load_for
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.clips import write_clip
from measure.rates import PRESET, weights_file


@dataclass(frozen=True)
class Stages:
    """Seconds for a clip, the best of several runs.

    Attributes:
        frames, width, height: of the clip.
        device: the network ran on it.
        send_seconds, receive_seconds: everything, files included; the receiver measures against the source.
        stage_seconds: of the receiver, each alone.
        network_seconds: the two halves of the network, which irn-receive runs in a thread each.
    """

    frames: int
    width: int
    height: int
    device: str
    send_seconds: float
    receive_seconds: float
    stage_seconds: dict[str, float]
    network_seconds: dict[str, float]

    @property
    def overlap(self) -> float:
        """Wall time over that of the slowest stage; 1 or less is perfect."""
        return self.receive_seconds / max(self.stage_seconds.values())

    @property
    def thread_overlap(self) -> float:
        """The same with the halves of the network as stages of their own: what more cores could still win."""
        stages = self.stage_seconds | self.network_seconds
        return self.receive_seconds / max(seconds for name, seconds in stages.items() if name != "network")


@dataclass(frozen=True)
class Cost:
    """Seconds for a clip, without and with tuning to it: the best of several runs of each, in turns.

    Attributes:
        adapt: the effort.
        video_seconds: length of the clip.
        send_seconds: of time.
        send_cpu_seconds: of all cores together.
        receive_seconds: of time.
    """

    adapt: str
    video_seconds: float
    send_seconds: tuple[float, float]
    send_cpu_seconds: tuple[float, float]
    receive_seconds: tuple[float, float]


def measure_stages(clip: Path, folder: Path, model: str, frames: int, repeat: int) -> Stages:
    """Send, receive, and run each stage of the receiver alone."""
    lr, restored = folder / "lr.mp4", folder / "restored.mp4"
    sending = SendOptions(model=model, preset=PRESET, frames=frames, overwrite=True)
    send_seconds = _best(repeat, lambda: send(clip, lr, sending))
    receiving = ReceiveOptions(source=clip, model=weights_file(model), frames=frames, overwrite=True)
    receive_seconds = _best(repeat, lambda: receive(lr, restored, receiving))

    with VideoReader(lr, quantiser=True) as reader:
        card = reader.card
        small = list(reader)
    if card is None:
        raise UnreadableVideo("the LR stream has lost its card", path=lr)
    rescaler = load_for(card, receiving.model, device="auto", precision="auto")
    to = restoration_of(card, temperature=None, seed=None)
    large: list[Picture] = []
    halves = {"predict": math.inf, "reverse": math.inf}

    def decode() -> None:
        with VideoReader(lr, quantiser=True) as reader:
            for _ in reader:
                pass

    def network() -> None:
        large.clear()
        seconds = dict.fromkeys(halves, 0.0)
        for index, picture in enumerate(small):
            start = time.perf_counter()
            received = rescaler.predict(picture, to)
            middle = time.perf_counter()
            large.append(rescaler.reverse(received, to, index))
            seconds["predict"] += middle - start
            seconds["reverse"] += time.perf_counter() - middle
        halves.update({name: min(halves[name], seconds[name]) for name in halves})

    def read_source() -> None:
        with VideoReader(clip, frames=frames) as reader:
            for _ in reader:
                pass

    stages = {
        "decode": _best(repeat, decode),
        "network": _best(repeat, network),
        "read source": _best(repeat, read_source),
        "measure": _measure_alone(clip, frames, large, repeat),
        "encode": _best(repeat, lambda: write_clip(folder / "encoded.mp4", large, receiving.encoder)),
    }
    return Stages(
        frames=len(small),
        width=card.width,
        height=card.height,
        device=rescaler.where,
        send_seconds=send_seconds,
        receive_seconds=receive_seconds,
        stage_seconds=stages,
        network_seconds=halves,
    )


def measure_cost(clip: Path, folder: Path, model: str, frames: int, repeat: int, adapt: str) -> Cost:
    """Send and receive without and with tuning."""
    lr, restored = (folder / "general.mp4", folder / "tuned.mp4"), folder / "restored.mp4"
    times: list[tuple[list[float], list[float], list[float]]] = [([], [], []), ([], [], [])]
    for _ in range(repeat):
        for path, effort, (sending, working, receiving) in zip(lr, (None, adapt), times, strict=True):
            options = SendOptions(model=model, preset=PRESET, frames=frames, adapt=effort, overwrite=True)
            before = time.process_time()
            sending.append(_seconds(partial(send, clip, path, options)))
            working.append(time.process_time() - before)
            back = ReceiveOptions(model=weights_file(model), source=clip, frames=frames, overwrite=True)
            receiving.append(_seconds(partial(receive, path, restored, back)))
    with VideoReader(lr[0]) as reader:
        pictures = list(reader)
    best = [(min(one), min(other)) for one, other in zip(*times, strict=True)]
    length = float((pictures[-1].pts - pictures[0].pts + (pictures[-1].duration or 0)) * pictures[0].time_base)
    return Cost(adapt, length, *best)


def stages_table(speed: Stages) -> str:
    """The figures for people."""
    rate = speed.frames / speed.receive_seconds
    slowest = max(speed.stage_seconds, key=lambda name: speed.stage_seconds[name])
    lines = [
        f"{speed.width}x{speed.height}, {speed.frames} frames, {speed.device}",
        f"irn-send     {speed.frames / speed.send_seconds:6.1f} fps",
        f"irn-receive  {rate:6.1f} fps, decoding, network, measurement and encoding included",
        *(f"  {name:<12}{speed.frames / seconds:6.1f} fps alone" for name, seconds in speed.stage_seconds.items()),
        *(f"    {name:<10}{speed.frames / seconds:6.1f} fps alone" for name, seconds in speed.network_seconds.items()),
        f"  {speed.overlap:.2f} times as long as its slowest stage ({slowest}) alone",
        f"  {speed.thread_overlap:.2f} times as long as its slowest thread, the halves of the network counted apart",
    ]
    return "\n".join(lines)


def cost_table(cost: Cost) -> str:
    """The figures for people."""
    parts = {
        "irn-send": cost.send_seconds,
        "irn-send, all cores": cost.send_cpu_seconds,
        "irn-receive": cost.receive_seconds,
    }
    rows = []
    for name, (general, tuned) in parts.items():
        more = (tuned - general) / cost.video_seconds, 100 * (tuned / general - 1)
        text = f"{name:<20}{tuned:6.2f} instead of {general:6.2f} s"
        rows.append(f"{text} ({more[0]:+.2f} a second of video, {more[1]:+.1f} %)")
    return "\n".join([f"--adapt {cost.adapt}, {cost.video_seconds:g} s of video", *rows])


def _best(repeat: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest run: whatever else the machine does only adds to them."""
    return min(_seconds(work) for _ in range(repeat))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _measure_alone(clip: Path, frames: int, large: list[Picture], repeat: int) -> float:
    """Seconds to compare all pictures, without those to decode the source, which is read again to save memory."""

    def run() -> float:
        with VideoReader(clip, frames=frames) as reader:
            pairs = zip(reader, large, strict=True)
            return sum(_seconds(partial(_compare, source, restored)) for source, restored in pairs)

    return min(run() for _ in range(repeat))


def _compare(source: Picture, restored: Picture) -> None:
    compare(convert(source, Samples.of(restored)), restored)
