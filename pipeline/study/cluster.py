"""Cells measured by the workers of a Dask cluster.

Workers need this package in the same version, and clips and weights under the same paths; a worker that would measure
something else refuses. Dask trusts whoever speaks to it (its messages are pickled), so a cluster belongs behind a
firewall or behind Dask's TLS.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from irn_video.codecs.errors import BadOption, StudyFailed
from irn_video.pipeline.study.cells import Measurement, measure_cell
from irn_video.pipeline.study.plan import Cell
from irn_video.pipeline.study.workers import Failure, one_line

_CONNECT_SECONDS = 20
_WORKERS_SECONDS = 60


class ClusterPool:
    """The workers of a scheduler.

    A cell whose worker dies goes to another one, up to Dask's `allowed-failures`.

    Args:
        address: such as `tcp://127.0.0.1:8786`.

    Raises:
        BadOption: Dask is not installed, or this is no address.
        StudyFailed: nobody answers, or no worker comes within a minute.
    """

    def __init__(self, address: str) -> None:
        self._address, self._client = address, _client(address)

    def measured(self, cells: Mapping[Cell, str]) -> Iterator[tuple[Cell, Measurement | Failure]]:
        """See `Pool`.

        Raises:
            StudyFailed: the scheduler is gone.
        """
        from distributed import as_completed

        submit = self._client.submit
        tasks = {submit(_work, cell.absolute(), digest, pure=False): cell for cell, digest in cells.items()}
        for task in as_completed(tasks):
            cell = tasks.pop(task)
            if task.status == "finished":
                yield cell, task.result()
            elif task.status == "error":
                yield cell, Failure(cell.label, one_line(task.exception()))
            else:
                raise StudyFailed(
                    f"the scheduler at {self._address} is gone", hint="start it and run the same command to go on"
                )

    def close(self) -> None:
        """Leave the cluster; what is still in work there is cancelled."""
        self._client.close()


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise BadOption("a cluster needs Dask", hint="pip install 'irn-video[cluster]'") from error
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # our errors say what its tracebacks would
    client = None
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
        client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
    except (OSError, TimeoutError) as error:
        if client is not None:
            client.close()
        raise StudyFailed(
            f"no cluster at {address}: {one_line(error)}",
            hint="start dask scheduler and dask worker, see docs/studies.md",
        ) from error
    except ValueError as error:
        raise BadOption(f"{address} is no address of a scheduler", hint="such as tcp://127.0.0.1:8786") from error
    return client


def _work(cell: Cell, digest: str) -> Measurement:
    """On the worker, in its own folder: Dask removes what is left there by one that was killed."""
    from distributed import get_worker

    if cell.digest() != digest:
        raise StudyFailed("this worker has another clip, network or version than whoever asked", path=cell.clip)
    with tempfile.TemporaryDirectory(prefix="irn-study-", dir=get_worker().local_directory) as folder:
        return measure_cell(cell, Path(folder))
