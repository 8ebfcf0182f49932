"""The networks: weights with model cards, found by name; import of official checkpoints."""

from irn_video.pipeline.zoo.card import LoadedModel, ModelCard, read_model, write_model
from irn_video.pipeline.zoo.registry import (
    DEFAULT_MODEL,
    NETWORKS,
    ModelEntry,
    find_model,
    import_model,
    list_models,
    load_model,
)

__all__ = [
    "DEFAULT_MODEL",
    "NETWORKS",
    "LoadedModel",
    "ModelCard",
    "ModelEntry",
    "find_model",
    "import_model",
    "list_models",
    "load_model",
    "read_model",
    "write_model",
]
