"""Networks by name: those shipped with the package, then those imported by the user."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from irn_video.codecs.errors import BadOption, UnknownModel, UnwritableOutput
from irn_video.pipeline.zoo.card import (
    LoadedModel,
    ModelCard,
    Weights,
    read_card,
    read_model,
    read_weights,
    write_model,
)

NETWORKS: dict[float, str] = {1: "irn-h264-x1", 1.5: "irn-h264-x1.5", 2: "irn-h264-x2", 4: "irn-h264-x4"}
"""The network of each scale, where only the scale is chosen; not all need be here, see `tiers.networks_of`."""
DEFAULT_MODEL = NETWORKS[2]
_SUFFIX = ".safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ModelEntry:
    """A network that can be named.

    Attributes:
        card: its card.
        path: its weights.
        shipped: part of the package, not imported.
    """

    card: ModelCard
    path: Path
    shipped: bool


def user_folder() -> Path:
    """Where imported networks live: $IRN_VIDEO_HOME, or irn-video in the user's data folder."""
    if home := os.environ.get("IRN_VIDEO_HOME"):
        return Path(home)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "irn-video"


def list_models() -> list[ModelEntry]:
    """All networks, the shipped ones first; an imported one of the same name is hidden."""
    entries: dict[str, ModelEntry] = {}
    for folder, shipped in ((_shipped_folder(), True), (user_folder(), False)):
        for path in sorted(folder.glob("*" + _SUFFIX)) if folder.is_dir() else ():
            entries.setdefault(path.stem, ModelEntry(read_card(path), path, shipped))
    return list(entries.values())


def model_names() -> list[str]:
    """Names of all networks, without looking into their files."""
    folders = (_shipped_folder(), user_folder())
    names = [path.stem for folder in folders if folder.is_dir() for path in sorted(folder.glob("*" + _SUFFIX))]
    return list(dict.fromkeys(names))


def find_model(name_or_path: str, also: tuple[str, ...] = ()) -> Path:
    """The weights file of a network given by name or by path; `also` are other names that the error may suggest.

    Raises:
        UnknownModel: no such name, and no such file; names the nearest.
    """
    as_path = Path(name_or_path)
    if as_path.suffix == _SUFFIX or as_path.parent != Path():
        return as_path
    for folder in (_shipped_folder(), user_folder()):
        path = folder / (name_or_path + _SUFFIX)
        if path.is_file():
            return path
    raise unknown_model(name_or_path, also)


def unknown_model(name: str, also: tuple[str, ...] = ()) -> UnknownModel:
    """The error for a name that is not there, naming the nearest or all."""
    names = [*model_names(), *also]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
    return UnknownModel(f"no network is called {name!r}", hint=hint)


def load_model(name_or_path: str = DEFAULT_MODEL) -> LoadedModel:
    """A network by name or weights file, ready to use on the CPU.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `find_model` and `read_model`.
    """
    return read_model(find_model(name_or_path))


def load_weights(name_or_path: str = DEFAULT_MODEL) -> Weights:
    """The weights of a network by name or weights file, without PyTorch.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `find_model` and `read_weights`.
    """
    return read_weights(find_model(name_or_path))


def import_model(checkpoint: Path, name: str, *, overwrite: bool = False) -> ModelEntry:
    """Check an official checkpoint and keep it under a name in the user's folder.

    Raises:
        BadOption: a name that is not a plain word, or that of a shipped network.
        MissingFile, BadWeights: see `read_official`.
        OutputRefused: the name is taken and `overwrite` is False.
    """
    from irn_video.pipeline.zoo.official import read_official

    if not _NAME.fullmatch(name):
        raise BadOption(f"{name!r} is not a usable name", hint="letters, digits, dots and dashes, at most 64")
    if (_shipped_folder() / (name + _SUFFIX)).exists():
        raise BadOption(f"{name} is the name of a shipped network", hint="choose another --name")
    card, state = read_official(checkpoint, name)
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableOutput(
            f"cannot make the folder: {error.strerror}", path=folder, hint="set IRN_VIDEO_HOME"
        ) from error
    path = folder / (name + _SUFFIX)
    write_model(path, card, state, overwrite=overwrite)
    return ModelEntry(card, path, shipped=False)


def _shipped_folder() -> Path:
    return Path(str(resources.files("irn_video.pipeline.zoo"))) / "weights"
