"""Gradients of `carry`: of the channels that are carried, and of the matrices."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner
from .carry import Ranks, write_matrix
from .vector_turns import turn_heads_gradient

__all__ = ["carry_rows_gradient"]

_ZERO = np.float32(0)


@inner
def carry_rows_gradient(x: F4, arriving: F4, column: int, ranks: Ranks, heads: int, matrices: F4, lower: bool,
                        grad_x: F4, grad_matrices: F4, first: int, last: int) -> None:  # fmt: skip
    """∂L/∂x into its columns from `column` on, and ∂L/∂M added to (R, 16), of what `carry_rows` made, rows first:last.

    For out = M v: Mᵀ g and g vᵀ. For out = M t Mᵀ: Mᵀ g M and g M tᵀ + gᵀ M t. Arrays are contiguous.
    """
    scalars, vectors, tensors = ranks
    size = scalars + 4 * vectors + 16 * tensors
    m, columns, grad_columns = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    left, right = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    for row in range(first, last):
        write_matrix(matrices, row, lower, m, columns)
        grad_columns[:] = 0
        turn_heads_gradient(
            x, arriving, row * x.shape[1] + column, m, heads, size, scalars, vectors, grad_x, grad_columns
        )
        for head in range(heads if tensors else 0):
            for tensor in range(scalars + 4 * vectors, size, 16):
                at = column + head * size + tensor
                _tensor_gradient(m, x[row, at:], arriving[row, at:], grad_x[row, at:], grad_columns, left, right)
        for a in range(4):
            for b in range(4):
                value = grad_columns[b, a]
                grad_matrices[row, 4 * a + b] += -value if lower and a > 0 else value


@inner
def _tensor_gradient(m: F4, t: F4, g: F4, grad_t: F4, grad_columns: F4, left: F4, right: F4) -> None:
    """Of one tensor t (16,); `left` and `right` become M t and M tᵀ, then g M."""
    for a in range(4):
        for c in range(4):
            one, other = _ZERO, _ZERO
            for b in range(4):
                one += m[a, b] * t[4 * b + c]
                other += m[a, b] * t[4 * c + b]
            left[a, c], right[a, c] = one, other
    for a in range(4):
        for c in range(4):
            total = _ZERO
            for b in range(4):
                total += g[4 * a + b] * right[b, c] + g[4 * b + a] * left[b, c]
            grad_columns[c, a] += total
    for a in range(4):
        for c in range(4):
            total = _ZERO
            for b in range(4):
                total += g[4 * a + b] * m[b, c]
            right[a, c] = total
    for a in range(4):
        for c in range(4):
            total = _ZERO
            for b in range(4):
                total += m[b, a] * right[b, c]
            grad_t[4 * a + c] = total
