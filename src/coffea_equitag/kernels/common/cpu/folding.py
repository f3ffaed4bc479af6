"""Parameters as the CPU kernels want them: BatchNorm folded in, columns in blocks of a tile, kept until they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from ....array_types import F4, F8
from ...module_tree import buffers_of, modules_of, parameters_of
from .aligned import aligned
from .wide_dense import block_of

__all__ = ["batch_norm_of", "blocks", "double", "folded", "padded"]

_Folded = TypeVar("_Folded")

#: Network -> (its parameters and statistics, what they were folded to).
_known: WeakKeyDictionary[nn.Module, tuple[list[bytes], Any]] = WeakKeyDictionary()


def folded(model: nn.Module, fold: Callable[[Any], _Folded]) -> _Folded:
    """``fold(model)``, kept until a parameter or statistic of the network changes."""
    modules = modules_of(model)
    # bytes, so that NaN is like itself
    values = [tensor.detach().numpy().tobytes() for tensor in (*parameters_of(modules), *buffers_of(modules))]
    known = _known.get(model)
    # compared by value: changes through .data leave no trace in torch's version counters
    if known is not None and known[0] == values:
        return cast(_Folded, known[1])
    with torch.no_grad():
        found = fold(model)
    _known[model] = values, found
    return found


def batch_norm_of(norm: nn.Module) -> tuple[F8, F8]:
    """Scale and shift that a BatchNorm's running statistics make; 1 and 0 of an identity."""
    if not isinstance(norm, nn.BatchNorm1d):
        return np.ones(1), np.zeros(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias, mean, var = (double(t) for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    scale = weight / np.sqrt(var + norm.eps)
    return scale, bias - mean * scale


def blocks(matrix: F8) -> F4:
    """A layer's matrix (out, in), padded to whole blocks of columns: (blocks, in, block)."""
    block, depth = block_of(len(matrix)), matrix.shape[1]
    columns = np.pad(matrix.T, ((0, 0), (0, -len(matrix) % block)))
    return aligned(columns.reshape(depth, columns.shape[1] // block, block).transpose(1, 0, 2))


def padded(bias: F8) -> F4:
    """A layer's bias, padded as its matrix."""
    return aligned(np.pad(bias, (0, -len(bias) % block_of(len(bias)))))


def double(tensor: Tensor) -> F8:
    """Its numbers in float64."""
    found: F8 = tensor.detach().double().numpy()
    return found
