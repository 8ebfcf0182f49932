"""What only some installations have."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from irn_video.codecs.errors import BadOption


def needing_aiohttp(name: str) -> Any:
    """A module below `pipeline` that serves a page: aiohttp is an extra.

    Raises:
        BadOption: there is no aiohttp.
    """
    try:
        return import_module(f"irn_video.pipeline.{name}")
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise BadOption("the page needs aiohttp", hint="pip install aiohttp") from error
