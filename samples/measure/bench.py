"""How fast the receiver and the sender are, and how much memory they take. Run it on an idle machine.

python samples/measure bench [--json FILE] [--memory] [--adapt fast]
python samples/measure bench --against 3ccd968 [--model irn-h264-x2] [--json FILE]
python samples/measure bench --cores 1,2

With --against, whole commands of this checkout and of another commit take turns on generated clips of 720p and 1080p:
this one, the other, this one… Frames a second are counted over the whole time of the process, and without the start, as
what frames after the first add to it. With --cores, whole irn-receive on so many cores. Memory (Linux only) is the peak
of irn-send and irn-receive at 1080p after 100 and after 1000 pictures, which must not differ. With --adapt, what tuning
to the clip costs both. How it is measured: stages.py, commands.py, paces.py, memory.py. The README's table: speed.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from irn_video.codecs.writing.output import check_output

from demo.get_clip import DEFAULT_PATH
from measure.against import commit_product, compare, comparison_table, this_product
from measure.clips import Sample, moving_clip
from measure.commands import Product, Work
from measure.machine import machine, machine_line, warn_if_busy
from measure.memory import STATUS, measure_memory, memory_table
from measure.options import VIDEO, json_options, models_option, sizes, write_json
from measure.paces import Pace, cells, interleaved, least_and_median, ratios
from measure.stages import cost_table, measure_cost, measure_stages, stages_table
from measure.tables import table


@dataclass(frozen=True)
class Bench:
    """What is measured with; each method prints its table and returns its figures.

    Attributes:
        product: this version.
        models: networks or weights files.
        rounds: how often.
        folder: for files.
    """

    product: Product
    models: tuple[str, ...]
    rounds: int
    folder: Path

    def generated(self, size: tuple[int, int], frames: int) -> Path:
        """A clip of this size."""
        return moving_clip(self.folder / f"generated_{size[1]}p.mp4", *size, frames)

    def samples(self, clip: Path | None, sizes: Sequence[tuple[int, int]], frames: int) -> list[Sample]:
        """A clip, or generated ones."""
        clips = [clip] if clip is not None else [self.generated(size, frames) for size in sizes]
        return [Sample.of(path, frames) for path in clips]

    def compare(self, other: Product, samples: Sequence[Sample]) -> list[dict[str, Any]]:
        """Whole commands of both versions."""
        products = self.product, other
        found = [one for sample in samples for one in compare(products, sample, self.models, self.rounds, self.folder)]
        click.echo(comparison_table(found, products))
        return [one.as_json() for one in found]

    def scale(self, cores: Sequence[int], samples: Sequence[Sample]) -> list[dict[str, Any]]:
        """Whole irn-receive on the first so many cores."""
        usable, lr, found = sorted(os.sched_getaffinity(0)), self.folder / "lr.mp4", []
        for sample in samples:
            for model in self.models:
                work = Work(self.product, sample.path, model, self.folder)
                work.send(lr, sample.frames)
                ways = [partial(work.receive, lr, cores=usable[:count]) for count in cores]
                paces = dict(zip(cores, interleaved(ways, sample.frames, self.rounds), strict=True))
                click.echo(scaling_table(f"irn-receive {sample.size} {model}", paces))
                figures = {count: pace.as_json() for count, pace in paces.items()}
                found.append({"size": sample.size, "model": model, "cores": figures})
        return found

    def stages(self, clip: Path, frames: int) -> dict[str, Any]:
        """Everything in this process, and each stage of the receiver alone."""
        found = {}
        for model in self.models:
            speed = measure_stages(clip, self.folder, model, frames, self.rounds)
            click.echo(stages_table(speed))
            found[model] = {**asdict(speed), "overlap": speed.overlap, "thread_overlap": speed.thread_overlap}
        return found

    def tune(self, clip: Path, frames: int, adapt: str) -> dict[str, Any]:
        """What tuning costs."""
        found = {}
        for model in self.models:
            cost = measure_cost(clip, self.folder, model, frames, self.rounds, adapt)
            click.echo(cost_table(cost))
            found[model] = asdict(cost)
        return found

    def fill(self, counts: tuple[int, int], size: tuple[int, int], adapt: str | None) -> dict[str, Any]:
        """Peak memory."""
        found = {}
        for model in self.models:
            peaks = measure_memory(self.product, self.folder, model, counts, size, adapt)
            click.echo(memory_table(peaks, counts, size))
            found[model] = {"frames": counts, "size": size, "peak_bytes": peaks}
        return found


def scaling_table(name: str, paces: Mapping[int, Pace]) -> str:
    """For people: how fast on so many cores, and how many times as fast as on the fewest."""
    fewest = paces[min(paces)]
    rows = [[name, "least fps", "median", "times as fast: least", "median"]]
    for count, pace in paces.items():
        times = ratios(pace.fps, fewest.fps)
        rows.append([f"{count} core{'s' * (count > 1)}", *cells(least_and_median(pace.fps), 1), *cells(times, 2)])
    return table(rows)


def _cores(_: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    usable = len(os.sched_getaffinity(0))
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= usable for part in parts):
        raise click.BadParameter(
            f"{text!r} is no list of numbers of cores, such as 1,2; {usable} can be used", param=option
        )
    return tuple(sorted({int(part) for part in parts}))


@click.command()
@click.option("--clip", type=VIDEO, help="Any video [default: with --against and --cores generated ones, else that of "
              "make demo if there, or a generated one of 720p].")  # fmt: skip
@models_option
@click.option("--frames", type=click.IntRange(8), default=120, show_default=True, help="Frames to time.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs; without --against and "
              "--cores the quickest counts.")  # fmt: skip
@click.option("--against", metavar="COMMIT", help="Compare whole commands with those of this commit.")
@click.option("--cores", callback=_cores, metavar="1,2", help="Whole irn-receive on so many cores each.")
@click.option("--sizes", callback=sizes, default="1280x720,1920x1080", show_default=True,
              help="Of the clips that --against and --cores generate.")  # fmt: skip
@click.option("--memory", is_flag=True, help="Also measure peak memory; takes minutes.")
@click.option("--memory-frames", type=click.IntRange(2), default=1000, show_default=True, help="Of the long run.")
@click.option("--memory-size", callback=sizes, default="1920x1080", show_default=True, help="Of its pictures.")
@click.option("--adapt", metavar="EFFORT", help="Also measure what irn-send --adapt costs: quick, fast, best, seconds.")
@json_options
def command(
    clip: Path | None,
    models: tuple[str, ...],
    frames: int,
    repeat: int,
    against: str | None,
    cores: tuple[int, ...],
    sizes: tuple[tuple[int, int], ...],
    memory: bool,
    memory_frames: int,
    memory_size: tuple[tuple[int, int], ...],
    adapt: str | None,
    json_path: Path | None,
    overwrite: bool,
) -> None:
    """Speed of receiver and sender, against another commit too, and their memory. Run it on an idle machine."""
    if memory and not STATUS.exists():
        raise click.ClickException("memory is read from /proc, which this system does not have; leave out --memory")
    warn_if_busy()
    if json_path is not None:
        check_output(json_path, [], overwrite)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        bench = Bench(this_product(folder / "packages"), models, repeat, folder)
        result: dict[str, Any] = {"schema": 2, "command": "bench", "version": bench.product.name, "machine": machine()}
        if against is not None or cores:
            other = commit_product(against, folder / "other") if against is not None else None
            samples = bench.samples(clip, sizes, frames)
            if other is not None:
                result["against"] = {"version": other.name, "comparisons": bench.compare(other, samples)}
            if cores:
                result["cores"] = bench.scale(cores, samples)
        else:
            clip = clip or (DEFAULT_PATH if DEFAULT_PATH.is_file() else bench.generated((1280, 720), frames))
            result["speed"] = bench.stages(clip, frames)
        if adapt is not None:
            clip = clip or bench.generated((1280, 720), frames)
            result["adaptation"] = bench.tune(clip, frames, adapt)
        if memory:
            counts = (min(100, memory_frames // 2), memory_frames)
            result["memory"] = bench.fill(counts, memory_size[0], adapt)
    click.echo(f"{result['version']}: {machine_line(result['machine'])}")
    if json_path is not None:
        write_json(json_path, result, [], overwrite)
