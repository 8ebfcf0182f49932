"""The report of a measurement, one JSON schema for all commands."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.quality.metrics import PSNR_METRICS
from irn_video.pipeline.quality.psnr import PictureError, decibels

SCHEMA = 1
_PACKAGES = ("irn-video", "torch", "av", "numpy")


@dataclass(frozen=True)
class FrameReport:
    """One measured frame.

    Attributes:
        index: from 0.
        pts_seconds: presentation time in the restored video.
        error: against the source.
    """

    index: int
    pts_seconds: float
    error: PictureError

    def as_json(self) -> dict[str, Any]:
        """Its entry under `frames`."""
        entry = {"index": self.index, "pts_seconds": round(self.pts_seconds, 6), **self.error.psnr()}
        return {**entry, "identical": True} if self.error.identical else entry


@dataclass(frozen=True)
class StreamReport:
    """The stream that was sent.

    Attributes:
        codec, preset, crf: how it was encoded, None where not known or not set.
        bytes: of its video packets alone.
        frames: how many.
        seconds: of video.
        hr_pixels: pixels of one restored frame.
    """

    codec: str
    preset: str | None
    crf: float | None
    bytes: int
    frames: int
    seconds: float
    hr_pixels: int

    def as_json(self) -> dict[str, Any]:
        """Its entry, with kbit/s and bits per HR pixel."""
        kbps = self.bytes * 8 / 1000 / self.seconds if self.seconds > 0 else None
        bpp = self.bytes * 8 / (self.frames * self.hr_pixels) if self.frames else None
        entry = asdict(self)
        del entry["hr_pixels"]
        return {**entry, "kbps": kbps, "bpp": bpp}


@dataclass(frozen=True)
class TunedGroup:
    """What was sent to tune the receiver's network to a group of frames, and whether it was worth its bits.

    Attributes:
        frames: frames of the group.
        bytes: of the message, 0 where nothing was worth it.
        rank: of the mixing of the hidden layers' channels, 0 for gains and shifts alone, None where these stay.
        last_layer: whether it changes.
        saved_per_bit: squared error (luma levels of 255, summed over the group) that a bit of the message saves,
            estimated on parts of frames that were not tuned to; None without one.
        video_saves_per_bit: what a bit more of video would save there, measured likewise with a second encoder that
            takes a CRF of 2 more, or 4/5 of the bit rate; where there is none, as in the group before.
    """

    frames: int
    bytes: int
    rank: int | None
    last_layer: bool
    saved_per_bit: float | None
    video_saves_per_bit: float


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

    def summary(self) -> dict[str, dict[str, float | None]]:
        """See `summary`."""
        return summary([frame.error for frame in self.frames])

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
            "stream": self.stream.as_json(),
            "frames": [frame.as_json() for frame in self.frames],
            "summary": self.summary(),
            "warnings": list(self.warnings),
            "damage": self.damage or None,
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

    def _write_csv(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["index", "pts_seconds", *PSNR_METRICS, "identical"])
            writer.writeheader()
            writer.writerows(frame.as_json() for frame in self.frames)


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
