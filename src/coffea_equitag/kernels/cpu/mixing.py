"""LorentzNet's step of the vectors, on their Gram matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit

__all__ = ["move"]

_F8 = np.ndarray[Any, np.dtype[np.float64]]


@njit
def move(mixing: _F8, c_weight: float, gram: _F8, half_moved: _F8) -> None:  # pragma: no cover
    """G ← S G Sᵀ with S of x_i ← x_i + c mean_j (x_i − x_j) w_ij; `mixing` holds w off its diagonal."""
    n = len(gram)
    scale = c_weight / max(n - 1, 1)
    for i in range(n):
        total = 0.0
        for j in range(n):
            if j != i:
                step = scale * mixing[i, j]
                mixing[i, j] = -step
                total += step
        mixing[i, i] = 1 + total
    _product(mixing, gram, half_moved)
    _product(half_moved, mixing.T.copy(), gram)


@njit
def _product(left: _F8, right: _F8, out: _F8) -> None:  # pragma: no cover
    """Write left·right of n × n matrices into out, summed in the order of k, four at a time."""
    n = len(left)
    whole = n - n % 4
    for i in range(n):
        row = out[i]
        for j in range(n):
            row[j] = 0.0
        for k in range(0, whole, 4):
            a, b, c, d = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
            for j in range(n):
                row[j] += (a * right[k, j] + b * right[k + 1, j]) + (c * right[k + 2, j] + d * right[k + 3, j])
        for k in range(whole, n):
            a = left[i, k]
            for j in range(n):
                row[j] += a * right[k, j]
