"""What stands between the dense layers in training, as autograd functions that store their inputs alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4, I8
from ....compiled import over_jets
from ...common.cpu.dropout_row import Drop
from .row_passes import add_dropped, add_dropped_gradient, normalise, normalise_gradient

__all__ = ["dropped_sum", "normalised"]

#: Rows whose gradients of weights are summed before they are added up, and what a row costs in pairs.
_GROUP, _PAIRS = 512, 20
_NOTHING = np.empty(0, np.float32)


def normalised(x_NC: Tensor, kind: int, drop: Drop) -> Tensor:
    """LayerNorm(dropout(f(x))) without the norm's weights, f of a kind of `common.cpu.activations`."""
    out: Tensor = _normalised(x_NC, kind, drop)
    return out


def dropped_sum(
    x_NC: Tensor,
    y_NC: Tensor,
    drop: Drop,
    *,
    factors_C: Tensor | None = None,
    scale_C: Tensor | None = None,
    shift_C: Tensor | None = None,
) -> Tensor:
    """Factors x + dropout(scale LayerNorm(y) + shift); y itself without scale and shift."""
    out: Tensor = _dropped_sum(x_NC, y_NC, factors_C, scale_C, shift_C, drop)
    return out


class _Normalised(torch.autograd.Function):
    """Of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: int, drop: Drop) -> Tensor:
        """Rows like those of x."""
        ctx.save_for_backward(x)
        ctx.kind, ctx.drop = kind, drop
        out = torch.empty(x.shape)
        _over_rows(len(x), partial(normalise, _array(x), kind, drop, out.numpy()))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:
        """That of x."""
        (x,) = ctx.saved_tensors
        grad = torch.empty(x.shape)
        arguments = _array(x), ctx.kind, ctx.drop, _array(grad_out), grad.numpy()
        _over_rows(len(x), partial(normalise_gradient, *arguments))
        return grad, None, None


class _DroppedSum(torch.autograd.Function):
    """Of x, y, factors, scale and shift."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, factors: Tensor | None, scale: Tensor | None, shift: Tensor | None, drop: Drop
    ) -> Tensor:
        """Rows like those of x."""
        ctx.save_for_backward(x, y, factors, scale)
        ctx.drop, out = drop, torch.empty(x.shape)
        arrays = _array(x), _array(factors), _array(y), _array(scale), _array(shift)
        _over_rows(len(x), partial(add_dropped, *arrays, drop, out.numpy()))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the five tensors."""
        x, y, factors, scale = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        grad_x, grad_y = grad_out if factors is None else torch.empty(x.shape), torch.empty(x.shape)
        groups = _groups(len(x))
        sums = np.zeros((len(groups) - 1, 3, x.shape[1]), np.float32)
        arrays = _array(x), _array(factors), _array(y), _array(scale)

        def run(first: int, last: int) -> None:
            for group in range(first, last):
                add_dropped_gradient(
                    *arrays, ctx.drop, grad_out.numpy(), grad_x.numpy(), grad_y.numpy(), sums[group],
                    groups[group], groups[group + 1],
                )  # fmt: skip

        over_jets(run, groups * _PAIRS, torch.get_num_threads())
        found = torch.from_numpy(sums.sum(0))
        return (
            grad_x,
            grad_y,
            None if factors is None else found[0],
            *((None, None) if scale is None else (found[1], found[2])),
            None,
        )


_normalised: Callable[..., Tensor] = _Normalised.apply
_dropped_sum: Callable[..., Tensor] = _DroppedSum.apply


def _array(tensor: Tensor | None) -> F4:
    return _NOTHING if tensor is None else np.ascontiguousarray(tensor.detach().numpy())


def _groups(rows: int) -> I8:
    return np.unique([*range(0, rows, _GROUP), rows, 0]).astype(np.int64)


def _over_rows(rows: int, function: Callable[[int, int], Any]) -> None:
    over_jets(function, np.arange(rows + 1) * _PAIRS, torch.get_num_threads())
