"""Channels of queries, keys and values carried from frame to frame."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner

__all__ = ["Ranks", "carry_rows"]

#: Scalars, vectors and tensors of each head.
Ranks = tuple[int, int, int]


@inner
def carry_rows(x: F4, column: int, ranks: Ranks, heads: int, matrices: F4, lower: bool, out: F4,
               rows: int) -> None:  # fmt: skip
    """Heads of x from a column on, by each row's matrix (16,), into `out`.

    Each head has its scalars, its vectors, which turn to M v, and its tensors, to M t Mᵀ. With `lower`, the space
    components of M's first index change sign.
    """
    scalars, vectors, tensors = ranks
    size = scalars + 4 * vectors + 16 * tensors
    m, half = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    for row in range(rows):
        for a in range(4):
            for b in range(4):
                value = matrices[row, 4 * a + b]
                m[a, b] = -value if lower and a > 0 else value
        for head in range(heads):
            here, there = x[row, column + head * size :], out[row, head * size :]
            for c in range(scalars):
                there[c] = here[c]
            for vector in range(vectors):
                at = scalars + 4 * vector
                for a in range(4):
                    total = m[a, 0] * here[at]
                    for b in range(1, 4):
                        total += m[a, b] * here[at + b]
                    there[at + a] = total
            for tensor in range(tensors):
                at = scalars + 4 * vectors + 16 * tensor
                for a in range(4):
                    for b in range(4):
                        total = np.float32(0)
                        for c in range(4):
                            total += m[a, c] * here[at + 4 * c + b]
                        half[a, b] = total
                for a in range(4):
                    for b in range(4):
                        total = np.float32(0)
                        for c in range(4):
                            total += half[a, c] * m[b, c]
                        there[at + 4 * a + b] = total
