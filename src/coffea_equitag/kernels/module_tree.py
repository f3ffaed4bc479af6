"""A network's modules, parameters and buffers, found quickly: kernels ask at every call.

torch's own iterators also build each parameter's name, which takes longer than a small batch takes to compute.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..jet_model import AUXILIARY

__all__ = ["buffers_of", "learns", "modules_of", "parameters_of", "records"]


def modules_of(model: nn.Module) -> list[nn.Module]:
    """The network and all modules below it, in a fixed order, each once; without the heads of auxiliary tasks."""
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting += [child for name, child in module._modules.items() if child is not None and name != AUXILIARY]
    return list(found.values())


def parameters_of(modules: Iterable[nn.Module]) -> list[Tensor]:
    """Their own parameters; one that modules share comes as often as they do."""
    return [tensor for module in modules for tensor in module._parameters.values() if tensor is not None]


def buffers_of(modules: Iterable[nn.Module]) -> list[Tensor]:
    """Their own buffers, such as BatchNorm's statistics."""
    return [tensor for module in modules for tensor in module._buffers.values() if tensor is not None]


def records(model: nn.Module, *inputs: Tensor | None) -> bool:
    """Whether gradients of a parameter or an input are recorded."""
    if not torch.is_grad_enabled():
        return False
    tensors = (*parameters_of(modules_of(model)), *inputs)
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


def learns(model: nn.Module, *inputs: Tensor | None) -> bool:
    """Whether a call is part of a training: gradients are recorded, or statistics followed."""
    return records(model, *inputs) or any(module.training for module in modules_of(model))
