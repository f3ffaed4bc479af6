"""Norms and heads of rows as autograd functions: each stores its input alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4
from ....compiled import over_jets
from .heads import head_rows
from .invariant_gradients import head_gradients, norm_gradients
from .invariants import normed_rows
from .weights import Sizes
from .workspace import Rows

__all__ = ["normalised", "queries_keys_values", "rows_of"]

#: What a node costs, in the pairs that threads are given.
_PAIRS = 50


def normalised(vectors: Tensor, scalars: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """As `SlimNorm` without gains, of (N, 4, V) and (N, S), whole registers; `share` is 1 by the number of channels."""
    return _normalised(vectors, scalars, share)


def queries_keys_values(vectors: Tensor, scalars: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (N, H, 4V + S) of q, k and v from (N, 4, 3HV) and (N, 3HS), normalised; q·k is a plain sum."""
    return _heads(vectors, scalars, sizes)


def _over_nodes(function: Callable[[int, int], Any], nodes: int) -> None:
    over_jets(function, np.arange(nodes + 1) * _PAIRS, torch.get_num_threads())


def rows_of(vectors: Tensor, scalars: Tensor) -> Rows:
    """(N, 4, V) and (N, S) as rows, in place if they are contiguous."""
    return Rows(_array(vectors).reshape(-1, vectors.shape[2]), _array(scalars))


def _array(values: Tensor) -> F4:
    found: F4 = values.detach().contiguous().numpy()
    return found


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, scalars: Tensor, share: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(vectors, scalars)
        ctx.share = np.float32(share)
        found = torch.empty_like(vectors), torch.empty_like(scalars)
        rows, out = rows_of(vectors, scalars), rows_of(*found)
        _over_nodes(lambda first, last: normed_rows(rows, ctx.share, out, first, last), len(scalars))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        vectors, scalars = ctx.saved_tensors
        found = torch.empty_like(vectors), torch.empty_like(scalars)
        rows, arriving, out = rows_of(vectors, scalars), rows_of(*grads), rows_of(*found)
        _over_nodes(lambda first, last: norm_gradients(rows, ctx.share, arriving, out, first, last), len(scalars))
        return *found, None


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, scalars: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
        ctx.save_for_backward(vectors, scalars)
        ctx.sizes = sizes
        width = 4 * sizes.head_vectors + sizes.head_scalars
        found = tuple(scalars.new_empty(len(scalars), sizes.heads, width) for _ in range(3))
        rows, out = rows_of(vectors, scalars), _three(found)
        head, share = (sizes.head_vectors, sizes.head_scalars), sizes.head_share

        def run(first: int, last: int) -> None:
            head_rows(rows, sizes.heads, head, share, out, first, last)

        _over_nodes(run, len(scalars))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (vectors, scalars), sizes = ctx.saved_tensors, ctx.sizes
        found = torch.empty_like(vectors), torch.empty_like(scalars)
        rows, out = rows_of(vectors, scalars), rows_of(*found)
        arriving = _three(grads)
        head, share = (sizes.head_vectors, sizes.head_scalars), sizes.head_share

        def run(first: int, last: int) -> None:
            head_gradients(rows, sizes.heads, head, share, arriving, out, first, last)

        _over_nodes(run, len(scalars))
        return *found, None


def _three(values: tuple[Tensor, ...]) -> tuple[F4, F4, F4]:
    q, k, v = (_array(rows.flatten(1)) for rows in values)
    return q, k, v


_normalised: Callable[..., tuple[Tensor, Tensor]] = _Normalised.apply
_heads: Callable[..., tuple[Tensor, Tensor, Tensor]] = _Heads.apply
