"""What sending would take, without doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from irn_video.codecs.encoders import make_encoder, with_preset
from irn_video.codecs.reading.packets import survey
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.sender.options import SendOptions, with_keyint
from irn_video.sender.search.sample import SampleSize, read_sample
from irn_video.sender.search.trial import Trials

_SIZE = SampleSize(pairs=1)


@dataclass(frozen=True)
class Estimate:
    """What a stream would be, going by samples.

    Attributes:
        model: its network.
        width, height: of the LR frames.
        codec, preset, crf, bitrate: how it would be encoded; bit/s.
        frames: how many, None if not known.
        kbps: of video.
        bytes: of the file, with the other tracks; None if the length is not known.
        seconds: that sending would take here, without tuning and verifying; None likewise.
    """

    model: str
    width: int
    height: int
    codec: str
    preset: str | None
    crf: float | None
    bitrate: int | None
    frames: int | None
    kbps: float
    bytes: int | None
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self)


def estimate(source: Path, rescaler: Rescaler, options: SendOptions) -> Estimate:
    """Send samples and extrapolate.

    Raises:
        IrnError: the clip cannot be read or coded.
    """
    encoder = make_encoder(with_preset(options.encoder, rescaler.scale))
    sample = read_sample(source, _SIZE, options)
    with TemporaryDirectory(prefix="irn-send-") as folder:
        trials = Trials(sample, with_keyint(options, sample.info).encoder, ("psnr_y",), Path(folder))
        trial = trials.measure_as_is(rescaler)
    kbps = trial.kbps if options.bitrate is None else options.bitrate / 1000
    height, width = rescaler.lr_size(sample.info.height, sample.info.width)
    return Estimate(
        model=rescaler.name,
        width=width,
        height=height,
        codec=options.codec,
        preset=encoder.preset,
        crf=encoder.crf,
        bitrate=options.bitrate,
        frames=sample.total,
        kbps=kbps,
        bytes=None if sample.total is None else _bytes(sample.total, float(sample.rate), kbps, source, options),
        seconds=None if sample.total is None else sample.total / trial.fps,
    )


def _bytes(frames: int, rate: float, kbps: float, source: Path, options: SendOptions) -> int:
    found = survey(source, stream=options.stream)
    share = min(1.0, frames / found.frames) if found.frames else 1.0
    return round(frames / rate * kbps * 1000 / 8 + share * sum(found.other_bytes.values()))
