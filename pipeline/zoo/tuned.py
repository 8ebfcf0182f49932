"""PyTorch networks with weights other than their own, for tuning them and for running them tuned."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import torch
from irn_video.pipeline.network import CodecAwareRescaler
from irn_video.pipeline.zoo.weight_update import Arrays, changeable, gain_names, kernel_names
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def tuned_network(network: CodecAwareRescaler, weights: Arrays) -> CodecAwareRescaler:
    """A network with what an update may change taken from `weights`; it shares everything else with `network`."""
    device = network.restorer.last.weight.device
    return _with(network, {name: torch.from_numpy(weights[name]).to(device) for name in changeable(weights)})


def gains_of(network: CodecAwareRescaler) -> list[Tensor]:
    """Biases of the modulation of each hidden layer, (2·width,): gains, then shifts."""
    tensors = network.state_dict(keep_vars=True)
    return [tensors[name] for name in gain_names(tensors)]


def kernels_of(network: CodecAwareRescaler) -> list[Tensor]:
    """Kernels of each hidden layer, (width, in, 3, 3)."""
    tensors = network.state_dict(keep_vars=True)
    return [tensors[name] for name in kernel_names(tensors)]


def with_hidden(network: CodecAwareRescaler, biases: Sequence[Tensor], kernels: Sequence[Tensor]) -> CodecAwareRescaler:
    """A network with others of both, perhaps some that want gradients; it shares everything else."""
    names = network.state_dict()
    changed = dict(zip(gain_names(names), biases, strict=True)) | dict(zip(kernel_names(names), kernels, strict=True))
    return _with(network, changed)


def _with(module: Module, parameters: Mapping[str, Tensor]) -> Module:
    """A module that differs from another in these parameters, by their names in its state dict."""
    changed, own, parts = copy.copy(module), dict[str, Tensor](), dict[str, dict[str, Tensor]]()
    for name, value in parameters.items():
        part, _, rest = name.partition(".")
        if rest:
            parts.setdefault(part, {})[rest] = value
        else:
            own[part] = value
    changed._parameters = {**module._parameters, **cast("dict[str, nn.Parameter]", own)}
    children = {part: _with(module.get_submodule(part), some) for part, some in parts.items()}
    changed._modules = {**module._modules, **children}
    return changed
