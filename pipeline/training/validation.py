"""Validation with the true pipeline: real encodes and BD-rate for codec-aware networks, PSNR for the paper's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from irn_video.codecs.errors import BadOption, TrainingFailed
from irn_video.codecs.picture import Layout, Picture
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.roundtrip import Planes, x264_roundtrip
from irn_video.pipeline.engine.choosing import network_rescaler
from irn_video.pipeline.engine.device import Device
from irn_video.pipeline.engine.resampling import KernelRescaler
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.network import InvertibleRescaler, quantise
from irn_video.pipeline.planes import Samples, convert
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.pipeline.quality.psnr import compare
from irn_video.pipeline.system.opencv import cv2
from irn_video.pipeline.training.config import TrainConfig
from irn_video.pipeline.training.run_options import Validator
from irn_video.pipeline.training.sequences import find_files
from irn_video.pipeline.zoo import LoadedModel, ModelCard

CRFS = (18.0, 24.0, 30.0, 36.0)
_FRAMES = 16
_PRESET = "medium"
_MULTIPLE = 8  # of the sides of validated pictures, so that nothing is padded
_LUMA = (65.481, 128.553, 24.966)  # R′G′B′ in [0, 1] to Y′ of BT.601 in [16, 235], as the papers measure

Say = Callable[[str], None]
Row = dict[str, object]


@dataclass(frozen=True)
class ClipValidation:
    """BD-rate in PSNR-Y of a codec-aware network against the Lanczos pair, or, at scale 1, against plain coding.

    Attributes:
        config: of the network.
        clips: to measure on, their first pictures.
        say: gets a line per clip and one for the mean.
        crfs: of x264, preset medium.
        tune: of x264, on both sides.
    """

    config: TrainConfig
    clips: tuple[Path, ...]
    say: Say
    crfs: tuple[float, ...] = CRFS
    tune: str | None = None

    def __call__(self, network: InvertibleRescaler, device: Device) -> list[Row]:
        """BD-rates by clip, and their mean."""
        rescaler = network_rescaler(LoadedModel(self._card, network, ""), device)
        rates: list[float | None] = []
        for pictures, peer in zip(self._pictures, self._peers, strict=True):
            rates.append(bd_rate(peer, self._curve(rescaler, pictures)))
        mean = None if None in rates else sum(r for r in rates if r is not None) / len(rates)
        rows: list[Row] = []
        for name, rate in zip([*(clip.name for clip in self.clips), "mean"], [*rates, mean], strict=True):
            self.say(f"validation: {name}: " + ("no common quality" if rate is None else f"BD-rate {rate:+.1f} %"))
            rows.append({"name": name, "bd_rate_y": None if rate is None else round(rate, 3)})
        return rows

    @cached_property
    def _pictures(self) -> list[list[Picture]]:
        return [_first_pictures(clip) for clip in self.clips]

    @cached_property
    def _peers(self) -> list[Curve]:
        scale = self.config.network.scale
        peer = KernelRescaler(f"lanczos-x{scale}") if scale > 1 else None
        return [self._curve(peer, pictures) for pictures in self._pictures]

    def _curve(self, rescaler: Rescaler | None, pictures: Sequence[Picture]) -> Curve:
        return Curve.through(coded(rescaler, pictures, crf, self.tune) for crf in self.crfs)

    @property
    def _card(self) -> ModelCard:
        config = self.config
        return ModelCard(config.name, config.network, "", "", "", "", "", 0, 0, config.temperature)


@dataclass(frozen=True)
class ImageValidation:
    """Mean PSNR-Y of a network of the paper on images, LR rounded to 8 bits, a border of `scale` samples left out."""

    config: TrainConfig
    images: tuple[Path, ...]
    say: Say

    def __call__(self, network: InvertibleRescaler, device: Device) -> list[Row]:
        """One row: the mean over the images."""
        network = network.to(device.torch_device)
        values = [self._psnr(network, path, device.torch_device) for path in self.images]
        mean = sum(values) / len(values)
        self.say(f"validation: {len(values)} images: {mean:.2f} dB PSNR-Y")
        return [{"name": "mean", "psnr_y": round(mean, 4)}]

    @torch.inference_mode()
    def _psnr(self, network: InvertibleRescaler, path: Path, device: torch.device) -> float:
        bgr = cv2().imread(str(path), cv2().IMREAD_COLOR)
        if bgr is None:
            raise TrainingFailed("not an image that OpenCV reads", path=path, hint="remove it from --validate")
        height, width = (side // network.multiple * network.multiple for side in bgr.shape[:2])
        rgb = torch.from_numpy(bgr[:height, :width, ::-1].copy()).permute(2, 0, 1)[None].to(device).float() / 255
        lr, _ = network.downscale(rgb)
        generator = torch.Generator(device).manual_seed(0)
        restored = network.restore(quantise(lr), temperature=self.config.temperature, generator=generator)
        difference = quantise(restored) - rgb
        weights = torch.tensor(_LUMA, device=device).view(1, 3, 1, 1)
        border = network.scale
        luma = (difference * weights).sum(1)[:, border:-border, border:-border]
        return -10 * math.log10(max(float(luma.square().mean()) / 255**2, 1e-10))


def make_validator(config: TrainConfig, folders: Sequence[Path], training: Sequence[Path], say: Say) -> Validator:
    """What validates networks of the configured family on the files below `folders`.

    Raises:
        BadOption: a folder is trained on.
        TrainingFailed: nothing to validate on.
    """
    for folder in folders:
        for other in training:
            one, two = folder.resolve(), other.resolve()
            if one.is_relative_to(two) or two.is_relative_to(one):
                raise BadOption("the folder to validate on is trained on", hint="give another --validate")
    paper = config.network.family == "paper"
    files = find_files(tuple(folders), photos=paper)
    if not files:
        raise TrainingFailed(f"no {'images' if paper else 'clips'} to validate on", hint="give another --validate")
    return ImageValidation(config, files, say) if paper else ClipValidation(config, files, say)


def coded(rescaler: Rescaler | None, pictures: Sequence[Picture], crf: float, tune: str | None) -> tuple[int, float]:
    """Bytes and mean PSNR-Y in dB of pictures (8-bit 4:2:0) through downscaling, x264 and upscaling.

    Without a rescaler, through x264 alone.
    """
    first = pictures[0]
    samples = Samples.of(first)
    sent = rescaler.sent(samples, lossless=False, height=first.height) if rescaler else samples
    small = [rescaler.downscale(picture, sent, crf) if rescaler else picture for picture in pictures]
    planes = [cast("Planes", picture.planes) for picture in small]
    decoded, quantisers, size = x264_roundtrip(planes, crf=crf, preset=_PRESET, tune=tune)
    to = Restoration(
        samples, first.height, first.width, rescaler.temperature if rescaler else 0.0, carried_color=sent.color
    )
    values = []
    for index, (picture, arrived, qp) in enumerate(zip(small, decoded, quantisers, strict=True)):
        received = replace(picture, planes=arrived, qp=qp)
        restored = rescaler.upscale(received, to, index) if rescaler else received
        psnr = compare(pictures[index], replace(restored, color=samples.color)).psnr()["psnr_y"]
        values.append(100.0 if psnr is None else psnr)
    return size, sum(values) / len(values)


def _first_pictures(clip: Path) -> list[Picture]:
    """The first pictures of a clip, 8-bit 4:2:0, cropped to sides that need no padding."""
    with VideoReader(clip, frames=_FRAMES) as reader:
        pictures = list(reader)
    samples = Samples(Layout.YUV420, 8, pictures[0].color)
    return [_cropped(convert(picture, replace(samples, color=picture.color))) for picture in pictures]


def _cropped(picture: Picture) -> Picture:
    height, width = (side // _MULTIPLE * _MULTIPLE for side in (picture.height, picture.width))
    shapes = picture.layout.plane_shapes(height, width)
    planes = tuple(np.ascontiguousarray(p[:h, :w]) for p, (h, w) in zip(picture.planes, shapes, strict=True))
    return replace(picture, planes=cast("Planes", planes))
