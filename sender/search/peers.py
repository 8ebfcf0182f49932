"""What plain coding and ordinary resampling would take in place of a network, for the same quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irn_video.codecs.encoders import ENCODERS, make_encoder
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.quality.entries import Peer
from irn_video.pipeline.quality.libvmaf import LEAST_SIDE
from irn_video.sender.options import SendOptions, with_keyint
from irn_video.sender.search.bracket import Point
from irn_video.sender.search.goal import JUDGE, Goal
from irn_video.sender.search.sample import Sample, SampleSize, read_sample
from irn_video.sender.search.search import FIRST_CRF, FULL, LOWER_CRF, at_goal, bracket_of
from irn_video.sender.search.trial import Trials

_GLANCE = SampleSize(frames=24, stretches=2, pairs=2)
_SMALLER = 0.95  # of the bits, so that it is worth saying


def peers_of(source: Path, rescaler: Rescaler, options: SendOptions) -> tuple[Peer, ...]:
    """Plain coding and the Lanczos pair of the same scale against a stream, in PSNR-Y and VMAF-NEG, by samples.

    Frames that are too small for VMAF-NEG are compared in PSNR-Y alone.

    Args:
        source: of the stream.
        rescaler: that the stream was made with.
        options: likewise.

    Returns:
        Nothing for a codec without CRF.
    """
    if not searchable(options):
        return ()
    names = [FULL, *([f"lanczos-x{rescaler.scale:g}"] if rescaler.scale > 1 else [])]
    sample = read_sample(source, SampleSize(), options)
    small = min(sample.info.height, sample.info.width) < LEAST_SIDE
    metrics = ("psnr_y",) if small else ("psnr_y", JUDGE)
    with TemporaryDirectory(prefix="irn-send-") as folder:
        trials = _trials(sample, options, metrics, Path(folder))
        return tuple(
            Peer(name, metric, None if found is None else found.kbps / own.kbps)
            for metric in metrics
            if (own := _own(trials, rescaler, options, metric)) is not None
            for name in names
            if name != rescaler.name
            for found in [_same(trials, name, rescaler.scale, own, metric)]
        )


def advice(source: Path, rescaler: Rescaler, options: SendOptions) -> str:
    """A line for people where plain coding would probably be smaller at equal PSNR-Y, by a few frames; else nothing.

    Args:
        source: to be sent.
        rescaler: to send it with.
        options: likewise.
    """
    if rescaler.name == FULL or not searchable(options):
        return ""
    with TemporaryDirectory(prefix="irn-send-") as folder:
        trials = _trials(read_sample(source, _GLANCE, options), options, ("psnr_y",), Path(folder))
        own = _own(trials, rescaler, options, "psnr_y")
        full = None if own is None else _same(trials, FULL, rescaler.scale, own, "psnr_y")
    if own is None or full is None or full.kbps > _SMALLER * own.kbps:
        return ""
    less = 100 * (1 - full.kbps / own.kbps)
    return (
        f"advice: plain {options.codec} at full size would probably take {less:.0f} % less for the same PSNR-Y "
        "(--scale auto finds what is best)"
    )


def searchable(options: SendOptions) -> bool:
    """Whether the codec has a CRF, and the stream loss."""
    settings = replace(options.encoder, bitrate=None, buffer_seconds=None)
    return options.codec in ENCODERS and make_encoder(settings).crf is not None


def _trials(sample: Sample, options: SendOptions, metrics: Sequence[str], folder: Path) -> Trials:
    return Trials(sample, with_keyint(options, sample.info).encoder, metrics, folder)


def _own(trials: Trials, rescaler: Rescaler, options: SendOptions, metric: str) -> Point | None:
    """The stream itself."""
    encoder = options.encoder
    crf = make_encoder(encoder).crf
    if crf is not None:
        return trials.measure(rescaler, crf).point(metric)
    if encoder.bitrate is None:
        return None
    bracket = bracket_of(Goal(encoder.bitrate / 1000, metric, by_rate=True), encoder)
    return at_goal(trials, rescaler, bracket, FIRST_CRF)


def _same(trials: Trials, name: str, scale: float, own: Point, metric: str) -> Point | None:
    """A peer at the quality of a stream."""
    peer = Rescaler.load(name)
    bracket = bracket_of(Goal(own.quality, metric), trials.encoder)
    lower = LOWER_CRF["quality"]
    return at_goal(trials, peer, bracket, own.crf + lower.get(scale, 6.0) - lower.get(peer.scale, 6.0))
