"""Channels of queries, keys and values carried from frame to frame."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner
from .vector_turns import turn_heads

__all__ = ["Ranks", "carry_rows", "write_matrix"]

#: Scalars, vectors and tensors of each head.
Ranks = tuple[int, int, int]


@inner
def carry_rows(x: F4, column: int, ranks: Ranks, heads: int, matrices: F4, lower: bool, out: F4, out_column: int,
               first: int, last: int) -> None:  # fmt: skip
    """Heads of x from a column on, by each row's matrix (16,), into `out`, for the rows ``first:last`` of all three.

    Each head has its scalars, its vectors, which turn to M v, and its tensors, to M t Mᵀ. With `lower`, the space
    components of M's first index change sign. Arrays are contiguous.
    """
    scalars, vectors, tensors = ranks
    size = scalars + 4 * vectors + 16 * tensors
    m, turned = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    columns, half = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    for row in range(first, last):
        write_matrix(matrices, row, lower, m, columns)
        here, there = row * x.shape[1] + column, row * out.shape[1] + out_column
        turn_heads(x, here, columns, heads, size, scalars, vectors, out, there)
        for head in range(heads if tensors else 0):
            for tensor in range(scalars + 4 * vectors, size, 16):
                at = head * size + tensor
                # rows of t Mᵀ, then M with its columns
                turn_heads(x, here + at, columns, 1, 16, 0, 4, half, 0)
                _transpose(half, turned)
                turn_heads(turned, 0, columns, 1, 16, 0, 4, half, 0)
                _write_transposed(half, out, row, out_column + at)


@inner
def write_matrix(matrices: F4, row: int, lower: bool, m: F4, columns: F4) -> None:
    """A row's matrix, perhaps lowered, row by row and column by column."""
    for a in range(4):
        for b in range(4):
            value = matrices[row, 4 * a + b]
            m[a, b] = -value if lower and a > 0 else value
            columns[b, a] = m[a, b]


@inner
def _transpose(x: F4, out: F4) -> None:
    for a in range(4):
        for b in range(4):
            out[a, b] = x[b, a]


@inner
def _write_transposed(x: F4, out: F4, row: int, column: int) -> None:
    for a in range(4):
        for b in range(4):
            out[row, column + 4 * a + b] = x[b, a]
