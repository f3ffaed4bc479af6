"""`carry` as an autograd function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4
from ....compiled import njit, over_jets
from .carry import Ranks, carry_rows
from .carry_gradient import carry_rows_gradient

__all__ = ["carried"]

#: What a row costs, in the pairs that threads are given.
_PAIRS = 20
#: The part of several whose matrices have their first index lowered: keys, after queries.
_KEYS = 1


def carried(values_NPC: Tensor, matrices_N44: Tensor, ranks: Ranks, heads: int) -> Tensor:
    """P parts of heads · size channels in other frames, (N, P, C), float32.

    Parameters
    ----------
    values_NPC : Tensor, shape (N, P, C)
        P = 3 are queries, keys and values: the keys come with lowered indices.
    matrices_N44 : Tensor, shape (N, 4, 4)
        Into the other frames.
    ranks : tuple of int
        Scalars, vectors and tensors of each head, which follow each other in this order.
    heads : int
        Heads, side by side.
    """
    out: Tensor = _carried(values_NPC, matrices_N44, ranks, heads)
    return out


class _Carried(torch.autograd.Function):
    """Of channels and matrices."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, matrices: Tensor, ranks: Ranks, heads: int) -> Tensor:
        ctx.save_for_backward(values, matrices)
        parts = values.shape[1]
        ctx.rest = parts, ranks, heads
        x, m, out = _rows(values), _rows(matrices), torch.empty_like(values, memory_format=torch.contiguous_format)
        _over_rows(partial(_forward, x, m, parts, ranks, heads, _rows(out)), len(x))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        values, matrices = ctx.saved_tensors
        x, m, arriving = _rows(values), _rows(matrices), _rows(grad_out)
        grad_x, grad_m = np.empty_like(x), np.zeros_like(m)
        parts, ranks, heads = ctx.rest
        _over_rows(partial(_backward, x, m, arriving, parts, ranks, heads, grad_x, grad_m), len(x))
        found = torch.from_numpy(grad_x).view(values.shape), torch.from_numpy(grad_m).view(matrices.shape)
        return *found, None, None


_carried: Callable[..., Tensor] = _Carried.apply


def _rows(values: Tensor) -> F4:
    found: F4 = values.detach().contiguous().view(len(values), values[:1].numel()).numpy()
    return found


def _over_rows(function: Callable[[int, int], None], count: int) -> None:
    over_jets(function, np.arange(count + 1) * _PAIRS, torch.get_num_threads())


@njit
def _forward(x: F4, m: F4, parts: int, ranks: Ranks, heads: int, out: F4, first: int, last: int) -> None:
    width = x.shape[1] // parts
    for part in range(parts):
        at = part * width
        carry_rows(x, at, ranks, heads, m, part == _KEYS, out, at, first, last)


@njit
def _backward(
    x: F4, m: F4, arriving: F4, parts: int, ranks: Ranks, heads: int, grad_x: F4, grad_m: F4, first: int, last: int
) -> None:
    width = x.shape[1] // parts
    for part in range(parts):
        carry_rows_gradient(
            x, arriving, part * width, ranks, heads, m, part == _KEYS, grad_x, grad_m, first, last
        )  # fmt: skip
