"""How to receive live, and what may be changed while it goes on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from irn_video.pipeline.options import DeviceOptions, LatentOptions


@dataclass(frozen=True, kw_only=True)
class LiveReceiveOptions(LatentOptions, DeviceOptions):
    """How to receive live: `LiveReceiveOptions(output="restored.mkv")`.

    Attributes:
        source: what is being sent, to measure against; frames are matched by their place in it.
        output: a file to record the restored frames to; None for none.
        overwrite: replace an existing recording.
        model: weights file or name, where the card's name is not enough.
        fallback: what becomes of a frame that the network has no time for: `lanczos` or `drop`.
        wait: seconds to wait for a sender.
        patience: seconds without a packet after which the stream has ended.
        seconds: stop after so long; None at the end of the stream.
    """

    source: Path | str | None = None
    output: Path | str | None = None
    overwrite: bool = False
    model: str | None = None
    fallback: str = "lanczos"
    wait: float = 60.0
    patience: float = 3.0
    seconds: float | None = None


class LiveDial:
    """What may be changed while a receiver works, from any thread.

    Attributes:
        temperature: of the latents; None for what the stream card says.
        ended: set it to end the stream.
    """

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature
        self.ended = threading.Event()
