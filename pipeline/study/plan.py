"""What a study measures: clips × methods × rates, each combination a cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from irn_video.codecs.encoders import ENCODERS, EncoderSettings, make_encoder, with_preset
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.commandline.toml import read_toml
from irn_video.pipeline.quality.libvmaf import PERCEPTUAL
from irn_video.pipeline.quality.metrics import CLASSIFIER, REAL_METRICS, STUDY_METRICS, parse_metrics
from irn_video.pipeline.restoring import file_digest
from irn_video.pipeline.study.methods import FULL, Method
from irn_video.pipeline.system import ffmpeg_binary

# Smaller pictures cost less at the same quantiser, so their ladders begin lower; the runner goes on where they do not
# meet in quality.
_LADDERS: dict[float, tuple[float, ...]] = {
    1: (20, 24, 28, 32, 36, 40),
    1.5: (17, 21, 25, 29, 33, 37),
    2: (14, 18, 22, 26, 30, 34),
    4: (10, 14, 18, 22, 26, 30),
}
BY_SCALE, BOTH = "by-scale", "both"
"""Presets of studies: that of each method's scale, and one study with the same preset and one with those."""
_SCHEMA = 5  # of a cell's result: a new number makes old ones count no more
_LEAST_POINTS = 4
_KNOWN = (*STUDY_METRICS, CLASSIFIER)


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Attributes:
        clips: video files.
        models: see `Method.parse`.
        anchors: what they are compared with: `full`, `lanczos` (-x2), `bicubic` (-x2) or any model.
        codec, tune, keyint, pixel_format: as in `EncoderSettings`, the same for all methods.
        preset: likewise; None for the codec's own at full size, medium for x264 and x265. `by-scale` for that which
            `irn-send` has at each method's scale, so that encoding takes no longer than full size, and `both` for that
            in a study beside the one of the codec's own.
        crfs: quality ladder of every method; empty for one by scale.
        bitrates: bit/s, instead of CRFs.
        metrics: see `parse_metrics`.
        frames: only the first so many pictures of each clip; None for all.
        extend: add points until the curves overlap in PSNR-Y, and of each method at the bit rates that frames are shown
            at.

    Raises:
        BadOption: something unknown, too few rates, two clips of one name, or a codec without presets by scale.
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
    metrics: tuple[str, ...] = STUDY_METRICS
    frames: int | None = None
    extend: bool = True

    def __post_init__(self) -> None:
        names = [clip.name for clip in self.clips]
        if len(set(names)) < len(names):
            raise BadOption("two clips have the same name", hint="rename one")
        object.__setattr__(self, "metrics", parse_metrics(",".join(self.metrics), _KNOWN))
        if self.crfs and self.bitrates:
            raise BadOption("crfs and bitrates exclude each other", hint="give one of them")
        if 0 < len(set(self.crfs or self.bitrates)) < _LEAST_POINTS:
            raise BadOption(f"a curve needs at least {_LEAST_POINTS} different rates")
        labels = [method.label for method in self.methods]
        if len(set(labels)) < len(labels):
            raise BadOption("two files of the same name", hint="rename one")
        for method in self.methods:
            for encoder in self.ladder(method):
                make_encoder(encoder)
        if self.preset in (BY_SCALE, BOTH) and not ENCODERS[self.encoder().codec].presets_by_scale:
            raise BadOption(f"{self.codec} has no presets by scale", hint="--preset NAME, or leave it out")

    @property
    def comparisons(self) -> tuple[StudyConfig, ...]:
        """The studies of this one: that with the same preset first."""
        return (replace(self, preset=None), replace(self, preset=BY_SCALE)) if self.preset == BOTH else (self,)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Anchors and models, each once."""
        return tuple(dict.fromkeys(map(Method.parse, (*self.anchors, *self.models))))

    @property
    def anchor_methods(self) -> tuple[Method, ...]:
        """The anchors."""
        return tuple(dict.fromkeys(map(Method.parse, self.anchors)))

    def encoder(self, *, crf: float | None = None, bitrate: int | None = None) -> EncoderSettings:
        """Settings for one rate, without a preset where that is not the same for all methods."""
        return EncoderSettings(
            codec=self.codec,
            crf=None if crf is None else float(crf),  # the stream card tells 20 from 20.0
            bitrate=bitrate,
            preset=None if self.preset in (BY_SCALE, BOTH) else self.preset,
            tune=self.tune,
            keyint=self.keyint,
            pixel_format=self.pixel_format,
        )

    def ladder(self, method: Method) -> tuple[EncoderSettings, ...]:
        """The rates that every clip gets with this method."""
        if self.bitrates:
            return tuple(self.encoder(bitrate=rate) for rate in sorted(set(self.bitrates)))
        return tuple(self.encoder(crf=crf) for crf in sorted(set(self.crfs or _LADDERS[method.scale])))

    def cell(self, clip: Path, method: Method, encoder: EncoderSettings) -> Cell:
        """One measurement; its encoder names its preset."""
        encoder = with_preset(encoder, method.scale if self.preset == BY_SCALE else 1)
        optional = tuple(name for name in (*PERCEPTUAL, *REAL_METRICS, CLASSIFIER) if name in self.metrics)
        return Cell(clip, method, encoder, self.frames, optional)

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
        method: how it is sent.
        encoder: of the stream.
        frames: only the first so many pictures.
        metrics: of `PERCEPTUAL`, `REAL_METRICS` and the classifier; PSNR is always measured.
    """

    clip: Path
    method: Method
    encoder: EncoderSettings
    frames: int | None
    metrics: tuple[str, ...]

    @property
    def label(self) -> str:
        """For people."""
        rate = f"CRF {self.encoder.crf:g}" if self.encoder.bitrate is None else f"{self.encoder.bitrate / 1000:g} kb/s"
        return f"{self.clip.name} {self.method.label} {rate}"

    def absolute(self) -> Cell:
        """The same, for a process in another folder."""
        return replace(self, clip=self.clip.absolute(), method=self.method.absolute())

    def digest(self) -> str:
        """SHA-256 over everything that its result depends on: clip, weights, options, versions.

        Raises:
            OSError: the clip, or a file of the method, is gone.
        """
        parts = {
            "schema": _SCHEMA,
            "clip": _clip_digest(self.clip, self.clip.stat().st_mtime_ns),
            "method": self.method.label,
            "files": self.method.digests(),
            "encoder": asdict(self.encoder),
            "frames": self.frames,
            "metrics": sorted(self.metrics),
            "versions": versions(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of what a measurement passes through."""
    packages = {name: version(name) for name in ("irn-video", "torch", "av", "numpy")}
    return {**packages, "ffmpeg": ffmpeg_binary.version()}


@cache
def _clip_digest(clip: Path, _changed: int) -> str:
    return file_digest(clip)
