"""Whether the product works on this machine's GPU, and how fast: one command, one JSON file, at most nine minutes.

here:      python samples/gpu_check.py pack OUT.tar --wheel av-….whl [--train FOLDER]
with GPU:  tar xf OUT.tar && python OUT/samples/gpu_check.py [--train OUT/train] [--out FOLDER]

That machine needs PyTorch, NumPy, ONNX Runtime, onnx, OpenCV, click and safetensors, and no network; PyAV comes along.
First the checks of measure/gpu_checks.py run, as the tests do with IRN_REQUIRE_CUDA=1. Then planes of every network are
compared with those of the CPU, then frames a second are measured: of `irn-send` and `irn-receive`, files included,
without the start, and of the network alone. The minutes that are left go into training, where there are prepared data:
a folder with config.toml and data/, as `packing` makes it, perhaps with a run to continue.
`--device cpu --quick` does all that in seconds, on small frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
if (TOP / "irn_video").is_dir():  # of the archive
    sys.path.insert(0, str(TOP))
elif find_spec("irn_video") is None:  # a checkout that is not installed
    sys.path.append(str(TOP / "typings"))

SCHEMA = 1
LIMIT = 64 << 20
"""Largest archive, in bytes."""
SIZES = {"720p": (1280, 720, 96), "1080p": (1920, 1080, 48), "2160p": (3840, 2160, 24)}
"""Width, height and frames of the clips."""
_QUICK = {"quick": (128, 96, 3)}
_COMPARED = {False: (1280, 720, 2), True: (96, 64, 1)}  # by whether it has to be quick
_MEASURING = 0.6  # of the minutes; what is not measured by then is left out
_SPARE = 20.0  # seconds of them to end in
_CODE = ("codecs", "pipeline", "sender", "receiver")
_SAMPLES = ("gpu_check.py", *(f"measure/{name}.py" for name in ("__init__", "clips", "gpu_checks", "machine")))


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        device: as `--device` of the product.
        quick: on small frames.
        minutes: for everything.
        models: networks.
        train: folder of prepared data, or None.
        out: folder of the result, and of the run.
        began: when, by `time.monotonic`.
    """

    device: str
    quick: bool
    minutes: float
    models: tuple[str, ...]
    train: Path | None
    out: Path
    began: float

    def left(self, share: float = 1.0) -> float:
        """Seconds of that share of the minutes that are left."""
        return self.began + 60 * self.minutes * share - time.monotonic()

    @property
    def torch_device(self) -> str:
        """The device where PyTorch is to run everything: on the CPU it need not."""
        return "torch" if self.device == "cpu" else self.device


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or pack; 1 where something is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["pack"]:
        return _pack(_packing().parse_args(words[1:]))
    options = _parser().parse_args(words)
    with _wheels(TOP):
        return _check(options)


def _check(options: argparse.Namespace) -> int:
    import torch
    from irn_video.pipeline.zoo import list_models

    if options.device != "cpu" and not torch.cuda.is_available():
        print("error: there is no GPU here (--device cpu --quick tries this without one)", file=sys.stderr)
        return 1
    models = tuple(options.model or (entry.card.name for entry in list_models() if entry.shipped))
    job = Job(options.device, options.quick, options.minutes, models, options.train, options.out, time.monotonic())
    job.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"schema": SCHEMA, "command": "gpu_check", **_machine(job)}
    for name, part in (("checks", _checks), ("planes", _planes), ("speeds", _speeds), ("training", _training)):
        result[name] = part(job)
        result["seconds"] = round(time.monotonic() - job.began, 1)
        (job.out / "gpu_check.json").write_text(json.dumps(result, indent=1) + "\n")  # what is known if it is stopped
    passed = [row["passed"] for name in ("checks", "planes", "speeds") for row in result[name] if "passed" in row]
    print(f"{job.out / 'gpu_check.json'}: {passed.count(False)} of {len(passed)} checks failed")
    return 1 if False in passed else 0


def _machine(job: Job) -> dict[str, Any]:
    import torch

    from measure.machine import machine

    card = torch.cuda.get_device_name(job.device) if job.device != "cpu" else None
    return {"card": card, "cuda": torch.version.cuda, "quick": job.quick, "minutes": job.minutes, "machine": machine()}


def _checks(job: Job) -> list[dict[str, Any]]:
    """The functions that the tests call, too."""
    from measure.gpu_checks import CHECKS

    return [_tried(check.__name__, partial(check, job.torch_device)) for check in CHECKS]


def _planes(job: Job) -> list[dict[str, Any]]:
    """Every network in fp32 against the CPU's engine at temperature 0."""
    from irn_video.pipeline.engine.rescaler import Rescaler

    from measure.gpu_checks import difference, frame

    width, height, count = _COMPARED[job.quick]
    pictures = [frame(seed, height, width) for seed in range(count)]

    def compared(model: str) -> dict[str, Any]:
        ours = Rescaler.load(model, device=job.torch_device, precision="fp32")
        found = difference(ours, Rescaler.load(model, device="cpu"), pictures)
        return {**asdict(found), "passed": found.small}

    return [_in_time(job, model, partial(compared, model)) for model in job.models]


def _speeds(job: Job) -> list[dict[str, Any]]:
    """Of every network at every size, the small sizes first."""
    from measure.clips import moving_clip

    rows = []
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as name:
        for size, (width, height, frames) in (_QUICK if job.quick else SIZES).items():
            clip = moving_clip(Path(name) / f"{size}.mp4", width, height, frames)
            for model in job.models:
                row = {"size": size, "width": width, "height": height, "frames": frames}
                rows.append(row | _in_time(job, model, partial(_speed, job, clip, model)))
    return rows


def _speed(job: Job, clip: Path, model: str) -> dict[str, Any]:
    """Frames a second: what a clip takes longer than its first frames, so that what happens once does not count."""
    import torch
    from irn_video.codecs.picture import Picture
    from irn_video.codecs.reading.reader import VideoReader
    from irn_video.pipeline.engine.rescaler import Rescaler
    from irn_video.pipeline.flow import mapped_by
    from irn_video.receiver import ReceiveOptions, receive
    from irn_video.sender import SendOptions, send

    from measure.gpu_checks import restored, sent

    on_gpu = job.device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    rescaler = Rescaler.load(model, device=job.device)
    lr, back = clip.with_name("lr.mkv"), clip.with_name("restored.mp4")
    sending = SendOptions(model=model, device=job.device, lossless=rescaler.wants_lossless, overwrite=True)
    receiving = ReceiveOptions(device=job.device, preset="ultrafast", overwrite=True)
    with VideoReader(clip) as reader:
        pictures = list(reader)
    few = 1 if job.quick else 4

    def fps(work: Callable[[int], object]) -> float | None:
        seconds = []
        for count in (few, len(pictures)):
            start = time.perf_counter()
            work(count)
            seconds.append(time.perf_counter() - start)
        added = seconds[1] - seconds[0]
        return round((len(pictures) - few) / added, 2) if added > 0 else None

    def through(function: Callable[..., Any], items: Sequence[Any]) -> Callable[[int], object]:
        return lambda count: list(mapped_by(rescaler.workers, lambda i, item: function(i, item), items[:count]))

    def upscaled(index: int, pair: tuple[Picture, Picture]) -> Picture:
        return restored(rescaler, *pair, temperature=rescaler.temperature, index=index)

    small = [sent(rescaler, picture) for picture in pictures]
    speed = {
        "where": rescaler.where,
        "send_fps": fps(lambda count: send(clip, lr, replace(sending, frames=count))),
        "receive_fps": fps(lambda count: receive(lr, back, replace(receiving, frames=count))),
        "down_fps": fps(through(lambda _, picture: sent(rescaler, picture), pictures)),
        "up_fps": fps(through(upscaled, list(zip(pictures, small, strict=True)))),
    }
    return {**speed, "peak_device_bytes": torch.cuda.max_memory_allocated() if on_gpu else None}


def _training(job: Job) -> dict[str, Any] | None:
    """The prepared run, in a process of its own, for the time that is left; where it stopped it goes on."""
    if job.train is None:
        return None
    from irn_video.pipeline.training.checkpoint import load_checkpoint

    run, before = job.train / "run", load_checkpoint(job.train / "run")
    done = before["seconds"] if before else 0.0
    budget = max(0.0, done + job.left() - _SPARE) / 60
    command = [
        "--config",
        job.train / "config.toml",
        "--data",
        job.train / "data",
        "--out",
        run,
        "--device",
        job.device,
    ]
    limit = ["--steps", "2"] if job.quick else ["--minutes", f"{budget:.2f}"]
    words = [sys.executable, "-m", "irn_video.pipeline.training.packed_run", *map(str, command), *limit]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(words, env=environment, check=False, stdin=subprocess.DEVNULL)
    after = load_checkpoint(run) or {"step": 0, "seconds": 0.0}
    with tarfile.open(job.out / "run.tar", "w") as archive:  # what `packing unpack` takes
        archive.add(run, "run")
    steps = {"steps_before": before["step"] if before else 0, "steps": after["step"]}
    return {"exit_code": ended.returncode, **steps, "seconds": round(after["seconds"] - done, 1)}


def _in_time(job: Job, name: str, measure: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    return _tried(name, measure) if job.left(_MEASURING) > 0 else {"name": name, "left_out": True}


def _tried(name: str, check: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """A row of the result; whatever goes wrong in it stands there, and the others go on."""
    start = time.monotonic()
    try:
        row = {"passed": True, **(check() or {})}
    except Exception as error:
        row = {"passed": False, "error": f"{type(error).__name__}: {error}"}
    row = {"name": name, **row, "seconds": round(time.monotonic() - start, 1)}
    print(json.dumps(row))
    return row


@contextmanager
def _wheels(folder: Path) -> Iterator[None]:
    """Importable while they are needed, wherever pip is not: what PyAV brings is found beside it."""
    wheels = [] if find_spec("av") else sorted(folder.glob("*.whl"))
    with tempfile.TemporaryDirectory(prefix="gpu-check-wheels-") as name:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(name)
        sys.path.append(name)
        try:
            yield
        finally:
            sys.path.remove(name)


def _pack(options: argparse.Namespace) -> int:
    """Code, weights, wheels and perhaps data, in one compressed archive."""
    parts = {f"samples/{name}": HERE / name for name in _SAMPLES}
    for room in _CODE:
        source = TOP / room
        parts |= {f"irn_video/{p.relative_to(TOP)}": p for p in source.rglob("*") if _is_code(p)}
    weights = TOP / "pipeline" / "zoo" / "weights"
    names = options.model or sorted(path.stem for path in weights.glob("*.safetensors"))
    parts |= {f"irn_video/pipeline/zoo/weights/{n}.safetensors": weights / f"{n}.safetensors" for n in names}
    parts |= {wheel.name: wheel for wheel in options.wheel}
    if options.train is not None:
        parts |= {f"train/{p.relative_to(options.train)}": p for p in options.train.rglob("*") if p.is_file()}
    asked = [*parts.values(), *([options.train / "config.toml"] if options.train else [])]
    if missing := [str(path) for path in asked if not path.is_file()]:
        print(f"error: no such file: {', '.join(missing)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix=".gpu-check-", dir=options.out.parent) as name:
        unfinished = Path(name) / options.out.name
        with tarfile.open(unfinished, "w:gz") as archive:
            for inside, path in sorted(parts.items()):
                archive.add(path.resolve(), f"{options.out.stem}/{inside}")
        size = unfinished.stat().st_size
        if size <= LIMIT:
            unfinished.replace(options.out)
    groups = ", ".join(f"{title} {sum(p.stat().st_size for p in paths) / 2**20:.1f}" for title, paths in (
        ("wheels", options.wheel), ("weights", [p for p in parts.values() if p.suffix == ".safetensors"]),
        ("data", [p for inside, p in parts.items() if inside.startswith("train/")])))  # fmt: skip
    line = f"{size / 2**20:.1f} MiB ({groups} MiB before they are compressed)"
    if size > LIMIT:
        print(f"error: {line}, more than {LIMIT >> 20} MiB; name fewer networks with --model", file=sys.stderr)
        return 1
    print(f"{options.out}: {line}")
    return 0


def _is_code(path: Path) -> bool:
    return path.suffix == ".py" and "__pycache__" not in path.parts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check.py", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu [cuda]")
    parser.add_argument("--quick", action="store_true", help="small frames, a few of them")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything, training included [9]")
    parser.add_argument("--model", action="append", help="a network; may be given several times [all that are shipped]")
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="prepared data: an unpacked archive of `packing`")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="folder of gpu_check.json and run.tar")
    return parser


def _packing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check.py pack", description="One archive for a machine with a GPU.")
    parser.add_argument("out", type=Path, help="the archive")
    parser.add_argument("--wheel", type=Path, action="append", default=[], help="of PyAV; may be given several times")
    parser.add_argument("--model", action="append", help="a network; may be given several times [all that are shipped]")
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="prepared data to take along")
    return parser


if __name__ == "__main__":
    sys.exit(main())
