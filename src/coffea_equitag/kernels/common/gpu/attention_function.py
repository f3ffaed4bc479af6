"""Ragged attention as a function of tensors, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .arithmetic import precision
from .head_rows import AttentionShape, HeadRows, Softmax
from .ragged_attention import Drop, attend
from .ragged_attention_gradient import attend_backward
from .tiles import Tiles

__all__ = ["ATTENTION_ROWS", "attention"]

#: Rows of the tiles that `attention` wants.
ATTENTION_ROWS = 64
_NOTHING = Drop()


def attention(
    query_NHD: Tensor,
    key_NHD: Tensor,
    value_NHE: Tensor,
    tiles: Tiles,
    bias: Tensor | None = None,
    *,
    scale: float | None = None,
    drop: Drop = _NOTHING,
) -> Tensor:
    """Σ_j softmax_j(scale q_i·k_j + b_ij) v_j over the constituents of the jet of i, as `layers.attention.attend`.

    Gradients go to queries, keys, values and the bias, once. What is kept for them is the outputs and two numbers
    per query and head.

    Parameters
    ----------
    query_NHD, key_NHD : Tensor of float32, shape (N, H, D)
        Queries and keys; not copied if their channels are side by side.
    value_NHE : Tensor of float32, shape (N, H, E)
        Values.
    tiles : Tiles
        The jets: ``Tiles.of(offsets, ATTENTION_ROWS)``.
    bias : Tensor of float32, flat, H Q entries, optional
        b: jet after jet a block (H, n, n).
    scale : float, optional
        1/√D if not given.
    drop : Drop
        Dropout of the weights.

    Returns
    -------
    Tensor of float32, shape (N, H, E)
    """
    scale = query_NHD.shape[2] ** -0.5 if scale is None else scale
    return _attention(query_NHD, key_NHD, value_NHE, bias, tiles, scale, drop)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, tiles: Tiles, scale: float, drop: Drop
    ) -> Tensor:
        (_, heads, depth), width, biased = query.shape, value.shape[2], bias is not None
        how, drops = precision(query.device), drop.probability > 0
        shape = AttentionShape(how, heads, depth, width, biased, drops, ATTENTION_ROWS)
        rows = HeadRows.of(query), HeadRows.of(key), HeadRows.of(value)
        out, softmax = attend(rows, tiles, bias, scale, drop, shape)
        ctx.rest = tiles, scale, drop, shape
        ctx.save_for_backward(*(each.at for each in rows), out, *softmax, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NHE: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, None, None, None]:
        *rows, out, maximum, total, bias = ctx.saved_tensors
        tiles, *rest = ctx.rest
        q, k, v = (HeadRows.of(each) for each in rows)
        grads = attend_backward(grad_NHE, (q, k, v), out, Softmax(maximum, total), tiles, bias, *rest)
        return *grads, None, None, None


_attention: Callable[..., Tensor] = _Attention.apply
