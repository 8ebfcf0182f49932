"""What a run leaves in its folder: the checkpoint, from which it goes on, and logs that agree with it."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import TrainingFailed
from irn_video.codecs.writing.output import atomic_path

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
VALIDATION = "validation.csv"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the checkpoint, once the new one is whole."""
    with atomic_path(folder / CHECKPOINT, overwrite=True) as temporary:
        torch.save(dict(state), temporary)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The checkpoint of a run, None if it has none; tensors on the CPU.

    Raises:
        TrainingFailed: it cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return dict(state)
    except Exception as error:  # PyTorch raises whatever its parsers do
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainingFailed(
            f"cannot read the checkpoint: {first}", path=path, hint="remove it to start over"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Unfinished files of a run that was killed while it wrote them."""
    for name in (CHECKPOINT, LOG, VALIDATION):
        stem, _, suffix = name.partition(".")
        for part in folder.glob(f".{stem}.*.part.{suffix}"):
            with contextlib.suppress(OSError):
                part.unlink()


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Add a line to a CSV file, with a header if it is the first."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def forget_after(path: Path, step: int) -> None:
    """Drop the rows of a CSV file of steps after `step`, which will be done again, and a last line cut short."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    place = header.index("step") if "step" in header else None
    kept = [
        r for r in rows if place is not None and len(r) == len(header) and r[place].isdigit() and int(r[place]) <= step
    ]
    with atomic_path(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept] if header else [])
