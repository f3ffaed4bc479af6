"""Weights that kernels want in a form of their own, made again only when the network's have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

__all__ = ["batch_norm", "folded", "padded"]

_Weights = TypeVar("_Weights")

#: Network -> (its parameters and statistics, what was made of them).
_known: WeakKeyDictionary[nn.Module, tuple[Tensor, Any]] = WeakKeyDictionary()


def folded(model: nn.Module, make: Callable[[], _Weights]) -> _Weights:
    """What `make` makes of a network's weights; kept until one of them changes.

    They are compared by value and on their device: changes through ``.data`` leave no trace in torch's version
    counters.
    """
    with torch.no_grad():
        values = [tensor.reshape(-1).double() for tensor in (*model.parameters(), *model.buffers())]
        now = torch.cat(values)
        known = _known.get(model)
        if known is not None and known[0].device == now.device and torch.equal(known[0], now):
            kept: _Weights = known[1]
            return kept
        made = make()
    _known[model] = now, made
    return made


def batch_norm(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift, float64, that running statistics make of a BatchNorm."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def padded(values: Tensor, *shape: int) -> Tensor:
    """A contiguous float32 copy, filled up with zeros to the given shape."""
    out = values.new_zeros(shape, dtype=torch.float32)
    out[tuple(slice(size) for size in values.shape)] = values
    return out
