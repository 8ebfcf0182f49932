"""What a study leaves: `results.json`, which plots and report read, and `results.csv`, one line per point."""

from __future__ import annotations

import csv
import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from irn_video.codecs.encoders import EncoderSettings, with_preset
from irn_video.codecs.errors import StudyFailed
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.curves import Curve
from irn_video.pipeline.quality.metrics import METRICS
from irn_video.pipeline.study.cells import Measurement
from irn_video.pipeline.study.crops import source_crops
from irn_video.pipeline.study.levels import shown_rates
from irn_video.pipeline.study.methods import Method, macs_per_pixel
from irn_video.pipeline.study.plan import BY_SCALE, StudyConfig, versions
from irn_video.pipeline.study.runner import Outcome
from irn_video.pipeline.study.workers import Failure

SCHEMA = 5
_READ = (4, 5)  # 4 has no `whole`
RESULTS, TABLE = "results.json", "results.csv"
_LOW_SHARE, _DIGITS = 0.05, 4


@dataclass(frozen=True)
class Statistics:
    """One metric over the pictures of one point.

    Attributes:
        mean, min: over the pictures.
        low: 5th percentile.
        harmonic: harmonic mean, which weighs bad pictures more; None where a value is not positive.
        flicker: standard deviation of the change from one picture to the next.
    """

    mean: float
    min: float
    low: float
    harmonic: float | None
    flicker: float


@dataclass(frozen=True)
class Level:
    """A bit rate at which a clip's frames are shown.

    Attributes:
        kbps: of the method that is the best there, see `shown_rates`.
        points: of each method, the one nearest to it.
    """

    kbps: float
    points: tuple[Measurement, ...]


@dataclass(frozen=True)
class MethodFacts:
    """What is known of a method before anything is measured.

    Attributes:
        sender, upscaler, adapt: as in `Method`.
        scale: HR samples per LR sample along each axis.
        macs_down, macs_up: multiply-accumulates per HR pixel of its networks; None without one.
    """

    sender: str
    upscaler: str | None
    scale: float
    macs_down: int | None = None
    macs_up: int | None = None
    adapt: str | None = None

    @classmethod
    def of(cls, method: Method) -> MethodFacts:
        """Looked up."""
        return cls(method.sender, method.upscaler, method.scale, *macs_per_pixel(method), method.adapt)

    @property
    def method(self) -> Method:
        """The method itself."""
        return Method(self.sender, self.upscaler, self.adapt)


@dataclass(frozen=True)
class Study:
    """Everything measured.

    Attributes:
        anchors, models: methods, by their labels.
        methods: of each of them, what is known.
        metrics: measured.
        settings: of the encoder, without the rate; the preset is `by-scale` where methods have their own.
        environment: versions and machine.
        measurements: all points.
        failures: cells without a point.
        notes: where curves overlap less than they should.
        sources: the squares of each clip's source that the crops of its levels show.
        same_time: the same with presets by scale, where both were measured; it has no crops, and its failures and notes
            are here.
    """

    anchors: tuple[str, ...]
    models: tuple[str, ...]
    methods: Mapping[str, MethodFacts]
    metrics: tuple[str, ...]
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    same_time: Study | None = None

    @classmethod
    def of(cls, config: StudyConfig, outcome: Outcome) -> Study:
        """What came out of running `config`."""
        settings = {k: v for k, v in asdict(config.encoder()).items() if k not in ("crf", "bitrate", "lossless")}
        settings["preset"] = BY_SCALE if config.preset == BY_SCALE else with_preset(config.encoder(), 1).preset
        study = cls(
            anchors=tuple(method.label for method in config.anchor_methods),
            models=tuple(method.label for method in config.methods if method not in config.anchor_methods),
            methods={method.label: MethodFacts.of(method) for method in config.methods},
            metrics=config.metrics,
            settings={**settings, "frames": config.frames or "all"},
            environment={**versions(), "python": platform.python_version(), "machine": platform.machine()},
            measurements=tuple(map(_rounded, outcome.measurements)),
            failures=outcome.failures,
            notes=outcome.notes,
        )
        shown = {id(point) for clip in study.clips for level in study.levels(clip) for point in level.points}
        points = tuple(p if id(p) in shown else replace(p, crops=()) for p in study.measurements)
        paths = {clip.name: clip for clip in config.clips}
        pictures = {clip: study.levels(clip)[0].points[0].pictures for clip in study.clips}
        sources = {clip: source_crops(paths[clip], count) for clip, count in pictures.items()}
        return replace(study, measurements=points, sources=sources)

    def beside(self, same_time: Study) -> Study:
        """This study with another one that has presets by scale."""
        bare = tuple(replace(point, crops=()) for point in same_time.measurements)
        return replace(
            self,
            failures=tuple(dict.fromkeys((*self.failures, *same_time.failures))),
            notes=tuple(dict.fromkeys((*self.notes, *same_time.notes))),
            same_time=replace(same_time, measurements=bare, sources={}, failures=(), notes=()),
        )

    @property
    def comparisons(self) -> tuple[Study, ...]:
        """This, and the one with presets by scale if there is one."""
        return (self,) if self.same_time is None else (self, self.same_time)

    @property
    def by_scale(self) -> bool:
        """Whether each method has the preset of its scale."""
        return self.settings.get("preset") == BY_SCALE

    def preset(self, method: str) -> str | None:
        """With which a method's streams were encoded."""
        if not self.by_scale:
            named: str | None = self.settings.get("preset")
            return named
        return with_preset(EncoderSettings(codec=self.settings["codec"]), self.methods[method].scale).preset

    @property
    def clips(self) -> tuple[str, ...]:
        """With at least one point."""
        return tuple(dict.fromkeys(point.clip for point in self.measurements))

    def points(self, clip: str, method: str) -> list[Measurement]:
        """Of one curve, by rising rate."""
        own = [point for point in self.measurements if (point.clip, point.method) == (clip, method)]
        return sorted(own, key=lambda point: point.bytes)

    def levels(self, clip: str) -> tuple[Level, ...]:
        """The bit rates to show a clip at; the middle one of the first method if its curves say nothing of any."""
        ladders = [found for method in (*self.anchors, *self.models) if (found := self.points(clip, method))]
        scales = {label: facts.scale for label, facts in self.methods.items()}
        rates = shown_rates(self.curves(clip, "psnr_y"), scales) or (ladders[0][len(ladders[0]) // 2].kbps,)
        return tuple(Level(rate, tuple(_nearest(ladder, rate) for ladder in ladders)) for rate in rates)

    def curves(self, clip: str, metric: str) -> dict[str, Curve]:
        """By method, those of at least two points."""
        found = {method: self.curve(clip, method, metric) for method in dict.fromkeys((*self.anchors, *self.models))}
        return {method: curve for method, curve in found.items() if len(curve.rates) > 1}

    def curve(self, clip: str, method: str, metric: str) -> Curve:
        """Mean of a metric over kbit/s; without points where no picture has a value."""
        pairs = [(p.kbps, value) for p in self.points(clip, method) if (value := p.value(metric)) is not None]
        return Curve.through(pairs)


def _nearest(ladder: Sequence[Measurement], kbps: float) -> Measurement:
    return min(ladder, key=lambda point: abs(math.log(point.kbps / kbps)))


def statistics_of(values: Sequence[float]) -> Statistics:
    """Over the pictures of one point, in their order."""
    ordered = sorted(values)
    steps = [later - earlier for earlier, later in pairwise(values)]
    return Statistics(
        mean=statistics.fmean(values),
        min=ordered[0],
        low=ordered[int(_LOW_SHARE * (len(ordered) - 1))],
        harmonic=statistics.harmonic_mean(values) if ordered[0] > 0 else None,
        flicker=statistics.pstdev(steps) if steps else 0.0,
    )


def write_results(folder: Path, study: Study) -> None:
    """Both files, replacing those of an earlier run.

    Raises:
        UnwritableOutput: the folder cannot be written to.
    """
    with atomic_path(folder / RESULTS, overwrite=True) as part:
        part.write_text(_lines(_as_json(study)))
    with atomic_path(folder / TABLE, overwrite=True) as part, part.open("w", newline="") as file:
        table = csv.writer(file)
        which = ("clip", "method", "preset", "crf", "bitrate", "bytes")
        table.writerow([*which, "kbps", "bpp", *study.metrics, "cpu_seconds"])
        points = {  # scale 1 is the same in both comparisons
            (point.clip, point.method, one.preset(point.method), point.crf, point.bitrate, point.bytes): point
            for one in study.comparisons
            for point in one.measurements
        }
        for key, point in points.items():
            means = ["" if (value := point.value(name)) is None else value for name in study.metrics]
            table.writerow([*key, point.kbps, point.bpp, *means, point.cost.cpu_seconds])


def read_results(folder: Path) -> Study:
    """What `write_results` wrote.

    Raises:
        StudyFailed: there is none, it is damaged or of another version.
    """
    path = folder / RESULTS
    try:
        entry = json.loads(path.read_text())
        if entry["schema"] not in _READ:
            raise StudyFailed(f"results of version {entry['schema']}", path=path, hint="run the study again")
        return _from_json(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StudyFailed):
            raise
        raise StudyFailed(f"no results of irn-study: {error}", path=path, hint="give the folder of --out") from error


def _from_json(entry: Mapping[str, Any]) -> Study:
    return Study(
        anchors=tuple(entry["anchors"]),
        models=tuple(entry["models"]),
        methods={label: MethodFacts(**facts) for label, facts in entry["methods"].items()},
        metrics=tuple(entry["metrics"]),
        settings=entry["settings"],
        environment=entry["environment"],
        measurements=tuple(Measurement.from_json(_without_derived(point)) for point in entry["points"]),
        failures=tuple(Failure(**failure) for failure in entry["failures"]),
        notes=tuple(entry["notes"]),
        sources={clip: tuple(crops) for clip, crops in entry["sources"].items()},
        same_time=None if entry["same_time"] is None else _from_json(entry["same_time"]),
    )


def _as_json(study: Study) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "command": "irn-study",
        "environment": dict(study.environment),
        "settings": dict(study.settings),
        "anchors": study.anchors,
        "models": study.models,
        "methods": {label: asdict(facts) for label, facts in study.methods.items()},
        "metrics": study.metrics,
        "points": [_point(point, study.metrics) for point in study.measurements],
        "failures": [asdict(failure) for failure in study.failures],
        "notes": study.notes,
        "sources": dict(study.sources),
        "same_time": None if study.same_time is None else _as_json(study.same_time),
    }


def _rounded(point: Measurement) -> Measurement:
    """As exact as anybody needs, in half the space."""
    *frames, whole = (
        {name: None if value is None else round(value, _DIGITS) for name, value in scores.items()}
        for scores in (*point.frames, point.whole)
    )
    return replace(point, frames=tuple(frames), whole=whole)


def _lines(entries: Mapping[str, Any]) -> str:
    """JSON with a line for each point: quick to compare, and not too long."""
    points = ",\n".join(json.dumps(point) for point in entries["points"])
    same_time = "null" if entries["same_time"] is None else _lines(entries["same_time"])
    rest = json.dumps({**entries, "points": [], "same_time": None}, indent=1)
    rest = rest.replace('"points": []', f'"points": [\n{points}\n]', 1)
    return rest.removesuffix("null\n}") + same_time.rstrip() + "\n}\n"


def _point(point: Measurement, metrics: Sequence[str]) -> dict[str, Any]:
    summary = {
        name: asdict(statistics_of(v)) if (v := point.values(name)) else None for name in metrics if name in METRICS
    }
    return {**point.as_json(), "kbps": point.kbps, "bpp": point.bpp, "summary": summary}


def _without_derived(point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name not in ("kbps", "bpp", "summary")}
