"""Weights in the form that kernels want them, made once and kept until the network's own change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..module_tree import held
from .numbers import Numbers

__all__ = ["batch_norm", "folded"]

_Folded = TypeVar("_Folded")

#: Network -> (its parameters and statistics, what functions made of them).
_known: WeakKeyDictionary[nn.Module, tuple[Numbers, dict[Callable[[Any], Any], Any]]] = WeakKeyDictionary()


def folded(model: nn.Module, fold: Callable[[Any], _Folded]) -> _Folded:
    """``fold(model)``, kept until a parameter, statistic or BatchNorm's ε of the network changes.

    They are compared by value, see `numbers`.

    Parameters
    ----------
    model : Module
        With all tensors on one device.
    fold : callable
        A function of a module, not a lambda, so that it is the same at each call.
    """
    with held(model):
        known = _known.get(model)
        if known is None or not known[0].still_of(model):
            known = _known[model] = Numbers(model), {}
    made = known[1]
    if fold not in made:
        with torch.no_grad():
            made[fold] = fold(model)
    return cast(_Folded, made[fold])


def batch_norm(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,), float64, that a BatchNorm's running statistics make of its input."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias, mean, var = (
        t.detach().double() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = weight / torch.sqrt(var + norm.eps)
    return scale, bias - mean * scale
