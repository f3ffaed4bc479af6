"""Attention within each jet as autograd functions: `layers.attention`'s, whose weights and scores are never stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4, I8
from ....compiled import inner, njit, over_jets
from ....invariants.minkowski import pair_offsets
from .dropout_row import NO_DROP, Drop
from .ragged_attention import Rows, attend_jets
from .ragged_attention_gradient import Gradients, attend_jets_gradient

__all__ = ["attention", "attention_from_jets"]

#: A float32 array from its first number on, and the distances from one row, and column, to the next.
_Flat = tuple[F4, int, int]

_BYTES, _NOTHING = 4, np.empty(0, np.float32)


def attention(
    query_NHD: Tensor,
    key_NHD: Tensor,
    value_NHE: Tensor,
    offsets: Tensor,
    bias_QH: Tensor | None = None,
    *,
    scale: float | None = None,
    drop: Drop = NO_DROP,
) -> Tensor:
    """Σ_j softmax_j(scale q_i·k_j + b_ij) v_j as `layers.attention.attend`, float32 on the CPU.

    Parameters
    ----------
    query_NHD, key_NHD : Tensor, shape (N, H, D)
        Queries and keys of H heads.
    value_NHE : Tensor, shape (N, H, E)
        Values.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    bias_QH : Tensor, shape (Q, H), optional
        b in the square layout. Fastest as the transpose of a contiguous (H, Q).
    scale : float, optional
        1/√D if not given.
    drop : Drop
        Which weights are dropped.

    Returns
    -------
    Tensor, shape (N, H, E)
    """
    scale = query_NHD.shape[2] ** -0.5 if scale is None else scale
    out: Tensor = _attention(query_NHD, None, key_NHD, None, value_NHE, bias_QH, offsets, scale, drop)
    return out


def attention_from_jets(
    query_JHD: Tensor, keys: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor], offsets: Tensor
) -> Tensor:
    """As `layers.attention.attend_from_jets`: one query per jet; float32 on the CPU.

    Parameters
    ----------
    query_JHD : Tensor, shape (J, H, D)
        One query per jet.
    keys, values : tuple of two Tensor, shapes (J, H, D) and (N, H, D)
        Those of the jets, and of their constituents.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.

    Returns
    -------
    Tensor, shape (J, H, D)
    """
    out: Tensor = _attention(query_JHD, *keys, *values, None, offsets, query_JHD.shape[2] ** -0.5, NO_DROP)
    return out


class _Attention(torch.autograd.Function):
    """Of queries, both kinds of keys and of values, and a bias; those of the jets and the bias may be None."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, own_k: Tensor | None, k: Tensor, own_v: Tensor | None, v: Tensor, bias: Tensor | None,
        offsets: Tensor, scale: float, drop: Drop,
    ) -> Tensor:  # fmt: skip
        """A row per query, (H, E)."""
        tensors = q, own_k, k, own_v, v, bias
        ctx.save_for_backward(*tensors, offsets)
        ctx.scale, ctx.drop = scale, drop
        out = v.new_empty(len(q), *v.shape[1:])
        _over_jets(_attend, tensors, offsets, scale, drop, _flat(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the six tensors."""
        *tensors, offsets = ctx.saved_tensors
        *rows, bias = tensors
        grads = [None if x is None else x.new_empty(x.shape) for x in rows]
        grads.append(torch.empty_like(bias) if ctx.needs_input_grad[5] else None)
        found = _flats(grads, tensors[0].shape[1])
        _over_jets(_differentiate, tensors, offsets, ctx.scale, ctx.drop, _flat(grad_out), found)
        return *grads, None, None, None


_attention: Callable[..., Tensor] = _Attention.apply


def _over_jets(function: Callable[..., None], tensors: Sequence[Tensor | None], offsets: Tensor, *rest: Any) -> None:
    """Call ``function(tensors, offsets, pairs, first, last, (H, D, E), *rest)`` on ranges of jets."""
    jets, (q, v) = offsets.numpy(), (tensors[0], tensors[4])
    assert q is not None
    assert v is not None
    pairs, sizes, given = pair_offsets(jets), (*q.shape[1:], v.shape[2]), _flats(tensors, q.shape[1])
    over_jets(
        lambda first, last: function(given, jets, pairs, first, last, sizes, *rest),
        pairs, torch.get_num_threads(),
    )  # fmt: skip


def _flats(tensors: Sequence[Tensor | None], heads: int) -> tuple[_Flat, ...]:
    """Rows of queries, keys and values, and a bias, as they lie; nothing for None."""
    *rows, bias = tensors
    return *map(_flat, rows), _flat_bias(bias, heads)


def _flat(rows: Tensor | None) -> _Flat:
    """Rows (R, H, D), as they lie if heads lie side by side."""
    if rows is None or not len(rows):
        return _NOTHING, 1, 1
    rows = rows.detach()
    n, heads, size = rows.shape
    if rows.stride()[1:] != (size, 1) or rows.stride(0) < heads * size:
        rows = rows.contiguous()
    stride = rows.stride(0) if n > 1 else heads * size
    return torch.as_strided(rows, ((n - 1) * stride + heads * size,), (1,)).numpy(), stride, 1


def _flat_bias(bias: Tensor | None, heads: int) -> _Flat:
    """A bias (Q, H), as it lies if one of both directions is contiguous."""
    if bias is None or not len(bias):
        return _NOTHING, heads, 1
    bias = bias.detach()
    if bias.T.is_contiguous():
        return torch.as_strided(bias, (bias.numel(),), (1,)).numpy(), 1, len(bias)
    return bias.contiguous().view(-1).numpy(), heads, 1


@inner
def _rows(flat: _Flat, number: int, columns: int) -> F4:
    values, row_stride, column_stride = flat
    number = number if len(values) else 0
    return as_strided(values, (number, columns), (row_stride * _BYTES, column_stride * _BYTES))


@inner
def _unpacked(given: tuple[_Flat, ...], offsets: I8, sizes: tuple[int, int, int]) -> tuple[F4, F4, F4, F4, F4, F4]:
    """Queries, keys, values and the bias as arrays of two dimensions."""
    q, own_k, k, own_v, v, bias = given
    (heads, depth, width), n, jets = sizes, offsets[-1], len(offsets) - 1
    queries = jets if len(own_k[0]) else n
    return (
        _rows(q, queries, heads * depth),
        _rows(own_k, jets, heads * depth),
        _rows(k, n, heads * depth),
        _rows(own_v, jets, heads * width),
        _rows(v, n, heads * width),
        _rows(bias, len(bias[0]) // heads, heads),
    )


@njit
def _attend(
    given: tuple[_Flat, ...], offsets: I8, pairs: I8, first: int, last: int, sizes: tuple[int, int, int],
    scale: float, drop: Drop, out: _Flat,
) -> None:  # fmt: skip
    q, own_k, k, own_v, v, bias = _unpacked(given, offsets, sizes)
    keys, values, sums = Rows(own_k, k), Rows(own_v, v), _rows(out, len(q), sizes[0] * sizes[2])
    attend_jets(q, keys, values, offsets, first, last, sizes[0], scale, bias, pairs[first], drop, sums)


@njit
def _differentiate(
    given: tuple[_Flat, ...], offsets: I8, pairs: I8, first: int, last: int, sizes: tuple[int, int, int],
    scale: float, drop: Drop, arriving: _Flat, found: tuple[_Flat, ...],
) -> None:  # fmt: skip
    q, own_k, k, own_v, v, bias = _unpacked(given, offsets, sizes)
    grad_q, grad_own_k, grad_k, grad_own_v, grad_v, grad_bias = _unpacked(found, offsets, sizes)
    grads = Gradients(grad_q, Rows(grad_own_k, grad_k), Rows(grad_own_v, grad_v), grad_bias)
    attend_jets_gradient(
        q, Rows(own_k, k), Rows(own_v, v), offsets, first, last, sizes[0], scale, bias, pairs[first], drop,
        _rows(arriving, len(q), sizes[0] * sizes[2]), grads,
    )  # fmt: skip
