"""Weights in the form that kernels want them, made once and kept until the network's own change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from ...array_types import AnyArray
from ..module_tree import buffers_of, modules_of, parameters_of

__all__ = ["batch_norm", "folded"]

_Folded = TypeVar("_Folded")
#: A network's numbers as integers, and BatchNorms' ε.
_Values = tuple[list[AnyArray] | Tensor, tuple[float, ...]]

#: Network -> (its parameters and statistics, what functions made of them).
_known: WeakKeyDictionary[nn.Module, tuple[_Values | None, dict[Callable[[Any], Any], Any]]] = WeakKeyDictionary()


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
    before, made = _known.get(model, (None, {}))
    if before is None or not _same(before, values):
        made = {}
        _known[model] = _copy(values), made
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
    """All parameters and statistics as bits, so that NaN is like itself (those of a GPU stay there); BatchNorms' ε.

    Those of a CPU are the network's own memory.
    """
    modules = modules_of(model)
    small = tuple(module.eps for module in modules if isinstance(module, nn.BatchNorm1d))
    tensors = [tensor.detach() for tensor in (*parameters_of(modules), *buffers_of(modules))]
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.contiguous().view(-1).numpy().view(np.int32) for tensor in tensors], small
    return torch.cat([tensor.reshape(-1).view(torch.uint8) for tensor in tensors]), small


def _copy(values: _Values) -> _Values:
    numbers, small = values
    return (numbers if isinstance(numbers, Tensor) else [array.copy() for array in numbers]), small


def _same(before: _Values, now: _Values) -> bool:
    (old, old_small), (new, small) = before, now
    if old_small != small:
        return False
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        return old.device == new.device and torch.equal(old, new)
    if isinstance(old, Tensor) or isinstance(new, Tensor):
        return False
    return len(old) == len(new) and all(map(np.array_equal, old, new))
