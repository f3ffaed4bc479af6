"""Weights in the form that kernels want them, made once and kept until the network's own change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..module_tree import buffers_of, modules_of, parameters_of

__all__ = ["batch_norm", "folded"]

_Folded = TypeVar("_Folded")
_Values = tuple[list[bytes] | Tensor, tuple[float, ...]]

#: Network -> (its parameters and statistics, what functions made of them).
_known: WeakKeyDictionary[nn.Module, tuple[_Values, dict[Callable[[Any], Any], Any]]] = WeakKeyDictionary()


def folded(model: nn.Module, fold: Callable[[Any], _Folded]) -> _Folded:
    """``fold(model)``, kept until a parameter, statistic or BatchNorm's ε of the network changes.

    They are compared by value: changes through ``.data`` leave no trace in torch's version counters.

    Parameters
    ----------
    model : Module
        With all tensors on one device.
    fold : callable
        A function of a module, not a lambda, so that it is the same at each call.
    """
    values = _values_of(model)
    before, made = _known.get(model, (([], ()), {}))
    if not _same(before, values):
        made = {}
        _known[model] = values, made
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


def _values_of(model: nn.Module) -> _Values:
    """All parameters and statistics as bytes, so that NaN is like itself (those of a GPU stay there); BatchNorms' ε."""
    modules = modules_of(model)
    small = tuple(module.eps for module in modules if isinstance(module, nn.BatchNorm1d))
    tensors = [tensor.detach() for tensor in (*parameters_of(modules), *buffers_of(modules))]
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.numpy().tobytes() for tensor in tensors], small
    return torch.cat([tensor.reshape(-1).view(torch.uint8) for tensor in tensors]), small


def _same(before: _Values, now: _Values) -> bool:
    old, new = before[0], now[0]
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        return before[1] == now[1] and old.device == new.device and torch.equal(old, new)
    return not isinstance(old, Tensor) and not isinstance(new, Tensor) and before == now
