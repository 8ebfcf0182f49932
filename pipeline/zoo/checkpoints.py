"""Checkpoints of PyTorch, read without trusting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from irn_video.codecs.errors import BadWeights, MissingFile
from torch import Tensor

# Far above any network here; a larger file is refused before it is read.
_MAX_BYTES = 1 << 30
_OF_DATA_PARALLEL = "module."


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a PyTorch checkpoint, as float32; nothing in the file is executed.

    Raises:
        MissingFile: there is no such file.
        BadWeights: not a state dict.
    """
    if not path.is_file():
        raise MissingFile("no such checkpoint", path=path)
    if path.stat().st_size > _MAX_BYTES:
        raise BadWeights(f"larger than {_MAX_BYTES >> 20} MiB", path=path)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # the unpickler meets anything in a file that is none, and raises anything
        raise BadWeights("not a checkpoint of plain tensors", path=path) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise BadWeights("not a state dict: a mapping of names to tensors is needed", path=path)
    return {str(name).removeprefix(_OF_DATA_PARALLEL): value.float() for name, value in loaded.items()}
