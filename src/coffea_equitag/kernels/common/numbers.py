"""All numbers of a network as they were at one time, to find out whether one has changed since."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..module_tree import tree_of

__all__ = ["Numbers"]

_DEVICE, _DTYPE, _SHAPE, _EPSILON = attrgetter("device"), attrgetter("dtype"), attrgetter("shape"), attrgetter("eps")


class Numbers:
    """A copy of a network's parameters and statistics, all on one device, and of its BatchNorms' ε.

    They are compared bit by bit, so that NaN is like itself: changes through ``.data`` or an array that shares the
    memory leave no trace in torch's version counters.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tree, tensors = tree_of(model), _tensors(model)
        self._form = _form(model, tensors)
        self._sizes = np.array([tensor.nbytes for tensor in tensors], np.int64)
        self._copy = _together(tensors)

    def still_of(self, model: nn.Module) -> bool:
        """Whether the network has the same parts and numbers as it had."""
        if self._tree is not tree_of(model):
            return False
        tensors = _tensors(model)
        if self._form != _form(model, tensors):
            return False
        if self._copy.device.type != "cpu":
            return torch.equal(self._copy, _together(tensors))
        from .cpu.same_bytes import same_bytes

        addresses = np.array([tensor.data_ptr() for tensor in tensors], np.int64)
        return same_bytes(addresses, self._sizes, self._copy.data_ptr())


def _tensors(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, the numbers of each one after another in memory."""
    tree = tree_of(model)
    tensors = tree.parameters + tree.buffers
    if all(map(Tensor.is_contiguous, tensors)):
        return tensors
    return [tensor.detach().contiguous() for tensor in tensors]


def _form(model: nn.Module, tensors: list[Tensor]) -> tuple[Any, ...]:
    """What there is besides the tensors' numbers."""
    norms = [*tree_of(model).of(nn.BatchNorm1d), *([model] if isinstance(model, nn.BatchNorm1d) else [])]
    return (
        set(map(_DEVICE, tensors)),
        list(map(_DTYPE, tensors)),
        list(map(_SHAPE, tensors)),
        list(map(_EPSILON, norms)),
    )


def _together(tensors: list[Tensor]) -> Tensor:
    """Their bytes."""
    none = torch.empty(0, dtype=torch.uint8)
    return torch.cat([tensor.detach().reshape(-1).view(torch.uint8) for tensor in tensors] or [none])
