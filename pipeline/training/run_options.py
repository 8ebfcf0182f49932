"""How a training run goes, apart from what it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from irn_video.pipeline.engine.device import Device, choose_device
from irn_video.pipeline.network import InvertibleRescaler

if TYPE_CHECKING:
    pass


class Validator(Protocol):
    """Measures a network as it will be used."""

    def __call__(self, network: InvertibleRescaler, device: Device) -> list[dict[str, object]]:
        """Rows for validation.csv; `network` is on the CPU, in evaluation mode."""
        ...


@dataclass(frozen=True)
class RunOptions:
    """How a run goes, apart from what it computes.

    Attributes:
        device: where, and in what precision convolutions run.
        compiled: use torch.compile; takes minutes at the start.
        save_every: seconds between checkpoints.
        log_every: steps between lines of the log.
        validate_every: seconds between validations.
        validator: what validates, if anything.
    """

    device: Device = field(default_factory=lambda: choose_device("cpu"))
    compiled: bool = False
    save_every: float = 60.0
    log_every: int = 50
    validate_every: float = 1200.0
    validator: Validator | None = None
