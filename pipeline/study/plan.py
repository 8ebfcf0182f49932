"""What a study measures: clips × methods × rates, each combination a cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.engine.rescaler import RESAMPLERS
from irn_video.pipeline.quality.libvmaf import PERCEPTUAL, ffmpeg_version
from irn_video.pipeline.restoring import file_digest
from irn_video.pipeline.toml import read_toml
from irn_video.pipeline.zoo.card import read_card
from irn_video.pipeline.zoo.registry import find_model, unknown_model

FULL = "full"
METRICS = ("psnr", *PERCEPTUAL)
_SHORT = {"lanczos": "lanczos-x2", "bicubic": "bicubic-x2"}
# Smaller pictures cost less at the same quantiser, so their ladders begin lower; the runner goes on where they do not
# meet in quality.
_LADDERS: dict[int, tuple[float, ...]] = {
    1: (20, 24, 28, 32, 36, 40),
    2: (14, 18, 22, 26, 30, 34),
    4: (10, 14, 18, 22, 26, 30),
}
_SCHEMA = 2  # of a cell's result: a new number makes old ones count no more
_LEAST_POINTS = 4


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Attributes:
        clips: video files.
        models: networks of the zoo, weights files, or resamplers such as `lanczos-x4`.
        anchors: what they are compared with: `full`, `lanczos` (-x2), `bicubic` (-x2) or any model.
        codec, preset, tune, keyint, pixel_format: as in `EncoderSettings`, the same for all methods; x264's and x265's
            own preset is medium.
        crfs: quality ladder of every method; empty for one by scale.
        bitrates: bit/s, instead of CRFs.
        metrics: of `METRICS`.
        frames: only the first so many pictures of each clip; None for all.
        extend: add points until the curves overlap in PSNR-Y.

    Raises:
        BadOption: something unknown, too few rates, or two clips of one name.
    """

    clips: tuple[Path, ...] = ()
    models: tuple[str, ...] = ("irn-h264-x2",)
    anchors: tuple[str, ...] = (FULL, "lanczos")
    codec: str = "h264"
    preset: str | None = None
    tune: str | None = None
    keyint: int | None = None
    pixel_format: str | None = None
    crfs: tuple[float, ...] = ()
    bitrates: tuple[int, ...] = ()
    metrics: tuple[str, ...] = METRICS
    frames: int | None = None
    extend: bool = True

    def __post_init__(self) -> None:
        names = [clip.name for clip in self.clips]
        if len(set(names)) < len(names):
            raise BadOption("two clips have the same name", hint="rename one")
        if unknown := set(self.metrics) - set(METRICS):
            raise BadOption(f"no metric {sorted(unknown)[0]!r}", hint="known: " + ", ".join(METRICS))
        if self.crfs and self.bitrates:
            raise BadOption("crfs and bitrates exclude each other", hint="give one of them")
        if 0 < len(set(self.crfs or self.bitrates)) < _LEAST_POINTS:
            raise BadOption(f"a curve needs at least {_LEAST_POINTS} different rates")
        for method in self.methods:
            scale_of(method)
            for encoder in self.ladder(method):
                make_encoder(encoder)

    @property
    def methods(self) -> tuple[str, ...]:
        """Anchors and models, each once."""
        return tuple(dict.fromkeys(map(method_name, (*self.anchors, *self.models))))

    @property
    def anchor_methods(self) -> tuple[str, ...]:
        """The anchors by their full names."""
        return tuple(dict.fromkeys(map(method_name, self.anchors)))

    def encoder(self, *, crf: float | None = None, bitrate: int | None = None) -> EncoderSettings:
        """Settings for one rate."""
        return EncoderSettings(
            codec=self.codec,
            crf=None if crf is None else float(crf),  # the stream card tells 20 from 20.0
            bitrate=bitrate,
            preset=self.preset,
            tune=self.tune,
            keyint=self.keyint,
            pixel_format=self.pixel_format,
        )

    def ladder(self, method: str) -> tuple[EncoderSettings, ...]:
        """The rates that every clip gets with this method."""
        if self.bitrates:
            return tuple(self.encoder(bitrate=rate) for rate in sorted(set(self.bitrates)))
        return tuple(self.encoder(crf=crf) for crf in sorted(set(self.crfs or _LADDERS[scale_of(method)])))

    def cell(self, clip: Path, method: str, encoder: EncoderSettings) -> Cell:
        """One measurement."""
        return Cell(clip, method, encoder, self.frames, self.metrics)

    def cells(self) -> tuple[Cell, ...]:
        """All of the ladders."""
        return tuple(
            self.cell(clip, method, encoder)
            for clip in self.clips
            for method in self.methods
            for encoder in self.ladder(method)
        )


def load_study(path: Path) -> StudyConfig:
    """A study file (TOML) with the fields of `StudyConfig`; clips are found from the folder of the file.

    Raises:
        MissingFile, BadConfig: see `read_toml`.
    """
    return read_toml(StudyConfig, path)


@dataclass(frozen=True)
class Cell:
    """One clip by one method at one rate.

    Attributes:
        clip: video file.
        method: `full`, a resampler, a network or a weights file.
        encoder: of the stream.
        frames: only the first so many pictures.
        metrics: of `METRICS`.
    """

    clip: Path
    method: str
    encoder: EncoderSettings
    frames: int | None
    metrics: tuple[str, ...]

    @property
    def label(self) -> str:
        """For people."""
        rate = f"CRF {self.encoder.crf:g}" if self.encoder.bitrate is None else f"{self.encoder.bitrate / 1000:g} kb/s"
        return f"{self.clip.name} {Path(self.method).stem} {rate}"

    def digest(self) -> str:
        """SHA-256 over everything that its result depends on: clip, weights, options, versions.

        Raises:
            OSError: the clip is gone.
        """
        parts = {
            "schema": _SCHEMA,
            "clip": _clip_digest(self.clip, self.clip.stat().st_mtime_ns),
            "method": Path(self.method).stem,
            "weights": _weights_digest(self.method),
            "encoder": asdict(self.encoder),
            "frames": self.frames,
            "metrics": sorted(self.metrics),
            "versions": versions(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def method_name(name: str) -> str:
    """Full name of a method: `lanczos` is `lanczos-x2`."""
    return _SHORT.get(name, name)


def scale_of(method: str) -> int:
    """HR samples per LR sample along each axis.

    Raises:
        BadOption: no such method.
    """
    if method == FULL:
        return 1
    if method in RESAMPLERS:
        return RESAMPLERS[method][1]
    try:
        return read_card(find_model(method)).network.scale
    except LookupError as error:
        raise unknown_model(method, (FULL, *RESAMPLERS)) from error


def versions() -> dict[str, str]:
    """Of what a measurement passes through."""
    packages = {name: version(name) for name in ("irn-video", "torch", "av", "numpy")}
    return {**packages, "ffmpeg": ffmpeg_version()}


@cache
def _clip_digest(clip: Path, _changed: int) -> str:
    return file_digest(clip)


@cache
def _weights_digest(method: str) -> str:
    return "" if method == FULL or method in RESAMPLERS else file_digest(Path(find_model(method)))
