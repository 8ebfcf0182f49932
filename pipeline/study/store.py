"""Finished cells on disk, found again by their digest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from irn_video.codecs.writing.output import atomic_path, unwritable
from irn_video.pipeline.study.cells import Measurement

_CELLS = "cells"


@dataclass(frozen=True)
class Store:
    """A folder with one JSON file per cell, written whole or not at all."""

    folder: Path

    @classmethod
    @contextmanager
    def in_study(cls, folder: Path) -> Iterator[Store]:
        """The store of the study in `folder`, which is made if missing, and is gone again if nothing comes into it.

        Raises:
            UnwritableOutput: it cannot be made.
        """
        try:
            made = [path for path in (folder / _CELLS, folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            yield cls(folder / _CELLS)
        finally:
            with suppress(OSError):  # the first one with something in it
                for path in made:
                    if path.exists():
                        path.rmdir()

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
