"""Shrinking and restoring of frames that a program holds: arrays, tensors, PyAV's frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar, cast

import av
import numpy as np
import torch
from irn_video._frame import video_frame
from irn_video.codecs.errors import BadOption
from irn_video.codecs.picture import Picture
from irn_video.codecs.reading.frame_data import color_of
from irn_video.codecs.reading.pixels import pixel_format, samples_of, unpacker
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.engine import rescaler as engine
from irn_video.pipeline.engine.batches import downscale_rgb, upscale_rgb
from irn_video.pipeline.options import check_temperature
from irn_video.pipeline.planes import Samples, convert, pad, to_picture, to_planes
from irn_video.pipeline.zoo import DEFAULT_MODEL
from numpy.typing import NDArray
from torch import Tensor

Kind = TypeVar("Kind", bound=NDArray[Any] | Tensor | av.VideoFrame)
_KINDS = "(H, W, 3) uint8 or uint16, a tensor (3, H, W) or (N, 3, H, W) of floats in [0, 1], or an av.VideoFrame"
_PEAKS = {"uint8": 255, "uint16": 65535}
_MAX_QP = 51


@dataclass(frozen=True)
class _Latents:
    """How `Rescaler.upscale` draws them."""

    qp: float | Tensor | None
    temperature: float
    seed: int
    index: int


class Rescaler:
    """Shrinks and restores frames; what goes in as an array, a tensor or an `av.VideoFrame` comes out as the same.

        >>> import numpy as np
        >>> import irn_video as irn
        >>> rescaler = irn.Rescaler("irn-h264-x2")
        >>> lr = rescaler.downscale(np.zeros((96, 128, 3), np.uint8))
        >>> lr.shape, rescaler.upscale(lr, qp=26).shape
        ((48, 64, 3), (96, 128, 3))

    Arrays are R′G′B′ (H, W, 3), uint8 or uint16; tensors R′G′B′ (3, H, W) or (N, 3, H, W), floats in [0, 1], on any
    device: a batch goes through a network in one pass. The codec-aware networks work on Y′CbCr 4:2:0, so an
    `av.VideoFrame` with the decoder's own samples is restored best; arrays and tensors are converted (BT.709 from 720
    lines up, else BT.601).

    Args:
        model: a network of the zoo, a weights file, or `lanczos-x2`, `bicubic-x4`, ….
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        UnknownModel, MissingFile, BadWeights, BadOption: no such network, device or precision.
    """

    def __init__(self, model: str = DEFAULT_MODEL, *, device: str = "auto", precision: str = "auto") -> None:
        self._engine = engine.Rescaler.load(model, device=device, precision=precision)

    @property
    def name(self) -> str:
        """Of the network or kernel."""
        return self._engine.name

    @property
    def scale(self) -> float:
        """HR samples per LR sample along each axis."""
        return self._engine.scale

    @property
    def temperature(self) -> float:
        """The network's own temperature of its latents."""
        return self._engine.temperature

    @property
    def device(self) -> str:
        """What it runs on, for people."""
        return self._engine.where

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where it does not run as asked for, one line each."""
        return self._engine.warnings

    def downscale(self, frame: Kind, *, qp: float | None = None) -> Kind:
        """HR → LR.

        The sides of LR are those of HR over the scale, rounded up to even numbers: the edge repeats. An `av.VideoFrame`
        comes out in the samples that the network sends, `yuv420p` from those made for H.264.

        Args:
            frame: see the class.
            qp: the H.264 quantiser (0…51) that it will be coded with; with it `irn-h264-x1` leaves out what that would
                hardly carry.

        Raises:
            BadOption: not a frame; says what is.
        """
        _check_qp(qp)
        small: object
        match frame:
            case av.VideoFrame():
                picture = _picture_of(frame)
                source, lossless = Samples.of(picture), self._engine.wants_lossless
                sent = self._engine.sent(source, lossless=lossless, height=picture.height)
                small = _like(frame, self._engine.downscale(picture, sent, qp))
            case Tensor():
                small = _shaped(frame, downscale_rgb(self._engine, _batch(frame), qp))
            case _:
                small = _codes(frame, downscale_rgb(self._engine, _image(frame), qp))
        return cast(Kind, small)

    def upscale(
        self,
        frame: Kind,
        *,
        qp: float | Tensor | None = None,
        temperature: float | None = None,
        seed: int = 0,
        index: int = 0,
    ) -> Kind:
        """LR as it arrived → HR, `scale` times as large.

        Args:
            frame: see the class.
            qp: mean H.264 quantiser of the frame (0…51); (N,) for a batch with one for each; None if nothing was lost.
            temperature: of the latent, 0 for its mean; None takes the network's own.
            seed: of the latent.
            index: of the frame, or of the first of a batch: each draws a latent of its own.

        Raises:
            BadOption: not a frame, or a value out of range; says what is.
        """
        _check_qp(qp)
        check_temperature(temperature)
        draw = _Latents(qp, self.temperature if temperature is None else temperature, seed, index)
        large: object
        match frame:
            case av.VideoFrame():
                large = _like(frame, self._restored(_picture_of(frame), draw))
            case Tensor():
                large = _shaped(frame, self._restored_rgb(_batch(frame), draw))
            case _:
                large = _codes(frame, self._restored_rgb(_image(frame), draw))
        return cast(Kind, large)

    def __repr__(self) -> str:
        return f"Rescaler({self.name!r}, scale={self.scale:g}, device={self.device!r})"

    def _restored_rgb(self, lr: Tensor, draw: _Latents) -> Tensor:
        if isinstance(draw.qp, Tensor) and draw.qp.numel() not in (1, len(lr)):
            raise BadOption(f"{draw.qp.numel()} quantisers for {len(lr)} frames", hint="one for all or one for each")
        return upscale_rgb(self._engine, lr, draw.qp, temperature=draw.temperature, seed=draw.seed, index=draw.index)

    def _restored(self, picture: Picture, draw: _Latents) -> Picture:
        given, even = Samples.of(picture), self._engine.padded_lr(picture.height, picture.width)
        height, width = enlarged(picture.height, self.scale), enlarged(picture.width, self.scale)
        if even != (picture.height, picture.width):
            picture = to_picture(pad(to_planes(picture), picture.layout, *even), given, picture)
        carried = self._engine.carried(given, height)
        to = engine.Restoration(
            samples=given,
            height=height,
            width=width,
            temperature=draw.temperature,
            seed=draw.seed,
            quantiser=float(draw.qp) if draw.qp is not None else None,
            carried_color=carried.color,
        )
        return self._engine.upscale(convert(picture, carried), to, draw.index)


def _check_qp(qp: float | Tensor | None) -> None:
    if qp is None:
        return
    low, high = (float(qp.min()), float(qp.max())) if isinstance(qp, Tensor) else (qp, qp)
    if not 0 <= low <= high <= _MAX_QP:
        raise BadOption(f"a quantiser of {high if low >= 0 else low:g}", hint="0 to 51, as H.264 counts at 8 bits")


def _batch(frame: Tensor) -> Tensor:
    """(N, 3, H, W)."""
    if frame.dim() not in (3, 4) or frame.shape[-3] != 3 or not frame.is_floating_point() or not frame.numel():
        kind = f"{str(frame.dtype).removeprefix('torch.')} of shape {tuple(frame.shape)}"
        raise BadOption(f"a tensor of {kind} is no frame", hint="(3, H, W) or (N, 3, H, W), floats in [0, 1]")
    return frame if frame.dim() == 4 else frame[None]


def _shaped(given: Tensor, made: Tensor) -> Tensor:
    """As the tensor that was given."""
    return (made if given.dim() == 4 else made[0]).to(given.dtype)


def _image(frame: object) -> Tensor:
    """(1, 3, H, W)."""
    if not isinstance(frame, np.ndarray):
        raise BadOption(f"{type(frame).__name__} is no frame", hint=f"give an array {_KINDS}")
    if str(frame.dtype) not in _PEAKS or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        kind = f"{frame.dtype} of shape {frame.shape}"
        raise BadOption(f"an array of {kind} is no frame", hint="R, G, B as (H, W, 3), uint8 or uint16")
    samples = torch.from_numpy(np.ascontiguousarray(frame).astype(np.float32))
    return samples.permute(2, 0, 1)[None] / _PEAKS[str(frame.dtype)]


def _codes(given: Any, made: Tensor) -> NDArray[Any]:
    """(H, W, 3) of the type that was given."""
    codes = (made[0].permute(1, 2, 0) * _PEAKS[str(given.dtype)]).round()
    return codes.contiguous().numpy().astype(given.dtype)


def _picture_of(frame: av.VideoFrame) -> Picture:
    how = unpacker(frame.format.name)
    return Picture(
        planes=how.planes(frame),
        layout=how.layout,
        bit_depth=how.bit_depth,
        color=color_of(frame, how, 0),
        pts=frame.pts or 0,
        time_base=frame.time_base or Fraction(1),
        duration=frame.duration or 0,
    )


def _like(given: av.VideoFrame, made: Picture) -> av.VideoFrame:
    """With the time of the frame that was given and, where it can be, its pixel format."""
    same = samples_of(given.format.name) == (made.layout, made.bit_depth)
    frame = video_frame(made, given.format.name if same else pixel_format(made.layout, made.bit_depth))
    frame.pts = given.pts
    return frame
