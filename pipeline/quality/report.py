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
from irn_video.pipeline.quality.metrics import PSNR_METRICS, metric_label
from irn_video.pipeline.quality.psnr import PictureError, decibels

SCHEMA = 1
_CODING = ("bytes", "keyframe", "qp")
_PACKAGES = ("irn-video", "torch", "av", "numpy")


@dataclass(frozen=True)
class FrameReport:
    """One measured frame.

    Attributes:
        index: from 0.
        pts_seconds: presentation time in the restored video.
        error: against the source.
        scores: other metrics, by name; None where one is undefined.
    """

    index: int
    pts_seconds: float
    error: PictureError
    scores: Mapping[str, float | None] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """Its part of its entry under `frames`."""
        found = {**self.error.psnr(), **self.scores}
        return {**found, "identical": True} if self.error.identical else found


@dataclass(frozen=True)
class StreamReport:
    """The stream that was sent.

    Attributes:
        codec, preset, crf, bitrate: how it was encoded, None where not known or not set; bits a second.
        scale: by which its frames were shrunk.
        width, height: of its frames, in luma samples.
        bytes: of its video packets alone.
        file_bytes: of the whole file, with sound and all else.
        frames: how many.
        seconds: of video.
        hr_pixels: pixels of one restored frame.
    """

    codec: str
    preset: str | None
    crf: float | None
    bitrate: int | None
    scale: int
    width: int
    height: int
    bytes: int
    file_bytes: int
    frames: int
    seconds: float
    hr_pixels: int

    @property
    def kbps(self) -> float | None:
        """kbit/s of video packets, None where the length is not known."""
        return _kbps(self.bytes, self.seconds)

    def as_json(self) -> dict[str, Any]:
        """Its entry, with kbit/s and bits per HR pixel."""
        kbps = _kbps(self.bytes, self.seconds)
        bpp = self.bytes * 8 / (self.frames * self.hr_pixels) if self.frames else None
        entry = asdict(self)
        del entry["hr_pixels"]
        return {**entry, "kbps": kbps, "bpp": bpp}


@dataclass(frozen=True)
class SourceReport:
    """The video that was sent, None where it is not known.

    Attributes:
        width, height: of its frames, in luma samples.
        bytes: of the whole file.
        seconds: of all of it, sent or not.
    """

    width: int
    height: int
    bytes: int | None = None
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Its entry, with the file's kbit/s."""
        return {**asdict(self), "kbps": _kbps(self.bytes, self.seconds)}


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
        gained_db: by which PSNR of the group is better for it, estimated likewise; 0 without a message.
        untuned: why nothing was sent, empty if something was.
    """

    frames: int
    bytes: int
    rank: int | None
    last_layer: bool
    saved_per_bit: float | None
    video_saves_per_bit: float
    gained_db: float = 0.0
    untuned: str = ""


@dataclass(frozen=True)
class TriedWay:
    """A way of sending at what was aimed at, by samples of the clip: model, scale, CRF, kbit/s and the quality."""

    model: str
    scale: int
    crf: float
    kbps: float
    quality: float


@dataclass(frozen=True)
class SearchReport:
    """What was aimed at, and what came of it.

    Attributes:
        metric: what quality is, a key of summaries.
        wanted: of the metric, None where a rate or size was aimed at.
        kbps: aimed at, None where a quality was.
        reached: mean of the metric over sampled frames of the stream that was sent, None where it was not measured.
        ways: that came into question, the best first.
    """

    metric: str
    wanted: float | None
    kbps: float | None
    ways: Sequence[TriedWay]
    reached: float | None = None


@dataclass(frozen=True)
class Peer:
    """What another way would take for the same quality, by samples of the clip.

    Attributes:
        model: `lanczos-x1` is plain coding at full size.
        metric: what quality is, a key of summaries.
        rate: its bit rate over that of the stream, None where it does not reach that quality.
    """

    model: str
    metric: str
    rate: float | None


@dataclass(frozen=True)
class Tuning:
    """What became of tuning the network to a stream.

    Attributes:
        groups: of frames.
        tuned: how many of these have tuned weights.
        bytes: of the tuned weights.
        gained_db: mean of `TunedGroup.gained_db` over the frames, None where that is not known.
        untuned: why no group was tuned, None if one was or that is not known.
    """

    groups: int = 0
    tuned: int = 0
    bytes: int = 0
    gained_db: float | None = None
    untuned: str | None = None

    @classmethod
    def of(cls, groups: Sequence[TunedGroup]) -> Tuning:
        """That of a sender that has tried."""
        tuned, frames = sum(group.bytes > 0 for group in groups), sum(group.frames for group in groups)
        reasons = dict.fromkeys(group.untuned for group in groups if group.untuned)
        return cls(
            groups=len(groups),
            tuned=tuned,
            bytes=sum(group.bytes for group in groups),
            gained_db=sum(group.gained_db * group.frames for group in groups) / frames if frames else None,
            untuned=None if tuned else "; ".join(reasons) or None,
        )


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
        if (rate := _kbps(stream.file_bytes, stream.seconds)) is not None:
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


def _kbps(size: int | None, seconds: float | None) -> float | None:
    return size * 8 / 1000 / seconds if size is not None and seconds else None


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
