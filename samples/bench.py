"""How fast the receiver and the sender are, and how much memory they take. Run it on an idle machine.

python samples/bench.py [--json FILE] [--memory] [--adapt fast]

The receiver's stages run one after the other here, each alone, and then together as in irn-receive: with perfect
overlap the whole takes as long as its slowest stage. Memory (Linux only) is the peak of irn-send and irn-receive at
1080p after 100 and after 1000 pictures, which must not differ. With --adapt, what tuning to the clip costs both.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from irn_video.pipeline.commandline.running import share_cores

share_cores()  # before PyTorch is loaded

import click
import numpy as np
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import IrnError, UnreadableVideo
from irn_video.codecs.picture import ColorSpec, Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.restoring import restoration_of
from irn_video.pipeline.upscalers import load_for
from irn_video.pipeline.zoo import DEFAULT_MODEL
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from get_clip import DEFAULT_PATH

_BUSY_LOAD = 0.5
_POLL_SECONDS = 0.05
_PAN = 3  # samples a picture


@dataclass(frozen=True)
class Speed:
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


def moving_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a pan over a texture with the spectrum of a photograph (amplitude falls as one over frequency)."""
    rng = np.random.default_rng(0)
    rows, columns = height + 64, width + 64
    down, across = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None]
    radius = np.hypot(down, across)
    radius[0, 0] = np.inf
    spectrum = np.exp(2j * np.pi * rng.random(radius.shape)) / radius
    texture = np.fft.irfft2(spectrum, (rows, columns))
    luma = np.clip(128 + 45 * texture / texture.std(), 16, 235).astype(np.uint8)
    chroma = np.clip(128 + (luma[::2, ::2].astype(np.float32) - 128) / 4, 16, 240).astype(np.uint8)
    color = ColorSpec(1, 1, 1, False, 1)
    with VideoWriter(
        path,
        EncoderSettings(crf=20, preset="ultrafast"),
        width=width,
        height=height,
        layout=Layout.YUV420,
        bit_depth=8,
        color=color,
        time_base=Fraction(1, 25),
        frame_rate=Fraction(25),
        overwrite=True,
    ) as writer:
        for index in range(frames):
            shift = _PAN * index
            y = np.roll(luma, -shift, 1)[:height, :width]
            c = np.roll(chroma, -(shift // 2), 1)[: height // 2, : width // 2]
            planes = (np.ascontiguousarray(y), np.ascontiguousarray(c), np.ascontiguousarray(255 - c))
            writer.write(Picture(planes, Layout.YUV420, 8, color, index, Fraction(1, 25), 1))


def measure_speed(clip: Path, folder: Path, model: str, frames: int, repeat: int) -> Speed:
    """Send, receive, and run each stage of the receiver alone."""
    lr, restored = folder / "lr.mp4", folder / "restored.mp4"
    sending = SendOptions(model=model, frames=frames, overwrite=True)
    send_seconds = _best(repeat, lambda: send(clip, lr, sending))
    weights = model if Path(model).is_file() else None
    receiving = ReceiveOptions(source=clip, model=weights, frames=frames, overwrite=True)
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
        "encode": _best(repeat, lambda: _encode(folder / "encoded.mp4", large, receiving.encoder)),
    }
    return Speed(
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
    weights = model if Path(model).is_file() else None
    lr, restored = (folder / "general.mp4", folder / "tuned.mp4"), folder / "restored.mp4"
    times: list[tuple[list[float], list[float], list[float]]] = [([], [], []), ([], [], [])]
    for _ in range(repeat):
        for path, effort, (sending, working, receiving) in zip(lr, (None, adapt), times, strict=True):
            options = SendOptions(model=model, frames=frames, adapt=effort, overwrite=True)
            before = time.process_time()
            sending.append(_seconds(partial(send, clip, path, options)))
            working.append(time.process_time() - before)
            back = ReceiveOptions(model=weights, source=clip, frames=frames, overwrite=True)
            receiving.append(_seconds(partial(receive, path, restored, back)))
    with VideoReader(lr[0]) as reader:
        pictures = list(reader)
    best = [(min(one), min(other)) for one, other in zip(*times, strict=True)]
    length = float((pictures[-1].pts - pictures[0].pts + (pictures[-1].duration or 0)) * pictures[0].time_base)
    return Cost(adapt, length, *best)


def measure_memory(
    folder: Path, model: str, counts: tuple[int, int], size: tuple[int, int], adapt: str | None = None
) -> dict[str, list[int]]:
    """Peak resident bytes of irn-send and irn-receive after each number of pictures, in processes of their own."""
    clip, lr, restored = folder / "large.mp4", folder / "large_lr.mp4", folder / "large_restored.mp4"
    moving_clip(clip, *size, max(counts))
    result: dict[str, list[int]] = {"irn-send": [], "irn-receive": []}
    weights = ["--model", model] if Path(model).is_file() else []
    for count in counts:
        limit = ["--frames", str(count), "--overwrite"]
        tuned = ["--adapt", adapt] if adapt is not None else []
        sending = ["irn_video.pipeline.commands.send", clip, lr, "--model", model, *limit, *tuned]
        result["irn-send"].append(_peak_bytes([str(word) for word in sending]))
        receiving = ["irn_video.pipeline.commands.receive", lr, restored, *weights, "--source", clip, *limit]
        result["irn-receive"].append(_peak_bytes([str(word) for word in receiving]))
    return result


def speed_table(speed: Speed) -> str:
    """The figures for people."""
    rate = speed.frames / speed.receive_seconds
    slowest = max(speed.stage_seconds, key=lambda name: speed.stage_seconds[name])
    lines = [
        f"{speed.width}x{speed.height}, {speed.frames} pictures, {speed.device}",
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


def memory_table(peaks: dict[str, list[int]], counts: tuple[int, int], size: tuple[int, int]) -> str:
    """The figures for people."""
    lines = [f"peak memory at {size[0]}x{size[1]}"]
    for name, values in peaks.items():
        parts = [f"{peak / 1e9:.2f} GB after {count} pictures" for peak, count in zip(values, counts, strict=True)]
        lines.append(f"{name:<12} {', '.join(parts)}")
    return "\n".join(lines)


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


def _encode(path: Path, pictures: list[Picture], settings: EncoderSettings) -> None:
    first = pictures[0]
    with VideoWriter(
        path,
        settings,
        width=first.width,
        height=first.height,
        layout=first.layout,
        bit_depth=first.bit_depth,
        color=first.color,
        time_base=first.time_base,
        frame_rate=Fraction(25),
        overwrite=True,
    ) as writer:
        for picture in pictures:
            writer.write(picture)


def _peak_bytes(module_and_arguments: list[str]) -> int:
    """Run one of our commands and watch its high-water mark (VmHWM), which the kernel keeps for each process.

    `ru_maxrss` would not do: it counts the memory of the process that started the command, too.
    """
    command = [sys.executable, "-m", *module_and_arguments]
    peak = 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _high_water(process.pid))
            time.sleep(_POLL_SECONDS)
    if process.returncode:
        raise click.ClickException(f"{' '.join(module_and_arguments)} ended with exit code {process.returncode}")
    return peak


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    marks = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0


def _warn_if_busy() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > _BUSY_LOAD:
        click.echo(f"warning: the machine is busy (load {load:.1f}); run this on an idle one", err=True)


def _size(_: click.Context, option: click.Parameter, text: str) -> tuple[int, int]:
    width, _x, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64):
        raise click.BadParameter(f"{text!r} is not a size such as 1920x1080", param=option)
    return int(width) // 2 * 2, int(height) // 2 * 2


@click.command()
@click.option("--clip", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Any video [default: the clip of make demo if there, else a generated one of 720p].")  # fmt: skip
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="A network or weights file.")
@click.option("--frames", type=click.IntRange(8), default=120, show_default=True, help="Pictures to time.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs; the quickest counts.")
@click.option("--memory", is_flag=True, help="Also measure peak memory; takes minutes.")
@click.option("--memory-frames", type=click.IntRange(2), default=1000, show_default=True, help="Of the long run.")
@click.option("--memory-size", callback=_size, default="1920x1080", show_default=True, help="Of its pictures.")
@click.option("--adapt", metavar="EFFORT", help="Also measure what irn-send --adapt costs: fast, best or seconds.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
@click.option("--overwrite", is_flag=True, help="Replace an existing JSON file.")
def main(
    clip: Path | None,
    model: str,
    frames: int,
    repeat: int,
    memory: bool,
    memory_frames: int,
    memory_size: tuple[int, int],
    adapt: str | None,
    json_path: Path | None,
    overwrite: bool,
) -> None:
    """Measure the speed of receiver and sender, and with --memory their peak memory. Run it on an idle machine."""
    if memory and not Path("/proc/self/status").exists():
        raise click.ClickException("memory is read from /proc, which this system does not have; leave out --memory")
    _warn_if_busy()
    try:
        if json_path is not None:
            check_output(json_path, [], overwrite)
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            if clip is None:
                clip = DEFAULT_PATH if DEFAULT_PATH.is_file() else folder / "generated_720p.mp4"
                if not clip.exists():
                    moving_clip(clip, 1280, 720, frames)
            speed = measure_speed(clip, folder, model, frames, repeat)
            click.echo(speed_table(speed))
            result: dict[str, Any] = {"schema": 1, "command": "bench", "model": model, "cores": os.cpu_count()}
            result["speed"] = {
                **asdict(speed),
                "overlap": speed.overlap,
                "thread_overlap": speed.thread_overlap,
            }
            if adapt is not None:
                cost = measure_cost(clip, folder, model, frames, repeat, adapt)
                click.echo(cost_table(cost))
                result["adaptation"] = asdict(cost)
            if memory:
                counts = (min(100, memory_frames // 2), memory_frames)
                peaks = measure_memory(folder, model, counts, memory_size, adapt)
                click.echo(memory_table(peaks, counts, memory_size))
                result["memory"] = {"frames": counts, "size": memory_size, "peak_bytes": peaks}
            if json_path is not None:
                with atomic_path(json_path, [], overwrite) as part:
                    part.write_text(json.dumps(result, indent=1) + "\n")
    except (IrnError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
