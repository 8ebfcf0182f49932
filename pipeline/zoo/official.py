"""Checkpoints of the reference implementation: PyTorch state dicts with `operations.*` names."""

from __future__ import annotations

from pathlib import Path

from irn_video.codecs.errors import BadWeights
from irn_video.pipeline.network.spec import NetworkSpec
from irn_video.pipeline.zoo.card import ModelCard, load_strictly
from irn_video.pipeline.zoo.checkpoints import read_checkpoint
from irn_video.pipeline.zoo.cost import cost_of
from torch import Tensor


def read_official(path: Path, name: str) -> tuple[ModelCard, dict[str, Tensor]]:
    """Card and weights of an official IRN checkpoint (`.pth`), x2 or x4, checked tensor by tensor.

    Raises:
        MissingFile: there is no such file.
        BadWeights: not a state dict, or one of another network; names what does not fit.
    """
    state = read_checkpoint(path)
    spec = _guess_spec(state, path)
    network = spec.build()
    load_strictly(network, state, path)
    down, up = cost_of(network)
    card = ModelCard(
        name=name,
        network=spec,
        summary=f"IRN x{spec.scale} of the paper, for a losslessly carried LR image",
        training="imported",
        data="as its makers state",
        licence="as its makers state",
        scores="not measured here",
        macs_down=down,
        macs_up=up,
        temperature=0.0,
        origin=path.name,
    )
    return card, network.state_dict()


def _guess_spec(state: dict[str, Tensor], path: Path) -> NetworkSpec:
    indices = {int(k.split(".")[1]) for k in state if k.startswith("operations.") and k.split(".")[1].isdigit()}
    if not indices:
        raise BadWeights("no tensor is called operations.…", path=path, hint="is this an IRN checkpoint?")
    transforms = sum(k.endswith(".haar_weights") for k in state)
    if transforms not in (1, 2):
        raise BadWeights(f"{transforms} Haar transforms, not 1 (x2) or 2 (x4)", path=path)
    blocks, rest = divmod(len(indices) - transforms, transforms)
    if rest or blocks < 1:
        raise BadWeights(f"{len(indices)} operations do not make {transforms} equal steps", path=path)
    return NetworkSpec("paper", scale=2**transforms, blocks=blocks)
