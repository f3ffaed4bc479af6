"""A dense layer of many rows as an autograd function: both passes as register tiles, near the peak of a core.

Gradients of weights are sums over groups of rows that do not depend on the number of threads, then over the groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4
from ....compiled import njit, over_jets
from .attention_tiles import LANE, TILE_ROWS, products
from .row_layers import LINEAR, pack, row_layer

__all__ = ["add_outer_products", "dense"]

#: Rows of a group at least, and groups at most: each has its own gradients of the weights.
_GROUP, _GROUPS = 2048, 8
#: Rows whose products stay in the first cache.
_CHUNK = 120
#: What a row of 64 multiply-adds costs, in the pairs that threads are given.
_COST = 1 / 1000


def dense(x_NC: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``torch.nn.functional.linear`` of rows (N, C) in float32 on the CPU."""
    out: Tensor = _dense(x_NC, weight, bias)
    return out


class _Dense(torch.autograd.Function):
    """Of x, W and b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Rows x Wᵀ + b."""
        ctx.save_for_backward(x, weight)
        return _through(_array(x), _array(weight), _array(bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Those of all three."""
        x, weight = ctx.saved_tensors
        grad, rows = _array(grad_out), _array(x)
        of_x = _through(grad, _array(weight).T, None) if ctx.needs_input_grad[0] else None
        return of_x, *_of_weights(grad, rows)


_dense: Callable[..., Tensor] = _Dense.apply


def _through(x: F4, matrix: F4, bias: F4 | None) -> Tensor:
    layer, out = pack(matrix, bias), torch.empty(len(x), len(matrix))
    result = out.numpy()

    def run(first: int, last: int) -> None:
        row_layer(x, first, layer, LINEAR, result, first, last - first)

    over_jets(run, _work(np.arange(len(x) + 1), matrix), torch.get_num_threads())
    return out


def _of_weights(grad: F4, x: F4) -> tuple[Tensor, Tensor]:
    """Gradients of W and b: gradᵀ x and the sum of its rows."""
    cuts = np.linspace(0, len(x), max(1, min(_GROUPS, len(x) // _GROUP)) + 1).astype(np.int64)
    height, width = grad.shape[1], x.shape[1]
    if height < TILE_ROWS or width % LANE:
        rows = torch.from_numpy(grad)
        return rows.T @ torch.from_numpy(x), rows.sum(0)
    matrices, sums = np.zeros((len(cuts) - 1, height, width), np.float32), np.zeros((len(cuts) - 1, height), np.float32)

    def run(first: int, last: int) -> None:
        for group in range(first, last):
            add_outer_products(grad, x, cuts[group], cuts[group + 1], matrices[group], sums[group])

    over_jets(run, _work(cuts, matrices[0]), torch.get_num_threads())
    return torch.from_numpy(_total(matrices)), torch.from_numpy(_total(sums))


@njit
def add_outer_products(left: F4, right: F4, first: int, last: int, out: F4, sums: F4) -> None:
    """Add leftᵀ right over rows ``first:last`` to `out`, and the rows of left to `sums`.

    Rows of left have 6 columns at least, those of right whole vectors; all arrays are contiguous.
    """
    height, width = left.shape[1], right.shape[1]
    whole, edge, zeros = height - height % TILE_ROWS, np.empty((TILE_ROWS, width), np.float32), np.zeros_like(right[0])
    for row in range(first, last, _CHUNK):
        count = min(_CHUNK, last - row)
        for o in range(0, whole, TILE_ROWS):
            products(left, row * height + o, 1, height, right, row * width, width, count, out, o * width, width,
                     out, o * width, width, width)  # fmt: skip
        if whole < height:
            # the last rows once more, elsewhere, since tiles are whole
            products(left, (row + 1) * height - TILE_ROWS, 1, height, right, row * width, width, count, zeros, 0, 0,
                     edge, 0, width, width)  # fmt: skip
            for o in range(whole, height):
                target, source = out[o], edge[o - height + TILE_ROWS]
                for c in range(width):
                    target[c] += source[c]
        for r in range(row, row + count):
            source = left[r]
            for c in range(height):
                sums[c] += source[c]


def _work(rows: Any, matrix: F4) -> Any:
    return (rows * (matrix.size * _COST + 1)).astype(np.int64)


def _total(parts: F4) -> F4:
    """Sums of the groups, in their order."""
    total: F4 = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _array(tensor: Tensor) -> F4:
    return np.ascontiguousarray(tensor.detach().numpy())
