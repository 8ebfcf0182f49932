"""Finished cells on disk, found again by their digest."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.writing.output import atomic_path
from irn_video.pipeline.study.cells import Measurement


@dataclass(frozen=True)
class Store:
    """A folder with one JSON file per cell, written whole or not at all."""

    folder: Path

    def get(self, digest: str) -> Measurement | None:
        """What was measured, or None; a damaged file counts as nothing."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return Measurement.from_json(json.loads(self._path(digest).read_text()))
        return None

    def put(self, digest: str, measurement: Measurement) -> None:
        """Keep it.

        Raises:
            UnwritableOutput: the folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(digest), overwrite=True) as part:
            part.write_text(json.dumps(measurement.as_json()) + "\n")

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"
