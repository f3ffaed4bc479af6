"""All numbers of a network as they were at one time, to find out whether one has changed since."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...array_types import AnyArray
from ..module_tree import tree_of

__all__ = ["Numbers"]

_DEVICE, _DTYPE, _SHAPE, _EPSILON = attrgetter("device"), attrgetter("dtype"), attrgetter("shape"), attrgetter("eps")


class Numbers:
    """What tells a network's parameters and statistics, all on one device, and its BatchNorms' ε from others.

    Of numbers on a CPU it is a fingerprint of their bits, on a GPU a copy. NaN is like itself. Changes through
    ``.data`` or an array that shares the memory leave no trace in torch's version counters.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tree, tensors = tree_of(model), _tensors(model)
        self._form, self._bits = _form(model, tensors), _bits(tensors)

    def still_of(self, model: nn.Module) -> bool:
        """Whether the network has the same parts and numbers as it had."""
        if self._tree is not tree_of(model):
            return False
        tensors = _tensors(model)
        return self._form == _form(model, tensors) and _same(self._bits, _bits(tensors))


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


def _bits(tensors: list[Tensor]) -> AnyArray | Tensor:
    if tensors and tensors[0].device.type != "cpu":
        return torch.cat([tensor.detach().reshape(-1).view(torch.uint8) for tensor in tensors])
    from .cpu.fingerprint import fingerprint

    sizes = np.array([tensor.nbytes for tensor in tensors], np.int64)
    return fingerprint(np.array([tensor.data_ptr() for tensor in tensors], np.int64), sizes)


def _same(before: AnyArray | Tensor, now: AnyArray | Tensor) -> bool:
    if isinstance(before, Tensor) and isinstance(now, Tensor):
        return torch.equal(before, now)
    return np.array_equal(before, now)
