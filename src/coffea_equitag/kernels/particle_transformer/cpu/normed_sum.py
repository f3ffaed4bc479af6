"""x + dropout(scale LayerNorm(y) + shift) in training, as an autograd function that stores its inputs alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4
from ....compiled import njit
from ...common.cpu.dropout_row import Drop
from .row_groups import array_of, groups_of, over_groups
from .row_passes import drop_values, moments, through_norm
from .row_sums import whole_vectors

__all__ = ["normed_sum"]


def normed_sum(x_NC: Tensor, y_NC: Tensor, scale_C: Tensor, shift_C: Tensor, drop: Drop) -> Tensor:
    """Rows x + dropout(scale LayerNorm(y) + shift)."""
    out: Tensor = _normed_sum(x_NC, y_NC, scale_C, shift_C, drop)
    return out


class _NormedSum(torch.autograd.Function):
    """Of x, y, scale and shift."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, scale: Tensor, shift: Tensor, drop: Drop) -> Tensor:
        """Rows like those of x."""
        ctx.save_for_backward(y, scale)
        ctx.drop, out = drop, torch.empty(x.shape)
        own, rows, scales, shifts = (array_of(one) for one in (x, y, scale, shift))
        over_groups(
            groups_of(len(x)),
            lambda _, first, last: _add(own, rows, scales, shifts, drop, out.numpy(), first, last),
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the four tensors."""
        y, scale = ctx.saved_tensors
        grad_y, groups, arriving = torch.empty(y.shape), groups_of(len(y)), array_of(grad_out)
        sums, arrays = np.zeros((len(groups) - 1, 2, y.shape[1]), np.float32), (array_of(y), array_of(scale))
        over_groups(
            groups,
            lambda k, first, last: _differentiate(*arrays, ctx.drop, arriving, grad_y.numpy(), sums[k], first, last),
        )
        found = torch.from_numpy(sums.sum(0))
        return grad_out, grad_y, found[0], found[1], None


_normed_sum: Callable[..., Tensor] = _NormedSum.apply


@njit
def _add(x: F4, y: F4, scale: F4, shift: F4, drop: Drop, out: F4, first: int, last: int) -> None:
    width = x.shape[1]
    values, kept = np.zeros(width, np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        own, source, target = x[row], y[row], out[row]
        mean, inverse = moments(source)
        for c in range(width):
            values[c] = (source[c] - mean) * inverse * scale[c] + shift[c]
        drop_values(values, kept, drop, row)
        for c in range(width):
            target[c] = own[c] + values[c]


@njit
def _differentiate(y: F4, scale: F4, drop: Drop, arriving: F4, grad_y: F4, sums: F4, first: int, last: int) -> None:
    """Gradients of y; those of scale and shift are added to sums (2, C)."""
    width = y.shape[1]
    values, kept = np.zeros(width, np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        source = y[row]
        values[:] = arriving[row]
        drop_values(values, kept, drop, row)
        mean, inverse = moments(source)
        for c in range(width):
            sums[0, c] += values[c] * ((source[c] - mean) * inverse)
            sums[1, c] += values[c]
            values[c] *= scale[c]
        through_norm(values, source, grad_y[row])
