"""The report of a measurement, one JSON schema for all commands."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.coded import CodedFrame
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.entries import (
    FrameReport,
    Peer,
    SearchReport,
    SourceReport,
    StreamReport,
    TunedGroup,
    Tuning,
    kbps_of,
)
from irn_video.pipeline.quality.metrics import PSNR_METRICS, metric_label
from irn_video.pipeline.quality.psnr import PictureError, decibels

SCHEMA = 1
_CODING = ("bytes", "keyframe", "qp")
_PACKAGES = ("irn-video", "torch", "av", "numpy")


@dataclass(frozen=True)
class Report:
    """What a command did and measured.

    Attributes:
        command: its name.
        device: what it ran on.
        model: name of the network.
        model_sha256: digest of its weights.
        stream: the LR stream.
        frames: measured frames, empty without a source.
        warnings: what was converted, concealed or left out.
        damage: what was broken in the input, empty if nothing.
        adaptation: of each group of frames, if the network was tuned to them.
        tuning: of these in all.
        coded: every frame of the LR stream, measured or not.
        source: what was sent.
        scored: names of the other metrics that were asked for.
        elapsed_seconds: from the first frame that was read to the finished file, None where nobody has looked.
        search: of what was aimed at, if anything.
        peers: other ways, if they were looked at.
        advice: what a machine that restores more slowly than the stream is shown should be sent; empty if it keeps up.
    """

    command: str
    device: str
    model: str
    model_sha256: str
    stream: StreamReport
    frames: Sequence[FrameReport]
    warnings: Sequence[str] = field(default_factory=tuple)
    damage: str = ""
    adaptation: Sequence[TunedGroup] = field(default_factory=tuple)
    tuning: Tuning = field(default_factory=Tuning)
    coded: Sequence[CodedFrame] = field(default_factory=tuple)
    source: SourceReport | None = None
    scored: Sequence[str] = ()
    elapsed_seconds: float | None = None
    search: SearchReport | None = None
    peers: Sequence[Peer] = field(default_factory=tuple)
    advice: str = ""

    @property
    def frames_per_second(self) -> float | None:
        """How fast the work went, None where nobody has looked."""
        return self.stream.frames / self.elapsed_seconds if self.elapsed_seconds else None

    @property
    def share(self) -> float | None:
        """The LR file's bit rate by that of the source's file, None where that is not known."""
        if self.source is None or not self.source.bytes or not self.source.seconds or not self.stream.seconds:
            return None
        return self.stream.file_bytes / self.stream.seconds / (self.source.bytes / self.source.seconds)

    def outcome(self) -> str:
        """Size and bit rate of the LR file against the source's, time, frames per second: a line for people."""
        stream, parts = self.stream, [f"{_size(self.stream.file_bytes)} in all"]
        if (rate := kbps_of(stream.file_bytes, stream.seconds)) is not None:
            parts.append(f"{rate:.0f} kb/s")
        if self.share is not None:
            parts.append(f"{100 * self.share:.3g} % of the source's rate")
        if self.elapsed_seconds is not None and self.frames_per_second is not None:
            parts.append(f"{self.elapsed_seconds:.1f} s, {self.frames_per_second:.1f} fps")
        return ", ".join(parts)

    def means(self, wanted: Sequence[str] = PSNR_METRICS) -> str:
        """Means of metrics, for people."""
        return means_words({name: values for name, values in self.summary().items() if name in wanted})

    def summary(self) -> dict[str, dict[str, float | None]]:
        """See `summary`; with the other metrics, which have no PSNR of the mean error."""
        psnr = summary([frame.error for frame in self.frames])
        return psnr | {name: _statistics([f.scores.get(name) for f in self.frames], None) for name in self.scored}

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        environment = {
            **{name: version(name) for name in _PACKAGES},
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": self.device,
            "model": self.model,
            "model_sha256": self.model_sha256,
        }
        return {
            "schema": SCHEMA,
            "command": self.command,
            "environment": environment,
            "stream": {**self.stream.as_json(), "qp": self._mean_qp()},
            "source": self.source.as_json() if self.source is not None else None,
            "share": self.share,
            "elapsed_seconds": self.elapsed_seconds,
            "frames_per_second": self.frames_per_second,
            "tuning": asdict(self.tuning),
            "peers": [asdict(peer) for peer in self.peers],
            "search": asdict(self.search) if self.search is not None else None,
            "frames": self._all_frames(),
            "summary": self.summary(),
            "warnings": list(self.warnings),
            "damage": self.damage or None,
            "advice": self.advice or None,
            **({"adaptation": [asdict(group) for group in self.adaptation]} if self.adaptation else {}),
        }

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write `.json` (everything) or `.csv` (one line a frame).

        Raises:
            BadOption: another suffix.
            OutputRefused, UnwritableOutput: see `atomic_path`.
        """
        check_report_name(path)
        with atomic_path(path, overwrite=overwrite) as temporary:
            if path.suffix.lower() == ".json":
                temporary.write_text(json.dumps(self.as_json(), indent=1) + "\n")
            else:
                self._write_csv(temporary)

    def _all_frames(self) -> list[dict[str, Any]]:
        """What is known of each frame; metrics are None where it was not measured."""
        measured = {frame.index: frame for frame in self.frames}
        times = {index: frame.pts_seconds for index, frame in enumerate(self.coded)}
        times |= {index: frame.pts_seconds for index, frame in measured.items()}
        return [
            {
                "index": index,
                "pts_seconds": round(times[index], 6),
                **_coding(self.coded[index] if index < len(self.coded) else None),
                **(measured[index].metrics() if index in measured else dict.fromkeys((*PSNR_METRICS, *self.scored))),
            }
            for index in sorted(times)
        ]

    def _mean_qp(self) -> float | None:
        known = [frame.qp for frame in self.coded if frame.qp is not None]
        return sum(known) / len(known) if known else None

    def _write_csv(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["index", "pts_seconds", *_CODING, *PSNR_METRICS, *self.scored, "identical"])
            writer.writeheader()
            writer.writerows(self._all_frames())


def check_report_name(path: Path) -> None:
    """Refuse a report that is neither JSON nor CSV.

    Raises:
        BadOption: another suffix.
    """
    if path.suffix.lower() not in (".json", ".csv"):
        raise BadOption("a report is .json or .csv", path=path)


def summary(errors: Sequence[PictureError]) -> dict[str, dict[str, float | None]]:
    """Mean, minimum and maximum of each metric over the frames that have one, and PSNR of the mean error.

    Where nothing was measured, all of them are None.
    """
    values = [error.psnr() for error in errors]
    return {name: _statistics([v[name] for v in values], _mean_error(name, errors)) for name in PSNR_METRICS}


def means_words(summary: Mapping[str, Mapping[str, float | None]]) -> str:
    """Mean PSNR of each kind that differs at all, in one line; those of other metrics in a second one."""
    psnr = {
        name.removeprefix("psnr_").upper(): values["mean"]
        for name, values in summary.items()
        if name.startswith("psnr_")
    }
    parts = [f"{name} {mean:.2f} dB" for name, mean in psnr.items() if mean is not None]
    lines = ["mean PSNR: " + (", ".join(parts) or "every frame is identical")] if psnr else []
    others = [_mean_words(name, values["mean"]) for name, values in summary.items() if not name.startswith("psnr_")]
    return "\n".join(lines + (["mean " + ", ".join(others)] if others else []))


def _mean_words(name: str, mean: float | None) -> str:
    digits = 4 if name.endswith("ssim") else 2
    return f"{metric_label(name)} " + ("undefined" if mean is None else f"{mean:.{digits}f}")


def _size(size: int) -> str:
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.3g} {unit}"
    return f"{size} bytes"


def _coding(frame: CodedFrame | None) -> dict[str, Any]:
    return dict.fromkeys(_CODING) if frame is None else {key: getattr(frame, key) for key in _CODING}


def _mean_error(name: str, errors: Sequence[PictureError]) -> float | None:
    if name == "psnr_yuv" or not errors:
        return None
    key = name.removeprefix("psnr_")
    return sum(float(getattr(error, key)) for error in errors) / len(errors)


def _statistics(values: list[float | None], mean_error: float | None) -> dict[str, float | None]:
    known = [v for v in values if v is not None]
    of_mean = decibels(mean_error) if mean_error is not None else None
    if not known:
        return {"mean": None, "min": None, "max": None, "of_mean_mse": of_mean}
    return {"mean": sum(known) / len(known), "min": min(known), "max": max(known), "of_mean_mse": of_mean}
