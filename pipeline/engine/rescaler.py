"""Pictures down and up: the one interface that sender and receiver use, for networks and for ordinary resampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from irn_video.codecs.picture import ColorSpec, Picture
from irn_video.codecs.scales import lr_multiple_of, multiple_of, shrunk
from irn_video.pipeline.planes import Samples
from irn_video.pipeline.zoo import DEFAULT_MODEL


@dataclass(frozen=True)
class Restoration:
    """What the receiver makes of an LR picture.

    Attributes:
        samples: layout, depth and colour of the restored pictures.
        height: of the restored picture, without padding.
        width: likewise.
        temperature: of the latent; 0 for its mean.
        seed: of the latent; each picture adds its index.
        quantiser: used where the decoder does not tell the quantiser of a picture; None if there is none.
        carried_color: of the pictures as the stream carries them; None for that of `samples`.
    """

    samples: Samples
    height: int
    width: int
    temperature: float = 0.0
    seed: int = 0
    quantiser: float | None = None
    carried_color: ColorSpec | None = None


@dataclass(frozen=True)
class Received:
    """An LR picture between the two halves of `Rescaler.upscale`.

    Attributes:
        picture: as decoded.
        prediction: what the network infers from it, in the engine's own form; None for ordinary resampling.
    """

    picture: Picture
    prediction: Any


class Rescaler(ABC):
    """Shrinks and restores pictures; one may be used from several threads, since no result depends on those before.

    Attributes:
        name: of the network or kernel.
        sha256: digest of the weights, empty without weights.
        scale: HR samples per LR sample along each axis.
        temperature: default temperature of the latent.
        warnings: where it does not run as asked for, one line each.
        wants_lossless: whether its LR pictures only work when they arrive as they were sent.
        workers: how many pictures are best worked on at a time.
    """

    name: str
    sha256: str
    scale: float
    temperature: float = 0.0
    warnings: tuple[str, ...] = ()
    wants_lossless: bool = False
    workers: int = 1

    @staticmethod
    def load(
        name: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 1,
        reuse: bool = True,
        look: str | None = None,
    ) -> Rescaler:
        """A rescaler by name: a network of the zoo, a weights file, `lanczos-x2`, `bicubic-x4`, ….

        Args:
            name: as above.
            device: see `choose_engine`.
            precision: likewise.
            threads: for each frame, on the CPU: one where several frames are worked on at a time, see `workers`; as
                many as there are cores where frames come one by one, as they do live.
            reuse: see `RestoringOptions`.
            look: see `LatentOptions`; None for the network's own.

        Raises:
            UnknownModel, MissingFile, BadWeights: see `load_model`.
            BadOption, UnavailableDevice: see `choose_engine`, `choose_device` and `with_look`.
        """
        from irn_video.pipeline.engine.choosing import named_rescaler

        return named_rescaler(name, device, precision, threads, reuse=reuse, look=look)

    @property
    def multiple(self) -> int:
        """HR sizes are padded to multiples of this, so that a 4:2:0 LR picture has even sides."""
        return multiple_of(self.scale)

    @property
    def where(self) -> str:
        """What it runs on, for people."""
        return "swscale"

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """HR size with padding."""
        return _up_to(height, self.multiple), _up_to(width, self.multiple)

    def lr_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the LR picture of an HR picture of this size."""
        tall, wide = self.padded(height, width)
        return shrunk(tall, self.scale), shrunk(wide, self.scale)

    def padded_lr(self, height: int, width: int) -> tuple[int, int]:
        """Size that LR pictures made by others are padded to, so that HR is a whole number of samples."""
        step = lr_multiple_of(self.scale)
        return _up_to(height, step), _up_to(width, step)

    @abstractmethod
    def carried(self, source: Samples, height: int) -> Samples:
        """The nearest samples to those of the source that this rescaler restores."""

    @abstractmethod
    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """The samples of the LR pictures it makes for such a source."""

    @abstractmethod
    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """HR picture → LR picture of the padded size over `scale`, rounded to the depth of `lr`.

        With the H.264 quantiser that is to be expected, a network may leave out what that would hardly carry.
        """

    def upscale(self, picture: Picture, to: Restoration, index: int = 0) -> Picture:
        """LR picture as decoded → restored HR picture; `index` counts the pictures of a stream."""
        return self.reverse(self.predict(picture, to), to, index)

    @abstractmethod
    def predict(self, picture: Picture, to: Restoration) -> Received:
        """First half of `upscale`: what can be told about the latent from the LR picture."""

    @abstractmethod
    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Second half of `upscale`, with the same `to`: draw the latent and run the reverse pass."""


def _up_to(length: int, step: int) -> int:
    return -(-length // step) * step
