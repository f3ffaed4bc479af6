"""The blocks' feed-forward networks in training: a few rows at a time pass through both layers, and back again.

Only what enters is stored; hidden units are computed again, in cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...common.cpu.dropout_row import Drop
from ...common.cpu.row_layers import pack
from .feed_forward_passes import Gradients, Layers, Options, backward_rows, forward_rows
from .row_groups import array_of, groups_of, over_groups

__all__ = ["feed_forward"]


def feed_forward(
    x_NC: Tensor,
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
    factors_C: Tensor,
    kind: int,
    inner: Drop,
    outer: Drop,
) -> Tensor:
    """Factors x + dropout(W₂ N(dropout(f(W₁ N(x) + b₁))) + b₂) with norms N without weights.

    Parameters
    ----------
    x_NC : Tensor, shape (N, C)
        Rows.
    first, second : tuple of Tensor, shapes (M, C) and (M,), (C, M) and (C,)
        Weight and bias of both layers.
    factors_C : Tensor, shape (C,)
        Of what enters.
    kind : int
        f: GELU or RELU.
    inner, outer : Drop
        What is dropped of the hidden units, and of what the network gives.

    Returns
    -------
    Tensor, shape (N, C)
    """
    out: Tensor = _feed_forward(x_NC, *first, *second, factors_C, Options(kind, inner, outer))
    return out


class _FeedForward(torch.autograd.Function):
    """Of x, both layers and the factors."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, factors: Tensor, options: Options
    ) -> Tensor:
        """Rows like those of x."""
        ctx.save_for_backward(x, w1, b1, w2, b2, factors)
        ctx.options, out = options, torch.empty(x.shape)
        rows, layers = array_of(x), _layers(w1, b1, w2, b2, factors)
        over_groups(
            groups_of(len(x)),
            lambda _, first, last: forward_rows(layers, options, rows, out.numpy(), first, last),
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the six tensors."""
        x, w1, b1, w2, b2, factors = ctx.saved_tensors
        grad, groups, (hidden, width) = torch.empty(x.shape), groups_of(len(x)), w1.shape
        layers, rows, arriving = _layers(w1, b1, w2, b2, factors), array_of(x), array_of(grad_out)
        back = pack(array_of(w1).T), pack(array_of(w2).T)
        grads = [Gradients.of(width, hidden) for _ in groups[1:]]
        over_groups(
            groups,
            lambda k, first, last: backward_rows(
                layers, back, ctx.options, rows, arriving, grad.numpy(), grads[k], first, last
            ),
        )
        total = [sum(parts[1:], parts[0]) for parts in zip(*grads, strict=True)]
        one, one_bias, two, two_bias, of_factors = (torch.from_numpy(np.ascontiguousarray(part)) for part in total)
        return (
            grad, one[:hidden, :width], one_bias[:hidden], two[:width, :hidden], two_bias[:width], of_factors, None,
        )  # fmt: skip


_feed_forward: Callable[..., Tensor] = _FeedForward.apply


def _layers(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, factors: Tensor) -> Layers:
    return Layers(pack(array_of(w1), array_of(b1)), pack(array_of(w2), array_of(b2)), array_of(factors))
