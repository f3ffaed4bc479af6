"""Attention within each jet as autograd functions: `layers.attention`'s, whose weights and scores are never stored."""

from __future__ import annotations

from collections.abc import Callable
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
from .ragged_attention import attend_rows, attend_tokens
from .ragged_attention_gradient import attend_rows_gradient, attend_tokens_gradient

__all__ = ["attention", "attention_from_jets"]

#: A float32 array from its first number on, and the distances from one row, and column, to the next.
_Flat = tuple[F4, int, int]

_BYTES = 4


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
    out: Tensor = _attention(query_NHD, key_NHD, value_NHE, bias_QH, offsets, scale, drop)
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
    out: Tensor = _attention_from_jets(query_JHD, *keys, *values, offsets)
    return out


class _Attention(torch.autograd.Function):
    """Of queries, keys, values and perhaps a bias; what is not differentiable follows."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, offsets: Tensor, scale: float, drop: Drop
    ) -> Tensor:
        """(N, H, E)."""
        ctx.save_for_backward(q, k, v, bias, offsets)
        ctx.scale, ctx.drop, heads = scale, drop, q.shape[1]
        given, out = (*map(_flat, (q, k, v)), _flat_bias(bias, heads)), v.new_empty(v.shape)
        jets, pairs, result = offsets.numpy(), pair_offsets(offsets.numpy()), _flat(out)
        sizes = heads, q.shape[2], v.shape[2]
        over_jets(
            lambda first, last: _attend(given, jets, pairs, first, last, sizes, scale, drop, result),
            pairs, torch.get_num_threads(),
        )  # fmt: skip
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the four tensors."""
        q, k, v, bias, offsets = ctx.saved_tensors
        heads = q.shape[1]
        given = (*map(_flat, (q, k, v)), _flat_bias(bias, heads))
        grads = [x.new_empty(x.shape) for x in (q, k, v)]
        grad_bias = torch.empty_like(bias) if ctx.needs_input_grad[3] else None
        found = (*map(_flat, grads), _flat_bias(grad_bias, heads))
        jets, pairs, arriving = offsets.numpy(), pair_offsets(offsets.numpy()), _flat(grad_out)
        sizes, rest = (heads, q.shape[2], v.shape[2]), (ctx.scale, ctx.drop, arriving, found)
        over_jets(
            lambda first, last: _differentiate(given, jets, pairs, first, last, sizes, *rest),
            pairs, torch.get_num_threads(),
        )  # fmt: skip
        return *grads, grad_bias, None, None, None


class _AttentionFromJets(torch.autograd.Function):
    """Of queries, both kinds of keys and both of values."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, own_k: Tensor, k: Tensor, own_v: Tensor, v: Tensor, offsets: Tensor) -> Tensor:
        """(J, H, D)."""
        ctx.save_for_backward(q, own_k, k, own_v, v, offsets)
        given, out = tuple(map(_flat, (q, own_k, k, own_v, v))), q.new_empty(q.shape)
        jets, result, sizes = offsets.numpy(), _flat(out), (q.shape[1], q.shape[2], v.shape[2])
        over_jets(
            lambda first, last: _attend_from_jets(given, jets, first, last, sizes, result),
            jets, torch.get_num_threads(),
        )  # fmt: skip
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the five tensors."""
        *tensors, offsets = ctx.saved_tensors
        q, v = tensors[0], tensors[-1]
        grads = [x.new_empty(x.shape) for x in tensors]
        given, found, arriving = tuple(map(_flat, tensors)), tuple(map(_flat, grads)), _flat(grad_out)
        jets, sizes = offsets.numpy(), (q.shape[1], q.shape[2], v.shape[2])
        over_jets(
            lambda first, last: _differentiate_from_jets(given, jets, first, last, sizes, arriving, found),
            jets, torch.get_num_threads(),
        )  # fmt: skip
        return *grads, None


_attention: Callable[..., Tensor] = _Attention.apply
_attention_from_jets: Callable[..., Tensor] = _AttentionFromJets.apply


def _flat(rows: Tensor) -> _Flat:
    """Rows (R, H, D), as they lie if heads lie side by side."""
    rows = rows.detach()
    n, heads, size = rows.shape
    if rows.stride()[1:] != (size, 1) or rows.stride(0) < heads * size:
        rows = rows.contiguous()
    stride = heads * size if n < 2 else rows.stride(0)
    span = (n - 1) * stride + heads * size if n else 0
    return torch.as_strided(rows, (span,), (1,)).numpy(), stride, 1


def _flat_bias(bias: Tensor | None, heads: int) -> _Flat:
    """A bias (Q, H), as it lies if one of both directions is contiguous."""
    if bias is None or not len(bias):
        return np.empty(0, np.float32), heads, 1
    bias = bias.detach()
    if bias.T.is_contiguous():
        return torch.as_strided(bias, (bias.numel(),), (1,)).numpy(), 1, len(bias)
    return bias.contiguous().view(-1).numpy(), heads, 1


@inner
def _rows(flat: _Flat, number: int, columns: int) -> F4:
    values, row_stride, column_stride = flat
    return as_strided(values, (number, columns), (row_stride * _BYTES, column_stride * _BYTES))


@inner
def _pairs(flat: _Flat, heads: int) -> F4:
    return _rows(flat, len(flat[0]) // heads, heads)


@njit
def _attend(
    given: tuple[_Flat, ...], offsets: I8, pairs: I8, first: int, last: int, sizes: tuple[int, int, int],
    scale: float, drop: Drop, out: _Flat,
) -> None:  # fmt: skip
    (heads, depth, width), n = sizes, offsets[-1]
    q, k, v = _rows(given[0], n, heads * depth), _rows(given[1], n, heads * depth), _rows(given[2], n, heads * width)
    bias = _pairs(given[3], heads)
    attend_rows(q, k, v, offsets, first, last, heads, scale, bias, pairs[first], _rows(out, n, heads * width), drop)


@njit
def _differentiate(
    given: tuple[_Flat, ...], offsets: I8, pairs: I8, first: int, last: int, sizes: tuple[int, int, int],
    scale: float, drop: Drop, arriving: _Flat, found: tuple[_Flat, ...],
) -> None:  # fmt: skip
    (heads, depth, width), n = sizes, offsets[-1]
    q, k, v = _rows(given[0], n, heads * depth), _rows(given[1], n, heads * depth), _rows(given[2], n, heads * width)
    attend_rows_gradient(
        q, k, v, offsets, first, last, heads, scale, _pairs(given[3], heads), pairs[first],
        _rows(arriving, n, heads * width), _rows(found[0], n, heads * depth), _rows(found[1], n, heads * depth),
        _rows(found[2], n, heads * width), _pairs(found[3], heads), drop,
    )  # fmt: skip


@njit
def _attend_from_jets(
    given: tuple[_Flat, ...], offsets: I8, first: int, last: int, sizes: tuple[int, int, int],
    out: _Flat,
) -> None:  # fmt: skip
    (heads, depth, width), n, jets = sizes, offsets[-1], len(offsets) - 1
    attend_tokens(
        _rows(given[0], jets, heads * depth), _rows(given[1], jets, heads * depth), _rows(given[2], n, heads * depth),
        _rows(given[3], jets, heads * width), _rows(given[4], n, heads * width), offsets, first, last, heads,
        1 / np.sqrt(depth), _rows(out, jets, heads * width),
    )  # fmt: skip


@njit
def _differentiate_from_jets(
    given: tuple[_Flat, ...], offsets: I8, first: int, last: int, sizes: tuple[int, int, int],
    arriving: _Flat, found: tuple[_Flat, ...],
) -> None:  # fmt: skip
    (heads, depth, width), n, jets = sizes, offsets[-1], len(offsets) - 1
    attend_tokens_gradient(
        _rows(given[0], jets, heads * depth), _rows(given[1], jets, heads * depth), _rows(given[2], n, heads * depth),
        _rows(given[3], jets, heads * width), _rows(given[4], n, heads * width), offsets, first, last, heads,
        1 / np.sqrt(depth), _rows(arriving, jets, heads * width),
        _rows(found[0], jets, heads * depth), _rows(found[1], jets, heads * depth), _rows(found[2], n, heads * depth),
        _rows(found[3], jets, heads * width), _rows(found[4], n, heads * width),
    )  # fmt: skip
