"""Options that sender, receiver and their live halves share, each in one place.

`SendOptions(crf=26, preset="slow")` has its fields from here; the options of the command lines have their names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from irn_video.codecs.encoders import EncoderSettings


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Which part of a video, and where it may go.

    Attributes:
        stream: video stream of the input, from 0; None for the one that a player would show.
        frames: only the first so many frames.
        overwrite: replace an existing output.
    """

    stream: int | None = None
    frames: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(EncoderSettings):
    """How what is written is encoded: all of `EncoderSettings`."""

    @property
    def encoder(self) -> EncoderSettings:
        """The encoder's part of these options."""
        return EncoderSettings(**{field.name: getattr(self, field.name) for field in fields(EncoderSettings)})


@dataclass(frozen=True, kw_only=True)
class LatentOptions:
    """The detail that is sampled.

    Attributes:
        temperature: of the latents, 0 for their mean to 1 for all of their spread; None for what the network or the
            stream says.
        seed: of the latents; None for what the stream says.
    """

    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where and how the network computes.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
    """

    device: str = "auto"
    precision: str = "auto"
