"""An LR stream, restored frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from irn_video._frame import Frame, RestoredFrame
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadOption
from irn_video.codecs.reading.reader import VideoReader, probe
from irn_video.codecs.reading.seeking import FrameFinder
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.options import RestoringOptions
from irn_video.pipeline.quality.report import summary
from irn_video.pipeline.restoring import check_lr_size, meter_for, restored_pictures
from irn_video.pipeline.upscalers import card_for, check_restoring, rescaler_for, restoration_for


class Video:
    """An LR stream whose frames are restored as they are asked for. `irn.open` makes it.

        >>> import irn_video as irn
        >>> with irn.open("out_lr.mp4") as video:
        ...     print(len(video), video.width, video.height)
        ...     for frame in video:
        ...         image = frame.to_ndarray("rgb24")
        ...     print(image.shape, image.dtype, frame.lr)
        ...     video.at(0.1)
        8 96 64
        (64, 96, 3) uint8 Frame(48x32 yuv420p, index=7, pts_seconds=0.280)
        RestoredFrame(96x64 yuv420p, index=2, pts_seconds=0.080, lr=48x32)

    Each `for` starts with the first frame. Decoding and the network run ahead in threads of their own, which end with
    the loop, however it ends.

    Attributes:
        info: of the LR stream, see `VideoInfo`.
        card: what the stream says of itself, see `StreamCard`.
        width, height: of the restored frames.
    """

    def __init__(self, info: VideoInfo, card: StreamCard, rescaler: Rescaler, restoration: Restoration) -> None:
        self.info, self.card = info, card
        self.width, self.height = card.width, card.height
        self._rescaler, self._restoration = rescaler, restoration
        self._finder: FrameFinder | None = None
        self._running: WeakSet[Generator[RestoredFrame, None, None]] = WeakSet()
        self._closed = False

    @property
    def model(self) -> str:
        """Name of the network, or of ordinary resampling, that restores."""
        return self._rescaler.name

    @property
    def device(self) -> str:
        """What it runs on, for people."""
        return self._rescaler.where

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where it does not run as asked for, and tuned weights that were damaged; one line each."""
        return self._rescaler.warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; loops that are not at their end stop."""
        self._closed = True
        for frames in list(self._running):
            frames.close()
        if self._finder is not None:
            self._finder.close()

    def __len__(self) -> int:
        if self.info.frames is None:
            raise TypeError("how many frames this video has is not known before they are read")
        return self.info.frames

    def __iter__(self) -> Iterator[RestoredFrame]:
        self._check_open()
        frames = self._frames()
        self._running.add(frames)
        return frames

    def at(self, seconds: float) -> RestoredFrame:
        """The frame that is shown at a time, on the clock of `Frame.pts_seconds`.

        Decoding starts at the keyframe before it. It is the same frame, to the sample, that a loop gives, but for the
        noise of looks other than `faithful`, which goes along with what moved in the frames before; and in a damaged
        stream its latent may be another one, since that goes by how many frames could be decoded before.

        Raises:
            BadOption: no frame is shown then.
        """
        self._check_open()
        if self._finder is None:
            self._finder = FrameFinder(self.info.path, stream=self.info.stream, quantiser=True)
        index, lr = self._finder.at(seconds)
        check_lr_size(lr.width, lr.height, self.card, self.info.path)
        restored = self._rescaler.upscale(lr, self._restoration, index)
        return RestoredFrame(restored, index, Frame(lr, index))

    def psnr(self, source: Path | str, *, stream: int | None = None) -> dict[str, float | None]:
        """Restore everything and measure it against its source, frame by frame.

            >>> import irn_video as irn
            >>> with irn.open("out_lr.mp4") as video:
            ...     print(f"{video.psnr('input.mp4')['psnr_y']:.0f} dB")
            24 dB

        Args:
            source: the file that was sent.
            stream: its video stream, from 0; None for the one that a player would show.

        Returns:
            Means over the frames in dB: `psnr_y`, `psnr_u`, `psnr_v`, `psnr_yuv` (6·Y + U + V over 8), `psnr_rgb`; None
            where every frame is identical. Those of `irn-receive`'s report.

        Raises:
            SourceMismatch: it has other frames.
            MissingFile, UnreadableVideo: it cannot be read.
        """
        self._check_open()
        with self._reader() as lr, VideoReader(source, stream=stream) as original:
            meter = meter_for(lr, original, self.card)
            with restored_pictures(lr, self._rescaler, self._restoration, meter) as restored:
                errors = [item.report.error for item in restored if item.report is not None]
        return {name: values["mean"] for name, values in summary(errors).items()}

    def __repr__(self) -> str:
        lr = f"{self.info.width}x{self.info.height}"
        return f"Video({str(self.info.path)!r}, {lr} restored to {self.width}x{self.height} by {self.model})"

    def _frames(self) -> Generator[RestoredFrame, None, None]:
        with self._reader() as lr, restored_pictures(lr, self._rescaler, self._restoration, None) as restored:
            for index, item in enumerate(restored):
                yield RestoredFrame(item.picture, index, Frame(item.lr, index))

    def _reader(self) -> VideoReader:
        return VideoReader(self.info.path, stream=self.info.stream, quantiser=True)

    def _check_open(self) -> None:
        if self._closed:
            raise BadOption("the video is closed", path=self.info.path, hint="open it again")


def open(
    path: Path | str,
    *,
    model: str | None = None,
    upscaler: str = "model",
    weights: Path | str | None = None,
    stream: int | None = None,
    look: str | None = None,
    temperature: float | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Video:
    """Open an LR stream to read its restored frames: `with irn.open("out_lr.mp4") as video: …`, see `Video`.

    Args:
        path: a file made by `send`, remuxed or cut as you like.
        model: weights file or name, where the card's name is not enough or there is no card.
        upscaler: `model`, or, on the same stream, `lanczos` and `bicubic` for ordinary resampling, `rcan` for
            super-resolution.
        weights: official checkpoint of RCAN, for `rcan`.
        stream: video stream of the file, from 0; None for the one that a player would show.
        look: `faithful` (the least error), `balanced` or `real`; None takes the card's.
        temperature: of the latents, 0 for their mean; None takes the look's, or the card's.
        seed: of the latents; None takes the card's.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        IrnError: see its subclasses.
    """
    options = RestoringOptions(
        model=model,
        upscaler=upscaler,
        weights=weights,
        look=look,
        temperature=temperature,
        seed=seed,
        device=device,
        precision=precision,
    )
    check_restoring(options)
    info = probe(path, stream=stream)
    card = card_for(info, options)
    rescaler = rescaler_for(card, options)
    return Video(info, card, rescaler, restoration_for(card, rescaler, options))
