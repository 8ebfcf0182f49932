"""The networks: weights with model cards, found by name; import of official checkpoints.

Nothing here loads PyTorch before a network is built.
"""

from irn_video.pipeline.zoo.card import LoadedModel, ModelCard, Weights, read_model, read_weights, write_model
from irn_video.pipeline.zoo.registry import (
    DEFAULT_MODEL,
    NETWORKS,
    ModelEntry,
    find_model,
    import_model,
    list_models,
    load_model,
    load_weights,
)

__all__ = [
    "DEFAULT_MODEL",
    "NETWORKS",
    "LoadedModel",
    "ModelCard",
    "ModelEntry",
    "Weights",
    "find_model",
    "import_model",
    "list_models",
    "load_model",
    "load_weights",
    "read_model",
    "read_weights",
    "write_model",
]
